"""A flag that answers late, not at all or against us, while others write it too: whatever happens, one effect of ours at most."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.flag.proceed import proceed, put_back
from server.core.flag.prove import judge, weigh
from server.core.flag.remarks import remarks
from server.core.flag.state import FlagState
from server.core.outcome import Call, Finished, LookAgain, Outcome, Write
from tests.unit.flag.cases import at, look, outcome, planned

ANSWERS = ["done", "409", "400", "lost", "lost and done", "late", "died", "died and done", "405", "not done"]
OTHERS = ["nothing", "nothing", "nothing", "changes a rule", "turns it off", "turns it on"]


class Flag:
    """LaunchDarkly's side: a bound patch takes effect only at the version that it tests."""

    def __init__(self) -> None:
        self.on, self.version, self.effects = True, 41, 0
        self.late: list[tuple[float, Call]] = []

    def take(self, call: Call) -> bool:
        test, replace = call.body["patch"]
        assert (test["op"], test["path"]) == ("test", "/environments/production/version"), "none is sent unbound"
        if test["value"] != self.version:
            return False
        self.on, self.version, self.effects = replace["value"], self.version + 1, self.effects + 1
        return True

    def somebody(self, what: str) -> None:
        if what == "changes a rule":
            self.version += 1
        elif what in ("turns it off", "turns it on") and self.on is not (what == "turns it on"):
            self.on, self.version = what == "turns it on", self.version + 1

    def pass_time(self, now: float) -> None:
        due = [one for one in self.late if one[0] <= now]
        self.late = [one for one in self.late if one[0] > now]
        for _, call in due:
            self.take(call)


def answer(flag: Flag, how: str, call: Call, n: int, now: float) -> Outcome:
    """What the run learns of one write."""
    if how == "late":
        flag.late.append((now + 6.5, call))
    if how in ("lost", "late", "died", "lost and done", "died and done"):
        if how.endswith("and done"):
            flag.take(call)
        cause = "died" if how.startswith("died") else "broken" if how == "lost" else "timeout"
        found = outcome("unknown", now, n, cause)
        return found.model_copy(update={"evidence": {}}) if cause == "died" else found
    if how == "405":
        return outcome("refused", now, n, status=405)
    if how == "not done":
        return outcome("refused", now, n, "not_done")
    if how == "done" and flag.take(call):
        return outcome("done", now, n, version=flag.version)
    return outcome("refused", now, n, "conflict", status=400 if how == "400" else 409)


class Run:
    """A step driven as the flow drives it; time passes with each look and write."""

    def __init__(self, answers: list[str], others: list[str], asked: Any = proceed) -> None:
        self.flag, self.now, self.asked = Flag(), 0.0, asked
        self.answers, self.others = list(answers), list(others)
        self.plan = planned(look(0))
        self.seen: list[FlagState] = [look(0)]
        self.done: list[Outcome] = []
        self.sent: dict[int, list[Call]] = {}

    def look(self) -> None:
        self.now += 0.1
        self.flag.pass_time(self.now)
        if self.others:
            self.flag.somebody(self.others.pop(0))
        self.seen.append(look(self.now, self.flag.on, self.flag.version))

    def drive(self) -> Outcome:
        for _ in range(400):
            move = self.asked(self.plan, self.seen, self.done, at(self.now))
            if isinstance(move, Finished):
                return move.outcome
            if isinstance(move, LookAgain):
                self.now += move.after
                self.look()
                continue
            assert isinstance(move, Write)
            self.sent.setdefault(move.n, []).append(move.call)
            self.now += 0.2
            how = self.answers.pop(0) if self.answers else "done"
            self.done.append(answer(self.flag, how, move.call, move.n, self.now))
            if move.look:
                self.look()
        raise AssertionError("it never ends")


runs = {
    "answers": st.lists(st.sampled_from(ANSWERS), max_size=6),
    "others": st.lists(st.sampled_from(OTHERS), max_size=30),
}


@settings(max_examples=500, deadline=None)
@given(**runs)
def test_there_is_one_effect_at_most_and_every_patch_is_bound_to_what_was_judged(
    answers: list[str], others: list[str]
) -> None:
    run = Run(answers, others)
    end = run.drive()
    run.flag.pass_time(run.now + 1000)
    assert run.flag.effects <= 1
    for calls in run.sent.values():
        assert len(calls) <= 2, "one number goes out twice at most"
        assert all(call.body["patch"][0]["value"] == 41 for call in calls)
    assert all(calls.count(calls[0]) == len(calls) for calls in run.sent.values()), "one number is one body"
    if end.kind == "done":
        assert run.flag.effects == 1 or any(state.is_safe for state in run.seen), (
            "nothing is called done that was not seen"
        )
    if end.kind == "refused" and all(one.kind == "refused" for one in run.done):
        assert run.flag.effects == 0


@settings(max_examples=300, deadline=None)
@given(**runs)
def test_what_is_said_is_said_at_any_moment_and_on_is_never_proven(answers: list[str], others: list[str]) -> None:
    run = Run(answers, others)
    run.drive()
    for _ in range(4):
        run.look()
        verdict = weigh(run.plan, run.seen, run.done, judge(run.seen[-1]))
        assert (verdict.kind == "passed") is (not run.flag.on)
        words = remarks(run.plan, run.seen, run.done, verdict)
        assert words.done
        assert words.proof


@settings(max_examples=300, deadline=None)
@given(answers=st.lists(st.sampled_from(ANSWERS), max_size=3), others=st.lists(st.sampled_from(OTHERS), max_size=12))
def test_only_what_stands_as_we_left_it_is_put_back_and_once(answers: list[str], others: list[str]) -> None:
    run = Run(["done"], [])
    assert run.drive().kind == "done"
    run.asked, run.answers, run.others = put_back, list(answers), list(others)
    run.look()
    run.drive()
    run.flag.pass_time(run.now + 1000)
    assert run.flag.effects <= 2
    backs = [calls for n, calls in run.sent.items() if n > 1]
    assert sum(len(calls) for calls in backs) <= 1
    for (call,) in backs:
        assert call.body["patch"][0]["value"] == 42
        assert call.body["patch"][1]["value"] is True

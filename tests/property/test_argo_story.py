"""Whatever happens around a run: nothing is sent unbound, nothing too often, and nothing passes that is not so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.argo import decide, patches
from server.core.argo.proceed import proceed
from server.core.argo.prove import judge, weigh
from server.core.argo.remarks import remarks
from server.core.argo.state import RolloutState
from server.core.argo.story import judged_template
from server.core.outcome import LookAgain, Outcome, Plan, Write
from tests.unit.argo.cases import CUR, NEW, STA, World, at, stamp

EVENTS: dict[str, Callable[[World, float], object]] = {
    "nothing": lambda w, s: None,
    "our flag": lambda w, s: w.flag(),
    "somebody's flag": lambda w, s: w.flag(by="kubectl"),
    "acknowledged": lambda w, s: w.acknowledge(at(s)) if w.status.get("abort") else None,
    "retried": lambda w, s: w.unflag(),
    "router to 0": lambda w, s: w.weigh(0, status=25),
    "all to 0": lambda w, s: w.weigh(0),
    "back to 25": lambda w, s: w.weigh(25),
    "hotfix unseen": lambda w, s: w.hotfix(),
    "hotfix seen": lambda w, s: w.hotfix(seen=True),
    "hotfix seen, flag cleared": lambda w, s: w.unflag().hotfix(seen=True),
    "normalised": lambda w, s: w.template["spec"]["containers"][0].update(resources={}),
    "promoteFull": lambda w, s: w.status.update(promoteFull=True),
    "promoted": lambda w, s: w.status.update(stableRS=w.status["currentPodHash"]),
    "made anew": lambda w, s: w.meta.update(uid="u-2"),
    "stable short": lambda w, s: w.available.update({STA: 9}),
    "stable whole": lambda w, s: w.available.update({STA: 10}),
    "renewed": lambda w, s: w.renew(at(s)),
    "lease away": lambda w, s: setattr(w, "lease", "403"),
    "changed just now": lambda w, s: w.meta["managedFields"].append({"manager": "x", "time": stamp(at(s))}),
}
ANSWERS = [
    ("done", ""),
    ("refused", "conflict"),
    ("unknown", "timeout"),
    ("unknown", "broken"),
    ("unknown", "died"),
    ("noop", ""),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(EVENTS)),
        st.sampled_from([0.2, 0.5, 1.0, 3.0, 6.0, 12.0]),
        st.sampled_from(ANSWERS),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


class Played:
    """One story: looks, moves and answers, as the flow would go on."""

    def __init__(self, steps: list[Any]) -> None:
        self.seen: list[RolloutState] = []
        self.done: list[Outcome] = []
        self.writes: list[tuple[Write, RolloutState]] = []
        self.plan: Plan | None = None
        world, second = World(), 0.0
        for event, pause, answer, stopped in steps:
            second += pause
            EVENTS[event](world, second)
            self.seen.append(world.look(second))
            if self.plan is None:
                made = decide.plan(self.seen, self.seen[-1].at)
                if isinstance(made, Plan):
                    self.plan = made
                continue
            self._move(second, answer, stopped)

    def _move(self, second: float, answer: tuple[str, str], stopped: bool) -> None:
        assert self.plan is not None
        move = proceed(self.plan, self.seen, self.done, self.seen[-1].at, stopped)
        if not isinstance(move, Write):
            return
        self.writes.append((move, self.seen[-1]))
        kind, cause = answer
        evidence = {} if cause == "died" else {"kind": patches.kind(move.call)}
        fields = {"kind": kind, "cause": cause, "said": "x", "n": move.n, "at": at(second + 0.01), "evidence": evidence}
        self.done.append(Outcome.model_validate(fields))


def bound_by(write: Write) -> dict[str, Any]:
    return {op["path"]: op["value"] for op in write.call.body if op["op"] == "test"}


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_nothing_is_ever_sent_unbound(steps: list[Any]) -> None:
    played = Played(steps)
    for write, state in played.writes:
        bound = bound_by(write)
        kind = patches.kind(write.call)
        assert played.plan is not None
        assert bound["/metadata/uid"] == played.plan.facts["uid"]
        if kind == "act":
            assert bound["/status/currentPodHash"] == played.plan.facts["cur"]
            assert bound["/status/stableRS"] == played.plan.facts["sta"]
            assert "/spec/template" in bound
        if kind == "wake":
            assert (bound["/status/abort"], bound["/spec/template"]) == (True, state.template)
            assert bound["/status/currentPodHash"] == played.plan.facts["cur"] == state.cur
        if kind == "cleanup":
            assert state.cur != played.plan.facts["cur"]
            assert bound == {
                "/metadata/uid": state.uid,
                "/status/currentPodHash": state.cur,
                "/status/abort": True,
                "/status/abortedAt": None,
            }


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_nothing_is_sent_too_often(steps: list[Any]) -> None:
    played = Played(steps)
    numbers: dict[str, set[int]] = {"act": set(), "wake": set(), "cleanup": set()}
    sends: dict[int, int] = {}
    for write, _ in played.writes:
        numbers[patches.kind(write.call)].add(write.n)
        sends[write.n] = sends.get(write.n, 0) + 1
    assert len(numbers["wake"]) <= 4
    assert len(numbers["act"]) <= 4
    assert len(numbers["cleanup"]) <= 3
    assert all(times <= 3 for times in sends.values())
    assert not numbers["act"] & numbers["wake"]


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_a_number_is_used_again_only_where_its_fate_is_open(steps: list[Any]) -> None:
    played = Played(steps)
    answers: dict[int, Outcome] = {}
    for (write, _), outcome in zip(played.writes, played.done, strict=True):
        if write.n in answers:
            before = answers[write.n]
            assert (before.kind, before.cause in ("broken", "died")) == ("unknown", True)
        answers[write.n] = outcome


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_a_newer_version_is_never_aborted_by_us(steps: list[Any]) -> None:
    """No abort leaves while the newest look shows another hash, or a template that was not judged."""
    played = Played(steps)
    for write, state in played.writes:
        if patches.kind(write.call) == "act" and write.n > 1 and write.call.body[3]["value"] == state.template:
            assert played.plan is not None
            assert state.cur == played.plan.facts["cur"]
            assert judged_template(played.plan.facts, state)
        if played.plan and played.plan.facts["cur"] == CUR:
            assert write.call.body[1]["value"] != NEW or patches.kind(write.call) == "cleanup"


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_only_what_is_so_is_proven(steps: list[Any]) -> None:
    played = Played(steps)
    if played.plan is None:
        return
    facts = played.plan.facts
    for index, state in enumerate(played.seen):
        verdict = weigh(played.plan, played.seen[: index + 1], played.done, judge(played.plan, state))
        so = (
            state.abort is True
            and state.aborted_at != ""
            and not state.promote_full
            and (state.uid, state.cur, state.sta) == (facts["uid"], facts["cur"], facts["sta"])
            and judged_template(facts, state)
            and state.weights is not None
            and (state.weights.canary, state.weights.stable, state.router.canary) == (0, 100, 0)
            and state.stable_available >= state.replicas
        )
        assert (verdict.kind == "passed") is so


@given(STEPS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_there_is_always_something_to_say_and_it_is_short(steps: list[Any], stopped: bool) -> None:
    played = Played(steps)
    said = remarks(played.plan, played.seen, played.done, None, stopped)
    assert all(0 < len(line) < 500 and "\n" not in line for line in (*said.held, *said.mind))
    if played.plan is not None:
        assert said.proof
        assert said.done


@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=8), st.floats(0, 30))
@settings(max_examples=80, deadline=None)
def test_planning_ends_within_fifteen_seconds(events: list[str], second: float) -> None:
    world = World()
    first = world.look(0)
    for event in events:
        EVENTS[event](world, second)
    answer = decide.plan([first, world.look(second)], at(second))
    assert not isinstance(answer, LookAgain) or second < 15

"""Whatever happens around a switch back or an undo: never the outage, never the Service first, nothing unbound, nothing too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.argo import bluegreen_decide, lease, patches
from server.core.argo.bluegreen import capacity, hazard, situation
from server.core.argo.by_plan import judge, proceed, remarks, weigh
from server.core.argo.history import History, Seen
from server.core.argo.state import RolloutState
from server.core.argo.story import judged_template
from server.core.argo.template import difference
from server.core.argo.undo_decide import Options
from server.core.outcome import Outcome, Plan, Write
from tests.unit.argo.bluegreen_cases import OLD_TEMPLATE, OLDER, BlueGreen
from tests.unit.argo.cases import CUR, NEW, STA, at, stamp


def _pause(world: BlueGreen) -> None:
    world.status["pauseConditions"] = [{"reason": "BlueGreenPause", "startTime": stamp(at(0))}]
    world.status["controllerPause"] = True


def _resumed(world: BlueGreen) -> None:
    world.status["pauseConditions"] = []


def _our_template(world: BlueGreen) -> None:
    world.template = OLD_TEMPLATE
    world.meta["generation"] += 1


EVENTS: dict[str, Callable[[BlueGreen, float], object]] = {
    "nothing": lambda w, s: None,
    "our flag": lambda w, s: w.flag(),
    "somebody's flag": lambda w, s: w.flag(by="kubectl"),
    "acknowledged": lambda w, s: w.acknowledge(at(s)) if w.status.get("abort") else None,
    "retried": lambda w, s: w.unflag(),
    "Service to stable": lambda w, s: setattr(w, "active", STA),
    "Service to current": lambda w, s: setattr(w, "active", w.status["currentPodHash"]),
    "Service elsewhere": lambda w, s: setattr(w, "active", OLDER),
    "one pod lost": lambda w, s: w.short_by(1),
    "whole again": lambda w, s: w.short_by(0),
    "stable lost pods": lambda w, s: w.short_by(4, STA),
    "stable whole": lambda w, s: w.short_by(0, STA),
    "paused by hand": lambda w, s: w.spec.update(paused=True),
    "unpaused": lambda w, s: w.spec.update(paused=False),
    "scaled up": lambda w, s: w.spec.update(replicas=6),
    "scaled back": lambda w, s: w.spec.update(replicas=5),
    "hotfix unseen": lambda w, s: w.hotfix(),
    "hotfix seen": lambda w, s: w.unflag().hotfix(seen=True),
    "promoteFull": lambda w, s: w.status.update(promoteFull=True),
    "promoted": lambda w, s: w.status.update(stableRS=w.status["currentPodHash"]),
    "our template": lambda w, s: _our_template(w),
    "old version current": lambda w, s: w.taken_back(),
    "old version stable": lambda w, s: w.status.update(stableRS=STA),
    "another hash": lambda w, s: w.take_over(NEW),
    "BlueGreenPause": lambda w, s: _pause(w),
    "resumed": lambda w, s: _resumed(w),
    "made anew": lambda w, s: w.meta.update(uid="u-2"),
    "renewed": lambda w, s: w.renew(at(s)),
    "lease away": lambda w, s: setattr(w, "lease", "403"),
}
ANSWERS = [
    ("done", ""),
    ("refused", "conflict"),
    ("refused", ""),
    ("unknown", "timeout"),
    ("unknown", "broken"),
    ("unknown", "died"),
    ("noop", ""),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(EVENTS)),
        st.sampled_from([0.1, 0.5, 1.0, 3.0, 6.0, 12.0]),
        st.sampled_from(ANSWERS),
        st.booleans(),
    ),
    min_size=2,
    max_size=30,
)
STARTS: dict[str, Callable[[], BlueGreen]] = {
    "a": lambda: BlueGreen(active=STA),
    "b": BlueGreen,
    "b, one pod short": lambda: BlueGreen().short_by(1),
    "c": lambda: BlueGreen().promoted(),
    "c, slow": lambda: BlueGreen().promoted().short_by(2, STA),
}
OPTIONS = [
    Options(),
    Options(when_promoted="undo"),
    Options(when_promoted="undo", skip_gates=True),
]
STORIES = st.tuples(st.sampled_from(sorted(STARTS)), st.sampled_from(OPTIONS), STEPS)


class Played:
    """One story: looks, moves and answers, as the flow would go on. writes: each with the look that it was decided upon."""

    def __init__(self, story: tuple[str, Options, list[Any]]) -> None:
        start, options, steps = story
        self.seen: list[RolloutState] = []
        self.done: list[Outcome] = []
        self.writes: list[tuple[Write, RolloutState, bool]] = []
        self.plan: Plan | None = None
        world, second = STARTS[start](), 0.0
        for event, pause, answer, stopped in steps:
            second += pause
            EVENTS[event](world, second)
            self.seen.append(world.look(second))
            if self.plan is None:
                made = bluegreen_decide.plan(self.seen, self.seen[-1].at, options)
                if isinstance(made, Plan):
                    self.plan = made
                continue
            self._moves(second, answer, stopped)

    def _moves(self, second: float, answer: tuple[str, str], stopped: bool) -> None:
        """A write that is not looked after is followed by the next question at once."""
        assert self.plan is not None
        for step in range(3):
            move = proceed(self.plan, self.seen, self.done, self.seen[-1].at, stopped)
            if not isinstance(move, Write):
                return
            self.writes.append((move, self.seen[-1], stopped))
            kind, cause = answer
            evidence = {} if cause == "died" else {"kind": patches.kind(move.call)}
            when = at(second + 0.01 * (step + 1))
            self.done.append(
                Outcome(kind=kind, cause=cause, said="x", n=move.n, at=when, evidence=evidence)  # type: ignore[arg-type]
            )
            if move.look:
                return

    def before(self, index: int) -> list[Write]:
        """The writes before that one."""
        return [write for write, _, _ in self.writes[:index]]


def bound_by(write: Write) -> dict[str, Any]:
    return {op["path"]: op["value"] for op in write.call.body if op["op"] == "test"}


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_an_abort_never_goes_alone_where_the_controller_would_leave_the_service(story: Any) -> None:
    played = Played(story)
    for write, state, _ in played.writes:
        if patches.kind(write.call) != "act" or situation(state) != "b" or not hazard(state):
            continue
        assert not write.look
        assert [patches.kind(one.call) for one in write.also] == ["switch"]


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_the_service_is_never_written_alone_or_first(story: Any) -> None:
    """An abort stands in the look, or ours was taken right before."""
    played = Played(story)
    for index, (write, state, _) in enumerate(played.writes):
        if patches.kind(write.call) != "switch":
            continue
        taken = [one for one in played.done[:index] if one.kind in ("done", "noop")]
        right_after = bool(taken) and patches.kind(played.before(index)[-1].call) == "act" and hazard(state)
        assert state.abort is True or right_after


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_no_service_is_written_before_the_acknowledgement_while_the_version_is_whole_and_somebody_is_there(
    story: Any,
) -> None:
    played = Played(story)
    for write, state, _ in played.writes:
        if patches.kind(write.call) == "switch" and not hazard(state) and not state.aborted_at:
            seen = played.seen[: played.seen.index(state) + 1]
            assert lease.movement(seen) == "standing"


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_no_service_is_written_that_stable_cannot_carry_or_that_was_promoted(story: Any) -> None:
    played = Played(story)
    for write, state, _ in played.writes:
        if patches.kind(write.call) == "switch":
            assert capacity(state) == ""
            assert played.plan is not None
            assert (state.sta, state.active.selects) == (played.plan.facts["sta"], played.plan.facts["cur"])


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_nothing_is_ever_sent_unbound(story: Any) -> None:
    played = Played(story)
    for write, state, _ in played.writes:
        bound, kind = bound_by(write), patches.kind(write.call)
        assert played.plan is not None
        facts = played.plan.facts
        if kind == "switch":
            assert bound == {patches.SELECTOR: facts["cur"]}
            assert write.call.body[-1]["value"] == facts["sta"]
            continue
        assert bound["/metadata/uid"] == facts["uid"]
        if kind == "act":
            assert bound["/status/currentPodHash"] == facts["cur"]
            assert bound["/status/stableRS"] == facts["sta"]
        if kind in ("release", "promote"):
            assert bound["/status/currentPodHash"] == facts["target"] == state.cur
        if kind != "cleanup":
            assert "/spec/template" in bound


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_nothing_is_sent_too_often(story: Any) -> None:
    played = Played(story)
    numbers: dict[str, set[int]] = {}
    sends: dict[int, int] = {}
    for write, _, _ in played.writes:
        numbers.setdefault(patches.kind(write.call), set()).add(write.n)
        sends[write.n] = sends.get(write.n, 0) + 1
    most = {"wake": 4, "act": 4, "cleanup": 3, "switch": 3, "undo": 1, "promote": 3, "release": 3}
    assert all(len(used) <= most[kind] for kind, used in numbers.items())
    assert all(times <= 3 for times in sends.values())
    kinds = list(numbers.values())
    assert all(not one & other for i, one in enumerate(kinds) for other in kinds[i + 1 :])


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_the_stop_switch_lets_only_the_second_half_and_the_clean_up_out(story: Any) -> None:
    played = Played(story)
    for write, state, stopped in played.writes:
        if stopped:
            assert patches.kind(write.call) == "cleanup" or (patches.kind(write.call) == "switch" and hazard(state))


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_a_gate_is_moved_only_before_our_own_target(story: Any) -> None:
    played = Played(story)
    for write, state, _ in played.writes:
        kind = patches.kind(write.call)
        if kind in ("release", "promote"):
            assert played.plan is not None
            assert state.cur == played.plan.facts["target"]
            assert not difference(state.template, played.plan.facts["to"])
            assert kind == "release" or played.plan.facts["skip_gates"] or played.plan.calls[0] == write.call


@given(STORIES)
@settings(max_examples=150, deadline=None)
def test_only_what_is_so_is_proven(story: Any) -> None:
    played = Played(story)
    if played.plan is None:
        return
    facts = played.plan.facts
    wanted = facts["target"] if played.plan.undo else facts["sta"]
    for index, state in enumerate(played.seen):
        verdict = weigh(played.plan, played.seen[: index + 1], played.done, judge(played.plan, state))
        if verdict.kind != "passed":
            continue
        assert (state.active.selects, state.sta, state.uid) == (wanted, wanted, facts["uid"])
        assert state.endpoints.others == 0
        assert state.endpoints.ready >= max(state.replicas, 1)
        if played.plan.undo:
            assert state.cur == wanted
        else:
            assert (state.abort, state.aborted_at != "", state.cur) == (True, True, facts["cur"])
            assert judged_template(facts, state)


@given(STORIES, st.booleans())
@settings(max_examples=150, deadline=None)
def test_there_is_always_something_to_say_and_it_is_short(story: Any, stopped: bool) -> None:
    played = Played(story)
    said = remarks(played.plan, played.seen, played.done, None, stopped)
    assert all(0 < len(line) < 500 and "\n" not in line for line in (*said.held, *said.mind))
    if played.plan is not None:
        assert said.proof
        assert said.done


ROLES = st.fixed_dictionaries(
    {"stable": st.booleans(), "aborted": st.booleans(), "undone": st.booleans(), "running": st.booleans()}
)


@given(st.lists(ROLES, min_size=1, max_size=5), st.lists(st.integers(-500, 500), min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_target_is_older_and_was_never_seen_aborted_or_undone(roles: list[Any], ages: list[int]) -> None:
    world = BlueGreen().promoted()
    world.created = {CUR: at(-100)}
    remembered = []
    for index, role in enumerate(roles):
        pod_hash = f"{index}{index}{index}{index}abc"
        world.created[pod_hash] = at(ages[index])
        pods = 5 if role["running"] else 0
        world.available[pod_hash] = world.wanted[pod_hash] = pods
        world.templates[pod_hash] = OLD_TEMPLATE
        if role["running"]:
            world.deadlines[pod_hash] = stamp(at(100))
        times = {key: at(-50) for key in ("aborted", "undone") if role[key]}
        if role["stable"]:
            times |= {"first_stable": at(-5000), "last_stable": at(-10 * (index + 1))}
        remembered.append(Seen(hash=pod_hash, **times))
    state = world.look(0).model_copy(update={"history": History(seen=tuple(remembered))})
    plan = bluegreen_decide.plan([state], state.at, Options(when_promoted="undo"))
    if not isinstance(plan, Plan):
        return
    chosen = state.replica_set(plan.facts["target"])
    known = state.history.of(plan.facts["target"])
    assert chosen is not None
    assert known is not None
    assert chosen.created is not None
    assert chosen.created < at(-100)
    assert (known.aborted, known.undone) == (None, None)
    assert known.first_stable is not None or chosen.deadline

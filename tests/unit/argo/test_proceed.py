"""What now? The act, what a conflict means, what an open outcome means, and our flag on a newer version."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo.proceed import proceed
from server.core.outcome import Finished, LookAgain, Outcome, Plan, Write
from tests.unit.argo.cases import CUR, NEW, STA, World, at, outcome, planned, template

Move = Write | LookAgain | Finished


def after(world: World, *done: Outcome, seconds: float = 1.0, plan: Plan | None = None, stopped: bool = False) -> Move:
    """What is next after one more look at this world."""
    made, first = planned()
    state = world.look(seconds)
    return proceed(plan or made, [first, state], list(done), state.at, stopped)


def finished(move: Move) -> Outcome:
    assert isinstance(move, Finished), move
    return move.outcome


def test_the_first_move_is_the_planned_abort_under_number_one() -> None:
    plan, first = planned()
    move = proceed(plan, [first], [], first.at)
    assert move == Write(n=1, call=plan.calls[0])


def test_the_stop_switch_before_the_first_write_writes_nothing() -> None:
    plan, first = planned()
    said = finished(proceed(plan, [first], [], first.at, stopped=True))
    assert (said.kind, said.cause) == ("refused", "stopped")


def test_an_answered_abort_is_followed_by_looking_alone() -> None:
    assert finished(after(World().flag(), outcome("done", 0.5))).kind == "done"
    assert finished(after(World().aborted(), outcome("done", 0.5))).kind == "done"


def test_a_plan_without_a_call_writes_nothing() -> None:
    plan, first = planned(World().aborted())
    said = finished(proceed(plan, [first], [], first.at))
    assert (said.kind, said.said) == ("noop", "aborted already at 03:12:02Z, by whom is not known")


def test_an_abort_that_changed_nothing_is_planned_afresh_as_somebody_elses() -> None:
    said = finished(after(World().aborted(), outcome("noop", 0.5)))
    assert (said.kind, said.cause) == ("refused", "conflict")


@pytest.mark.parametrize("cause", ["", "not_done", "stopped"])
def test_an_abort_that_was_refused_is_over(cause: str) -> None:
    assert finished(after(World(), outcome("refused", 0.5, cause=cause))).kind == "refused"


# A bound test failed --------------------------------------------------------------------------------------------------------------


def conflict(seconds: float = 0.5, n: int = 1) -> Outcome:
    return outcome("refused", seconds, n=n, cause="conflict")


def _made_anew(world: World) -> None:
    world.meta["uid"] = "u-2"


def _promoted(world: World) -> None:
    world.status["stableRS"] = CUR


def _other_stable(world: World) -> None:
    world.status["stableRS"] = "9zzz"


STAND_DOWN: list[tuple[Callable[[World], object], str]] = [
    (lambda w: w.hotfix(seen=True), "8abc was released meanwhile; 7d9f is no longer the current version"),
    (_promoted, "7d9f was promoted meanwhile"),
    (_made_anew, "production/web-frontend was deleted and made anew meanwhile"),
    (_other_stable, "stable changed meanwhile from 5c4b to 9zzz"),
]


@pytest.mark.parametrize(("bend", "reason"), STAND_DOWN, ids=[reason for _, reason in STAND_DOWN])
def test_a_conflict_with_another_version_stands_down_and_names_it(bend: Callable[[World], object], reason: str) -> None:
    world = World()
    bend(world)
    said = finished(after(world, conflict()))
    assert (said.kind, said.cause, said.said) == ("refused", "", reason)


def test_a_template_that_was_only_written_back_normalised_is_judged_the_same_and_bound_anew() -> None:
    world = World()
    world.template["spec"]["containers"][0]["resources"] = {}
    move = after(world, conflict())
    assert isinstance(move, Write)
    assert move.n == 2
    assert move.call.body[3] == {"op": "test", "path": "/spec/template", "value": world.template}


def test_it_is_bound_anew_three_times_at_most() -> None:
    world = World()
    world.template["spec"]["containers"][0]["resources"] = {}
    conflicts = [conflict(0.1 * n, n) for n in (1, 2, 3)]
    assert isinstance(after(world, *conflicts), Write)
    said = finished(after(world, *conflicts, conflict(0.4, 4)))
    assert said.kind == "refused"


def _removed_label(world: World) -> None:
    world.template["metadata"]["labels"] = {}
    world.template["metadata"].pop("labels")


def _added_label(world: World) -> None:
    world.template = template(tier="front")


@pytest.mark.parametrize("bend", [lambda w: w.hotfix(), _removed_label, _added_label])
def test_a_hotfix_that_the_controller_has_not_seen_is_waited_for_and_never_aborted(
    bend: Callable[[World], object],
) -> None:
    world = World()
    bend(world)
    assert isinstance(after(world, conflict()), LookAgain)
    said = finished(after(world, conflict(), seconds=15.6))
    assert said.kind == "refused"
    assert said.said.startswith("something newer stands in spec of production/web-frontend")


def test_a_conflict_is_judged_by_a_look_after_it() -> None:
    assert isinstance(after(World(), conflict(2.0), seconds=1.0), LookAgain)


def test_somebody_who_aborted_first_is_planned_afresh() -> None:
    said = finished(after(World().aborted(), conflict()))
    assert (said.kind, said.cause) == ("refused", "conflict")


# The outcome is open --------------------------------------------------------------------------------------------------------------


def looks(world: World, *seconds: float) -> list[object]:
    return [world.look(one) for one in seconds]


@pytest.mark.parametrize("cause", ["broken", "died", "timeout"])
def test_an_effect_that_is_found_by_reading_is_ours(cause: str) -> None:
    said = finished(after(World().flag(), outcome("unknown", 0.5, cause=cause)))
    assert (said.kind, said.n, said.at) == ("done", 1, at(1.0))


@pytest.mark.parametrize("cause", ["broken", "died"])
def test_nothing_seen_for_five_seconds_sends_the_same_patch_under_the_same_number(cause: str) -> None:
    plan, first = planned()
    unknown = outcome("unknown", 0.5, cause=cause)
    world = World()
    early = [first, world.look(1), world.look(5.9)]
    assert isinstance(proceed(plan, early, [unknown], early[-1].at), LookAgain)
    late = [first, world.look(1), world.look(6)]
    assert proceed(plan, late, [unknown], late[-1].at) == Write(n=1, call=plan.calls[0])


def test_the_same_number_is_sent_three_times_at_most() -> None:
    plan, first = planned()
    world = World()
    done = [outcome("unknown", seconds, cause="broken") for seconds in (0, 10, 20)]
    seen = [first, world.look(21), world.look(27)]
    assert finished(proceed(plan, seen, done, seen[-1].at)).kind == "unknown"


def test_a_time_out_is_never_sent_again() -> None:
    plan, first = planned()
    world = World()
    seen = [first, *[world.look(second) for second in range(1, 40)]]
    said = finished(proceed(plan, seen, [outcome("unknown", 0.5, cause="timeout")], seen[-1].at))
    assert said.kind == "unknown"


def test_an_open_outcome_and_a_newer_version_send_nothing_more() -> None:
    plan, first = planned()
    world = World().hotfix(seen=True)
    seen = [first, world.look(1), world.look(7)]
    assert finished(proceed(plan, seen, [outcome("unknown", 0.5, cause="died")], seen[-1].at)).kind == "unknown"


def test_a_patch_bound_anew_is_sent_again_as_it_was_bound_anew() -> None:
    plan, first = planned()
    world = World()
    world.template["spec"]["containers"][0]["resources"] = {}
    done = [conflict(0.5), outcome("unknown", 1.5, n=2, cause="broken")]
    seen = [first, *[world.look(second) for second in (1, 2, 7)]]
    move = proceed(plan, seen, done, seen[-1].at)
    assert isinstance(move, Write)
    assert (move.n, move.call.body[3]["value"]) == (2, world.template)


def test_a_second_sending_that_changed_nothing_shows_that_the_first_arrived() -> None:
    done = [outcome("unknown", 0.5, cause="broken"), outcome("noop", 6)]
    said = finished(after(World().aborted(), *done, seconds=6.5))
    assert (said.kind, said.n) == ("done", 1)


def test_a_second_sending_that_was_refused_leaves_our_flag_nowhere() -> None:
    done = [outcome("unknown", 0.5, cause="broken"), conflict(6)]
    move = after(newer(), *done, seconds=6.5)
    assert isinstance(move, Write)
    assert move.call.body == TAKE_OFF
    assert finished(after(World().hotfix(seen=True), *done, seconds=6.5)).kind == "unknown"


# Our flag on a newer version ------------------------------------------------------------------------------------------------------


def newer(by: str = "ripcord") -> World:
    return World().flag(by).hotfix(seen=True)


TAKE_OFF = [
    {"op": "test", "path": "/metadata/uid", "value": "u-1"},
    {"op": "test", "path": "/status/currentPodHash", "value": NEW},
    {"op": "test", "path": "/status/abort", "value": True},
    {"op": "test", "path": "/status/abortedAt", "value": None},
    {"op": "remove", "path": "/status/abort"},
]


@pytest.mark.parametrize("kind", ["done", "unknown"])
def test_our_unseen_flag_is_taken_off_a_newer_version(kind: str) -> None:
    move = after(newer(), outcome(kind, 0.5, cause="timeout" if kind == "unknown" else ""))
    assert isinstance(move, Write)
    assert (move.n, move.call.body, move.woken) == (2, TAKE_OFF, False)


def test_our_flag_comes_off_although_the_stop_switch_is_on() -> None:
    assert isinstance(after(newer(), outcome("done", 0.5), stopped=True), Write)


def test_a_flag_that_is_not_ours_stays() -> None:
    plan, first = planned(World().flag(by="somebody"))
    state = newer(by="somebody").look(5)
    assert finished(proceed(plan, [first, state], [], state.at)).kind == "noop"
    assert isinstance(after(newer(by="somebody"), outcome("done", 0.5)), Finished)


def test_a_newer_version_whose_abort_is_acknowledged_is_left_alone() -> None:
    assert isinstance(after(newer().acknowledge(), outcome("done", 0.5)), Finished)


def test_a_refused_clean_up_is_decided_by_the_row_that_now_holds() -> None:
    refused = outcome("refused", 1.2, n=2, what="cleanup", cause="conflict")
    assert isinstance(after(newer().acknowledge(), outcome("done", 0.5), refused, seconds=1.5), Finished)
    again = after(newer(), outcome("done", 0.5), refused, seconds=1.5)
    assert isinstance(again, Write)
    assert again.n == 3


def test_stable_that_is_put_back_is_not_an_unseen_flag() -> None:
    world = World()
    world.status["currentPodHash"] = STA
    world.carried = world.template
    assert isinstance(after(world, outcome("done", 0.5)), Finished)

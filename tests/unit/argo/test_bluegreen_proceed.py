"""What goes out when, in a blue-green switch back: never the abort alone where it is the outage, never the Service alone or first."""

from __future__ import annotations

import pytest

from server.core.argo import patches
from server.core.argo.bluegreen_proceed import proceed
from server.core.argo.state import RolloutState
from server.core.outcome import Finished, LookAgain, Outcome, Plan, Write
from tests.unit.argo.bluegreen_cases import BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, NEW, STA, at, outcome

Move = Write | LookAgain | Finished


def ask(plan: Plan, seen: list[RolloutState], done: list[Outcome], stopped: bool = False) -> Move:
    return proceed(plan, seen, done, seen[-1].at, stopped)


def living(world: BlueGreen, second: float) -> RolloutState:
    """A look at a moment at which the controller renews its Lease each 2 s."""
    world.renew(at(second // 2 * 2))
    return world.look(second)


def kind(move: Move) -> str:
    assert isinstance(move, Write), move
    return patches.kind(move.call)


def first(world: BlueGreen) -> tuple[Plan, list[RolloutState], Move]:
    """Planned, guarded, looked at once more: the first move."""
    plan, seen = planned_switch(world)
    assert isinstance(ask(plan, [seen], []), LookAgain)
    looks = [seen, world.look(0.5)]
    return plan, looks, ask(plan, looks, [])


# The first write ------------------------------------------------------------------------------------------------------------------


def test_a_whole_version_is_aborted_by_one_write_that_is_looked_after() -> None:
    _, _, move = first(BlueGreen())
    assert isinstance(move, Write)
    assert (kind(move), move.n, move.look, move.also) == ("act", 1, True, ())


def test_a_clock_that_is_set_back_after_the_plan_holds_nothing_up() -> None:
    plan, seen = planned_switch(BlueGreen())
    assert kind(ask(plan, [seen, BlueGreen().look(-120)], [])) == "act"


def test_both_intents_stand_before_the_first_of_a_pair_and_nothing_is_looked_at_between() -> None:
    plan, looks, move = first(BlueGreen().short_by(1))
    assert isinstance(move, Write)
    assert (kind(move), move.n, move.look) == ("act", 1, False)
    ((also),) = move.also
    assert (also.n, patches.kind(also.call)) == (2, "switch")
    second = ask(plan, looks, [outcome("done", 0.6)])
    assert isinstance(second, Write)
    assert (kind(second), second.n, second.look, second.call) == ("switch", 2, True, plan.calls[1])


def test_the_second_half_goes_out_although_the_stop_switch_came_on_between() -> None:
    plan, looks, _ = first(BlueGreen().short_by(1))
    second = ask(plan, looks, [outcome("done", 0.6)], stopped=True)
    assert isinstance(second, Write)
    assert (kind(second), second.despite_stop) == ("switch", True)


def test_an_abort_that_stood_there_when_ours_arrived_is_followed_by_the_service_too() -> None:
    plan, looks, _ = first(BlueGreen().short_by(1))
    assert kind(ask(plan, looks, [outcome("noop", 0.6)])) == "switch"


@pytest.mark.parametrize("cause", ["conflict", "", "not_done"])
def test_where_the_abort_was_refused_the_service_is_never_written(cause: str) -> None:
    world = BlueGreen().short_by(1)
    plan, looks, _ = first(world)
    done = [outcome("refused", 0.6, cause=cause)]
    assert not (isinstance(move := ask(plan, looks, done), Write) and kind(move) == "switch")
    looks.append(world.look(1))
    move = ask(plan, looks, done)
    assert not (isinstance(move, Write) and kind(move) == "switch")


def test_where_the_abort_has_no_answer_the_service_waits_until_the_abort_is_seen() -> None:
    world = BlueGreen().short_by(1)
    plan, looks, _ = first(world)
    done = [outcome("unknown", 0.6, cause="timeout")]
    assert isinstance(ask(plan, looks, done), LookAgain)
    looks.append(world.look(1))
    assert isinstance(ask(plan, looks, done), LookAgain)
    world.flag()
    looks.append(world.look(1.3))
    assert kind(ask(plan, looks, done)) == "switch"


def test_a_version_that_lost_a_pod_between_plan_and_write_is_planned_afresh() -> None:
    world = BlueGreen()
    plan, seen = planned_switch(world)
    move = ask(plan, [seen, world.short_by(1).look(0.5)], [])
    assert isinstance(move, Finished)
    assert (move.outcome.kind, move.outcome.cause) == ("refused", "conflict")


def test_a_version_that_recovered_between_plan_and_write_is_left_to_the_controller() -> None:
    world = BlueGreen().short_by(1)
    plan, seen = planned_switch(world)
    move = ask(plan, [seen, world.short_by(0).look(0.5)], [])
    assert isinstance(move, Write)
    assert (kind(move), move.look, move.also) == ("act", True, ())


def test_a_stable_that_lost_its_pods_between_plan_and_write_ends_it() -> None:
    world = BlueGreen()
    plan, seen = planned_switch(world)
    move = ask(plan, [seen, world.short_by(4, STA).look(0.5)], [])
    assert isinstance(move, Finished)
    assert (move.outcome.kind, move.outcome.cause) == ("refused", "")
    assert move.outcome.said == "stable has 1 of 5 pods, switching would lose 4 endpoints"


def test_a_service_that_was_moved_between_plan_and_write_is_planned_afresh() -> None:
    world = BlueGreen()
    plan, seen = planned_switch(world)
    world.active = STA
    move = ask(plan, [seen, world.look(0.5)], [])
    assert isinstance(move, Finished)
    assert move.outcome.cause == "conflict"


def test_the_stop_switch_lets_nothing_out() -> None:
    plan, seen = planned_switch()
    move = ask(plan, [seen, BlueGreen().look(0.5)], [], stopped=True)
    assert isinstance(move, Finished)
    assert move.outcome.cause == "stopped"


# The fallback ---------------------------------------------------------------------------------------------------------------------


def aborted(world: BlueGreen | None = None) -> tuple[BlueGreen, Plan, list[RolloutState], list[Outcome]]:
    """A whole version, aborted by us; the controller has not answered yet."""
    world = world or BlueGreen()
    plan, looks, _ = first(world)
    world.flag()
    return world, plan, looks, [outcome("done", 0.6)]


def test_a_service_that_stays_although_the_controller_has_seen_the_abort_is_switched_by_us() -> None:
    world, plan, looks, done = aborted()
    world.acknowledge(at(1))
    looks.append(world.look(1.2))
    move = ask(plan, looks, done)
    assert isinstance(move, Write)
    assert (kind(move), move.n, move.despite_stop) == ("switch", 2, False)


def test_while_the_version_is_whole_no_service_is_written_before_the_controller_has_seen_the_abort() -> None:
    world, plan, looks, done = aborted()
    for second in (1.0, 1.5, 2.0, 4.0):
        looks.append(living(world, second))
        move = ask(plan, looks, done)
        assert not isinstance(move, Write) or kind(move) == "wake"


def test_an_unseen_abort_of_an_active_version_is_woken_at_1_3_6_and_12_seconds() -> None:
    world, plan, looks, done = aborted()
    times = []
    for step in range(1, 60):
        second = 0.6 + step * 0.5
        looks.append(living(world, second))
        move = ask(plan, looks, done)
        if isinstance(move, Write):
            assert kind(move) == "wake"
            times.append(round(second - 0.6, 1))
            done.append(outcome("done", second + 0.01, n=move.n, what="wake"))
    assert times == [1, 3, 6, 12]


def test_numbers_of_wakes_leave_the_services_number_free() -> None:
    world, plan, looks, done = aborted()
    looks.append(living(world, 0.7))
    looks.append(living(world, 2.7))
    move = ask(plan, looks, done)
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("wake", 3)


def test_where_nobody_is_there_to_see_the_abort_the_service_is_switched() -> None:
    world, plan, looks, done = aborted()
    for second in (1.0, 3.0, 5.0):
        looks.append(world.look(second))
        assert not isinstance(ask(plan, looks, done), Write)
    looks.append(world.look(7.1))
    assert kind(ask(plan, looks, done)) == "switch"


def test_a_version_that_loses_a_pod_after_the_abort_is_not_waited_for() -> None:
    world, plan, looks, done = aborted()
    looks.append(living(world.short_by(1), 1))
    assert kind(ask(plan, looks, done)) == "switch"


def test_a_service_that_the_controller_has_switched_is_left_alone() -> None:
    world, plan, looks, done = aborted()
    world.acknowledge(at(1))
    world.active = STA
    looks.append(world.look(1.2))
    move = ask(plan, looks, done)
    assert isinstance(move, Finished)
    assert move.outcome.kind == "done"


def test_a_controller_that_switched_and_is_held_up_is_not_woken() -> None:
    world, plan, looks, done = aborted()
    world.active = STA
    for second in (1.0, 2.0, 4.0, 8.0, 13.0):
        looks.append(living(world, second))
        assert isinstance(ask(plan, looks, done), Finished)


def test_where_we_switched_and_the_abort_is_unseen_it_is_woken_all_the_same() -> None:
    world, plan, looks, done = aborted(BlueGreen().short_by(1))
    world.active = STA
    done.append(outcome("done", 0.7, n=2, what="switch"))
    looks.append(living(world, 1))
    looks.append(living(world, 3.7))
    assert kind(ask(plan, looks, done)) == "wake"


def test_a_stable_that_lost_its_pods_gets_no_service_until_it_has_them_again() -> None:
    world, plan, looks, done = aborted()
    world.acknowledge(at(1))
    looks.append(world.short_by(4, STA).look(1.2))
    assert not isinstance(ask(plan, looks, done), Write)
    looks.append(world.short_by(0, STA).look(2.2))
    assert kind(ask(plan, looks, done)) == "switch"


def test_no_service_is_written_once_the_version_was_promoted() -> None:
    world, plan, looks, done = aborted(BlueGreen().short_by(1))
    world.unflag()
    world.status["stableRS"] = CUR
    looks.append(world.look(1.2))
    assert not isinstance(ask(plan, looks, done), Write)


def test_no_service_is_written_for_a_newer_version() -> None:
    world, plan, looks, done = aborted()
    world.acknowledge(at(1))
    world.hotfix(seen=True)
    world.active = NEW
    looks.append(world.look(1.2))
    move = ask(plan, looks, done)
    assert not isinstance(move, Write)


def test_the_stop_switch_stops_a_fallback_that_was_not_sent() -> None:
    world, plan, looks, done = aborted()
    world.acknowledge(at(1))
    looks.append(world.look(1.2))
    assert isinstance(ask(plan, looks, done, stopped=True), Finished)


def test_a_preview_that_became_active_under_the_abort_is_switched_too() -> None:
    world, plan, looks, done = aborted(BlueGreen(active=STA))
    world.acknowledge(at(1))
    world.active = CUR
    looks.append(world.look(1.2))
    assert kind(ask(plan, looks, done)) == "switch"


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_a_short_deadline_is_watched_each_tenth_of_a_second(delay: int) -> None:
    world = BlueGreen()
    world.blue_green["abortScaleDownDelaySeconds"] = delay
    world, plan, looks, done = aborted(world)
    looks.append(living(world, 0.7))
    move = ask(plan, looks, done)
    assert isinstance(move, LookAgain)
    assert move.after == pytest.approx(0.1)


def test_a_short_deadline_is_not_watched_for_ever() -> None:
    world = BlueGreen()
    world.blue_green["abortScaleDownDelaySeconds"] = 5
    world, plan, looks, done = aborted(world)
    looks.append(living(world, 20.7))
    assert isinstance(ask(plan, looks, done), Finished | Write)


# Deaths and answers that never came -----------------------------------------------------------------------------------------------


def test_after_our_death_the_abort_that_is_missing_goes_out_at_once_with_the_service_behind_it() -> None:
    world = BlueGreen().short_by(1)
    plan, looks, _ = first(world)
    done = [outcome("unknown", 9, cause="died")]
    assert isinstance(ask(plan, looks, done), LookAgain)
    looks.append(world.look(9.1))
    move = ask(plan, looks, done)
    assert isinstance(move, Write)
    assert (kind(move), move.n, move.look, [one.n for one in move.also]) == ("act", 1, False, [2])


def test_after_our_death_the_service_that_is_missing_goes_out_at_once() -> None:
    world = BlueGreen().short_by(1)
    plan, looks, _ = first(world)
    world.flag()
    looks.append(world.look(9.1))
    for done in ([outcome("unknown", 9, cause="died")], [outcome("done", 0.6)]):
        move = ask(plan, looks, done)
        assert isinstance(move, Write)
        assert (kind(move), move.n) == ("switch", 2)


def test_after_our_death_a_service_that_stable_could_not_carry_is_not_switched() -> None:
    world = BlueGreen().short_by(1)
    plan, looks, _ = first(world)
    world.flag()
    looks.append(world.short_by(4, STA).look(9.1))
    assert not isinstance(ask(plan, looks, [outcome("done", 0.6)]), Write)


@pytest.mark.parametrize("cause", ["timeout", "broken"])
def test_a_service_write_without_an_answer_is_looked_for_and_then_sent_under_its_number(cause: str) -> None:
    world, plan, looks, done = aborted(BlueGreen().short_by(1))
    done.append(outcome("unknown", 0.7, n=2, what="switch", cause=cause))
    looks.append(living(world, 1))
    assert isinstance(ask(plan, looks, done), LookAgain)
    looks.append(living(world, 6))
    move = ask(plan, looks, done)
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("switch", 2)


def test_a_service_write_without_an_answer_that_arrived_is_found_by_reading() -> None:
    world, plan, looks, done = aborted(BlueGreen().short_by(1))
    done.append(outcome("unknown", 0.7, n=2, what="switch", cause="timeout"))
    world.acknowledge(at(1))
    world.active = STA
    looks.append(world.look(1.2))
    move = ask(plan, looks, done)
    assert isinstance(move, Finished)
    assert (move.outcome.kind, move.outcome.n) == ("done", 2)


def test_a_service_that_we_may_not_write_is_not_tried_again() -> None:
    world, plan, looks, done = aborted(BlueGreen().short_by(1))
    done.append(outcome("refused", 0.7, n=2, what="switch"))
    looks.append(living(world, 3))
    move = ask(plan, looks, done)
    assert not (isinstance(move, Write) and kind(move) == "switch")


# Somebody was there before us -----------------------------------------------------------------------------------------------------


def test_an_abort_of_somebody_else_that_the_controller_saw_lacks_only_the_service() -> None:
    world = BlueGreen().short_by(1)
    world.acknowledge(at(-3))
    _, _, move = first(world)
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("switch", 2)


def test_an_abort_of_somebody_else_that_the_controller_has_not_seen_is_woken_and_not_outrun() -> None:
    world = BlueGreen()
    world.flag("kubectl")
    plan, seen = planned_switch(world)
    looks, done = [seen], []
    kinds = []
    for second in (0.5, 1.1, 2.0, 3.2):
        looks.append(living(world, second))
        move = ask(plan, looks, done)
        if isinstance(move, Write):
            kinds.append(kind(move))
            done.append(outcome("done", second + 0.01, n=move.n, what="wake"))
    assert kinds == ["wake", "wake"]

"""When the controller is woken: at 3, 6, 12 and 24 s, while its Lease moves, four times at most, and never without need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from server.core.argo import lease
from server.core.argo.proceed import proceed
from server.core.argo.state import RolloutState
from server.core.outcome import Outcome, Plan, Write
from tests.unit.argo.cases import CUR, World, at, outcome, planned, template


def living(world: World, second: float) -> World:
    """The controller renews its Lease each 2 s."""
    return world.renew(at(second // 2 * 2))


def play(
    world: World, seconds: Iterable[float], *, plan: Plan | None = None, stopped: bool = False, alive: bool = True
) -> list[tuple[float, Write]]:
    """Looks at these moments; every wake is answered at once and changes nothing."""
    made, first = planned()
    plan = plan or made
    plan = plan.model_copy(update={"facts": {**plan.facts, "run": "r-1"}})
    seen: list[RolloutState] = [first]
    done: list[Outcome] = [outcome("done", 0)] if plan.calls else []
    writes = []
    for second in seconds:
        seen.append((living(world, second) if alive else world).look(second))
        move = proceed(plan, seen, done, seen[-1].at, stopped)
        if isinstance(move, Write):
            writes.append((second, move))
            done.append(outcome("done", second + 0.01, n=move.n, what="wake"))
    return writes


def every(step: float, until: float) -> list[float]:
    return [round(step * number, 2) for number in range(1, int(until / step) + 1)]


def test_an_unseen_abort_is_woken_at_3_6_12_and_24_seconds_and_then_no_more() -> None:
    writes = play(World().flag(), every(0.5, 60))
    assert [second for second, _ in writes] == [3, 6, 12, 24]
    assert [write.n for _, write in writes] == [2, 3, 4, 5]
    assert all(write.woken for _, write in writes)


def test_a_wake_is_bound_and_changes_the_message_alone() -> None:
    ((_, write),) = play(World().flag(), [1, 2, 3])
    assert write.call.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/status/currentPodHash", "value": CUR},
        {"op": "test", "path": "/spec/template", "value": template()},
        {"op": "test", "path": "/status/abort", "value": True},
        {"op": "test", "path": "/status/abortedAt", "value": None},
        {"op": "add", "path": "/status/message", "value": "r-1 wake 2"},
    ]


def test_an_acknowledged_abort_is_not_woken() -> None:
    assert play(World().aborted(), every(0.5, 30)) == []


def test_a_flag_that_nobody_has_read_is_not_woken() -> None:
    assert play(World(), every(0.5, 30)) == []


def test_a_router_that_moved_proves_that_the_controller_saw_it_so_nobody_is_woken() -> None:
    assert play(World().flag().weigh(0, status=25), every(0.5, 50)) == []


def test_a_router_that_was_at_0_from_the_start_says_nothing() -> None:
    plan, _ = planned(World().weigh(0))
    assert len(play(World().flag().weigh(0), every(0.5, 30), plan=plan)) == 4


def test_a_standing_lease_is_never_woken() -> None:
    assert play(World().flag().renew(at(-1)), every(0.5, 50), alive=False) == []


def test_a_failover_is_left_to_begin_and_the_next_time_is_used() -> None:
    world = World().flag().renew(at(-1))
    made, first = planned()
    seen = [first]
    times = []
    done = [outcome("done", 0)]
    for second in every(0.5, 30):
        if second >= 17:
            living(world, second)
        seen.append(world.look(second))
        move = proceed(made, seen, done, seen[-1].at)
        if isinstance(move, Write):
            times.append(second)
            done.append(outcome("done", second, n=move.n, what="wake"))
    assert times == [24]


def test_an_unreadable_lease_counts_as_moving() -> None:
    world = World().flag()
    world.lease = "kubernetes: 403"
    assert [second for second, _ in play(world, every(0.5, 10), alive=False)] == [3, 6]


def test_the_stop_switch_stops_wakes() -> None:
    assert play(World().flag(), every(0.5, 30), stopped=True) == []


def test_somebody_elses_unseen_abort_is_woken_as_the_runs_first_write() -> None:
    plan, _ = planned(World().flag(by="kubectl"))
    writes = play(World().flag(by="kubectl"), every(0.5, 30), plan=plan)
    assert [(second, write.n) for second, write in writes] == [(3, 1), (6, 2), (12, 3), (24, 4)]


def test_a_newer_hash_under_the_flag_is_never_woken() -> None:
    writes = play(World().flag(by="somebody").hotfix(seen=True), every(0.5, 30))
    assert writes == []


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_hotfix_that_sleeps_under_our_flag_is_woken_bound_to_what_stands_now(acknowledged: bool) -> None:
    world = World().flag()
    if acknowledged:
        world.aborted()
    world.hotfix()
    writes = play(world, every(0.5, 10))
    assert [second for second, _ in writes] == [3, 6]
    body = writes[0][1].call.body
    assert body[2]["value"] == world.template
    assert body[4]["value"] == ("2026-11-24T03:12:02Z" if acknowledged else None)


def test_a_hotfix_must_stand_for_a_second_before_it_is_woken() -> None:
    made, first = planned()
    seen = [first, living(World().flag(), 2).look(2.5), living(World().flag().hotfix(), 2).look(3)]
    assert not isinstance(proceed(made, seen, [outcome("done", 0)], at(3)), Write)


def test_a_look_after_a_long_absence_begins_the_times_anew() -> None:
    seconds = [1, *[61 + step for step in every(0.5, 8)]]
    assert [second for second, _ in play(World().flag(), seconds)] == [64.5, 67.5]


def test_four_wakes_are_all_however_often_we_were_away() -> None:
    seconds = [*every(0.5, 7), *[61 + step for step in every(0.5, 30)]]
    assert [second for second, _ in play(World().flag(), seconds)] == [3, 6, 64.5, 67.5]


def test_a_wake_whose_answer_broke_is_sent_again_under_its_number_after_five_seconds() -> None:
    made, first = planned()
    done = [outcome("done", 0), outcome("unknown", 24, n=5, what="wake", cause="broken")]
    seen = [first, *[living(World().flag(), second).look(second) for second in (22, 24.5, 26, 28, 29.5)]]
    assert not isinstance(proceed(made, seen[:-1], done, at(28)), Write)
    move = proceed(made, seen, done, at(29.5))
    assert isinstance(move, Write)
    assert move.n == 5


def test_a_wake_that_is_found_applied_is_not_sent_again() -> None:
    made, first = planned()
    made = made.model_copy(update={"facts": {**made.facts, "run": "r-1"}})
    world = World().flag()
    world.status["message"] = "r-1 wake 5"
    done = [outcome("done", 0), outcome("unknown", 24, n=5, what="wake", cause="broken")]
    seen = [first, *[living(world, second).look(second) for second in (24.5, 26, 28, 30)]]
    assert not isinstance(proceed(made, seen, done, at(30)), Write)


# The Lease ------------------------------------------------------------------------------------------------------------------------


def leases(*renewed: tuple[float, float | None]) -> Sequence[RolloutState]:
    made = []
    for second, when in renewed:
        world = World()
        if when is None:
            world.lease = "not found"
        else:
            world.renew(at(when))
        made.append(world.look(second))
    return made


def test_a_lease_moves_when_it_was_renewed_between_looks_of_the_last_six_seconds() -> None:
    assert lease.movement(leases((0, -1), (2, 1))) == "moving"
    assert lease.movement(leases((0, -1), (1, 1), (6, 1))) == "moving"


def test_a_lease_stands_when_looks_that_span_six_seconds_saw_the_same() -> None:
    assert lease.movement(leases((0, -1), (6, -1))) == "standing"
    assert lease.movement(leases((0, -5), (1, -1), (7, -1))) == "standing"


def test_a_lease_that_was_not_watched_long_enough_is_unclear() -> None:
    assert lease.movement(leases((0, -1))) == "unclear"
    assert lease.movement(leases((0, -1), (5.9, -1))) == "unclear"
    assert lease.movement(leases((0, -5), (7, -1))) == "unclear"


def test_a_lease_that_cannot_be_read_is_unknown() -> None:
    assert lease.movement(leases((0, -1), (3, None))) == "unknown"

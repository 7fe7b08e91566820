"""What goes out when, in an undo: the template once, then only what moves that version on, and a wake where it was overlooked."""

from __future__ import annotations

import pytest

from server.core.argo import patches
from server.core.argo.state import RolloutState
from server.core.argo.undo_decide import Options
from server.core.argo.undo_proceed import proceed
from server.core.outcome import Finished, LookAgain, Outcome, Plan, Write
from tests.unit.argo.bluegreen_cases import OLD_TEMPLATE, BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, STA, at, outcome, stamp

Move = Write | LookAgain | Finished
UNDO = Options(when_promoted="undo")
SKIP = Options(when_promoted="undo", skip_gates=True)


def begun(options: Options = UNDO) -> tuple[BlueGreen, Plan, list[RolloutState]]:
    world = BlueGreen().promoted()
    plan, seen = planned_switch(world, options)
    return world, plan, [seen]


def ask(plan: Plan, seen: list[RolloutState], done: list[Outcome], stopped: bool = False) -> Move:
    return proceed(plan, seen, done, seen[-1].at, stopped)


def kind(move: Move) -> str:
    assert isinstance(move, Write), move
    return patches.kind(move.call)


def living(world: BlueGreen, second: float) -> RolloutState:
    world.renew(at(second // 2 * 2))
    return world.look(second)


def write_template(world: BlueGreen) -> BlueGreen:
    """Our template stands in spec, and the controller has not looked."""
    world.template = OLD_TEMPLATE
    world.meta["generation"] += 1
    return world


DONE = [outcome("done", 0.5, what="undo")]


def test_the_template_is_written_once() -> None:
    world, plan, looks = begun()
    move = ask(plan, looks, [])
    assert isinstance(move, Write)
    assert (kind(move), move.n, move.call) == ("undo", 1, plan.calls[0])
    looks.append(living(world.taken_back(), 1))
    assert isinstance(ask(plan, looks, DONE), Finished)


def test_the_stop_switch_lets_it_not_out() -> None:
    _, plan, looks = begun()
    move = ask(plan, looks, [], stopped=True)
    assert isinstance(move, Finished)
    assert move.outcome.cause == "stopped"


def test_a_template_that_somebody_changed_meanwhile_is_planned_afresh() -> None:
    world, plan, looks = begun()
    looks.append(world.look(1))
    move = ask(plan, looks, [outcome("refused", 0.5, what="undo", cause="conflict")])
    assert isinstance(move, Finished)
    assert (move.outcome.kind, move.outcome.cause) == ("refused", "conflict")


def test_a_template_that_the_controller_overlooked_is_woken_by_an_annotation() -> None:
    world, plan, looks = begun()
    write_template(world)
    done = list(DONE)
    times = []
    for step in range(1, 60):
        second = 0.5 + step * 0.5
        looks.append(living(world, second))
        move = ask(plan, looks, done)
        if isinstance(move, Write):
            times.append(second - 0.5)
            assert move.woken
            assert move.n > 3
            assert move.call.path.endswith("/rollouts/web-frontend")
            assert [op["path"] for op in move.call.body] == [
                "/metadata/uid", "/spec/template", "/metadata/annotations/ripcord~1wake",
            ]  # fmt: skip
            done.append(outcome("done", second + 0.01, n=move.n, what="wake"))
    assert times == [3, 6, 12, 24]


def test_nobody_is_woken_once_the_hash_is_the_targets() -> None:
    world, plan, looks = begun()
    world.taken_back()
    for second in (1, 4, 8, 13, 26):
        looks.append(living(world, second))
        assert isinstance(ask(plan, looks, DONE), Finished)


def test_nobody_is_woken_where_another_hash_came_of_it() -> None:
    world, plan, looks = begun()
    world.taken_back("6586d6859b")
    world.created["6586d6859b"], world.available["6586d6859b"] = at(1), 0
    for second in (1, 4, 8):
        looks.append(living(world, second))
        assert isinstance(ask(plan, looks, DONE), Finished)


def paused(world: BlueGreen) -> BlueGreen:
    world.status["pauseConditions"] = [{"reason": "BlueGreenPause", "startTime": stamp(at(2))}]
    world.status["controllerPause"] = True
    return world


def test_the_pause_before_our_target_is_ended() -> None:
    world, plan, looks = begun()
    looks.append(living(paused(world.taken_back()), 3))
    move = ask(plan, looks, DONE)
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("release", 3)
    assert {"op": "test", "path": "/status/currentPodHash", "value": STA} in move.call.body


def test_a_pause_before_any_other_version_is_left() -> None:
    world, plan, looks = begun()
    looks.append(living(paused(world), 3))
    assert isinstance(ask(plan, looks, DONE), Finished)
    world.hotfix(seen=True)
    looks.append(living(world, 4))
    assert isinstance(ask(plan, looks, DONE), Finished)


def test_a_pause_is_ended_once() -> None:
    world, plan, looks = begun()
    looks.append(living(paused(world.taken_back()), 3))
    done = [*DONE, outcome("done", 3.1, n=3, what="release")]
    looks.append(living(world, 4))
    assert not isinstance(ask(plan, looks, done), Write)


def test_an_end_of_the_pause_that_the_controller_overlooked_is_woken() -> None:
    world, plan, looks = begun()
    looks.append(living(paused(world.taken_back()), 10))
    done = [*DONE, outcome("done", 10.1, n=3, what="release")]
    world.status["pauseConditions"] = []
    looks.append(living(world, 11))
    assert isinstance(ask(plan, looks, done), Finished)
    looks.append(living(world, 13.2))
    assert kind(ask(plan, looks, done)) == "wake"


def test_gates_are_skipped_only_after_the_hash_is_the_targets_and_only_where_the_runbook_says_so() -> None:
    world, plan, looks = begun(SKIP)
    looks.append(living(write_template(world), 1))
    assert isinstance(ask(plan, looks, DONE), Finished)
    world.carried = world.template
    world.status |= {"currentPodHash": STA, "observedGeneration": str(world.meta["generation"])}
    looks.append(living(world, 1.5))
    move = ask(plan, looks, DONE)
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("promote", 2)
    _, plan, _ = begun(UNDO)
    assert isinstance(ask(plan, looks, DONE), Finished)


def test_gates_are_skipped_once() -> None:
    world, plan, looks = begun(SKIP)
    looks.append(living(world.taken_back(), 1))
    done = [*DONE, outcome("done", 1.1, n=2, what="promote")]
    looks.append(living(world, 2))
    assert not isinstance(ask(plan, looks, done), Write)


def test_a_way_back_that_somebody_aborted_is_not_pushed_on() -> None:
    world, plan, looks = begun(SKIP)
    world.taken_back()
    world.flag("kubectl")
    looks.append(living(paused(world), 1))
    assert not isinstance(ask(plan, looks, DONE), Write)


def test_the_stop_switch_stops_what_would_follow() -> None:
    world, plan, looks = begun(SKIP)
    looks.append(living(paused(world.taken_back()), 1))
    assert isinstance(ask(plan, looks, DONE, stopped=True), Finished)


@pytest.mark.parametrize("cause", ["broken", "died"])
def test_a_template_whose_fate_is_open_is_looked_for_and_then_sent_under_its_number(cause: str) -> None:
    world, plan, looks = begun()
    done = [outcome("unknown", 0.5, what="undo", cause=cause)]
    looks.append(living(world, 1))
    assert isinstance(ask(plan, looks, done), LookAgain)
    looks.append(living(world, 6.1))
    move = ask(plan, looks, done)
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("undo", 1)


def test_a_template_that_timed_out_is_never_sent_again() -> None:
    world, plan, looks = begun()
    done = [outcome("unknown", 0.5, what="undo", cause="timeout")]
    for second in (1, 6.1, 20):
        looks.append(living(world, second))
        assert not isinstance(ask(plan, looks, done), Write)


def test_a_template_without_an_answer_that_arrived_is_found_by_reading() -> None:
    world, plan, looks = begun()
    looks.append(living(write_template(world), 1))
    move = ask(plan, looks, [outcome("unknown", 0.5, what="undo", cause="timeout")])
    assert isinstance(move, Finished)
    assert (move.outcome.kind, move.outcome.n) == ("done", 1)


def test_a_restore_that_paused_is_released_and_no_template_is_written() -> None:
    world = paused(BlueGreen().taken_back().remembers(wrote=(CUR,)))
    plan, seen = planned_switch(world)
    move = ask(plan, [seen], [])
    assert isinstance(move, Write)
    assert (kind(move), move.n) == ("release", 3)
    world.status["pauseConditions"] = []
    world.active = STA
    after = world.look(2)
    assert isinstance(ask(plan, [seen, after], [outcome("done", 1, n=3, what="release")]), Finished)


def test_skipped_gates_that_the_controller_overlooked_are_woken_where_stable_is_current_and_not_active() -> None:
    world = BlueGreen().taken_back().remembers(wrote=(CUR,))
    plan, seen = planned_switch(world, SKIP)
    world.status["promoteFull"] = True
    looks, done = [seen], [outcome("done", 0.5, n=2, what="promote")]
    for second in (1.0, 2.0, 3.6):
        looks.append(living(world, second))
    move = ask(plan, looks, done)
    assert isinstance(move, Write)
    assert (kind(move), move.woken) == ("wake", True)
    world.active = STA
    looks.append(living(world, 7))
    assert isinstance(ask(plan, looks, done), Finished), "the Service is there"

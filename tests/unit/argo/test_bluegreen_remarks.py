"""What the note says of a blue-green switch back: what was done, where the Service stands, until when a retry skips the gates."""

from __future__ import annotations

from server.core.argo import bluegreen_decide, by_plan
from server.core.argo.bluegreen_remarks import remarks
from server.core.outcome import Outcome, Refusal, Remarks
from tests.unit.argo.bluegreen_cases import ACTIVE, BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, STA, at, outcome, stamp

GATES = "a retry, or applying the bad version again, makes it live without any gate"


def said(world: BlueGreen, done: list[Outcome], before: BlueGreen | None = None, stopped: bool = False) -> Remarks:
    plan, seen = planned_switch(before or BlueGreen())
    return remarks(plan, [seen, world.look(3)], done, None, stopped)


def back() -> BlueGreen:
    world = BlueGreen(active=STA)
    world.acknowledge(at(2))
    return world


def test_an_abort_that_the_controller_carried_out() -> None:
    words = said(back(), [outcome("done", 1)])
    assert words.done == "aborted production/web-frontend, new version 7d9f"
    assert words.proof == f"controller 03:12:02Z; Service {ACTIVE} on 5c4b, 5/5 endpoints ready"


def test_the_time_until_which_a_retry_skips_the_gates_is_the_replica_sets_own_deadline() -> None:
    world = back()
    world.deadlines[CUR] = stamp(at(31))
    assert said(world, [outcome("done", 1)]).mind == (f"until 03:12:31Z {GATES}",)


def test_without_one_it_is_counted_from_the_abort() -> None:
    assert said(back(), [outcome("done", 1)]).mind == (f"until 03:12:32Z {GATES}",)
    before, world = BlueGreen(), back()
    for one in (before, world):
        one.blue_green["abortScaleDownDelaySeconds"] = 5
    assert said(world, [outcome("done", 1)], before).mind == (f"until 03:12:07Z {GATES}",)


def test_a_version_that_is_never_scaled_down_has_no_such_time() -> None:
    before, world = BlueGreen(), back()
    for one in (before, world):
        one.blue_green["abortScaleDownDelaySeconds"] = 0
    assert said(world, [outcome("done", 1)], before).mind == ()


def test_a_service_that_we_switched_is_named() -> None:
    done = [outcome("done", 1), outcome("done", 1.1, n=2, what="switch")]
    words = said(back(), done, BlueGreen().short_by(1))
    assert words.done == f"aborted production/web-frontend, new version 7d9f; switched Service {ACTIVE} 7d9f -> 5c4b"


def test_a_service_that_still_stands_on_the_aborted_version_is_said_with_the_command() -> None:
    world = BlueGreen()
    world.acknowledge(at(2))
    world.deadlines[CUR] = stamp(at(31))
    lines = said(world, [outcome("done", 1)], stopped=True).mind
    assert lines[0].startswith(f"stopped: Service {ACTIVE} still selects 7d9f, whose pods go at 03:12:31Z: kubectl -n")
    assert CUR in lines[0]
    assert STA in lines[0]
    assert len(lines[0]) < 490


def test_somebody_elses_abort_is_theirs() -> None:
    world = back()
    words = said(world, [], back())
    assert words.done == "aborted already at 03:12:02Z, by whom is not known"


def test_a_stable_that_lacks_pods_is_what_held_it() -> None:
    world = back()
    world.short_by(2, STA)
    assert said(world, [outcome("done", 1)]).held == ("stable has 3 of 5 pods",)


def refused(world: BlueGreen) -> tuple[str, ...]:
    """The lines of a run that was refused while it planned, upon that world."""
    state = world.look(3)
    assert isinstance(bluegreen_decide.plan([state], state.at), Refusal)
    return by_plan.remarks(None, [state], [], None).mind


def test_a_refusal_says_when_somebody_elses_abort_takes_the_pods_behind_the_service_away() -> None:
    world = BlueGreen().short_by(3, STA)
    world.acknowledge(at(2))
    still = f"an abort stands, and Service {ACTIVE} still selects 7d9f, whose pods go at"
    rest = "before that stable 5c4b needs its pods, and the Service a switch to it"
    assert refused(world) == (f"{still} 03:12:32Z: {rest}",)
    world.deadlines[CUR] = stamp(at(20))
    assert refused(world) == (f"{still} 03:12:20Z: {rest}",)


def test_a_refusal_says_nothing_of_it_where_no_pods_go() -> None:
    assert refused(BlueGreen().short_by(3, STA)) == ()
    world = BlueGreen().short_by(3, STA)
    world.acknowledge(at(2))
    world.blue_green["abortScaleDownDelaySeconds"] = 0
    assert refused(world) == ()

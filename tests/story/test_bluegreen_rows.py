"""The rarer rows of a blue-green switch back, over real sockets: a restore that paused or hangs, no controller, a scale-up meanwhile."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cluster.api import Object
from tests.contract.bluegreen import BLUE_GREEN_PAUSE, BlueGreen
from tests.story.street import CanaryScene, Scene, Street
from tests.support.waiting import eventually

SCENES: dict[str, Scene | CanaryScene] = {}
STATUS, SERVICE, SPEC = "rollouts/web/status", "services/web-active", "rollouts/web"
DRY = f"{SERVICE} (dry)"
LONG = {"scaleDownDelaySeconds": 600, "abortScaleDownDelaySeconds": 600}
"""Pods that are left run on for as long as any story lasts."""
RARELY = {"interval": "10m"}
"""An analysis that runs on, and asks once."""


def scene(play: Scene) -> Scene:
    """What a story finds; its name is the target's."""
    SCENES[play.__name__] = play
    return play


@pytest.fixture(scope="module")
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """One town with the scenes of the chosen stories."""
    stories = [inspect.getsource(item.function) for item in request.session.items if item.module is request.module]
    wanted = {name: play for name, play in SCENES.items() if any(f'"{name}"' in story for story in stories)}
    made = Street(tmp_path_factory.mktemp("street"), wanted, _runbooks)
    yield made
    made.close()


def _runbooks(street: Street) -> None:
    """The shipped runbook, one that may skip gates, and targets without a cool-down: two runs about one version follow closely."""
    street.runbook("x-skip", "switch-blue-green-back", "skip", when_promoted="undo", skip_gates=True)
    path = street.town.runbooks / "targets.yaml"
    catalog = json.loads(path.read_text())
    for name, target in catalog["targets"].items():
        target["cooldown"] = "30m" if name == "cooling" else "0s"
        target["budgets"] = {"acknowledge": "12s" if name == "alone" else "45s", "traffic": "60s"}
    path.write_text(json.dumps(catalog))


def lines(note: str, begin: str) -> list[str]:
    """The lines of a note that begin so."""
    return [line for line in note.splitlines() if line.startswith(begin)]


def four(pod_hash: str) -> str:
    """A hash as the note has it."""
    return pod_hash[:4]


def stands_on(web: BlueGreen, pod_hash: str, pods: int = 3) -> None:
    """The live Service and all that is behind it."""
    assert (web.active, web.ready()) == (pod_hash, {pod_hash: pods})


# ---- current is stable, and the active Service is on another version: a restore that paused or hangs ----


@scene
def restore_paused(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, autoPromotionEnabled=False, **LONG)
    yield


@scene
def restore_short(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, autoPromotionEnabled=False, **LONG)
    yield


@scene
def restore_hangs(web: BlueGreen) -> Iterator[None]:
    web.live(pre=True, **LONG)
    yield


@scene
def restore_overlooked(web: BlueGreen) -> Iterator[None]:
    web.live(pre=True, **LONG)
    yield


@scene
def cooling(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, autoPromotionEnabled=False, **LONG)
    yield


@scene
def restored_by_people(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, autoPromotionEnabled=False, **LONG)
    web.put_back(web.stable)
    web.until("Paused")
    yield


def restored_under_our_abort(street: Street, name: str) -> Object:
    """Before the controller sees our abort, somebody puts the stable template back: that ends the abort, and nothing is switched."""
    web = street.houses[name]
    stable = web.stable
    street.town.control("kubernetes", {"stuck": [f"{web.namespace}/web"]})
    street.alert(name)
    eventually(lambda: web.status.get("abort"), within=30, every=0.1, what="our abort stands, unseen")
    web.put_back(stable)
    street.town.control("kubernetes", {"stuck": None})
    eventually(lambda: web.new == stable, within=10, what="the restore is taken over")
    run = street.ended(name)
    street.older()
    return run


def test_a_restore_that_ends_our_abort_and_pauses_is_told_and_the_next_alert_ends_its_pause(street: Street) -> None:
    web = street.houses["restore_paused"]
    bad, stable = web.new, web.stable
    with web.never_fewer():
        first = restored_under_our_abort(street, "restore_paused")
        assert first["state"] == "unproven"
        web.until("Paused")
        assert (web.new, web.active, web.pause()) == (stable, bad, [BLUE_GREEN_PAUSE])
        note = street.note(first)
        assert f"the template of stable {four(stable)} was put back into spec meanwhile" in note
        assert f"Service web-active on {four(bad)}" in note
        before = len(street.wrote("restore_paused"))

        street.alert("restore_paused")
        second = street.ended("restore_paused", count=2)
    assert second["state"] == "proven"
    assert street.wrote("restore_paused")[before:] == [STATUS], "the pause alone"
    stands_on(web, stable)
    note = street.note(second)
    assert lines(note, "Done: ")[0].startswith(f"Done: ended the pause before {four(stable)}")
    assert lines(note, "Mind: ") == [gone_at(web, bad)]


def gone_at(web: BlueGreen, bad: str) -> str:
    """What the note says while the pods of the bad version wait for their deadline."""
    until = web.deadline(bad)[11:19]
    assert until, "it has one"
    return f"Mind: until {until}Z a retry, or applying the bad version again, makes it live without any gate"


def test_such_a_restore_without_pods_to_switch_to_is_refused_with_the_number_of_endpoints(street: Street) -> None:
    web = street.houses["restore_short"]
    restored_under_our_abort(street, "restore_short")
    web.until("Paused")
    before = street.wrote("restore_short")
    web.hold(web.stable, 2)
    street.alert("restore_short")
    run = street.ended("restore_short", count=2)
    assert run["state"] == "refused"
    assert street.wrote("restore_short") == before
    assert "stable has 1 of 3 pods, switching would lose 2 endpoints" in street.note(run)


def test_a_restore_that_hangs_is_moved_on_only_where_the_runbook_says_that_gates_may_be_skipped(
    street: Street,
) -> None:
    web = street.houses["restore_hangs"]
    bad, stable = web.new, web.stable
    with web.never_fewer():
        first = restored_under_our_abort(street, "restore_hangs")
        assert first["state"] == "unproven"
        assert (web.new, web.active, web.pause()) == (stable, bad, []), "no pause that could be ended"
        before = len(street.wrote("restore_hangs"))

        street.alert("restore_hangs")
        second = street.ended("restore_hangs", count=2)
        assert second["state"] == "refused"
        said = f"Service web-active selects {four(bad)}, stable is {four(stable)}, and no pause holds it"
        assert f"{said}: only skip_gates would move it on" in street.note(second)

        street.alert("restore_hangs", "skip")
        third = street.ended("restore_hangs", count=3)
    assert third["state"] == "proven"
    assert street.wrote("restore_hangs")[before:] == [STATUS], "promoteFull once"
    assert "promoteFull" not in web.status
    stands_on(web, stable)
    note = street.note(third)
    assert lines(note, "Done: ")[0].startswith(f"Done: skipped the gates before {four(stable)}")
    assert lines(note, "Mind: ") == [gone_at(web, bad)]


def test_a_controller_that_overlooks_the_end_of_such_a_restore_is_woken(street: Street) -> None:
    web = street.houses["restore_overlooked"]
    stable = web.stable
    with web.never_fewer():
        restored_under_our_abort(street, "restore_overlooked")
        before = len(street.wrote("restore_overlooked"))
        street.town.control("kubernetes", {"swallow_next": f"{web.namespace}/web"})
        street.alert("restore_overlooked", "skip")
        run = street.ended("restore_overlooked", count=2)
    assert run["state"] == "proven"
    assert street.wrote("restore_overlooked")[before:] == [STATUS, SPEC], "promoteFull, and the annotation that wakes"
    stands_on(web, stable)


def test_within_the_cool_down_of_the_version_that_was_judged_a_restore_is_left_with_the_time(street: Street) -> None:
    restored_under_our_abort(street, "cooling")
    street.houses["cooling"].until("Paused")
    before = street.wrote("cooling")
    street.alert("cooling")
    run = street.ended("cooling", count=2)
    assert run["state"] == "refused"
    assert street.wrote("cooling") == before
    assert "cool-down until" in street.note(run)


def test_a_restore_of_a_version_that_no_run_of_ours_judged_is_left_and_both_hashes_are_named(street: Street) -> None:
    web = street.houses["restored_by_people"]
    bad, stable = web.active, web.stable
    assert (web.new, web.pause()) == (stable, [BLUE_GREEN_PAUSE])
    run = street.played("restored_by_people")
    assert run["state"] == "refused"
    assert street.wrote("restored_by_people") == []
    assert web.active == bad != stable
    said = f"Service web-active selects {four(bad)}, stable is {four(stable)}: somebody pointed it there by hand"
    assert said in street.note(run)


# ---- nobody leads: the Lease stands, and the Service is ours to switch ----


@scene
def alone(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=2)
    yield


@scene
def alone_and_short(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=2)
    web.hold(web.new, 1)
    yield


@scene
def alone_for_a_while(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=2)
    yield


@scene
def alone_in_preview(web: BlueGreen) -> Iterator[None]:
    web.in_preview(abortScaleDownDelaySeconds=2)
    yield


def test_with_no_controller_the_service_is_switched_by_hand_and_what_is_not_acknowledged_is_not_proven(
    street: Street,
) -> None:
    """Four targets at once, because a start of the controller is long: it comes back when the impatient one has ended."""
    whole, short, patient = (street.houses[one] for one in ("alone", "alone_and_short", "alone_for_a_while"))
    preview = street.houses["alone_in_preview"]
    webs = (whole, short, patient, preview)
    names = ("alone", "alone_and_short", "alone_for_a_while", "alone_in_preview")
    bad, stable = [web.new for web in webs], [web.stable for web in webs]
    with ExitStack() as watching:
        for web in webs:
            watching.enter_context(web.never_fewer())
        with nobody_leads(street):
            for name in names:
                street.alert(name)
            run = street.ended("alone")
            assert run["state"] == "unproven"
            for web, wanted in zip(webs, stable, strict=True):
                web.until_active(wanted)
                stands_on(web, wanted)
                assert (web.status["abort"], "abortedAt" in web.status) == (True, False)
        ended = [street.ended(name) for name in names[1:]]
        for web, gone in zip(webs, bad, strict=True):
            web.until_wanted(gone, 0)
    assert [one["state"] for one in ended] == ["proven"] * 3, "whoever had the patience"
    for web, wanted in zip(webs, stable, strict=True):
        stands_on(web, wanted)
    assert [street.wrote(name) for name in names] == [
        [STATUS, SERVICE],
        [DRY, STATUS, SERVICE],
        [STATUS, SERVICE],
        [STATUS],
    ]
    note = street.note(run)
    assert "NOT PROVEN" in note.splitlines()[0]
    assert "no controller has renewed since" in note
    (done,) = lines(note, "Done: ")
    assert f"; switched Service web-active {four(bad[0])} -> {four(stable[0])}" in done
    assert f"Service web-active on {four(stable[0])}, 3/3 endpoints ready" in lines(note, "Proof: ")[0]


@contextmanager
def nobody_leads(street: Street) -> Iterator[None]:
    """The controller is gone, and has been for longer than a failover lasts; after the block another one leads."""
    street.town.control("kubernetes", {"controller": "down"})
    street.town.control("clock", {"advance": 26})
    try:
        yield
    finally:
        street.town.control("kubernetes", {"controller": "up"})
        street.town.control("clock", {"advance": 20})  # so long is a start


# ---- somebody scales up in the same moment ----


@scene
def scaled_after_the_plan(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, **LONG)
    yield


@scene
def scaled_beyond_stable(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, **LONG)
    yield


@scene
def scaled_under_the_abort(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=3)
    yield


def between_plan_and_write(street: Street, name: str, change: Callable[[], None]) -> Object:
    """The plan stands, and the guards wait for PagerDuty while something changes."""
    alerts = {"method": "GET", "path": "/pagerduty/incidents/*/alerts"}
    street.order(alerts, "delay", seconds=0)  # the decision reads them first
    street.order(alerts, "hold_before", seconds=20)
    read = len(street.town.asked("GET", "/alerts"))
    street.alert(name)
    eventually(
        lambda: len(street.town.asked("GET", "/alerts")) == read + 2, within=30, every=0.05, what="the guards ask"
    )
    change()
    street.town.control("release", {})
    return street.ended(name)


def grow(web: BlueGreen, which: str) -> None:
    """Six pods are wanted, and three of that version come and do not hold."""
    web.scale(6)
    web.until_available(which, 6)
    web.hold(which, 3)
    eventually(lambda: web.available(which) == 3, within=5, what="only three are left")


def test_a_scale_up_after_the_plan_that_the_new_version_cannot_follow_takes_the_service_along(street: Street) -> None:
    web = street.houses["scaled_after_the_plan"]
    new, stable = web.new, web.stable
    with web.never_fewer():
        run = between_plan_and_write(street, "scaled_after_the_plan", lambda: grow(web, new))
    assert run["state"] == "proven"
    assert street.wrote("scaled_after_the_plan") == [DRY, STATUS, SERVICE], "planned anew, as a pair"
    stands_on(web, stable, 6)


def test_a_scale_up_after_the_plan_that_stable_cannot_follow_is_refused_before_anything_is_written(
    street: Street,
) -> None:
    web = street.houses["scaled_beyond_stable"]
    new, stable = web.new, web.stable

    def change() -> None:
        grow(web, stable)
        web.until_available(new, 6)

    with web.never_fewer():
        run = between_plan_and_write(street, "scaled_beyond_stable", change)
    assert run["state"] == "refused"
    assert street.wrote("scaled_beyond_stable") == []
    assert web.active == new
    assert "stable has 3 of 6 pods, switching would lose 3 endpoints" in street.note(run)


def test_a_scale_up_while_the_abort_is_on_its_way_is_answered_by_the_fallback(street: Street) -> None:
    web = street.houses["scaled_under_the_abort"]
    new, stable = web.new, web.stable
    street.order({"method": "PATCH", "path": f"*/{web.namespace}/{STATUS}"}, "hold_before", seconds=20)
    with web.never_fewer():
        street.alert("scaled_under_the_abort")
        eventually(lambda: street.wrote("scaled_under_the_abort"), within=30, every=0.1, what="the abort is on its way")
        grow(web, new)
        street.town.control("release", {})
        run = street.ended("scaled_under_the_abort")
        web.until_wanted(new, 0)
    assert run["state"] == "proven"
    assert street.wrote("scaled_under_the_abort") == [STATUS, SERVICE]
    stands_on(web, stable, 6)

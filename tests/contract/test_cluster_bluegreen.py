"""The product's blue-green runbook on the real control plane, as a user that holds nothing but the shipped Roles.

Judged from the API server's objects, its own audit log and every write of the active Service's endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.bluegreen import BlueGreen
from tests.contract.relay import Held
from tests.contract.stage import BlueGreenStage, told
from tests.contract.worlds import ClusterWorld

pytestmark = pytest.mark.cluster

ABORT, SERVICE, DRY, UNDO = "rollouts/status", "services", "services (dry)", "rollouts"
EACH = 30
"""A death costs a start of the server: one for so many rounds that a race elsewhere plays."""


@pytest.fixture
def stage(cluster_world: ClusterWorld, tmp_path: Path) -> Iterator[BlueGreenStage]:
    one = BlueGreenStage(cluster_world, tmp_path)
    yield one
    one.close()


def _stands_on(web: BlueGreen, pod_hash: str) -> None:
    """The live Service and all that is behind it."""
    assert (web.active, web.ready()) == (pod_hash, {pod_hash: 3})


# ---- the story, case by case ----


def test_a_version_in_preview_is_aborted_and_it_is_proven(stage: BlueGreenStage) -> None:
    web = stage.web
    web.in_preview(abortScaleDownDelaySeconds=5)
    stage.ready()
    stable = web.stable

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "proven"

    assert stage.sent() == [ABORT]
    _stands_on(web, stable)
    assert web.acknowledged
    assert "PROVEN in" in told(stage)


def test_a_whole_version_that_is_active_is_aborted_and_the_controller_switches(stage: BlueGreenStage) -> None:
    web = stage.web
    web.live(abortScaleDownDelaySeconds=3)
    stage.ready()
    new, stable = web.new, web.stable

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "proven"
        web.until_wanted(new, 0)

    assert stage.sent() == [ABORT]
    _stands_on(web, stable)


def test_with_a_pod_missing_the_service_goes_right_after_the_abort_and_no_endpoint_is_missed(
    stage: BlueGreenStage,
) -> None:
    web = stage.web
    web.live(abortScaleDownDelaySeconds=3)
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()
    stage.ready()

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "proven"
        web.until_wanted(new, 0)

    assert stage.sent() == [DRY, ABORT, SERVICE]
    intents = [
        row["key"].split("/", 1)[1] for row in stage.town.audit() if row["tag"] in ("step_intended", "step_done")
    ]
    assert intents == ["0/1/step_intended", "0/2/step_intended", "0/1/step_done", "0/2/step_done"]
    _stands_on(web, stable)


def test_a_pod_that_fails_while_the_abort_is_on_its_way_is_answered_by_our_fallback(stage: BlueGreenStage) -> None:
    web = stage.web
    web.live(abortScaleDownDelaySeconds=5)
    stage.through_relay()
    stage.ready()
    new, stable = web.new, web.stable

    with stage.held() as held:
        web.hold(new, 1)
        web.quiet()
        with web.never_fewer():
            held.pass_on()
            assert stage.ended()["state"] == "proven"
            web.until_wanted(new, 0)

    assert stage.sent() == [ABORT, SERVICE]
    _stands_on(web, stable)


def test_a_promoted_version_is_undone_fast_by_pod_hash_and_no_endpoint_is_missed(stage: BlueGreenStage) -> None:
    web = stage.web
    web.promoted(scaleDownDelaySeconds=600)
    stage.ready()
    bad = web.new
    (good,) = [one for one in web.versions() if one != bad]

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "proven"

    assert stage.sent() == [UNDO]
    assert (web.new, web.stable, len(web.versions())) == (good, good, 2)
    _stands_on(web, good)
    note = told(stage)
    assert "fast, its pods are all ready" in note
    assert f"until {web.deadline(bad)[11:19]}Z a retry, or applying the bad version again" in note


def test_the_product_needs_no_right_that_the_shipped_roles_lack(stage: BlueGreenStage) -> None:
    web = stage.web
    web.live(abortScaleDownDelaySeconds=5)
    web.hold(web.new, 1)
    web.quiet()
    stage.ready()

    stage.alert()
    stage.ended()

    mine = [one for one in stage.world.plane.asked() if one["objectRef"].get("namespace") == web.namespace]
    refused = [one for one in mine if one["responseStatus"]["code"] == 403]
    assert [(one["verb"], one["requestURI"]) for one in refused] == []


# ---- kill -9 between the abort and the Service ----


@contextmanager
def _between(stage: BlueGreenStage, web: BlueGreen, number: int) -> Iterator[Held]:
    """The abort took effect; its answer stands on the wire, or, in each second round, the Service's patch does."""
    relay = stage.through_relay()
    with relay.hold(f"{web.path}/status", "answer") as abort:
        stage.alert(web)
        abort.arrives()
        if number % 2 == 0:
            yield abort
            return
        service = f"/api/v1/namespaces/{web.namespace}/services/web-active"
        with relay.hold(service, "request") as held:  # its dry run is over by now
            abort.pass_on()
            held.arrives()
            yield held


def test_a_death_between_the_abort_and_the_service_is_no_outage(stage: BlueGreenStage, count: int) -> None:
    webs = [stage.web, *(BlueGreen(stage.world) for _ in range(1, max(2, count // EACH)))]
    with ThreadPoolExecutor(len(webs)) as pool:
        list(pool.map(lambda web: web.live(abortScaleDownDelaySeconds=30), webs))
    for web in webs:
        stage.grant(web)
        web.hold(web.new, 1)
    stage.through_relay()
    stage.set(within=60)
    stage.declare({web.namespace: web for web in webs})
    stage.start()

    for number, web in enumerate(webs):
        stable = web.stable
        with web.never_fewer():
            with _between(stage, web, number) as held:
                stage.town.kill()
                held.lose()
                stage.start()
            ended = stage.town.ended(count=number + 1, within=120)
        assert (ended["target"], ended["state"]) == (web.namespace, "proven")
        assert stage.sent(web) == [DRY, ABORT, SERVICE], "each of them took effect once"
        _stands_on(web, stable)

    for web in webs[1:]:
        web.leave()

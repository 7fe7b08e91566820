"""The product on the real control plane, as a user that holds nothing but the shipped abort-only Role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.start import LEASE
from tests.contract.scenario import template
from tests.contract.stage import Stage, told
from tests.contract.test_scenarios_abort import DYNAMIC
from tests.contract.worlds import ClusterWorld, leads
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster


@pytest.fixture
def stage(cluster_world: ClusterWorld, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(cluster_world, tmp_path)
    yield one
    one.close()


def _assert_aborted_and_safe(stage: Stage) -> None:
    status = stage.canary.status
    assert (status["abort"], bool(status.get("abortedAt"))) == (True, True)
    assert stage.canary.weights == (100, 0)
    assert stage.canary.selects("web-stable") == status["stableRS"]


# ---- the story ----


def test_an_alert_aborts_the_canary_and_it_is_proven(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.ready()

    stage.alert()

    assert stage.ended()["state"] == "proven"
    _assert_aborted_and_safe(stage)
    assert stage.applied() == len(stage.writes()) == 1
    assert [len(stage.rows(tag)) for tag in ("step_intended", "step_done", "run_proven")] == [1, 1, 1]
    assert "PROVEN in" in told(stage)


def test_the_product_needs_no_right_that_the_shipped_role_lacks(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.ready()

    stage.alert()
    stage.ended()

    refused = [one for one in stage.world.plane.asked() if one["responseStatus"]["code"] == 403]
    assert [(one["verb"], one["requestURI"]) for one in refused] == []


# ---- what cannot be proven is not called proven ----


def test_while_stable_lacks_a_pod_it_is_unproven_and_the_note_names_the_pods(stage: Stage) -> None:
    stage.canary.paused_at_25()
    stage.world.hold(stage.canary.namespace, f"web-{stage.canary.status['stableRS']}", 1)
    stage.ready(within=8)

    stage.alert()

    assert stage.ended()["state"] == "unproven"
    assert stage.canary.weights == (75, 25)
    assert "stable has 3 of 4 pods" in told(stage)


def test_with_the_controller_stopped_it_is_unproven_and_the_note_says_so(stage: Stage) -> None:
    stage.canary.paused_at_25()
    stage.ready(within=40)  # longer than a failover lasts
    stage.world.controller_down()
    try:
        stage.alert()
        assert stage.ended()["state"] == "unproven"
        status = stage.canary.status
        assert (status["abort"], "abortedAt" in status) == (True, False)
        assert stage.canary.weights == (75, 25)
        assert "no controller has renewed since" in told(stage)
    finally:
        stage.world.controller_up()
        eventually(leads(stage.world), within=45, every=0.5, what="the controller leads again")


def test_the_deadlock_of_dynamic_stable_scale_is_unproven_and_the_note_names_the_way_out(stage: Stage) -> None:
    stage.canary.paused_at_25(steps=DYNAMIC, dynamicStableScale=True, abortScaleDownDelaySeconds=3)
    stage.ready(within=10)

    stage.alert()

    assert stage.ended()["state"] == "unproven"
    assert stage.canary.weights == (50, 50)
    assert "remove that field or restore the stable template" in told(stage)


def test_a_retry_of_somebodys_while_we_prove_is_not_called_proven(stage: Stage) -> None:
    stage.canary.paused_at_25()
    stage.ready(within=20, settle=6)

    stage.alert()
    eventually(lambda: stage.canary.acknowledged, within=30, every=0.02, what="abortedAt")
    stage.canary.patch_status(abort=False)

    assert stage.ended()["state"] in ("failed", "unproven")
    assert stage.applied() == 1


# ---- deaths ----


def test_a_controller_that_dies_with_a_standby_while_the_abort_waits_is_proven(stage: Stage) -> None:
    plane = stage.world.plane
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.ready(within=60)
    plane.start_controller("standby")
    holder = stage.world.get(LEASE).json["spec"]["holderIdentity"]
    plane.stop_controller()

    stage.alert()

    assert stage.ended(within=120)["state"] == "proven"
    _assert_aborted_and_safe(stage)
    assert stage.world.get(LEASE).json["spec"]["holderIdentity"] != holder
    plane.stop_controller("standby")
    plane.start_controller()
    eventually(leads(stage.world), within=45, every=0.5, what="the controller leads again")


def test_an_api_server_that_dies_between_intent_and_outcome_leaves_one_effect_proven(stage: Stage) -> None:
    plane = stage.world.plane
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.ready(within=60)

    stage.alert()
    eventually(lambda: stage.rows("step_intended"), within=30, every=0.001, what="the intent stands")
    plane.stop_apiserver()
    plane.start_apiserver()

    assert stage.ended(within=120)["state"] == "proven"
    _assert_aborted_and_safe(stage)
    assert stage.applied() <= 1
    assert "PROVEN in" in told(stage)


def test_a_server_that_dies_between_intent_and_outcome_leaves_one_effect_proven(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.ready(within=60)

    stage.alert()
    eventually(lambda: stage.rows("step_intended"), within=30, every=0.001, what="the intent stands")
    stage.town.kill()
    stage.start()

    assert stage.ended(within=120)["state"] == "proven"
    _assert_aborted_and_safe(stage)
    assert stage.applied() == 1
    assert "PROVEN in" in told(stage)


# ---- somebody first ----


def test_a_hotfix_that_is_there_before_the_alert_is_not_aborted(stage: Stage) -> None:
    stage.canary.paused_at_25()
    stage.ready()
    judged = stage.canary.status["currentPodHash"]
    stage.alert()
    stage.canary.spec(template=template("v3"))

    stage.ended()

    eventually(lambda: stage.canary.status["currentPodHash"] != judged, within=10, what="the hotfix is taken over")
    stage.canary.until("Paused")
    assert not {"abort", "abortedAt"} & {key for key, value in stage.canary.status.items() if value}

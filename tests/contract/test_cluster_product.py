"""The product on the real control plane, as a user that holds nothing but the shipped abort-only Role."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
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


# ---- deaths, at an exact place: the abort, or its answer, stands on the wire ----


def _one_effect_proven(stage: Stage) -> None:
    """One intent with its outcome (unknown, and then done by reading), proven, told. Wakes stand beside with row and outcome."""
    assert stage.ended(within=120)["state"] == "proven"
    _assert_aborted_and_safe(stage)
    assert [row["key"].split("/", 1)[1] for row in stage.rows("step_intended")] == ["0/1/step_intended"]
    outcomes = [*stage.rows("step_done"), *stage.rows("step_unknown")]
    intents = [*stage.rows("step_intended"), *stage.rows("step_woken")]
    assert {row["key"].rpartition("/")[0] for row in outcomes} == {row["key"].rpartition("/")[0] for row in intents}
    assert "PROVEN in" in told(stage)


@contextmanager
def _restarted_apiserver(stage: Stage) -> Iterator[None]:
    """Killed now, started again after the block."""
    stage.world.plane.stop_apiserver()
    try:
        yield
    finally:
        stage.world.plane.start_apiserver()


def test_a_controller_that_dies_with_a_standby_while_the_abort_waits_is_proven(stage: Stage) -> None:
    plane = stage.world.plane
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    plane.start_controller("standby")
    stage.relayed(within=60)
    dead = stage.world.get(LEASE).json["spec"]["holderIdentity"]
    try:
        with stage.held() as held:
            plane.stop_controller()
            held.pass_on()
        eventually(lambda: stage.canary.status.get("abort"), within=5, what="the abort was taken")
        assert not stage.canary.acknowledged, "it waits"
        assert stage.world.get(LEASE).json["spec"]["holderIdentity"] == dead

        assert stage.ended(within=120)["state"] == "proven"

        _assert_aborted_and_safe(stage)
        assert stage.world.get(LEASE).json["spec"]["holderIdentity"] != dead
        assert len(stage.rows("step_intended")) == 1
        assert stage.applied() == 1 + len(stage.rows("step_woken"))
    finally:
        plane.stop_controller("standby")
        plane.start_controller()
        eventually(leads(stage.world), within=45, every=0.5, what="the controller leads again")


def test_an_api_server_that_dies_before_it_has_the_abort_gets_it_once_it_is_back(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.relayed(within=60)

    with stage.held() as held, _restarted_apiserver(stage):
        held.pass_on()
        held.over()

    _one_effect_proven(stage)
    assert stage.applied() == 1 + len(stage.rows("step_woken"))


def test_an_api_server_that_dies_before_its_answer_is_read_and_the_abort_is_not_sent_again(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.relayed(within=60)

    with stage.held("answer") as held:
        eventually(lambda: stage.applied() == 1, within=5, what="the API server has it")
        with _restarted_apiserver(stage):
            held.lose()

    _one_effect_proven(stage)
    assert len(stage.writes()) == 1 + len(stage.rows("step_woken"))


def test_a_server_that_dies_with_the_abort_unsent_sends_it_after_its_restart(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.relayed(within=60)

    with stage.held() as held:
        stage.town.kill()
        held.lose()
        stage.start()

    _one_effect_proven(stage)
    assert stage.applied() == 1 + len(stage.rows("step_woken"))


def test_a_server_that_dies_with_the_abort_on_a_slow_network_finds_it_when_it_arrives(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.relayed(within=60)

    with stage.world.record(stage.canary.namespace) as record, stage.held() as held:
        stage.town.kill()
        stage.start()
        assert record.first("rollouts", lambda one: one["status"].get("abort")) == -1
        held.pass_on()
        _one_effect_proven(stage)

    aborts = [bool(one["status"].get("abort")) for one in record.of("rollouts")]
    assert (True, False) not in itertools.pairwise(aborts), "taken once, and never off again"


def test_a_server_that_dies_before_the_answer_finds_its_effect_and_sends_nothing_more(stage: Stage) -> None:
    stage.canary.paused_at_25(abortScaleDownDelaySeconds=5)
    stage.relayed(within=60)

    with stage.held("answer") as held:
        eventually(lambda: stage.applied() == 1, within=5, what="the API server has it")
        stage.town.kill()
        held.lose()
        stage.start()

    _one_effect_proven(stage)
    assert len(stage.writes()) == 1 + len(stage.rows("step_woken"))


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

"""Undo, and the rarer rows of a switch back, on the real control plane, as a user that holds nothing but the shipped Roles.

Judged as in test_cluster_bluegreen.py: by the API server's objects, its own audit log and every write of the endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store.tables import target_history
from tests.cluster.access import grant
from tests.cluster.start import PRODUCT
from tests.contract.bluegreen import BLUE_GREEN_PAUSE, PASSED, BlueGreen, fewest
from tests.contract.scenario import Canary
from tests.contract.stage import BlueGreenStage, Stage, told
from tests.contract.worlds import ClusterWorld, leads
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster

STATUS, SERVICE, SPEC = "rollouts/status", "services", "rollouts"
GATES = {"pre": True, "post": True, "autoPromotionEnabled": False, "scaleDownDelaySeconds": 2}
SHORT_STEPS = [{"setWeight": 25}, {"pause": {"duration": "1s"}}]


@pytest.fixture
def stage(cluster_world: ClusterWorld, tmp_path: Path) -> Iterator[BlueGreenStage]:
    one = BlueGreenStage(cluster_world, tmp_path)
    yield one
    one.close()


@pytest.fixture
def canaries(cluster_world: ClusterWorld, tmp_path: Path) -> Iterator[Stage]:
    """A canary whose runbook undoes what is promoted."""
    one = Stage(cluster_world, tmp_path)
    grant(cluster_world.plane.api(), one.canary.namespace, "switch-back.yaml", PRODUCT)
    _steps(one, "with: {when_promoted: refuse}", "with: {when_promoted: undo}")
    yield one
    one.close()


def _steps(stage: Stage, before: str, after: str) -> None:
    """Another option in the shipped runbook."""
    path = stage.town.runbooks / f"{stage.runbook}.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def _may_skip(stage: Stage) -> None:
    _steps(stage, "with: {when_promoted: undo}", "with: {when_promoted: undo, skip_gates: true}")


def _known(stage: Stage) -> None:
    """The server has looked, and will remember what is stable now."""
    query = sa.select(target_history.c.hash).where(target_history.c.first_stable.is_not(None))
    eventually(lambda: stage.town.rows(query), within=30, every=0.2, what="the stable version was seen")


def _wrote(stage: Stage) -> list[str]:
    """The patches that were taken, in their order; on v1.9.1 wakes may stand among them."""
    taken = [one["objectRef"] for one in stage.writes() if one["responseStatus"]["code"] == 200]
    return ["/".join(filter(None, [one["resource"], one.get("subresource")])) for one in taken]


def _older(stage: Stage) -> None:
    """What is stable now became so a whole second ago: times are compared in whole seconds."""

    def old() -> bool:
        since = str(stage.canary.condition("Completed")["lastTransitionTime"])
        return stage.canary.condition("Completed")["status"] == "True" and _a_second_ago() > since

    eventually(old, within=10, every=0.1, what="it is older than the alert to come")


def _a_second_ago() -> str:
    return (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _stands_on(web: BlueGreen, pod_hash: str, pods: int = 3) -> None:
    """The live Service and, a moment later, all that is behind it."""
    assert web.active == pod_hash
    eventually(lambda: web.ready() == {pod_hash: pods}, what=f"{pods} endpoints of {pod_hash} and no other")


# ---- blue-green: the old version has no pods left ----


def _promoted_and_alone(stage: BlueGreenStage, **check: int) -> tuple[str, str]:
    """v1 was seen being stable, v2 went through all gates, and v1 has no pods; (bad, good)."""
    web = stage.web
    web.deployed(**GATES)
    good = web.stable
    stage.ready(**check)
    _known(stage)
    web.promote("v2")
    web.until_wanted(good, 0)
    _older(stage)
    return web.new, good


def _runs_of(web: BlueGreen, pod_hash: str) -> set[str]:
    """The analyses of its coming back, with how they ended."""
    mine = [one for one in web.runs if one["metadata"]["name"].startswith(f"web-{pod_hash}-3-")]
    return {f"{one['metadata']['labels']['rollout-type']} {one['status'].get('phase')}" for one in mine}


def test_an_undo_to_a_version_without_pods_goes_through_all_gates_and_no_endpoint_is_missed(
    stage: BlueGreenStage,
) -> None:
    web = stage.web
    _, good = _promoted_and_alone(stage)
    web.says("pre", PASSED)
    web.says("post", PASSED)

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "proven"

    assert _wrote(stage)[0] == SPEC
    assert _wrote(stage).count(STATUS) == 1, "the end of the pause"
    assert _runs_of(web, good) == {"PrePromotion Successful", "PostPromotion Successful"}
    assert (web.new, web.stable, len(web.versions())) == (good, good, 2)
    _stands_on(web, good)
    assert f"through all gates; ended the pause before {good[:4]}" in told(stage)


def test_an_undo_whose_gates_say_nothing_is_not_proven_and_the_bad_version_keeps_its_endpoints(
    stage: BlueGreenStage,
) -> None:
    web = stage.web
    bad, good = _promoted_and_alone(stage, within=10)

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "unproven"

    assert _wrote(stage)[0] == SPEC
    assert STATUS not in _wrote(stage), "no gate is moved that is not a pause"
    assert (web.new, web.stable) == (good, bad)
    _stands_on(web, bad)
    note = told(stage)
    assert "NOT PROVEN" in note
    assert f"the way back to {good[:4]} is not at its end" in note


def test_gates_are_skipped_where_the_runbook_says_so_and_no_endpoint_is_missed(stage: BlueGreenStage) -> None:
    web = stage.web
    _may_skip(stage)
    _, good = _promoted_and_alone(stage)

    with web.never_fewer():
        stage.alert()
        assert stage.ended()["state"] == "proven"

    assert _wrote(stage)[0] == SPEC
    assert _wrote(stage).count(STATUS) == 1, "promoteFull"
    assert "PostPromotion Successful" not in _runs_of(web, good)
    assert (web.new, web.stable, len(web.versions())) == (good, good, 2)
    _stands_on(web, good)
    assert f"skipped the gates before {good[:4]}" in told(stage)


# ---- a promoted canary ----


@contextmanager
def _stable_never_fewer(web: Canary, pods: int = 4) -> Iterator[None]:
    """The stable Service has at no write fewer ready endpoints than the Rollout wants."""
    with web.world.record(web.namespace) as record:
        yield
    counts = fewest(record, "web-stable")
    assert all(count >= pods for count in counts), counts


def _back(web: Canary, good: str) -> None:
    """Current, stable, and all the traffic."""
    status = web.status
    assert (status["currentPodHash"], status["stableRS"]) == (good, good)
    assert (web.weights, web.selects("web-stable")) == ((100, 0), good)
    assert len(web.versions()) == 2, "no new version came of it"


def test_a_promoted_canary_is_undone_step_by_step(canaries: Stage) -> None:
    web = canaries.canary
    web.deployed(steps=SHORT_STEPS)
    good = str(web.status["stableRS"])
    canaries.ready()
    _known(canaries)
    web.release("v2")
    web.until("Healthy")
    _older(canaries)
    bad = str(web.status["stableRS"])

    with _stable_never_fewer(web), web.world.record(web.namespace) as record:
        canaries.alert()
        assert canaries.ended()["state"] == "proven"

    assert set(_wrote(canaries)) == {SPEC}
    _back(web, good)
    walked = [tuple(one["weight"] for one in vs["spec"]["http"][0]["route"]) for vs in record.of("virtualservices")]
    assert (75, 25) in walked, "its steps were gone through"
    assert f"{bad[:4]} -> {good[:4]}, through all gates" in told(canaries)


def test_a_promoted_canary_whose_steps_wait_for_a_person_is_undone_past_them_where_the_runbook_says_so(
    canaries: Stage,
) -> None:
    web = canaries.canary
    _may_skip(canaries)
    web.deployed()
    good = str(web.status["stableRS"])
    canaries.ready()
    _known(canaries)
    web.release("v2")
    web.until("Paused")
    web.patch_status(promoteFull=True)
    web.until("Healthy")
    _older(canaries)

    with _stable_never_fewer(web):
        canaries.alert()
        assert canaries.ended()["state"] == "proven"

    assert _wrote(canaries)[0] == SPEC
    assert _wrote(canaries).count(STATUS) == 1, "promoteFull"
    _back(web, good)


def test_within_its_rollback_window_a_promoted_canary_is_back_at_once(canaries: Stage) -> None:
    web = canaries.canary
    web.deployed(steps=SHORT_STEPS, spec={"rollbackWindow": {"revisions": 2}}, scaleDownDelaySeconds=600)
    good = str(web.status["stableRS"])
    canaries.ready()
    _known(canaries)
    web.release("v2")
    web.until("Healthy")
    _older(canaries)

    with _stable_never_fewer(web), web.world.record(web.namespace) as record:
        canaries.alert()
        assert canaries.ended()["state"] == "proven"

    assert set(_wrote(canaries)) == {SPEC}
    _back(web, good)
    walked = [tuple(one["weight"] for one in vs["spec"]["http"][0]["route"]) for vs in record.of("virtualservices")]
    assert (75, 25) not in walked, "no step was gone through"
    assert "fast, its pods are all ready" in told(canaries)


# ---- the rarer rows of a switch back ----


def test_with_no_controller_the_service_is_switched_by_hand_and_proven_once_one_leads_again(
    stage: BlueGreenStage,
) -> None:
    web = stage.web
    web.live(abortScaleDownDelaySeconds=3)
    stage.ready(within=90)
    new, stable = web.new, web.stable
    web.quiet()

    with web.never_fewer():
        with _nobody_leads(stage):
            stage.alert()
            web.until_active(stable, within=30)
            assert (web.status["abort"], web.acknowledged) == (True, False)
            _stands_on(web, stable)
        assert stage.ended()["state"] == "proven"
        web.until_wanted(new, 0)

    assert stage.sent()[0] == STATUS
    assert [one for one in stage.sent() if one != STATUS] == [SERVICE], "once"
    _stands_on(web, stable)


@contextmanager
def _nobody_leads(stage: Stage) -> Iterator[None]:
    """The controller is killed, and its Lease stands; after the block one leads again."""
    stage.world.controller_down()
    try:
        yield
    finally:
        stage.world.controller_up(handed=True)
        eventually(leads(stage.world), within=45, every=0.5, what="the controller leads again")


def test_a_restore_that_ends_our_abort_is_told_and_where_it_pauses_the_next_alert_ends_that(
    stage: BlueGreenStage,
) -> None:
    """v1.9.1 pauses with the Service on the bad version; v1.10.1 switches it by itself."""
    web = stage.web
    web.live(autoPromotionEnabled=False, abortScaleDownDelaySeconds=60)
    bad, stable = web.new, web.stable
    stage.set()
    _without_cool_down(stage)
    stage.start()
    web.quiet()

    with web.never_fewer():
        with _nobody_leads(stage):
            stage.alert()
            eventually(lambda: web.status.get("abort"), within=30, what="our abort stands, unseen")
            web.put_back(stable)
        assert stage.ended()["state"] == "unproven"
        assert "was put back into spec meanwhile" in told(stage)
        if not web.world.rollouts.startswith("v1.10."):
            web.until("Paused")
            assert (web.new, web.active, web.pause()) == (stable, bad, [BLUE_GREEN_PAUSE])
            _another_alert(stage)
            assert stage.town.ended(count=2, within=90)["state"] == "proven"
        web.until_active(stable)
    assert set(stage.sent()) == {STATUS}, "no Service of ours"
    _stands_on(web, stable)


def _another_alert(stage: BlueGreenStage) -> None:
    """About the same Rollout, and an incident of its own."""
    named = {"rollout": "web", "namespace": stage.web.namespace, "deployment_type": "blue-green"}
    stage.town.alert("another", key="b" * 32, summary="web still fails", alertname="BlueGreenPostDeployError", **named)


def _without_cool_down(stage: Stage) -> None:
    """Two runs about one version may follow closely."""
    path = stage.town.runbooks / "targets.yaml"
    catalog = json.loads(path.read_text())
    for target in catalog["targets"].values():
        target["cooldown"] = "0s"
    path.write_text(json.dumps(catalog))


@pytest.mark.parametrize("follows", [True, False], ids=["and all pods come", "and three pods do not hold"])
def test_a_scale_up_while_the_abort_is_on_its_way_misses_no_endpoint(stage: BlueGreenStage, follows: bool) -> None:
    web = stage.web
    web.live(abortScaleDownDelaySeconds=5)
    stage.through_relay()
    stage.ready()
    new, stable = web.new, web.stable

    with web.never_fewer():
        with stage.held() as held:
            web.scale(6)
            if not follows:
                web.until_available(new, 6)
                web.hold(new, 3)
            held.pass_on()
            assert stage.ended()["state"] == "proven"
        web.until_wanted(new, 0)

    assert stage.sent()[0] == STATUS
    assert follows or SERVICE in stage.sent(), "the controller leaves the Service where it is"
    _stands_on(web, stable, 6)

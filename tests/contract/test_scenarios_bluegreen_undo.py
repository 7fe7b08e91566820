"""The way back of a promoted blue-green version, and Services turned by hand, in both worlds by the same words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api import Object
from tests.contract.bluegreen import BLUE_GREEN_PAUSE, PASSED, BlueGreen
from tests.contract.scenario import HASH, template
from tests.contract.worlds import World
from tests.contract.writes import delayed, says, turned_to, undelayed
from tests.support.waiting import eventually

REVISION = "rollout.argoproj.io/revision"
_APART: Object = {"requiredDuringSchedulingIgnoredDuringExecution": {}}


@pytest.fixture
def web(world: World) -> Iterator[BlueGreen]:
    """A Rollout in a namespace of its own, not yet placed."""
    one = BlueGreen(world)
    yield one
    one.leave()


def is_1_10(web: BlueGreen) -> bool:
    return web.world.rollouts.startswith("v1.10.")


def _old(web: BlueGreen) -> str:
    return next(one for one in web.versions() if one != web.stable)


def _as_written(found: Object) -> None:
    found["metadata"]["labels"].pop(HASH)


# ---- fast, or through all gates ----


def test_an_old_version_that_is_whole_and_has_its_deadline_is_back_without_any_gate(web: BlueGreen) -> None:
    web.promoted(pre=True, post=True)
    bad, old = web.stable, _old(web)
    before = len(web.runs)

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.put_back(old, _as_written)
        record.in_order(
            ("its revision", "replicasets", lambda one: _revision(one, old) == "3"),
            ("the preview Service", "services", turned_to(old, "web-preview")),
            ("its hash is told", "rollouts", says(currentPodHash=old)),
            ("its deadline is gone", "replicasets", lambda one: undelayed(old)(one) and _revision(one, old) == "3"),
            ("the active Service", "services", turned_to(old, "web-active")),
            ("it is stable", "rollouts", says(stableRS=old, phase="Healthy")),
            ("the bad one's delay begins", "replicasets", delayed(bad)),
        )
    assert len(web.runs) == before
    assert web.replicaset(old)["metadata"]["annotations"]["rollout.argoproj.io/revision-history"] == "1"


def test_an_old_version_without_pods_goes_through_all_gates(web: BlueGreen) -> None:
    web.promoted(pre=True, post=True, autoPromotionEnabled=False, scaleDownDelaySeconds=1)
    bad, old = web.stable, _old(web)
    web.until_wanted(old, 0)
    web.quiet()

    with web.never_fewer():
        web.put_back(old, _as_written)
        web.until_run("pre", "Running")
        web.says("pre", PASSED)
        web.until("Paused")
        assert (web.active, web.pause()) == (bad, [BLUE_GREEN_PAUSE])
        web.resume()
        web.until_active(old)
        web.until_run("post", "Running")
        assert web.stable == bad
        web.says("post", PASSED)
        web.until_stable(old)


def test_one_missing_pod_in_the_first_pass_costs_the_fast_way_for_good(web: BlueGreen) -> None:
    web.promoted(pre=True)
    bad, old = web.stable, _old(web)
    web.hold(old, 1)
    web.quiet()

    web.put_back(old, _as_written)
    eventually(lambda: not web.deadline(old), what="the deadline is gone")
    web.world.let_go()
    web.until_run("pre", "Running")
    assert web.active == bad
    web.says("pre", PASSED)
    web.until_stable(old)


def test_promote_full_counts_only_once_the_hash_is_the_target(web: BlueGreen) -> None:
    web.promoted(pre=True, scaleDownDelaySeconds=1)
    bad, old = web.stable, _old(web)
    web.until_wanted(old, 0)
    web.quiet()
    # Nobody looks between the two writes: the flag is there before the controller knows of the template.
    web.world.controller_down()
    web.put_back(old, _as_written)
    assert web.patch_status(promoteFull=True).json["status"]["currentPodHash"] == bad
    web.world.controller_up(handed=True)
    eventually(lambda: web.new == old, what="taken over")
    eventually(lambda: "promoteFull" not in web.status, what="dropped with the template")
    web.until_run("pre", "Running")
    web.quiet()
    assert web.active == bad

    web.patch_status(promoteFull=True)
    web.until_stable(old)


def test_the_undo_of_an_undo_is_fast_on_the_older_release_alone(web: BlueGreen) -> None:
    web.promoted(pre=True)
    bad, old = web.stable, _old(web)
    web.put_back(old, _as_written)
    web.until_stable(old)
    web.quiet()
    assert web.deadline(bad)
    web.forget_verdicts()

    web.put_back(bad, _as_written)
    if is_1_10(web):
        web.until_run("pre", "Running")
        assert web.active == old, "it is younger than the stable one"
    else:
        web.until_stable(bad)
        assert web.active == bad


def test_a_rollback_window_hangs_where_there_is_a_pause_on_the_older_release(web: BlueGreen) -> None:
    spec = {"rollbackWindow": {"revisions": 3}}
    web.promoted(autoPromotionEnabled=False, scaleDownDelaySeconds=1, spec=spec)
    bad, old = web.stable, _old(web)
    web.until_wanted(old, 0)
    web.quiet()

    web.put_back(old, _as_written)
    web.until_available(old, 3)
    if not is_1_10(web):
        web.never(lambda: web.active != bad or web.pause(), for_seconds=2, what="it moved, or paused")
        web.quiet()
        web.patch_status(promoteFull=True)
    web.until_stable(old)
    assert web.active == old


def test_an_abort_during_a_rollback_in_the_window_is_dropped(web: BlueGreen) -> None:
    web.promoted(scaleDownDelaySeconds=1, spec={"rollbackWindow": {"revisions": 3}})
    old = _old(web)
    web.until_wanted(old, 0)
    web.quiet()
    web.put_back(old, _as_written)
    eventually(lambda: web.new == old, every=0.005, what="taken over")
    web.hold(old, 1)
    web.until_available(old, 2)
    web.quiet()

    web.abort()
    eventually(lambda: "abort" not in web.status, what="the flag is dropped")
    web.world.let_go()
    web.until_stable(old)


def test_while_spec_is_paused_an_undo_waits(web: BlueGreen) -> None:
    web.promoted()
    bad, old = web.stable, _old(web)
    web.spec(paused=True)
    eventually(lambda: web.status["phase"] == "Paused", what="paused by hand")
    web.put_back(old, _as_written)
    eventually(lambda: web.new == old, what="its hash is told")
    web.never(lambda: (web.active, web.preview) != (bad, bad), for_seconds=1, what="a Service moved")

    web.spec(paused=False)
    web.until_stable(old)
    assert (web.active, web.preview) == (old, old)


# ---- what the controller has put into the template ----


def test_the_hash_label_may_stay_in_the_template(web: BlueGreen) -> None:
    web.promoted()
    old, before = _old(web), set(web.versions())
    web.put_back(old)
    web.until_stable(old)
    assert set(web.versions()) == before
    assert web.rollout["spec"]["template"]["metadata"]["labels"][HASH] == old


def test_metadata_of_the_role_left_in_makes_a_new_version(web: BlueGreen) -> None:
    roles = {
        "activeMetadata": {"labels": {"role": "active"}},
        "previewMetadata": {"labels": {"role": "preview"}, "annotations": {"note": "not yet"}},
    }
    web.in_preview(abortScaleDownDelaySeconds=30, **roles)
    new, stable = web.new, web.stable
    eventually(lambda: _label(web, stable, "role") == "active", what="the stable version bears its role")
    assert _label(web, new, "role") == "preview"
    web.abort()
    web.until_acknowledged()
    web.quiet()

    web.put_back(stable, _as_written)
    eventually(lambda: web.new not in (new, stable), what="a third version")
    assert "abort" not in web.status

    web.put_back(stable, lambda found: (_as_written(found), found["metadata"]["labels"].pop("role"))[0])
    eventually(lambda: web.new == stable, what="the same version, without what was injected")
    web.until("Healthy")


def test_an_injected_anti_affinity_left_in_makes_a_new_version(web: BlueGreen) -> None:
    web.promoted(antiAffinity=_APART)
    first, second = _old(web), web.stable
    web.promote("v3")
    spec = web.replicaset(second)["spec"]["template"]["spec"]
    [term] = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchExpressions"] == [{"key": HASH, "operator": "In", "values": [first]}]
    assert "affinity" not in web.replicaset(first)["spec"]["template"]["spec"], "the very first has none"

    web.put_back(second, _as_written)
    eventually(lambda: len(web.versions()) == 4, within=20, what="a fourth version")
    eventually(lambda: _revision(web.replicaset(web.new), web.new) == "4", within=20, what="it is taken over")
    web.put_back(second, lambda found: (_as_written(found), found["spec"].pop("affinity"))[0])
    eventually(lambda: web.new == second, what="the same version, without what was injected")


# ---- workloadRef ----


def _deployment(version: str) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template(version)},
    }


def _through_a_deployment(web: BlueGreen, **strategy: object) -> str:
    """The Deployment's path."""
    path = f"/apis/apps/v1/namespaces/{web.namespace}/deployments"
    assert web.world.post(path, _deployment("v1")).code == 201
    web.place(
        spec={"template": None, "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
        **strategy,
    )
    web.until("Healthy")
    return f"{path}/web"


def test_an_undo_through_the_deployment_moves_the_workloads_generations_and_not_the_rollouts(web: BlueGreen) -> None:
    path = _through_a_deployment(web)
    old = web.stable
    assert web.world.merge(path, {"spec": {"template": template("v2")}}).code == 200
    eventually(lambda: web.stable != old, within=20, what="v2 is stable")
    web.until("Healthy")
    generation = web.rollout["metadata"]["generation"]

    assert web.world.merge(path, {"spec": {"template": template("v1")}}).code == 200
    eventually(lambda: web.stable == old, within=20, what="v1 is back")
    web.until("Healthy")
    workload = web.world.get(path).json["metadata"]["generation"]
    assert web.rollout["metadata"]["generation"] == generation
    assert web.status["workloadObservedGeneration"] == str(workload) == "3"
    assert web.active == old


def test_a_template_on_the_rollout_of_a_workload_is_an_invalid_spec_until_it_is_gone(web: BlueGreen) -> None:
    _through_a_deployment(web)
    web.spec(template=template("v9"))
    eventually(lambda: web.status["phase"] == "Degraded", what="invalid")
    words = "template must be empty for workload reference rollout"
    assert web.status["message"] == f'InvalidSpec: The Rollout "web" is invalid: {words}'

    web.spec(template=None)
    web.until("Healthy")
    assert web.condition("InvalidSpec") == {}


# ---- Services turned by hand ----


def test_services_of_a_healthy_rollout_are_put_right_at_once(web: BlueGreen) -> None:
    web.deployed()
    stable = web.stable
    for service in ("web-active", "web-preview"):
        web.point(service, "nonsense")
        eventually(lambda service=service: web.selects(service) == stable, what=f"{service} is put right")  # type: ignore[misc]


def test_without_auto_promotion_a_nonsense_selector_stays_on_the_older_release(web: BlueGreen) -> None:
    web.deployed(autoPromotionEnabled=False)
    stable = web.stable
    web.point("web-active", "nonsense")
    if is_1_10(web):
        web.until_active(stable)
    else:
        eventually(lambda: web.pause() == [BLUE_GREEN_PAUSE], what="paused instead")
        assert web.active == "nonsense"


def test_pointing_the_active_service_at_the_new_version_is_a_promotion(web: BlueGreen) -> None:
    web.in_preview()
    new = web.new
    web.point("web-active", new)
    web.until_stable(new)
    assert web.pause() == []


def test_an_unsaturated_version_lets_a_hand_on_the_service_stand_until_it_is_whole(web: BlueGreen) -> None:
    web.deployed()
    stable = web.stable
    web.hold(stable, 1)
    web.quiet()
    web.point("web-active", "nonsense")
    eventually(lambda: web.status["blueGreen"].get("activeSelector") == "nonsense", what="told")
    web.never(lambda: web.active != "nonsense", for_seconds=1, what="put right while unsaturated")

    web.world.let_go()
    web.until_active(stable)


def test_a_selector_without_the_hash_wakes_nobody(web: BlueGreen) -> None:
    web.deployed()
    stable = web.stable
    web.point("web-active", None)
    web.never(lambda: web.active, for_seconds=2, what="put right")
    web.spec(minReadySeconds=0)
    web.until_active(stable)


def _revision(one: Object, pod_hash: str) -> str:
    mine = one["metadata"]["labels"][HASH] == pod_hash
    return str(one["metadata"]["annotations"].get(REVISION)) if mine else ""


def _label(web: BlueGreen, pod_hash: str, key: str) -> str:
    return str(web.replicaset(pod_hash)["spec"]["template"]["metadata"]["labels"].get(key))

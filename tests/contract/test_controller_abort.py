"""What an abort does in each state: the rows of the table at the end of traces/canary.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.contract.cluster_by_hand import (
    Cluster,
    aborted,
    deployed,
    paused_at_25,
    release,
    rollout,
    router,
    service,
    template,
)

ROLLOUT = "production/web-frontend"
DEADLINE = "scale-down-deadline"


def _canary(cluster: Cluster) -> str:
    return f"replicasets/web-frontend-{cluster.status()['currentPodHash']}"


def _deadline(cluster: Cluster) -> str:
    return str(cluster.replicaset(cluster.status()["currentPodHash"])["metadata"]["annotations"].get(DEADLINE, ""))


# ---- paused or progressing, stable complete ----


def test_an_abort_turns_the_canary_service_then_the_router_then_sets_the_deadline_then_writes_one_status() -> None:
    cluster = paused_at_25()
    cluster.abort()
    first = len(cluster.writes)

    cluster.tick()

    assert cluster.written("services", "virtualservices", "replicasets", "rollouts", since=first) == [
        "services/web-frontend-canary",
        "virtualservices/web-frontend-vsvc",
        _canary(cluster),
        "rollouts/web-frontend",
    ]
    assert cluster.weights() == (100, 0)


def test_the_status_of_an_aborted_canary() -> None:
    cluster = aborted()

    status = cluster.status()
    progressing = next(one for one in status["conditions"] if one["type"] == "Progressing")
    paused = next(one for one in status["conditions"] if one["type"] == "Paused")
    assert (status["phase"], status["message"]) == (
        "Degraded",
        "RolloutAborted: Rollout aborted update to revision 2",
    )
    assert (progressing["status"], progressing["reason"]) == ("False", "RolloutAborted")
    assert paused["status"] == "True", "the Paused condition stays True after an abort"
    assert status["currentStepIndex"] == 0
    assert not {"pauseConditions", "controllerPause"} & set(status)
    assert (status["canary"]["weights"]["canary"]["weight"], status["canary"]["weights"]["stable"]["weight"]) == (
        0,
        100,
    )
    assert "RolloutAborted" in cluster.event_reasons()


def test_the_canary_service_flips_at_each_tick_for_as_long_as_the_aborted_canary_lives() -> None:
    cluster = aborted()
    status, seen = cluster.status(), []

    for _ in range(12):
        cluster.tick()
        seen.append(cluster.selects("web-frontend-canary"))

    assert seen == [status["currentPodHash"], status["stableRS"]] * 6
    assert cluster.weights() == (100, 0), "the router stands still meanwhile"


def test_the_canary_goes_at_its_deadline_and_the_flipping_ends_on_stable() -> None:
    cluster = aborted()
    pod_hash, deadline = cluster.status()["currentPodHash"], datetime.fromisoformat(_deadline(cluster))
    assert 29 <= (deadline - cluster.now).total_seconds() <= 30, "whole seconds: up to a second early"

    cluster.tick_until(lambda: cluster.replicaset(pod_hash)["spec"]["replicas"] == 0, seconds=31)
    assert 0 <= (cluster.now - deadline).total_seconds() <= 0.6
    cluster.tick(6)

    assert cluster.selects("web-frontend-canary") == cluster.status()["stableRS"]
    assert "updatedReplicas" not in cluster.status()
    first = len(cluster.writes)
    cluster.pass_seconds(5)
    assert cluster.written("services", "rollouts", since=first) == []


def test_a_second_abort_changes_nothing() -> None:
    cluster = aborted()
    before = cluster.rollout()["metadata"]["resourceVersion"]

    assert cluster.abort() is False
    cluster.tick(3)

    assert cluster.rollout()["metadata"]["resourceVersion"] == before


def test_the_timer_of_a_pause_never_fires_after_an_abort() -> None:
    cluster = aborted(steps=[{"setWeight": 25}, {"pause": {"duration": "5s"}}, {"setWeight": 50}])

    cluster.pass_seconds(20)

    assert cluster.weights() == (100, 0)
    assert cluster.status()["currentStepIndex"] == 0


@pytest.mark.parametrize("seconds", [2, 9])
def test_the_delay_of_spec_is_the_one_that_counts(seconds: int) -> None:
    cluster = aborted(abortScaleDownDelaySeconds=seconds)
    pod_hash = cluster.status()["currentPodHash"]

    cluster.pass_seconds(seconds - 1.4)
    assert cluster.replicaset(pod_hash)["spec"]["replicas"] == 1
    cluster.pass_seconds(2)
    assert cluster.replicaset(pod_hash)["spec"]["replicas"] == 0


def test_a_delay_of_zero_scales_down_in_the_same_pass() -> None:
    cluster = aborted(abortScaleDownDelaySeconds=0)

    assert cluster.replicaset(cluster.status()["currentPodHash"])["spec"]["replicas"] == 0
    assert _deadline(cluster) == ""


# ---- step 0 ----


def test_an_abort_before_any_canary_pod_is_available_moves_no_service_and_no_weight() -> None:
    cluster = deployed()
    release(cluster)
    cluster.tick()
    cluster.set(unsaturated=ROLLOUT)
    cluster.tick(6)
    first = len(cluster.writes)

    cluster.abort()
    cluster.tick(5)

    assert cluster.written("services", "virtualservices", since=first) == []
    assert cluster.status()["phase"] == "Degraded"
    assert _deadline(cluster)


# ---- the gate ----


def test_while_stable_lacks_a_pod_the_weights_stay_and_the_status_says_so_honestly() -> None:
    cluster = paused_at_25()
    cluster.set(stable_missing_pod=ROLLOUT)

    cluster.abort()
    cluster.pass_seconds(12)

    status = cluster.status()
    assert (status["phase"], "abortedAt" in status) == ("Degraded", True)
    assert cluster.weights() == (75, 25)
    assert status["canary"]["weights"]["canary"]["weight"] == 25
    assert _deadline(cluster) == "", "the delay has not begun"


def test_the_gate_opens_when_the_pod_is_back() -> None:
    cluster = paused_at_25()
    cluster.set(stable_missing_pod=ROLLOUT)
    cluster.abort()
    cluster.pass_seconds(3)

    cluster.set(stable_missing_pod=None)
    cluster.tick(4)

    assert cluster.weights() == (100, 0)
    assert cluster.status()["canary"]["weights"]["canary"]["weight"] == 0
    assert _deadline(cluster)


def test_a_setting_holds_at_once_and_not_only_from_the_next_tick() -> None:
    cluster = paused_at_25()

    cluster.set(stable_missing_pod=ROLLOUT)
    cluster.abort()
    cluster.tick()

    assert cluster.weights() == (75, 25)


@pytest.mark.parametrize(
    ("threshold", "expected"), [({"type": "Percent", "value": 75}, (100, 0)), ({"type": "Pod", "value": 3}, (100, 0))]
)
def test_a_threshold_opens_the_gate_earlier(threshold: dict[str, object], expected: tuple[int, int]) -> None:
    cluster = paused_at_25()
    cluster.merge(
        "rollouts", "web-frontend", {"spec": {"strategy": {"canary": {"replicaProgressThreshold": threshold}}}}
    )
    cluster.tick(3)
    cluster.set(stable_missing_pod=ROLLOUT)
    cluster.abort()
    cluster.tick(2)

    assert cluster.weights() == expected
    assert _deadline(cluster) == "", "the deadline waits for the last pod all the same"


def test_a_scale_up_behind_the_closed_gate_holds_the_traffic_until_the_canary_goes_but_not_on_1_10() -> None:
    weights = {}
    for version in ("v1.9.1", "v1.10.1"):
        cluster = paused_at_25(abortScaleDownDelaySeconds=8)
        cluster.set(rollouts=version, stable_missing_pod=ROLLOUT)
        cluster.abort()
        cluster.tick(3)
        cluster.merge("rollouts", "web-frontend", {"spec": {"replicas": 6}})
        cluster.pass_seconds(2)
        cluster.set(stable_missing_pod=None)
        cluster.pass_seconds(3)
        weights[version] = cluster.weights()
        cluster.pass_seconds(10)
        assert cluster.weights() == (100, 0)

    assert weights == {"v1.9.1": (75, 25), "v1.10.1": (100, 0)}


# ---- spec.paused ----


def test_with_spec_paused_traffic_moves_but_the_canary_pods_stay_until_somebody_unpauses() -> None:
    cluster = paused_at_25(abortScaleDownDelaySeconds=2)
    cluster.merge("rollouts", "web-frontend", {"spec": {"paused": True}})
    cluster.tick(2)
    cluster.abort()
    cluster.pass_seconds(10)

    pod_hash = cluster.status()["currentPodHash"]
    assert cluster.weights() == (100, 0)
    assert (_deadline(cluster), cluster.replicaset(pod_hash)["spec"]["replicas"]) == ("", 1)

    cluster.merge("rollouts", "web-frontend", {"spec": {"paused": False}})
    cluster.tick_until(lambda: cluster.replicaset(pod_hash)["spec"]["replicas"] == 0)
    assert cluster.status()["abort"] is True


# ---- where the abort is lost ----


def test_under_promote_full_the_flag_is_dropped_and_no_abort_was() -> None:
    cluster = paused_at_25()
    pod_hash = cluster.status()["currentPodHash"]
    cluster.set(unready={f"production/web-frontend-{pod_hash}": 3})
    cluster.merge("rollouts", "web-frontend", {"status": {"promoteFull": True}}, "status")
    cluster.pass_seconds(3)

    cluster.abort()
    cluster.tick()
    assert cluster.selects("web-frontend-canary") == cluster.status()["stableRS"], "for one pass"
    cluster.tick()

    status = cluster.status()
    assert not {"abort", "abortedAt"} & set(status)
    assert status["promoteFull"] is True
    assert (_deadline(cluster), cluster.selects("web-frontend-canary")) == ("", pod_hash), "and taken back in the next"


def test_promote_full_off_and_abort_on_in_one_patch_holds() -> None:
    cluster = paused_at_25()
    cluster.set(unready={f"production/web-frontend-{cluster.status()['currentPodHash']}": 3})
    cluster.merge("rollouts", "web-frontend", {"status": {"promoteFull": True}}, "status")
    cluster.pass_seconds(3)

    cluster.abort(promoteFull=False)
    cluster.tick(2)

    status = cluster.status()
    assert (status["abort"], status["promoteFull"], "abortedAt" in status) == (True, False, True)


def _rolling_back_in_window() -> Cluster:
    cluster = deployed(spec={"rollbackWindow": {"revisions": 3}})
    old = cluster.status()["stableRS"]
    cluster.tick(5)  # the next ReplicaSet must be younger by a second
    release(cluster)
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
    cluster.merge("rollouts", "web-frontend", {"status": {"promoteFull": True}}, "status")
    cluster.tick_until(lambda: cluster.status()["phase"] == "Healthy")
    cluster.pass_seconds(40)
    cluster.set(unready={f"production/web-frontend-{old}": 3})
    release(cluster, "v1")
    cluster.tick_until(lambda: cluster.weights() == (75, 25))
    cluster.tick(3)
    return cluster


def test_an_in_window_rollback_drops_the_abort_after_one_flicker_to_zero() -> None:
    cluster = _rolling_back_in_window()
    cluster.abort()

    looks = []
    for _ in range(4):
        cluster.tick()
        looks.append(cluster.weights())

    assert looks == [(100, 0), (75, 25), (75, 25), (75, 25)]
    assert not {"abort", "abortedAt"} & set(cluster.status())


def test_a_fully_promoted_rollout_drops_the_flag_in_one_write_and_nothing_else_moves() -> None:
    cluster = deployed()
    cluster.abort()
    first = len(cluster.writes)

    cluster.tick(3)

    assert "abort" not in cluster.status()
    assert cluster.status()["phase"] == "Healthy"
    assert cluster.written("rollouts", "services", "virtualservices", "replicasets", "events", since=first) == [
        "rollouts/web-frontend"
    ]


def test_an_invalid_spec_keeps_the_abort_waiting_until_it_is_repaired() -> None:
    cluster = paused_at_25()
    patch = {"spec": {"strategy": {"canary": {"canaryService": "nope"}}}}
    cluster.merge("rollouts", "web-frontend", patch)
    cluster.tick()
    assert cluster.selects("web-frontend-canary") == "", "the Service that is no longer named loses the hash"
    cluster.abort()
    cluster.pass_seconds(5)
    assert "abortedAt" not in cluster.status()
    assert cluster.status()["message"].startswith("InvalidSpec:")

    patch["spec"]["strategy"]["canary"]["canaryService"] = "web-frontend-canary"
    cluster.merge("rollouts", "web-frontend", patch)
    cluster.tick(2)

    assert "abortedAt" in cluster.status()
    assert cluster.weights() == (100, 0)


# ---- dynamicStableScale ----


def _dynamic_at_75(**canary: Any) -> Cluster:
    steps = [{"setWeight": 25}, {"setWeight": 50}, {"setWeight": 75}, {"pause": {}}]
    return paused_at_25(steps=steps, dynamicStableScale=True, **canary)


def test_with_dynamic_stable_scale_the_weights_walk_down_as_stable_comes_back() -> None:
    cluster = _dynamic_at_75()
    assert cluster.weights() == (25, 75)
    cluster.abort()

    looks = [cluster.weights()]
    for _ in range(40):
        cluster.tick()
        looks.append(cluster.weights())

    assert list(dict.fromkeys(looks)) == [(25, 75), (50, 50), (75, 25), (100, 0)]
    assert cluster.replicaset(cluster.status()["currentPodHash"])["spec"]["replicas"] == 0


def test_with_an_explicit_delay_besides_the_walk_stops_after_its_first_step_for_good() -> None:
    cluster = _dynamic_at_75(abortScaleDownDelaySeconds=5)
    cluster.abort()

    cluster.pass_seconds(60)

    assert cluster.weights() == (50, 50)
    assert "abortedAt" in cluster.status()


def test_without_the_delay_the_walk_goes_on_and_the_stable_template_frees_it_too() -> None:
    unset = {"spec": {"strategy": {"canary": {"abortScaleDownDelaySeconds": None}}}}
    back = {"spec": {"template": template("v1")}}
    for way_out in (unset, back):
        cluster = _dynamic_at_75(abortScaleDownDelaySeconds=5)
        cluster.abort()
        cluster.pass_seconds(10)

        cluster.merge("rollouts", "web-frontend", way_out)
        cluster.tick_until(lambda: cluster.weights() == (100, 0))  # noqa: B023 - called before the next round


# ---- leaving ----


def test_a_retry_starts_the_bad_version_again_at_step_zero() -> None:
    cluster = aborted()

    cluster.merge("rollouts", "web-frontend", {"status": {"abort": False}}, "status")
    cluster.tick()
    status = cluster.status()
    assert next(one for one in status["conditions"] if one["type"] == "Progressing")["reason"] == "RolloutRetry"
    assert "abortedAt" in status, "it goes one pass later"
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")

    assert cluster.weights() == (75, 25)
    assert cluster.status()["abort"] is False, "the false that was written stays stored"
    assert "abortedAt" not in cluster.status()
    assert _deadline(cluster) == ""


def test_out_of_an_abort_observed_generation_comes_one_write_before_the_new_hash() -> None:
    cluster = aborted()
    old, generation = cluster.status()["currentPodHash"], cluster.rollout()["metadata"]["generation"]
    release(cluster, "v3")

    cluster.tick()
    first = cluster.status()
    assert (first["observedGeneration"], first["currentPodHash"]) == (str(generation + 2), old)
    assert first["abort"] is True
    assert first["phase"] == "Progressing"

    cluster.tick()
    second = cluster.status()
    assert second["currentPodHash"] != old
    assert not {"abort", "abortedAt"} & set(second)


def test_the_stable_template_makes_it_healthy_at_once_and_the_old_canary_stays_until_its_deadline() -> None:
    cluster = aborted()
    bad, stable = cluster.status()["currentPodHash"], cluster.status()["stableRS"]
    replacement = [{"op": "replace", "path": "/spec/template", "value": template("v1")}]
    cluster.json_patch("rollouts", "web-frontend", replacement)

    cluster.tick()

    status = cluster.status()
    assert (status["phase"], status["currentPodHash"], status["currentStepIndex"]) == ("Healthy", stable, 2)
    assert not {"abort", "abortedAt"} & set(status)
    notes = cluster.replicaset(stable)["metadata"]["annotations"]
    assert (notes["rollout.argoproj.io/revision"], notes["rollout.argoproj.io/revision-history"]) == ("3", "1")
    cluster.pass_seconds(10)
    assert cluster.replicaset(bad)["spec"]["replicas"] == 1
    cluster.pass_seconds(22)
    assert cluster.replicaset(bad)["spec"]["replicas"] == 0


def test_other_steps_restart_an_aborted_canary() -> None:
    cluster = aborted()

    cluster.merge(
        "rollouts", "web-frontend", {"spec": {"strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}}}
    )
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")

    assert cluster.weights() == (50, 50)
    assert "abort" not in cluster.status()


def test_an_abort_that_comes_while_a_hotfix_waits_to_be_taken_over_is_lost() -> None:
    cluster = paused_at_25()
    judged = cluster.status()["currentPodHash"]

    release(cluster, "v3")
    assert cluster.status()["currentPodHash"] == judged
    cluster.abort()
    cluster.tick(3)

    assert cluster.status()["currentPodHash"] != judged
    assert not {"abort", "abortedAt"} & set(cluster.status())


def test_a_workload_reference_lends_its_template_and_both_generations_are_told() -> None:
    cluster = Cluster()
    for name in ("web-frontend-canary", "web-frontend-stable"):
        cluster.create("services", service(name))
    cluster.create("virtualservices", router())
    selector = {"matchLabels": {"app": "web-frontend"}}
    spec = {"replicas": 0, "selector": selector, "template": template("v1")}
    cluster.create("deployments", {"metadata": {"name": "web"}, "spec": spec})
    made = rollout(spec={"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}})
    del made["spec"]["template"]
    cluster.create("rollouts", made)
    cluster.tick_until(lambda: cluster.status().get("phase") == "Healthy")

    cluster.merge("deployments", "web", {"spec": {"template": template("v2")}})
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
    cluster.abort()
    cluster.tick()

    generation = cluster.rollout()["metadata"]["annotations"]["rollout.argoproj.io/workload-generation"]
    assert cluster.status()["workloadObservedGeneration"] == generation == "2"
    assert "template" not in cluster.rollout()["spec"]
    assert "abortedAt" in cluster.status()
    assert cluster.get("deployments", "web")["metadata"]["generation"] == 2, "nobody else wrote it"

"""The scene that every sandbox starts with."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.argo.templates import same
from sandbox.scene_kubernetes import seed_store
from tests.contract.cluster_by_hand import Cluster


class _Scene(Cluster):
    def __init__(self, seed: int = 1) -> None:
        super().__init__(now=datetime(2026, 11, 24, 3, 0, 0, 400_000, tzinfo=UTC))
        for name in ("argo-rollouts", "production"):
            self.store.delete("namespaces", "", name)
        seed_store(self.store, self.controller, self.now, random.Random(seed))


def _pods(cluster: Cluster) -> dict[str, int]:
    status = cluster.status()
    return {
        role: cluster.replicaset(status[key])["status"].get("availableReplicas", 0)
        for role, key in (("canary", "currentPodHash"), ("stable", "stableRS"))
    }


def test_web_frontend_is_paused_at_25_percent_with_ten_good_pods_behind_it() -> None:
    cluster = _Scene()
    cluster.tick()

    status = cluster.status()
    assert (status["phase"], status["message"]) == ("Paused", "CanaryPauseStep")
    assert cluster.weights() == (75, 25)
    assert status["canary"]["weights"]["canary"]["weight"] == 25
    assert _pods(cluster) == {"canary": 3, "stable": 10}
    assert cluster.selects("web-frontend-canary") == status["currentPodHash"]
    assert cluster.selects("web-frontend-stable") == status["stableRS"]


def test_the_version_under_way_is_older_than_any_alert_of_now() -> None:
    cluster = _Scene()

    born = cluster.replicaset(cluster.status()["currentPodHash"])["metadata"]["creationTimestamp"]
    completed = next(one for one in cluster.status()["conditions"] if one["type"] == "Completed")
    for since in (born, completed["lastTransitionTime"]):
        assert cluster.now - datetime.fromisoformat(since) > timedelta(minutes=5)
    assert completed["status"] == "False"


def test_the_scene_is_at_rest_and_only_the_lease_moves() -> None:
    cluster = _Scene()
    first = len(cluster.writes)

    cluster.pass_seconds(60)

    assert {one.kind for one in cluster.writes[first:]} == {"leases"}


def test_the_replicaset_of_the_canary_carries_the_rollouts_template() -> None:
    cluster = _Scene()

    made = cluster.replicaset(cluster.status()["currentPodHash"])
    assert same(made["spec"]["template"], cluster.rollout()["spec"]["template"])


def test_its_analysis_is_bad_but_within_its_limit_and_nobody_answers_at_its_prometheus() -> None:
    cluster = _Scene()
    cluster.pass_seconds(120)

    [run] = cluster.store.list("analysisruns")
    errors = next(one for one in run["status"]["metricResults"] if one["name"] == "error-rate")
    assert (run["status"]["phase"], errors["failed"]) == ("Running", 3)
    assert errors["measurements"][-1]["value"] == "[0.083]"
    assert "abort" not in cluster.status()


def test_an_abort_of_the_scene_ends_with_all_traffic_on_stable() -> None:
    cluster = _Scene()
    cluster.tick(3)

    cluster.abort()
    cluster.tick()
    assert cluster.weights() == (100, 0)
    assert "abortedAt" in cluster.status()
    cluster.pass_seconds(32)

    assert _pods(cluster) == {"canary": 0, "stable": 10}
    assert cluster.selects("web-frontend-canary") == cluster.status()["stableRS"]


def test_the_steps_go_on_if_nobody_does_anything() -> None:
    cluster = _Scene()

    cluster.pass_seconds(5 * 60 + 10)

    assert cluster.weights() == (50, 50)


def test_api_backend_is_healthy_and_active_and_preview_point_at_it() -> None:
    cluster = _Scene()
    cluster.tick(3)

    status = cluster.status("api-backend")
    assert (status["phase"], status["stableRS"]) == ("Healthy", status["currentPodHash"])
    assert status["blueGreen"]["activeSelector"] == cluster.selects("api-backend-active") == status["stableRS"]
    assert cluster.get("replicasets", f"api-backend-{status['stableRS']}")["status"]["availableReplicas"] == 5


def test_pod_hashes_differ_at_each_start() -> None:
    hashes: list[dict[str, Any]] = [_Scene(seed).status() for seed in (1, 2)]

    assert hashes[0]["currentPodHash"] != hashes[1]["currentPodHash"]
    assert hashes[0]["stableRS"] != hashes[1]["stableRS"]

"""Somebody scales while an abort is under way, in both worlds by the same words; the releases differ where the gate is closed."""

from __future__ import annotations

from tests.contract.scenario import Canary
from tests.support.waiting import eventually

DESIRED = "rollout.argoproj.io/desired-replicas"


def _told(canary: Canary, pod_hash: str) -> str:
    """For how many pods of the whole that ReplicaSet is prepared."""
    return str(canary.replicaset(pod_hash)["metadata"]["annotations"][DESIRED])


def _complete(canary: Canary, replicas: int) -> bool:
    stable = canary.replicaset(canary.status["stableRS"])
    return bool(stable["spec"]["replicas"] == stable["status"].get("availableReplicas") == replicas)


def test_scaled_while_the_gate_is_closed_1_10_moves_the_traffic_when_stable_is_complete_and_1_9_when_the_canary_is_gone(
    canary: Canary,
) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=6)
    new, stable = canary.status["currentPodHash"], canary.status["stableRS"]
    canary.world.hold(canary.namespace, f"web-{stable}", 1)
    canary.abort()
    canary.until_acknowledged()
    canary.scale(5)
    eventually(lambda: canary.replicaset(stable)["spec"]["replicas"] == 5, what="stable grows")
    canary.never(lambda: canary.weights != (75, 25), for_seconds=2, what="the weights move")

    canary.world.let_go()
    eventually(lambda: _complete(canary, 5), within=20, what="stable is complete")

    if canary.world.rollouts.startswith("v1.10."):
        canary.until_weights(100, 0, within=5)
        assert _told(canary, new) == "5"
        assert canary.replicaset(new)["spec"]["replicas"] == 1, "the canary is still there"
    else:
        canary.never(lambda: canary.weights != (75, 25), for_seconds=2.5, what="the weights move")
        assert _told(canary, new) == "4"
        eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 0, within=20, what="the canary goes")
        canary.until_weights(100, 0)
    assert canary.acknowledged


def test_scaled_before_an_abort_the_traffic_moves_when_the_new_size_is_there(canary: Canary) -> None:
    canary.paused_at_25()
    new, stable = canary.status["currentPodHash"], canary.status["stableRS"]
    canary.world.hold(canary.namespace, f"web-{stable}", 1)
    canary.scale(6)
    eventually(lambda: _told(canary, new) == "6", within=20, what="the canary knows the new size")
    canary.quiet()
    canary.abort()
    canary.until_acknowledged()
    assert canary.weights == (75, 25), "stable is not complete"

    canary.world.let_go()
    eventually(lambda: _complete(canary, 6), within=20, what="stable has its new size")

    canary.until_weights(100, 0, within=5)
    eventually(lambda: canary.deadline(new), what="the delay begins")
    assert canary.status["phase"] == "Degraded"


def test_scaled_after_an_abort_has_moved_the_traffic_only_the_pods_follow(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=30)
    canary.abort()
    canary.until_weights(100, 0)
    canary.until_acknowledged()
    aborted_at = canary.status["abortedAt"]

    canary.scale(6)
    eventually(lambda: _complete(canary, 6), within=20, what="stable has its new size")

    assert canary.weights == (100, 0)
    assert (canary.status["phase"], canary.status["abortedAt"]) == ("Degraded", aborted_at)

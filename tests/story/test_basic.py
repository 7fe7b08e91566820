"""A canary without a router: its traffic is its pods, which Ripcord does not read. It says so, and claims nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.story.town import ROLLOUTS, Town
from tests.support.waiting import eventually

WEB = f"{ROLLOUTS}/production/rollouts/web-frontend"
MERGE = "application/merge-patch+json"
WITHOUT_A_ROUTER = {"spec": {"strategy": {"canary": {"trafficRouting": None}}}}


def _pods(town: Town) -> dict[str, int]:
    """How many pods of each version are wanted, by hash."""
    found = town.kubernetes("GET", "/apis/apps/v1/namespaces/production/replicasets")["items"]
    mine = [one for one in found if one["metadata"]["labels"].get("app") == "web-frontend"]
    return {one["metadata"]["labels"]["rollouts-pod-template-hash"]: one["spec"]["replicas"] for one in mine}


def _without_a_router(town: Town) -> dict[str, Any]:
    """Somebody takes the router out of spec; the status, once the controller has done what that asks for."""
    town.kubernetes("PATCH", WEB, WITHOUT_A_ROUTER, MERGE)

    def settled() -> dict[str, Any]:
        status = dict(town.rollout()["status"])
        assert "weights" not in status["canary"]
        assert status["observedGeneration"] == str(town.rollout()["metadata"]["generation"])
        return status

    return eventually(settled, within=20, what="no weights are told any more")


def test_a_canary_without_a_router_is_refused_aloud_and_nothing_is_touched(build: Callable[..., Town]) -> None:
    town = build()
    status = _without_a_router(town)
    bad, stable = status["currentPodHash"], status["stableRS"]
    eventually(lambda: (_pods(town)[bad], _pods(town)[stable]) == (3, 8), within=20, what="pods carry the weight")
    town.start()
    town.alert()
    run = town.ended()

    assert run["state"] == "refused"
    note = town.note()
    assert "web-frontend is a basic canary without trafficRouting; Ripcord aborts canaries routed by Istio only" in note
    assert "PROVEN" not in note
    assert _ours(town) == []
    assert "abort" not in town.rollout()["status"]
    assert _pods(town)[bad] == 3, "the bad pods serve on"
    assert town.incident()["status"] == "triggered"


def _ours(town: Town) -> list[dict[str, Any]]:
    return [one for one in town.effects("PATCH", "/rollouts/") if "fieldManager=ripcord" in one["query"]]


def test_a_router_that_is_taken_away_after_the_abort_is_no_proof_whatever_the_old_weights_said(
    build: Callable[..., Town],
) -> None:
    """The bad pods may go or stay: weights that nobody tells any more and a router that nobody writes prove neither."""
    town = build()
    town.control(
        "kubernetes", {"stable_missing_pod": "production/web-frontend"}
    )  # the gate: the abort stands and waits
    targets = town.runbooks / "targets.yaml"
    shorter = "name: web-frontend\n    budgets: {acknowledge: 6s, traffic: 12s}"
    targets.write_text(targets.read_text().replace("name: web-frontend", shorter, 1))
    town.start()
    town.alert()
    eventually(lambda: town.rollout()["status"].get("abortedAt"), within=30, what="the abort is acknowledged")
    _without_a_router(town)
    town.control("kubernetes", {"stable_missing_pod": None})
    run = town.ended(within=120)

    assert run["state"] == "unproven"
    assert "status holds no weights" in town.note()
    assert len(_ours(town)) == 1

"""A Rollout that borrows its template from a Deployment (workloadRef), in both worlds by the same words."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import Object
from tests.contract.scenario import Canary, template
from tests.contract.writes import both, delayed, has, routed, says, told, turned_to
from tests.support.waiting import eventually


def _path(canary: Canary) -> str:
    return f"/apis/apps/v1/namespaces/{canary.namespace}/deployments"


def _deployment(canary: Canary) -> Object:
    return dict(canary.world.get(f"{_path(canary)}/web").json)


def _release(canary: Canary, version: str) -> None:
    answer = canary.world.merge(f"{_path(canary)}/web", {"spec": {"template": template(version)}})
    assert answer.code == 200, answer.text


def _paused_at_25(canary: Canary, **more: Any) -> None:
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template("v1")},
    }
    assert canary.world.post(_path(canary), body).code == 201
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    # A null in a new object is a member left out: the template is the Deployment's.
    canary.deployed(spec={"workloadRef": reference, "template": None}, **more)
    first = canary.status["currentPodHash"]
    _release(canary, "v2")
    eventually(lambda: canary.status["currentPodHash"] != first, what="v2 is taken over")
    canary.until("Paused")


def test_an_abort_leaves_the_deployment_alone_and_ends_with_the_stable_template_in_it(canary: Canary) -> None:
    _paused_at_25(canary)
    status, before = canary.status, _deployment(canary)["metadata"]["resourceVersion"]
    assert status["workloadObservedGeneration"] == str(_deployment(canary)["metadata"]["generation"])
    assert "template" not in canary.rollout["spec"], "the borrowed template is never written into it"
    new, stable = status["currentPodHash"], status["stableRS"]

    with canary.world.record(canary.namespace) as record:
        canary.abort()
        record.in_order(
            ("the canary Service", "services", turned_to(stable)),
            ("the router", "virtualservices", routed(0)),
            ("the delay begins", "replicasets", delayed(new)),
            ("acknowledged", "rollouts", both(says(phase="Degraded"), has("abortedAt"), told(0, new))),
        )

    assert canary.status["message"] == "RolloutAborted: Rollout aborted update to revision 2"
    assert _deployment(canary)["metadata"]["resourceVersion"] == before
    canary.quiet()

    _release(canary, "v1")
    eventually(lambda: canary.status["currentPodHash"] == stable, what="the stable version is taken over")
    canary.until("Healthy")

    assert not {"abort", "abortedAt"} & set(canary.status)
    assert canary.status["workloadObservedGeneration"] == str(_deployment(canary)["metadata"]["generation"])


def test_another_template_in_the_deployment_ends_the_abort_as_a_new_release(canary: Canary) -> None:
    _paused_at_25(canary)
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)
    aborted = canary.status["currentPodHash"]
    canary.quiet()

    _release(canary, "v3")
    eventually(lambda: canary.status["currentPodHash"] != aborted, what="v3 is taken over")
    canary.until("Paused")

    assert not {"abort", "abortedAt"} & set(canary.status)
    assert canary.weights == (75, 25)

"""How a release comes to where an abort meets it, in both worlds by the same words: the first rows of the table in traces/canary.md."""

from __future__ import annotations

from tests.contract.scenario import HASH, Canary
from tests.contract.writes import both, conditioned, has, routed, says, scaled, told, turned_to
from tests.support.waiting import eventually

REVISION = "rollout.argoproj.io/revision"


def test_a_new_template_makes_a_replicaset_numbers_the_rollout_takes_the_hash_over_and_then_wants_pods(
    canary: Canary,
) -> None:
    canary.deployed()
    old, generation = canary.status["currentPodHash"], canary.rollout["metadata"]["generation"]

    with canary.world.record(canary.namespace) as record:
        new = canary.release_unready("v2")
        record.in_order(
            ("a ReplicaSet without pods", "replicasets", scaled(new, 0)),
            ("the revision on the Rollout", "rollouts", lambda one: one["metadata"]["annotations"][REVISION] == "2"),
            ("Progressing tells of it", "rollouts", conditioned("Progressing", "True", "NewReplicaSetCreated")),
            ("the hash is taken over", "rollouts", says(currentPodHash=new)),
            ("pods are wanted", "replicasets", scaled(new, 1)),
        )
        taken = next(one for one in record.of("rollouts") if one["status"]["currentPodHash"] == new)
        record.in_order(
            ("the hash is taken over", "rollouts", says(currentPodHash=new)),
            ("the weights name it", "rollouts", told(0, new)),
        )

    status = taken["status"]
    assert (status["phase"], status["message"]) == ("Progressing", "more replicas need to be updated")
    assert (status["currentStepIndex"], status["stableRS"], "updatedReplicas" in status) == (0, old, False)
    assert conditioned("Completed", "False")(taken)
    assert conditioned("Healthy", "False")(taken)
    assert taken["metadata"]["generation"] > generation + 1, "the controller's own write raised it once more"
    assert int(status["observedGeneration"]) == taken["metadata"]["generation"]


def test_an_available_canary_pod_turns_the_service_then_the_router_then_the_step_and_then_pauses(
    canary: Canary,
) -> None:
    canary.deployed()
    new = canary.release_unready("v2")
    canary.quiet()

    with canary.world.record(canary.namespace) as record:
        canary.world.let_go()
        record.in_order(
            ("the canary Service", "services", turned_to(new)),
            ("the router", "virtualservices", routed(25)),
            ("the step and its weights", "rollouts", both(says(currentStepIndex=1), told(25, new))),
            ("the pause", "rollouts", both(says(phase="Paused", controllerPause=True), has("pauseConditions"))),
            ("the conditions", "rollouts", both(conditioned("Paused", "True"), conditioned("Progressing", "Unknown"))),
        )
        paused = next(one for one in record.of("rollouts") if one["status"]["phase"] == "Paused")

    assert paused["status"]["message"] == "CanaryPauseStep"
    assert [one["reason"] for one in paused["status"]["pauseConditions"]] == ["CanaryPauseStep"]
    assert record.version("rollouts", says(currentStepIndex=1)) < int(paused["metadata"]["resourceVersion"])


def test_another_template_while_paused_is_taken_over_in_one_write_and_starts_at_the_first_step(canary: Canary) -> None:
    canary.paused_at_25()
    second = canary.status["currentPodHash"]

    with canary.world.record(canary.namespace) as record:
        canary.release("v3")
        canary.until("Paused")
        third = canary.status["currentPodHash"]
        record.in_order(
            ("a ReplicaSet without pods", "replicasets", scaled(third, 0)),
            ("the revision on the Rollout", "rollouts", lambda one: one["metadata"]["annotations"][REVISION] == "3"),
            ("the hash is taken over", "rollouts", says(currentPodHash=third)),
            ("pods are wanted", "replicasets", scaled(third, 1)),
        )
        taken = next(one for one in record.of("rollouts") if one["status"]["currentPodHash"] == third)

    assert third != second
    assert int(taken["status"]["observedGeneration"]) == taken["metadata"]["generation"], "both in one write"
    assert taken["status"]["currentStepIndex"] == 0
    assert not {"pauseConditions", "controllerPause"} & set(taken["status"])
    assert canary.weights == (75, 25)
    eventually(lambda: canary.replicaset(second)["spec"]["replicas"] == 0, within=20, what="the second one goes")


def test_healthy_is_told_before_the_stable_service_and_the_router_are_back(canary: Canary) -> None:
    """A promotion ends with the router at 0/100, then the status, then the stable Service, then the router at 100/0."""
    canary.paused_at_25()
    new = canary.status["currentPodHash"]

    with canary.world.record(canary.namespace) as record:
        canary.patch_status(pauseConditions=None)
        record.in_order(
            ("the router, all the way", "virtualservices", routed(100)),
            ("Healthy", "rollouts", says(phase="Healthy", stableRS=new)),
            ("the stable Service", "services", turned_to(new, "web-stable")),
            ("the router, back", "virtualservices", routed(0)),
            ("the weights", "rollouts", told(0, new)),
        )
    assert canary.weights == (100, 0)


def test_a_canary_without_a_ready_pod_loses_its_traffic_by_itself_and_keeps_its_service(canary: Canary) -> None:
    canary.paused_at_25()
    new = canary.status["currentPodHash"]

    canary.world.hold(canary.namespace, f"web-{new}", 1)

    canary.until_weights(100, 0)
    eventually(lambda: told(0, new)(canary.rollout), what="told")
    assert canary.selects("web-canary") == new
    assert "abort" not in canary.status
    canary.world.let_go()
    canary.until_weights(75, 25)


def test_pods_carry_the_hash_that_the_status_and_the_services_name(canary: Canary) -> None:
    canary.paused_at_25()
    status = canary.status
    for service, pod_hash in (("web-stable", status["stableRS"]), ("web-canary", status["currentPodHash"])):
        replicaset = canary.replicaset(pod_hash)
        assert canary.selects(service) == pod_hash
        assert replicaset["metadata"]["labels"][HASH] == pod_hash
        assert replicaset["spec"]["selector"]["matchLabels"] == {"app": "web", HASH: pod_hash}
        assert replicaset["spec"]["template"]["metadata"]["labels"] == {"app": "web", HASH: pod_hash}

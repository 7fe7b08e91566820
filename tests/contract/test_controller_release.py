"""A release, from the first deploy to the end of its steps: the rows of traces/canary.md that come before an abort."""

from __future__ import annotations

from tests.contract.cluster_by_hand import (
    Cluster,
    deployed,
    paused_at_25,
    release,
    rollout,
    router,
    service,
    template,
)

REVISION = "rollout.argoproj.io/revision"


def test_a_first_deploy_comes_to_healthy_by_itself_and_takes_the_services_over() -> None:
    cluster = deployed()

    status = cluster.status()
    assert (status["phase"], status["stableRS"]) == ("Healthy", status["currentPodHash"])
    assert status["currentStepIndex"] == 2, "the steps of a first deploy are skipped"
    assert cluster.selects("web-frontend-stable") == cluster.selects("web-frontend-canary") == status["stableRS"]
    assert cluster.weights() == (100, 0)
    assert cluster.replicaset(status["stableRS"])["status"]["availableReplicas"] == 4


def test_the_controller_itself_makes_generation_two_of_a_first_deploy() -> None:
    cluster = deployed()

    metadata = cluster.rollout()["metadata"]
    assert metadata["generation"] == 2, "it writes the template back with `resources: {}`"
    assert cluster.rollout()["spec"]["template"]["spec"]["containers"][0]["resources"] == {}
    assert cluster.status()["observedGeneration"] == "2"
    assert metadata["annotations"][REVISION] == "1"


def test_stable_equals_current_in_the_first_status_before_any_pod_is_ready() -> None:
    cluster = Cluster()
    for name in ("web-frontend-canary", "web-frontend-stable"):
        cluster.create("services", service(name))
    cluster.create("virtualservices", router())
    cluster.create("rollouts", rollout())

    cluster.tick()

    status = cluster.status()
    assert status["stableRS"] == status["currentPodHash"]
    assert "availableReplicas" not in status


def test_pods_are_available_two_ticks_after_they_are_wanted() -> None:
    cluster = deployed()
    release(cluster)
    pod_hash = ""
    while not pod_hash or not cluster.replicaset(pod_hash)["spec"]["replicas"]:
        cluster.tick()
        pod_hash = next((h for h in [cluster.status()["currentPodHash"]] if h != cluster.status()["stableRS"]), "")

    cluster.tick()
    counted = cluster.replicaset(pod_hash)["status"]
    assert (counted["replicas"], counted.get("availableReplicas", 0)) == (1, 0)
    cluster.tick(2)
    assert cluster.replicaset(pod_hash)["status"]["availableReplicas"] == 1


def test_a_release_is_made_in_the_recorded_order() -> None:
    cluster = deployed()
    generation, first = cluster.rollout()["metadata"]["generation"], len(cluster.writes)
    release(cluster)

    cluster.tick()

    made = cluster.status()["currentPodHash"]
    assert cluster.written("rollouts", "replicasets", since=first) == [
        f"replicasets/web-frontend-{made}",
        "rollouts/web-frontend",  # revision, and the template written back: one more generation
        "rollouts/web-frontend",  # the condition NewReplicaSetCreated
        "rollouts/web-frontend",  # the new hash
    ]
    assert cluster.rollout()["metadata"]["generation"] == generation + 2
    assert cluster.status()["observedGeneration"] == str(generation + 2)
    assert cluster.status()["currentStepIndex"] == 0
    assert cluster.replicaset(made)["spec"]["replicas"] == 0
    assert cluster.replicaset(made)["metadata"]["annotations"][REVISION] == "2"


def test_a_replicaset_carries_what_a_client_needs_to_compare_it() -> None:
    cluster = paused_at_25()

    owner, made = cluster.rollout(), cluster.replicaset(cluster.status()["currentPodHash"])
    pod_hash = cluster.status()["currentPodHash"]
    [reference] = made["metadata"]["ownerReferences"]
    assert (reference["uid"], reference["controller"]) == (owner["metadata"]["uid"], True)
    assert made["metadata"]["labels"]["rollouts-pod-template-hash"] == pod_hash
    assert made["spec"]["selector"]["matchLabels"]["rollouts-pod-template-hash"] == pod_hash
    assert made["spec"]["template"]["metadata"]["labels"]["rollouts-pod-template-hash"] == pod_hash
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert "restartPolicy" not in owner["spec"]["template"]["spec"], "the Rollout keeps what its author wrote"


def test_a_change_of_labels_alone_raises_the_revision_but_no_second_generation() -> None:
    cluster = paused_at_25()
    generation = cluster.rollout()["metadata"]["generation"]

    cluster.merge("rollouts", "web-frontend", {"spec": {"template": {"metadata": {"annotations": {"note": "x"}}}}})
    cluster.tick(2)

    assert cluster.rollout()["metadata"]["generation"] == generation + 1
    assert cluster.rollout()["metadata"]["annotations"][REVISION] == "3"


def test_an_endless_pause_waits_for_somebody() -> None:
    cluster = paused_at_25()

    cluster.pass_seconds(600)
    assert cluster.status()["message"] == "CanaryPauseStep"
    assert cluster.weights() == (75, 25)

    cluster.merge("rollouts", "web-frontend", {"status": {"pauseConditions": None}}, "status")
    cluster.tick_until(lambda: cluster.status()["phase"] == "Healthy")


def test_a_timed_pause_ends_by_the_clock_and_the_last_step_promotes() -> None:
    cluster = paused_at_25(steps=[{"setWeight": 25}, {"pause": {"duration": "40s"}}, {"setWeight": 50}, {"pause": {}}])

    cluster.pass_seconds(36)
    assert cluster.weights() == (75, 25)
    cluster.tick_until(lambda: cluster.weights() == (50, 50))
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
    cluster.merge("rollouts", "web-frontend", {"status": {"pauseConditions": None}}, "status")
    cluster.tick_until(lambda: cluster.status()["phase"] == "Healthy")
    cluster.tick(5)

    status = cluster.status()
    assert status["stableRS"] == status["currentPodHash"] == cluster.selects("web-frontend-stable")
    assert cluster.weights() == (100, 0), "at the end the new version is the stable one"


def test_the_old_version_lives_on_for_its_delay_after_a_promotion() -> None:
    cluster = paused_at_25(scaleDownDelaySeconds=10)
    old = cluster.status()["stableRS"]
    cluster.merge("rollouts", "web-frontend", {"status": {"pauseConditions": None}}, "status")
    cluster.tick_until(lambda: cluster.status()["phase"] == "Healthy")

    cluster.pass_seconds(5)
    assert cluster.replicaset(old)["spec"]["replicas"] == 4
    cluster.pass_seconds(7)
    assert cluster.replicaset(old)["spec"]["replicas"] == 0
    assert "scale-down-deadline" not in cluster.replicaset(old)["metadata"]["annotations"]


def test_canary_pods_follow_the_weight_and_stable_stays_complete() -> None:
    cluster = deployed(replicas=10, steps=[{"setWeight": 25}, {"pause": {}}])
    release(cluster)
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")

    status = cluster.status()
    assert cluster.replicaset(status["currentPodHash"])["spec"]["replicas"] == 3
    assert cluster.replicaset(status["stableRS"])["spec"]["replicas"] == 10


def test_a_spec_that_names_what_is_not_there_is_invalid_until_it_is_there() -> None:
    cluster = Cluster()
    cluster.create("rollouts", rollout())
    cluster.tick()
    assert cluster.status()["phase"] == "Degraded"
    assert cluster.status()["message"] == (
        'InvalidSpec: The Rollout "web-frontend" is invalid: '
        'spec.strategy.canary.canaryService: Invalid value: "web-frontend-canary": '
        'service "web-frontend-canary" not found'
    )

    for name in ("web-frontend-canary", "web-frontend-stable"):
        cluster.create("services", service(name))
    cluster.create("virtualservices", router())
    cluster.tick_until(lambda: cluster.status()["phase"] == "Healthy")


def test_a_paused_canary_that_gets_another_template_takes_the_new_hash_over_in_one_write() -> None:
    cluster = paused_at_25()
    middle, generation = cluster.status()["currentPodHash"], cluster.rollout()["metadata"]["generation"]

    release(cluster, "v3")
    cluster.tick()

    status = cluster.status()
    assert status["currentPodHash"] not in (middle, status["stableRS"])
    assert status["observedGeneration"] == str(generation + 2)
    assert "pauseConditions" not in status
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
    cluster.tick(3)
    assert cluster.replicaset(middle)["spec"]["replicas"] == 0, "the version in between goes"


def test_replicasets_beyond_the_history_limit_are_forgotten() -> None:
    cluster = deployed(spec={"revisionHistoryLimit": 1})
    for version in ("v2", "v3", "v4"):
        release(cluster, version)
        cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
        cluster.tick(3)

    images = [
        rs["spec"]["template"]["spec"]["containers"][0]["image"].rsplit(":", 1)[-1]
        for rs in cluster.store.list("replicasets")
    ]
    assert sorted(images) == ["v1", "v3", "v4"]


def test_a_canary_without_router_moves_pods_instead_of_weights() -> None:
    cluster = deployed(replicas=4, steps=[{"setWeight": 50}, {"pause": {}}], trafficRouting=None)
    release(cluster)
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")

    status = cluster.status()
    assert cluster.replicaset(status["currentPodHash"])["spec"]["replicas"] == 2
    assert cluster.replicaset(status["stableRS"])["spec"]["replicas"] == 2

    cluster.abort()
    cluster.tick_until(lambda: cluster.replicaset(status["stableRS"])["status"].get("availableReplicas") == 4)
    cluster.tick(3)
    assert cluster.replicaset(status["currentPodHash"])["spec"]["replicas"] == 0
    assert "updatedReplicas" not in cluster.status()
    assert cluster.status()["phase"] == "Degraded"


def test_a_scale_of_a_healthy_rollout_is_followed() -> None:
    cluster = deployed()

    cluster.merge("rollouts", "web-frontend", {"spec": {"replicas": 6}})
    cluster.tick_until(lambda: cluster.status().get("availableReplicas") == 6)
    cluster.tick(3)

    made = cluster.replicaset(cluster.status()["stableRS"])
    assert made["metadata"]["annotations"]["rollout.argoproj.io/desired-replicas"] == "6"
    assert cluster.status()["phase"] == "Healthy"


def test_a_blue_green_rollout_comes_up_and_stays_healthy() -> None:
    cluster = Cluster()
    for name in ("api-active", "api-preview"):
        cluster.create("services", service(name, "api"))
    strategy = {"activeService": "api-active", "previewService": "api-preview", "autoPromotionEnabled": False}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "api"}},
        "template": template("v1"),
        "strategy": {"blueGreen": strategy},
    }
    cluster.create("rollouts", {"metadata": {"name": "api"}, "spec": spec})

    cluster.tick_until(lambda: cluster.status("api").get("phase") == "Healthy")

    status = cluster.status("api")
    assert status["blueGreen"]["activeSelector"] == status["stableRS"] == cluster.selects("api-active")
    assert cluster.selects("api-preview") == status["currentPodHash"]


def test_a_cluster_at_rest_writes_nothing_but_the_lease() -> None:
    cluster = paused_at_25()
    first = len(cluster.writes)

    cluster.pass_seconds(20)

    assert {one.kind for one in cluster.writes[first:]} == {"leases"}

"""The ways out of an aborted canary, in both worlds by the same words: retry, the stable template, a promotion."""

from __future__ import annotations

from tests.contract.scenario import HASH, Canary
from tests.contract.writes import both, conditioned, routed, says, scaled, told, turned_to, undelayed
from tests.support.waiting import eventually

REVISION = "rollout.argoproj.io/revision"
DYNAMIC = [{"setWeight": 25}, {"setWeight": 50}, {"setWeight": 75}, {"pause": {}}]


def _aborted(canary: Canary, **more: object) -> tuple[str, str]:
    """(new, stable): at 25 %, aborted, the traffic gone."""
    canary.paused_at_25(**more)
    status = canary.status
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)
    return status["currentPodHash"], status["stableRS"]


def test_a_retry_within_the_delay_sends_traffic_again_before_it_forgets_the_abort(canary: Canary) -> None:
    new, _stable = _aborted(canary)
    eventually(lambda: canary.deadline(new), what="the delay begins")

    with canary.world.record(canary.namespace) as record:
        canary.patch_status(abort=False)
        record.in_order(
            (
                "it tells",
                "rollouts",
                both(says(phase="Progressing"), conditioned("Progressing", "Unknown", "RolloutRetry")),
            ),
            ("the traffic comes", "virtualservices", routed(25)),
            ("the deadline goes", "replicasets", undelayed(new)),
            ("abortedAt goes", "rollouts", says(abortedAt=None)),
            ("and pauses", "rollouts", says(phase="Paused")),
        )
        told_first = next(one for one in record.of("rollouts") if one["status"]["phase"] == "Progressing")

    assert told_first["status"]["abortedAt"], "it is progressing again and still says when it was aborted"
    assert canary.status["currentStepIndex"] == 1


def test_a_retry_after_the_pods_are_gone_wants_them_again_before_it_forgets_the_abort(canary: Canary) -> None:
    new, _stable = _aborted(canary, abortScaleDownDelaySeconds=1)
    eventually(lambda: "updatedReplicas" not in canary.status, within=20, what="the last pod is gone")
    canary.quiet()

    with canary.world.record(canary.namespace) as record:
        canary.patch_status(abort=False)
        record.in_order(
            ("it tells", "rollouts", conditioned("Progressing", "Unknown", "RolloutRetry")),
            ("pods are wanted", "replicasets", scaled(new, 1)),
            ("abortedAt goes", "rollouts", says(abortedAt=None)),
            ("the canary Service", "services", turned_to(new)),
            ("the traffic comes", "virtualservices", routed(25)),
            ("and pauses", "rollouts", says(phase="Paused")),
        )


def test_the_stable_template_renumbers_stable_then_ends_the_abort_healthy_in_one_write(canary: Canary) -> None:
    new, stable = _aborted(canary)
    eventually(lambda: canary.deadline(new), what="the delay begins")

    with canary.world.record(canary.namespace) as record:
        canary.release("v1")
        record.in_order(
            (
                "stable's new number",
                "replicasets",
                lambda one: (
                    one["metadata"]["labels"][HASH] == stable and one["metadata"]["annotations"][REVISION] == "3"
                ),
            ),
            ("the Rollout's", "rollouts", lambda one: one["metadata"]["annotations"][REVISION] == "3"),
            ("the end of the abort", "rollouts", says(currentPodHash=stable, abort=None, abortedAt=None)),
            ("the weights name stable twice", "rollouts", told(0, stable)),
        )
        ended = next(one for one in record.of("rollouts") if one["status"]["currentPodHash"] == stable)

    assert (ended["status"]["phase"], ended["status"]["currentStepIndex"]) == ("Healthy", 2)
    assert canary.replicaset(new)["spec"]["replicas"] == 1, "the old canary lives on"
    assert canary.deadline(new), "until its old deadline"
    canary.until("Healthy")
    with canary.world.record(canary.namespace) as record:
        canary.never(lambda: record.of("services"), for_seconds=1.5, what="the canary Service flips still")
    assert canary.selects("web-canary") == stable
    completed = [one for one in canary.events("RolloutCompleted") if "revision 3" in one["message"]]
    assert completed == [], "Healthy, and no event says so"


def test_the_template_of_the_stable_replicaset_with_its_hash_label_left_in_is_the_same_version(canary: Canary) -> None:
    _new, stable = _aborted(canary)
    template = canary.replicaset(stable)["spec"]["template"]
    assert template["metadata"]["labels"][HASH] == stable

    canary.spec(template=template)
    canary.until("Healthy")

    assert canary.status["currentPodHash"] == canary.status["stableRS"] == stable
    assert canary.weights == (100, 0)


def test_a_full_promotion_of_an_aborted_version_forgets_the_abort_before_its_pods_are_there(canary: Canary) -> None:
    new, stable = _aborted(canary)
    canary.world.hold(canary.namespace, f"web-{new}", 1)

    canary.patch_status(promoteFull=True)
    eventually(lambda: not {"abort", "abortedAt"} & set(canary.status), what="the abort is forgotten")

    assert canary.status["stableRS"] == stable
    canary.world.let_go()
    canary.until("Healthy")
    assert (canary.status["stableRS"], canary.status["currentStepIndex"]) == (new, 2), "past all steps"
    eventually(lambda: canary.selects("web-stable") == new, what="the stable Service follows")


def test_a_stopped_walk_goes_on_when_the_explicit_delay_is_taken_out_of_spec(canary: Canary) -> None:
    canary.paused_at_25(steps=DYNAMIC, dynamicStableScale=True, abortScaleDownDelaySeconds=30)
    canary.abort()
    canary.until_weights(50, 50)
    canary.quiet()

    canary.spec(strategy={"canary": {"abortScaleDownDelaySeconds": None}})

    canary.until_weights(100, 0)
    assert canary.status["abort"] is True


def test_out_of_a_stopped_walk_the_stable_template_is_healthy_before_the_traffic_is_back(canary: Canary) -> None:
    canary.paused_at_25(steps=DYNAMIC, dynamicStableScale=True, abortScaleDownDelaySeconds=30)
    stable = canary.status["stableRS"]
    canary.abort()
    canary.until_weights(50, 50)
    canary.quiet()

    with canary.world.record(canary.namespace) as record:
        canary.release("v1")
        record.in_order(
            ("Healthy", "rollouts", says(phase="Healthy", currentPodHash=stable)),
            ("the traffic", "virtualservices", routed(0)),
        )
    canary.until("Healthy")
    assert canary.weights == (100, 0)

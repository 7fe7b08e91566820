"""A canary that makes no progress, in both worlds by the same words: the deadline is told, and on request it aborts."""

from __future__ import annotations

from tests.contract.scenario import Canary
from tests.contract.writes import both, conditioned, delayed, has, routed, says, scaled
from tests.support.waiting import eventually

ABORTED = "RolloutAborted: Rollout aborted update to revision 2"


def _stuck(canary: Canary, **more: object) -> str:
    """The canary's pod does not become ready; the new hash."""
    canary.deployed(spec={"progressDeadlineSeconds": 2, **more}, abortScaleDownDelaySeconds=1)
    return canary.release_unready("v2")


def test_a_deadline_that_has_passed_is_degraded_with_nothing_aborted_and_no_end_once_the_pod_is_ready(
    canary: Canary,
) -> None:
    new = _stuck(canary)
    canary.until("Degraded")

    status = canary.status
    assert status["message"] == f'ProgressDeadlineExceeded: ReplicaSet "web-{new}" has timed out progressing.'
    assert not {"abort", "abortedAt"} & set(status)
    assert canary.replicaset(new)["spec"]["replicas"] == 1
    assert canary.deadline(new) == ""

    canary.world.let_go()
    canary.until("Paused")

    assert canary.weights == (75, 25)
    assert canary.status["currentPodHash"] == new


def test_an_abort_after_the_deadline_is_carried_out_and_says_so(canary: Canary) -> None:
    new = _stuck(canary)
    canary.until("Degraded")

    canary.abort()
    canary.until_acknowledged()

    eventually(lambda: canary.status["message"] == ABORTED, what="it says aborted, not timed out")
    eventually(lambda: canary.deadline(new), what="the delay begins")


def test_a_deadline_that_aborts_leaves_its_cause_from_1_10_on_and_none_before(canary: Canary) -> None:
    with canary.world.record(canary.namespace) as record:
        new = _stuck(canary, progressDeadlineAbort=True)
        cause = f'ReplicaSet "web-{new}" has timed out progressing.'
        record.in_order(
            ("acknowledged", "rollouts", both(says(abort=True), has("abortedAt"))),
            ("the delay begins", "replicasets", delayed(new)),
            ("scaled down", "replicasets", both(delayed(new), scaled(new, 0))),
            within=30,
        )
        canary.quiet()
        first = next(one for one in record.of("rollouts") if (one.get("status") or {}).get("abortedAt"))
        timed_out = record.version("rollouts", conditioned("Progressing", "False", "ProgressDeadlineExceeded"))

    if canary.world.rollouts.startswith("v1.10."):
        assert canary.status["message"] == first["status"]["message"] == f"{ABORTED}: {cause}"
        assert timed_out == -1
    else:
        assert first["status"]["message"] == f"ProgressDeadlineExceeded: {cause}", "for one pass"
        assert timed_out == int(first["metadata"]["resourceVersion"])
        assert canary.status["message"] == ABORTED, "as if a person had done it"
    assert first["status"]["phase"] == "Degraded"
    assert record.version("virtualservices", routed(25)) == -1, "no traffic ever went there"


def test_what_is_promoted_and_loses_a_pod_is_aborted_by_1_9_until_the_pod_is_back_and_never_by_1_10(
    canary: Canary,
) -> None:
    """A stable pod that goes away is not a release that makes no progress; v1.9 does not tell them apart."""
    canary.deployed(spec={"progressDeadlineSeconds": 2, "progressDeadlineAbort": True})
    stable = canary.status["stableRS"]
    canary.world.hold(canary.namespace, f"web-{stable}", 1)
    canary.until("Degraded")
    status = canary.status

    assert status["message"] == f'ProgressDeadlineExceeded: ReplicaSet "web-{stable}" has timed out progressing.'
    assert canary.condition("Available")["status"] == "False"
    healthy = canary.condition("Healthy")
    assert (healthy["status"], healthy["message"]) == ("False", "Rollout is not healthy")
    older = not canary.world.rollouts.startswith("v1.10.")
    canary.never(lambda: ("abort" in canary.status) != older, for_seconds=2, what="another opinion")
    assert canary.weights == (100, 0)
    canary.world.let_go()
    canary.until("Healthy")
    assert not {"abort", "abortedAt"} & set(canary.status)

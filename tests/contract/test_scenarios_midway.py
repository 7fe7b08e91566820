"""An abort while the canary is on its way: pods coming, weights rising, a pause ending, `spec.paused`, in both worlds by the same words."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest

from tests.cluster.api import Object
from tests.contract.scenario import HASH, Canary
from tests.contract.worlds import Record
from tests.contract.writes import both, delayed, has, routed, says, scaled, told, turned_to
from tests.support.waiting import eventually

TO_50: list[Object] = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
UPHILL: list[Object] = [{"setCanaryScale": {"replicas": 4}}, *({"setWeight": weight} for weight in range(2, 98, 2))]


def _weights(record: Record) -> list[int]:
    """What the router gave the canary, one after the other."""
    return [int(one["spec"]["http"][0]["route"][1].get("weight", 0)) for one in record.of("virtualservices")]


def _waiting_for_a_pod_of_50(canary: Canary) -> str:
    """The second setWeight has begun, and one of its two pods does not come; the canary's hash."""
    canary.paused_at_25(steps=TO_50, abortScaleDownDelaySeconds=2)
    new = str(canary.status["currentPodHash"])
    _resume(canary)
    eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 2, every=0.005, what="a second pod is wanted")
    canary.world.hold(canary.namespace, f"web-{new}", 1)
    eventually(lambda: _available(canary, new) == 1, what="one of two is there")
    canary.until_weights(75, 25)
    canary.quiet()
    return new


def _available(canary: Canary, pod_hash: str) -> int:
    return int(canary.replicaset(pod_hash)["status"].get("availableReplicas") or 0)


def _resume(canary: Canary) -> None:
    canary.patch_status(pauseConditions=None)


def _woken(canary: Canary) -> None:
    """Acknowledged. v1.9.1 may overlook an abort beside a write of its own, until something else is written."""
    with suppress(AssertionError):
        canary.until_acknowledged(within=2)
    if not canary.acknowledged:
        canary.patch_status(message="somebody looks")
        canary.until_acknowledged()


# ---- a later step ----


def test_in_a_later_step_whose_pods_do_not_come_an_abort_goes_its_usual_way_and_never_up(canary: Canary) -> None:
    new = _waiting_for_a_pod_of_50(canary)
    stable = canary.status["stableRS"]
    assert (canary.status["currentStepIndex"], canary.status["phase"]) == (2, "Progressing")

    with canary.world.record(canary.namespace) as record:
        record.since(canary.abort())
        record.in_order(
            ("the canary Service", "services", turned_to(stable)),
            ("the router", "virtualservices", routed(0)),
            ("the deadline", "replicasets", delayed(new)),
            (
                "one status",
                "rollouts",
                both(has("abortedAt"), told(0, new), says(phase="Degraded", currentStepIndex=0)),
            ),
            ("all its pods go", "replicasets", scaled(new, 0)),
        )
        assert _weights(record) == [0]
    assert canary.acknowledged


@pytest.mark.parametrize("moment", ["its pods are let go", "its pods are there", "its weight is written"])
def test_while_a_later_step_takes_effect_the_weight_may_rise_once_more_and_then_goes_to_0(
    canary: Canary, moment: str
) -> None:
    new = _waiting_for_a_pod_of_50(canary)
    with canary.world.record(canary.namespace) as record:
        canary.world.let_go()
        if moment == "its pods are there":
            eventually(lambda: _available(canary, new) == 2, every=0.005, what=moment)
        if moment == "its weight is written":
            eventually(lambda: canary.weights == (50, 50), every=0.005, what=moment)
        record.since(canary.abort())
        _woken(canary)
        canary.until_weights(100, 0)
        canary.never(lambda: canary.weights != (100, 0), for_seconds=2, what="another rise")
        assert _weights(record) in ([0], [50, 0])
    assert canary.status["currentStepIndex"] == 0


def test_of_weights_that_rise_with_every_pass_at_most_one_comes_after_an_abort(canary: Canary) -> None:
    canary.deployed(steps=UPHILL, abortScaleDownDelaySeconds=2)
    canary.release("v2")
    with canary.world.record(canary.namespace) as record:
        eventually(lambda: canary.weights[1] >= 20, within=30, every=0.005, what="it is on its way up")
        answer = canary.abort()
        _woken(canary)
        canary.until_weights(100, 0)
        canary.never(lambda: canary.weights != (100, 0), for_seconds=2, what="another rise")
        before = _weights(record)
        record.since(answer)
        after = _weights(record)
    assert before[:10] == list(range(2, 22, 2)), "without an abort each pass writes the next"
    assert len(after) <= 2, f"after the abort: {after}"
    assert after[-1] == 0
    assert canary.status["currentStepIndex"] == 0


def test_a_retry_of_what_was_aborted_at_50_begins_at_25_again(canary: Canary) -> None:
    canary.paused_at_25(steps=TO_50)
    new = canary.status["currentPodHash"]
    _resume(canary)
    canary.until_weights(50, 50)
    canary.until("Paused")
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)
    canary.quiet()

    with canary.world.record(canary.namespace) as record:
        record.since(canary.patch_status(abort=False))
        canary.until("Paused")
        assert _weights(record) == [25]
    assert canary.status["currentStepIndex"] == 1
    eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 1, what="as few pods as the first step wants")


def test_a_later_step_wants_as_many_stable_pods_as_its_rest_needs_and_an_abort_wants_all(canary: Canary) -> None:
    canary.paused_at_25(steps=TO_50)
    canary.world.hold(canary.namespace, f"web-{canary.status['stableRS']}", 2)
    canary.quiet()
    _resume(canary)
    canary.until_weights(50, 50)
    canary.until("Paused")

    canary.abort()
    canary.until_acknowledged()
    canary.never(lambda: canary.weights != (50, 50), for_seconds=2, what="the weights move")
    canary.world.let_go()
    canary.until_weights(100, 0)


def test_a_step_down_takes_the_pods_before_the_traffic(canary: Canary) -> None:
    steps = [{"setWeight": 50}, {"pause": {}}, {"setWeight": 25}, {"pause": {}}]
    canary.deployed(steps=steps)
    canary.release("v2")
    canary.until("Paused")
    new = canary.status["currentPodHash"]
    assert canary.weights == (50, 50)

    with canary.world.record(canary.namespace) as record:
        _resume(canary)
        record.in_order(
            ("the step", "rollouts", says(currentStepIndex=2)),
            ("one pod goes", "replicasets", scaled(new, 1)),
            ("the router", "virtualservices", routed(25)),
            ("it pauses", "rollouts", says(currentStepIndex=3, phase="Paused")),
        )


# ---- around a pause ----


def test_an_abort_in_a_timed_pause_of_a_later_step_is_the_end_of_its_timer(canary: Canary) -> None:
    steps = [*TO_50[:3], {"pause": {"duration": "3s"}}, {"setWeight": 75}, {"pause": {}}]
    canary.paused_at_25(steps=steps, abortScaleDownDelaySeconds=1)
    _resume(canary)
    canary.until_weights(50, 50)
    eventually(lambda: canary.status["phase"] == "Paused" and canary.status["currentStepIndex"] == 3, what="paused")
    with canary.world.record(canary.namespace) as record:
        record.since(canary.abort())
        _woken(canary)
        canary.never(lambda: canary.weights[1] > 50, for_seconds=5, what="the next step")
        assert _weights(record) == [0]
    assert canary.status["currentStepIndex"] == 0
    assert not {"pauseConditions", "controllerPause"} & set(canary.status)


def test_an_abort_in_the_same_patch_as_a_resume_lets_no_further_step_begin(canary: Canary) -> None:
    canary.paused_at_25(steps=TO_50, abortScaleDownDelaySeconds=2)
    new = canary.status["currentPodHash"]
    with canary.world.record(canary.namespace) as record:
        record.since(canary.patch_status(pauseConditions=None, abort=True))
        canary.until_acknowledged()
        canary.until_weights(100, 0)
        eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 0, within=20, what="its pod goes")
        assert _weights(record) == [0]
        assert record.version("replicasets", scaled(new, 2)) == -1
        assert record.version("rollouts", says(currentStepIndex=2)) == -1
    assert "controllerPause" not in canary.status


# ---- spec.paused ----


def test_under_spec_paused_the_canary_service_flips_without_end_until_somebody_unpauses(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=1)
    canary.spec(paused=True)
    eventually(lambda: int(canary.status["observedGeneration"]) >= canary.rollout["metadata"]["generation"])
    canary.quiet()
    new, stable = canary.status["currentPodHash"], canary.status["stableRS"]
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)

    for _ in range(2):
        with canary.world.record(canary.namespace) as record:
            eventually(lambda record=record: len(record.of("services", "web-canary")) >= 6, within=20, what="six flips")
            flips = [one["spec"]["selector"][HASH] for one in record.of("services", "web-canary")]
            assert not canary.deadline(new), "the delay begins"
            still = [record.of("virtualservices"), record.of("services", "web-stable"), record.of("rollouts")]
        assert set(flips) == {new, stable}
        assert all(one != other for one, other in pairwise(flips))
        assert still == [[], [], []]

    canary.spec(paused=False)
    eventually(lambda: "updatedReplicas" not in canary.status, within=20, what="the last pod is gone")
    with canary.world.record(canary.namespace) as record:
        canary.never(lambda: record.of("services"), for_seconds=1.5, what="the canary Service flips still")
    assert canary.selects("web-canary") == stable
    assert canary.acknowledged

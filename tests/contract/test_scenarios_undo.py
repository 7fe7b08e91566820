"""The way back of a promoted canary, and what a revision's number says after an abort, in both worlds by the same words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.contract.bluegreen import BlueGreen
from tests.contract.scenario import HASH, Canary
from tests.contract.worlds import Record, World
from tests.contract.writes import (
    REVISION,
    both,
    delayed,
    numbered,
    routed,
    says,
    scaled,
    told,
    turned_to,
    undelayed,
)
from tests.support.waiting import eventually

IN_WINDOW = {"rollbackWindow": {"revisions": 3}}
LONG = 600  # a delay that does not end while a scenario is played


@pytest.fixture
def web(world: World) -> Iterator[BlueGreen]:
    """A blue-green Rollout in a namespace of its own, not yet placed."""
    one = BlueGreen(world)
    yield one
    one.leave()


def _promote(canary: Canary, version: str) -> str:
    """Past all steps, and all about it said; its hash."""
    before = canary.status["stableRS"]
    canary.release(version)
    canary.until("Paused")
    canary.patch_status(promoteFull=True)
    eventually(lambda: canary.status["stableRS"] != before, within=20, what=f"{version} is stable")
    new = str(canary.status["stableRS"])
    eventually(lambda: canary.selects("web-stable") == new, what="the stable Service follows")
    canary.until_weights(100, 0)
    eventually(lambda: canary.deadline(before), what="the delay of the one before begins")
    canary.until("Healthy")
    return new


def _promoted(canary: Canary, **more: Any) -> tuple[str, str]:
    """(bad, old): v2 is out, and v1 still runs."""
    canary.deployed(**{"scaleDownDelaySeconds": LONG} | more)
    old = str(canary.status["stableRS"])
    return _promote(canary, "v2"), old


def _without_pods(canary: Canary, pod_hash: str) -> None:
    eventually(lambda: canary.replicaset(pod_hash)["status"].get("replicas", 0) == 0, within=20, what="scaled down")
    canary.quiet()


def _as_written(found: Object) -> None:
    found["metadata"]["labels"].pop(HASH)


def _weights(record: Record) -> list[int]:
    """What the router gave the canary, one after the other."""
    return [int(one["spec"]["http"][0]["route"][1].get("weight", 0)) for one in record.of("virtualservices")]


def _revision(canary: Canary, pod_hash: str) -> int:
    return int(canary.replicaset(pod_hash)["metadata"]["annotations"][REVISION])


def _wanted(canary: Canary, pod_hash: str) -> int:
    return int(canary.replicaset(pod_hash)["spec"]["replicas"])


# ---- through all steps ----


def test_an_undo_of_a_promoted_canary_is_a_canary_of_the_old_version_from_its_first_step(canary: Canary) -> None:
    bad, old = _promoted(canary)
    versions = len(canary.versions())

    with canary.world.record(canary.namespace) as record:
        canary.put_back(old, _as_written)
        record.in_order(
            ("its revision", "replicasets", numbered(old, 3)),
            ("the Rollout's", "rollouts", lambda one: one["metadata"]["annotations"][REVISION] == "3"),
            ("its hash is told", "rollouts", says(currentPodHash=old, currentStepIndex=0, phase="Progressing")),
            ("the canary Service", "services", turned_to(old)),
            ("its deadline is gone", "replicasets", both(undelayed(old), numbered(old, 3))),
            ("three of its four pods go", "replicasets", scaled(old, 1)),
            ("the router", "virtualservices", routed(25)),
            ("the step", "rollouts", both(told(25, old), says(currentStepIndex=1))),
            ("it pauses", "rollouts", says(phase="Paused", message="CanaryPauseStep")),
        )
        canary.until("Paused")
        assert _weights(record) == [25]
    assert (canary.status["stableRS"], canary.selects("web-stable")) == (bad, bad), "three quarters stay where they are"
    assert canary.replicaset(old)["metadata"]["annotations"][f"{REVISION}-history"] == "1"
    assert len(canary.versions()) == versions, "no new version comes of it"


def test_an_undo_to_a_version_without_pods_waits_for_its_first_pod(canary: Canary) -> None:
    bad, old = _promoted(canary, scaleDownDelaySeconds=1)
    _without_pods(canary, old)

    with canary.world.record(canary.namespace) as record:
        canary.put_back(old, _as_written)
        record.in_order(
            ("its revision", "replicasets", numbered(old, 3)),
            ("its hash is told", "rollouts", says(currentPodHash=old, currentStepIndex=0, phase="Progressing")),
            ("one pod is wanted", "replicasets", scaled(old, 1)),
            ("the canary Service", "services", turned_to(old)),
            ("the router", "virtualservices", routed(25)),
            ("the step", "rollouts", both(told(25, old), says(currentStepIndex=1))),
            ("it pauses", "rollouts", says(phase="Paused")),
        )
    canary.until("Paused")
    assert (canary.status["stableRS"], canary.weights) == (bad, (75, 25))


def test_a_full_promotion_of_an_undo_leaves_the_weights_until_all_its_pods_are_there(canary: Canary) -> None:
    bad, old = _promoted(canary)
    canary.put_back(old, _as_written)
    canary.until("Paused")

    with canary.world.record(canary.namespace) as record:
        canary.patch_status(promoteFull=True)
        record.in_order(
            ("all its pods are wanted", "replicasets", scaled(old, 4)),
            ("past all steps", "rollouts", says(currentStepIndex=2, stableRS=bad)),
            ("it is stable", "rollouts", says(stableRS=old, phase="Healthy", promoteFull=None)),
            ("the stable Service", "services", turned_to(old, "web-stable")),
            ("the router", "virtualservices", routed(0)),
            ("the weights name it twice", "rollouts", told(0, old)),
            ("the bad one's delay begins", "replicasets", delayed(bad)),
        )
        assert _weights(record) == [0], "25 until it is the stable one, and then none"
    assert _wanted(canary, bad) == 4


def test_a_full_promotion_counts_only_once_the_hash_is_that_of_the_undo(canary: Canary) -> None:
    bad, old = _promoted(canary)
    # Nobody looks between the two writes: the flag is there before the controller knows of the template.
    canary.world.controller_down()
    canary.put_back(old, _as_written)
    assert canary.patch_status(promoteFull=True).json["status"]["currentPodHash"] == bad
    canary.world.controller_up(handed=True)
    eventually(lambda: canary.status["currentPodHash"] == old, within=45, what="taken over")
    canary.until("Paused")
    assert "promoteFull" not in canary.status
    assert (canary.status["stableRS"], canary.weights) == (bad, (75, 25))

    canary.patch_status(promoteFull=True)
    eventually(lambda: canary.status["stableRS"] == old, within=20, what="it is stable")


def test_an_abort_of_an_undo_gives_everything_back_to_the_bad_version(canary: Canary) -> None:
    bad, old = _promoted(canary, abortScaleDownDelaySeconds=2)
    canary.put_back(old, _as_written)
    canary.until("Paused")

    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)
    eventually(lambda: _wanted(canary, old) == 0, within=20, what="the old version goes")
    assert (canary.status["phase"], canary.status["stableRS"]) == ("Degraded", bad)
    assert canary.status["message"] == "RolloutAborted: Rollout aborted update to revision 3"
    assert canary.selects("web-stable") == bad


# ---- a rollback window ----


def test_in_the_window_a_whole_version_is_stable_at_once_and_the_router_passes_through_100(canary: Canary) -> None:
    bad, old = _promoted(canary, spec=IN_WINDOW)

    with canary.world.record(canary.namespace) as record:
        canary.put_back(old, _as_written)
        record.in_order(
            ("its revision", "replicasets", numbered(old, 3)),
            (
                "its hash is told, past all steps",
                "rollouts",
                says(currentPodHash=old, currentStepIndex=2, stableRS=bad),
            ),
            ("the canary Service", "services", turned_to(old)),
            ("all traffic is a canary's", "virtualservices", routed(100)),
            ("its deadline is gone", "replicasets", both(undelayed(old), numbered(old, 3))),
            ("it is stable", "rollouts", both(says(stableRS=old, phase="Healthy"), told(100, old))),
            ("the stable Service", "services", turned_to(old, "web-stable")),
            ("all traffic is stable's", "virtualservices", routed(0)),
            ("the weights name it twice", "rollouts", told(0, old)),
            ("the bad one's delay begins", "replicasets", delayed(bad)),
        )
        assert _weights(record) == [100, 0]
        assert record.version("rollouts", says(phase="Paused")) == -1
        assert record.version("rollouts", says(currentPodHash=old, currentStepIndex=0)) == -1
        assert [one["spec"]["replicas"] for one in record.of("replicasets", f"web-{old}")][-1] == 4
        assert record.version("replicasets", scaled(old, 1)) == -1, "none of its pods goes"


def test_in_the_window_a_version_without_pods_skips_the_steps_once_all_its_pods_are_there(canary: Canary) -> None:
    bad, old = _promoted(canary, spec=IN_WINDOW, scaleDownDelaySeconds=1)
    _without_pods(canary, old)

    with canary.world.record(canary.namespace) as record:
        canary.put_back(old, _as_written)
        record.in_order(
            ("its hash is told, at the first step", "rollouts", says(currentPodHash=old, currentStepIndex=0)),
            ("a pod for that step", "replicasets", scaled(old, 1)),
            ("past all steps", "rollouts", says(currentPodHash=old, currentStepIndex=2, stableRS=bad)),
            ("all its pods are wanted", "replicasets", scaled(old, 4)),
            ("all traffic is a canary's", "virtualservices", routed(100)),
            ("it is stable", "rollouts", says(stableRS=old, phase="Healthy")),
            ("the stable Service", "services", turned_to(old, "web-stable")),
            ("all traffic is stable's", "virtualservices", routed(0)),
        )
        assert record.version("rollouts", says(phase="Paused")) == -1
        assert _weights(record) in ([100, 0], [25, 100, 0]), "some pods are there before all are"


def test_a_window_of_one_revision_covers_one_version_back_and_not_two(canary: Canary) -> None:
    second, first = _promoted(canary, spec={"rollbackWindow": {"revisions": 1}})
    third = _promote(canary, "v3")

    canary.put_back(first, _as_written)
    canary.until("Paused")
    assert (canary.status["currentPodHash"], canary.status["stableRS"]) == (first, third)
    assert canary.weights == (75, 25), "the second lies between: through all steps"

    canary.put_back(second, _as_written)
    eventually(lambda: canary.status["stableRS"] == second, within=20, what="none lies between: it is stable at once")
    canary.until("Healthy")


# ---- the second-highest revision ----


def test_after_an_aborted_canary_the_second_highest_revision_is_the_bad_one_and_the_pod_hash_is_not(
    canary: Canary,
) -> None:
    second, first = _promoted(canary, abortScaleDownDelaySeconds=LONG)
    canary.release("v3")
    canary.until("Paused")
    third = str(canary.status["currentPodHash"])
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)
    eventually(lambda: canary.deadline(third), what="its delay begins")
    canary.put_back(second, _as_written)
    canary.until("Healthy")
    assert [_revision(canary, one) for one in (first, third, second)] == [1, 3, 4]
    assert _wanted(canary, third) == 1, "the aborted one still lives, with its deadline"

    with canary.world.record(canary.namespace) as record:
        canary.put_back(first, _as_written)
        canary.until("Paused")
        assert {one["spec"]["selector"][HASH] for one in record.of("services", "web-canary")} == {first}
        assert _weights(record) == [25]
    assert (canary.status["currentPodHash"], canary.status["stableRS"]) == (first, second)
    assert [_revision(canary, one) for one in (third, second, first)] == [3, 4, 5]


def test_after_an_aborted_preview_the_old_stable_is_still_the_fast_way_back_by_its_pod_hash(web: BlueGreen) -> None:
    web.promoted(autoPromotionEnabled=False, scaleDownDelaySeconds=LONG, abortScaleDownDelaySeconds=LONG)
    second = web.stable
    [first] = [one for one in web.versions() if one != second]
    web.release("v3")
    web.until("Paused")
    third = web.new
    web.abort()
    web.until_acknowledged()
    web.quiet()
    web.put_back(second, _as_written)
    web.until("Healthy")
    web.quiet()
    assert [_revision(web, one) for one in (first, third, second)] == [1, 3, 4], "by number it is the aborted one"
    assert web.deadline(third)

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.put_back(first, _as_written)
        web.until_stable(first)
        turned = [one["spec"]["selector"][HASH] for one in record.of("services")]
        assert set(turned) == {first}, f"behind a Service: {turned}"
        assert record.version("rollouts", says(phase="Paused")) == -1, "without its gate"
    assert (web.active, web.preview, web.pause()) == (first, first, [])
    assert [_revision(web, one) for one in (third, second, first)] == [3, 4, 5]


def test_the_aborted_version_taken_for_the_one_before_waits_at_the_gate_and_no_service_has_moved(
    web: BlueGreen,
) -> None:
    web.promoted(autoPromotionEnabled=False, abortScaleDownDelaySeconds=1)
    second = web.stable
    web.release("v3")
    web.until("Paused")
    third = web.new
    web.abort()
    web.until_acknowledged()
    web.until_wanted(third, 0)
    web.put_back(second, _as_written)
    web.until("Healthy")
    web.quiet()

    web.put_back(third, _as_written)
    web.until("Paused")
    assert (web.active, web.preview, web.stable) == (second, third, second)
    assert "abort" not in web.status, "nothing says any more that it was aborted"

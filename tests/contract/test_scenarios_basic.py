"""Basic canaries, in both worlds by the same words: no router, pods are the traffic. The last row of the table in traces/canary.md."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.api import Object
from tests.contract.scenario import HASH, Canary
from tests.contract.worlds import Record
from tests.contract.writes import both, says, scaled, turned_to
from tests.support.waiting import eventually

HALF: tuple[Object, ...] = ({"setWeight": 50}, {"pause": {}})
SERVICES = {"canaryService": "web-canary", "stableService": "web-stable"}


def _basic(*, steps: Any = HALF, services: bool = True, **more: Any) -> Object:
    """What a spec needs to be a canary without a router."""
    return {"strategy": {"canary": {"steps": list(steps), **(SERVICES if services else {}), **more}}}


def _paused(canary: Canary, *, replicas: int = 4, **more: Any) -> tuple[str, str]:
    """v2 waits at its weight; the hashes of v2 and v1."""
    canary.deployed(replicas=replicas, spec=_basic(**more))
    canary.release("v2")
    canary.until("Paused")
    status = canary.status
    return str(status["currentPodHash"]), str(status["stableRS"])


def _wanted(canary: Canary, *hashes: str) -> tuple[int, ...]:
    return tuple(int(canary.replicaset(one)["spec"]["replicas"]) for one in hashes)


def _ready(canary: Canary, *hashes: str) -> tuple[int, ...]:
    return tuple(int(canary.replicaset(one)["status"].get("availableReplicas") or 0) for one in hashes)


def _until_pods(canary: Canary, hashes: tuple[str, str], pods: tuple[int, int]) -> None:
    """So many of each are wanted and ready, and none beside them."""

    def look() -> bool:
        assert (_wanted(canary, *hashes), _ready(canary, *hashes)) == (pods, pods)
        return True

    eventually(look, within=30, every=0.05, what=f"{pods} pods")


def _most_wanted(record: Record) -> int:
    """The most pods that were wanted at once."""
    return max(_sums(record, lambda one: one["spec"]["replicas"]))


def _fewest_ready(record: Record) -> int:
    """The fewest pods that were ready at once."""
    return min(_sums(record, lambda one: min(one["spec"]["replicas"], one["status"].get("availableReplicas", 0))))


def _sums(record: Record, count: Any) -> list[int]:
    """Over both ReplicaSets, after each of their writes from where both are known."""
    latest: dict[str, int] = {}
    sums = []
    for one in record.of("replicasets"):
        latest[one["metadata"]["name"]] = int(count(one))
        if len(latest) == 2:
            sums.append(sum(latest.values()))
    return sums


# ---- a release ----


def test_the_share_of_a_basic_canary_is_its_share_of_the_pods_and_no_weights_are_told(canary: Canary) -> None:
    new, stable = _paused(canary)
    _until_pods(canary, (new, stable), (2, 2))
    status = canary.status
    assert status["canary"] == {}
    assert (status["updatedReplicas"], status["availableReplicas"], status["currentStepIndex"]) == (2, 4, 1)
    assert (canary.selects("web-canary"), canary.selects("web-stable")) == (new, stable)
    assert canary.weights == (100, 0), "nobody asks the router"


@pytest.mark.parametrize(
    ("replicas", "weight", "limits", "pods"),
    [
        (4, 1, {}, (1, 4)),  # never none where some is meant; one more than spec where that comes nearer
        (4, 99, {}, (4, 1)),
        (3, 50, {}, (2, 2)),
        (3, 50, {"maxSurge": 0, "maxUnavailable": 1}, (2, 1)),  # of a tie the greater
        (5, 40, {"maxSurge": "100%"}, (2, 3)),
        (1, 10, {}, (1, 1)),
    ],
    ids=str,
)
def test_the_numbers_of_pods_are_those_that_come_nearest_to_the_weight(
    canary: Canary, replicas: int, weight: int, limits: Object, pods: tuple[int, int]
) -> None:
    steps = ({"setWeight": weight}, {"pause": {}})
    hashes = _paused(canary, replicas=replicas, steps=steps, services=False, **limits)
    _until_pods(canary, hashes, pods)


@pytest.mark.parametrize(
    ("limits", "most", "fewest"),
    [({}, 5, 3), ({"maxSurge": 0, "maxUnavailable": 2}, 4, 2), ({"maxSurge": 4, "maxUnavailable": 0}, 8, 4)],
    ids=["the defaults, a quarter each", "no surge", "none unavailable"],
)
def test_a_release_and_its_abort_stay_within_the_surge_and_what_may_be_unavailable(
    canary: Canary, limits: Object, most: int, fewest: int
) -> None:
    canary.deployed(spec=_basic(services=False, **limits))
    with canary.world.record(canary.namespace) as record:
        canary.release("v2")
        canary.until("Paused")
        new, stable = canary.status["currentPodHash"], canary.status["stableRS"]
        _until_pods(canary, (new, stable), (2, 2))
        canary.abort()
        _until_pods(canary, (new, stable), (0, 4))
    assert _most_wanted(record) <= most
    assert _fewest_ready(record) >= fewest


def test_a_basic_canary_without_steps_is_out_when_all_pods_are_new(canary: Canary) -> None:
    canary.deployed(spec=_basic(steps=()))
    old = str(canary.status["stableRS"])
    canary.release("v2")
    eventually(lambda: canary.status["currentPodHash"] != old, within=20, what="v2 is taken over")
    canary.until("Healthy")
    status = canary.status
    assert status["stableRS"] == status["currentPodHash"] != old
    _until_pods(canary, (status["stableRS"], old), (4, 0))


def test_another_template_at_half_way_takes_the_place_of_the_bad_version_first(canary: Canary) -> None:
    bad, stable = _paused(canary)
    canary.release("v3")
    eventually(lambda: canary.status["currentPodHash"] != bad, within=20, what="v3 is taken over")
    canary.until("Paused")
    hotfix = str(canary.status["currentPodHash"])
    _until_pods(canary, (hotfix, stable), (2, 2))
    assert _wanted(canary, bad) == (0,)


# ---- an abort ----


def test_an_abort_is_told_while_the_bad_pods_serve_and_the_pods_follow_one_by_one(canary: Canary) -> None:
    new, stable = _paused(canary)
    with canary.world.record(canary.namespace) as record:
        canary.abort()
        _until_pods(canary, (new, stable), (0, 4))
        record.in_order(
            ("the canary Service turns", "services", turned_to(stable)),
            ("the first stable pod is wanted", "replicasets", scaled(stable, 3)),
            ("it is told, with both bad pods", "rollouts", both(_acknowledged, says(phase="Degraded", updatedReplicas=2))),
            ("the first bad pod goes", "replicasets", scaled(new, 1)),
            ("the second stable pod is wanted", "replicasets", scaled(stable, 4)),
            ("the last bad pod goes", "replicasets", scaled(new, 0)),
            ("no updated pods are told any more", "rollouts", both(_acknowledged, says(updatedReplicas=None))),
        )  # fmt: skip


def _acknowledged(one: Object) -> object:
    return "abortedAt" in one["status"]


def test_the_status_of_an_aborted_basic_canary_and_its_service_that_does_not_flip(canary: Canary) -> None:
    new, stable = _paused(canary)
    with canary.world.record(canary.namespace) as record:
        canary.abort()
        _until_pods(canary, (new, stable), (0, 4))
        canary.quiet()
        turned = [one["spec"]["selector"][HASH] for one in record.of("services", "web-canary")]
    status = canary.status
    assert (status["phase"], status["message"]) == ("Degraded", "RolloutAborted: Rollout aborted update to revision 2")
    assert (status["currentPodHash"], status["stableRS"], status["currentStepIndex"]) == (new, stable, 0)
    assert not {"pauseConditions", "controllerPause", "updatedReplicas"} & set(status)
    assert status["canary"] == {}
    assert turned == [stable]
    assert canary.deadline(new) == "", "it goes at once"


def test_without_services_the_pods_alone_go_back(canary: Canary) -> None:
    new, stable = _paused(canary, services=False)
    canary.abort()
    _until_pods(canary, (new, stable), (0, 4))
    assert canary.acknowledged
    assert (canary.selects("web-canary"), canary.selects("web-stable")) == ("", "")


def test_while_stable_pods_do_not_come_the_bad_ones_stay_and_the_status_says_aborted_all_the_same(
    canary: Canary,
) -> None:
    """Degraded proves no traffic here either: only the pods do."""
    new, stable = _paused(canary)
    canary.world.hold(canary.namespace, f"web-{stable}", 2)
    canary.abort()
    canary.until_acknowledged()
    canary.never(lambda: _wanted(canary, new) != (2,), for_seconds=3, what="a bad pod goes")
    status = canary.status
    assert (status["phase"], status["updatedReplicas"]) == ("Degraded", 2)
    assert _wanted(canary, stable) == (3,), "no more within the surge"

    canary.world.let_go()
    _until_pods(canary, (new, stable), (0, 4))
    assert canary.acknowledged


def test_bad_pods_that_are_not_ready_hold_up_nothing(canary: Canary) -> None:
    canary.deployed(spec=_basic())
    stable = str(canary.status["stableRS"])
    new = canary.release_unready("v2", 4)
    eventually(lambda: _wanted(canary, new)[0] > 1, within=20, what="as many as may be missing are tried")
    canary.abort()
    eventually(lambda: (_wanted(canary, new, stable)) == (0, 4), within=20, what="the way back")
    eventually(lambda: _ready(canary, stable) == (4,), within=20, what="all stable pods are ready")


def test_while_spec_is_paused_an_abort_is_told_and_the_bad_pods_go_on_serving(canary: Canary) -> None:
    new, stable = _paused(canary)
    canary.spec(paused=True)
    canary.quiet()
    canary.abort()
    canary.until_acknowledged()
    canary.never(lambda: _wanted(canary, new, stable) != (2, 2), for_seconds=3, what="a pod comes or goes")
    assert canary.status["phase"] == "Degraded"
    assert canary.selects("web-canary") == stable

    canary.spec(paused=False)
    _until_pods(canary, (new, stable), (0, 4))
    assert canary.acknowledged


# ---- after it ----


def test_a_retry_brings_the_bad_pods_back(canary: Canary) -> None:
    new, stable = _paused(canary)
    canary.abort()
    _until_pods(canary, (new, stable), (0, 4))
    canary.quiet()
    canary.patch_status(abort=False)
    _until_pods(canary, (new, stable), (2, 2))
    canary.until("Paused")
    assert "abortedAt" not in canary.status


def test_the_stable_template_at_half_way_is_healthy_only_when_its_pods_are_back(canary: Canary) -> None:
    """Unlike with a router, where Healthy comes first."""
    new, stable = _paused(canary)
    with canary.world.record(canary.namespace) as record:
        canary.release("v1")
        canary.until("Healthy")
        _until_pods(canary, (new, stable), (0, 4))
        back = record.version("replicasets", lambda one: one["metadata"]["labels"][HASH] == stable and _whole(one, 4))
        healthy = record.version("rollouts", says(phase="Healthy", currentPodHash=stable))
    assert 0 < back < healthy


def _whole(one: Object, pods: int) -> bool:
    return bool(one["status"].get("availableReplicas") == pods)


@pytest.mark.parametrize("replicas", [6, 2])
def test_a_scale_under_an_abort_moves_the_stable_version_alone(canary: Canary, replicas: int) -> None:
    new, stable = _paused(canary)
    canary.abort()
    _until_pods(canary, (new, stable), (0, 4))
    canary.quiet()
    canary.scale(replicas)
    _until_pods(canary, (new, stable), (0, replicas))
    assert canary.acknowledged

"""What the controller sees, and when: swallowed writes, starts and fail-overs, a slow one, a receiver that holds the status."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.contract.cluster_by_hand import Cluster, aborted, paused_at_25, release

ROLLOUT = "production/web-frontend"


def _lease(cluster: Cluster) -> dict[str, Any]:
    found = cluster.store.get("leases", "argo-rollouts", "argo-rollouts-controller-lock")
    assert found is not None
    return dict(found["spec"])


def _seconds_until(cluster: Cluster, key: str) -> float:
    began = cluster.now
    cluster.tick_until(lambda: key in cluster.status(), seconds=30)
    return (cluster.now - began).total_seconds()


# ---- swallowed ----


def test_a_swallowed_abort_stands_in_the_api_and_is_never_acknowledged() -> None:
    cluster = paused_at_25()
    cluster.set(swallow_next=ROLLOUT)
    cluster.abort()

    cluster.pass_seconds(900)

    status = cluster.status()
    assert (status["abort"], status["phase"], "abortedAt" in status) == (True, "Paused", False)
    assert cluster.weights() == (75, 25)


def test_the_same_patch_again_wakes_nobody_and_one_that_changes_something_does() -> None:
    cluster = paused_at_25()
    cluster.set(swallow_next=ROLLOUT)
    cluster.abort()
    cluster.tick(5)

    assert cluster.abort() is False
    cluster.tick(5)
    assert "abortedAt" not in cluster.status()

    cluster.abort(message="wake 1")
    cluster.tick()
    assert "abortedAt" in cluster.status()
    assert cluster.status()["message"] == "RolloutAborted: Rollout aborted update to revision 2"


def test_swallowing_twice_hides_both_writes() -> None:
    cluster = paused_at_25()
    cluster.set(swallow_next=ROLLOUT)
    cluster.abort()
    cluster.tick(3)
    cluster.set(swallow_next=ROLLOUT)
    cluster.abort(message="wake 1")
    cluster.tick(3)
    assert "abortedAt" not in cluster.status()

    cluster.abort(message="wake 2")
    cluster.tick(2)
    assert "abortedAt" in cluster.status()


def test_a_swallowed_write_is_healed_by_the_controllers_own_next_write() -> None:
    cluster = paused_at_25(steps=[{"setWeight": 25}, {"pause": {"duration": "10s"}}, {"setWeight": 50}, {"pause": {}}])
    cluster.set(swallow_next=ROLLOUT)
    cluster.abort()

    cluster.pass_seconds(12)

    assert "abortedAt" in cluster.status(), "the end of the pause made it write, and so read"


def test_a_hotfix_can_be_swallowed_too() -> None:
    cluster = paused_at_25()
    judged = cluster.status()["currentPodHash"]
    cluster.set(swallow_next=ROLLOUT)

    release(cluster, "v3")
    cluster.tick(10)
    assert cluster.status()["currentPodHash"] == judged

    cluster.merge("rollouts", "web-frontend", {"metadata": {"annotations": {"wake": "1"}}})
    cluster.tick(2)
    assert cluster.status()["currentPodHash"] != judged


def test_a_hotfix_behind_an_accepted_abort_sleeps_under_the_aborts_status() -> None:
    cluster = aborted()
    judged = cluster.status()["currentPodHash"]
    cluster.set(swallow_next=ROLLOUT)

    release(cluster, "v3")
    cluster.pass_seconds(10)

    status = cluster.status()
    assert (status["currentPodHash"], status["abort"], "abortedAt" in status) == (judged, True, True)


def test_v1_10_swallows_nothing() -> None:
    cluster = paused_at_25()
    cluster.set(rollouts="v1.10.1")
    cluster.set(swallow_next=ROLLOUT)

    cluster.abort()
    cluster.tick()

    assert "abortedAt" in cluster.status()


# ---- the Lease ----


def test_the_lease_is_renewed_each_two_seconds_with_six_decimals() -> None:
    cluster, times = paused_at_25(), []

    for _ in range(40):
        cluster.tick()
        times.append(_lease(cluster)["renewTime"])

    moments = [datetime.fromisoformat(one) for one in dict.fromkeys(times)]
    assert {(b - a).total_seconds() for a, b in pairwise(moments)} == {2.0}
    assert all(len(one.split(".")[1]) == len("123456Z") for one in times)


def test_a_controller_that_is_down_acts_on_nothing_and_renews_nothing() -> None:
    cluster = paused_at_25()
    cluster.set(controller="down")
    before = _lease(cluster)

    cluster.abort()
    cluster.pass_seconds(60)

    assert "abortedAt" not in cluster.status()
    assert _lease(cluster) == before


@pytest.mark.parametrize("seed", range(6))
def test_each_start_takes_fifteen_to_twenty_seconds_and_what_waited_is_acted_on(seed: int) -> None:
    cluster = paused_at_25()
    cluster.tick(seed)
    cluster.set(controller="down")
    before = _lease(cluster)
    cluster.abort()
    cluster.pass_seconds(5)

    cluster.set(controller="up")
    took = _seconds_until(cluster, "abortedAt")

    after = _lease(cluster)
    assert 15.0 <= took <= 20.4
    assert after["holderIdentity"] != before["holderIdentity"]
    assert after["holderIdentity"].split("_")[0] == before["holderIdentity"].split("_")[0]
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1


def test_a_fail_over_keeps_the_lease_standing_and_ends_by_itself() -> None:
    cluster = paused_at_25()
    cluster.set(controller="failing_over")
    cluster.abort()
    before = _lease(cluster)

    cluster.pass_seconds(14)
    assert _lease(cluster) == before
    assert 1.0 <= _seconds_until(cluster, "abortedAt") <= 6.4
    assert _lease(cluster)["leaseTransitions"] == before["leaseTransitions"] + 1


def test_up_on_a_controller_that_is_up_changes_nothing() -> None:
    cluster = paused_at_25()
    cluster.set(controller="up")

    cluster.abort()
    cluster.tick()

    assert "abortedAt" in cluster.status()


def test_pods_live_without_a_controller() -> None:
    cluster = paused_at_25()
    cluster.set(controller="down")
    stable = cluster.status()["stableRS"]

    cluster.merge("replicasets", f"web-frontend-{stable}", {"spec": {"replicas": 5}})
    cluster.tick(4)

    assert cluster.replicaset(stable)["status"]["availableReplicas"] == 5


# ---- slow, held ----


def test_a_slow_controller_acknowledges_after_so_many_seconds() -> None:
    cluster = paused_at_25()
    cluster.set(controller={"slow": 4})

    cluster.abort()

    assert 3.8 <= _seconds_until(cluster, "abortedAt") <= 4.6


def test_a_slow_controller_still_renews_its_lease() -> None:
    cluster = paused_at_25()
    cluster.set(controller={"slow": 30})
    before = _lease(cluster)["renewTime"]

    cluster.pass_seconds(3)

    assert _lease(cluster)["renewTime"] != before


def test_a_held_status_comes_late_although_the_router_was_switched_at_once() -> None:
    cluster = paused_at_25()
    cluster.set(hold_status={"object": ROLLOUT, "seconds": 20})
    cluster.pass_seconds(7)  # the hold counts from the first status write that it holds, not from now

    cluster.abort()
    cluster.tick()
    assert cluster.weights() == (100, 0)
    assert "abortedAt" not in cluster.status()

    cluster.pass_seconds(19)
    assert "abortedAt" not in cluster.status()
    cluster.pass_seconds(2)
    assert cluster.status()["phase"] == "Degraded"
    assert cluster.status()["canary"]["weights"]["canary"]["weight"] == 0


def test_a_hold_that_is_cleared_lets_the_status_go() -> None:
    cluster = paused_at_25()
    cluster.set(hold_status={"object": ROLLOUT, "seconds": 600})
    cluster.abort()
    cluster.tick(3)

    cluster.set(hold_status=None)
    cluster.tick()

    assert "abortedAt" in cluster.status()


# ---- the door itself ----


def test_a_worker_that_is_stuck_in_one_rollout_does_nothing_there_while_the_lease_is_renewed() -> None:
    cluster = paused_at_25()
    cluster.set(stuck=[ROLLOUT])
    renewed = _lease(cluster)["renewTime"]
    cluster.abort()

    cluster.pass_seconds(60)

    assert "abortedAt" not in cluster.status()
    assert cluster.weights() == (75, 25)
    assert _lease(cluster)["renewTime"] > renewed
    cluster.set(stuck=None)
    cluster.tick()
    assert "abortedAt" in cluster.status()


@pytest.mark.parametrize(
    "settings",
    [
        {"controler": "down"},
        {"controller": "sideways"},
        {"controller": {"slow": "a little"}},
        {"rollouts": "v1.8.0"},
        {"stable_missing_pod": "web-frontend"},
        {"hold_status": {"object": ROLLOUT}},
        {"stuck": ["web-frontend"]},
        {"controller": "down", "swallow_next": "nowhere"},
    ],
)
def test_nonsense_is_refused_and_changes_nothing(settings: dict[str, Any]) -> None:
    cluster = paused_at_25()
    before = cluster.controller.settings

    with pytest.raises(ValueError, match=r"wanted"):
        cluster.set(**settings)

    assert cluster.controller.settings == before


def test_null_puts_every_setting_back() -> None:
    cluster = paused_at_25()
    before = cluster.controller.settings
    cluster.set(controller={"slow": 3}, stable_missing_pod=ROLLOUT, unsaturated=ROLLOUT, swallow_next=ROLLOUT)
    cluster.set(rollouts="v1.10.1", hold_status={"object": ROLLOUT, "seconds": 3}, stuck=[ROLLOUT])

    cluster.set(**dict.fromkeys(("controller", "stable_missing_pod", "unsaturated", "swallow_next"), None))
    cluster.set(rollouts=None, hold_status=None, stuck=None)

    assert cluster.controller.settings == before

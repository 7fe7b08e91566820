"""A controller that dies while an abort waits, and another that takes over, in both worlds by the same words."""

from __future__ import annotations

from tests.cluster.start import LEASE
from tests.contract.scenario import Canary
from tests.contract.worlds import leads
from tests.support.waiting import eventually


def test_an_abort_that_waits_is_carried_out_by_the_standby_once_the_old_lease_has_run_out(canary: Canary) -> None:
    world = canary.world
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    eventually(leads(world), within=45, every=0.1, what="the Lease moves")
    holder = world.get(LEASE).json["spec"]["holderIdentity"]
    with world.standby():
        world.controller_down()
        before = canary.status
        canary.abort()

        canary.never(lambda: canary.acknowledged, for_seconds=8, what="acknowledged by nobody")
        assert canary.status == {**before, "abort": True}
        canary.until_acknowledged(within=45)
        canary.until_weights(100, 0)
        assert world.get(LEASE).json["spec"]["holderIdentity"] != holder
    eventually(leads(world), within=45, every=0.1, what="the Lease moves")


def test_an_abort_before_the_release_was_seen_is_dropped_when_the_release_is_taken_over(canary: Canary) -> None:
    canary.deployed()
    old = canary.status["currentPodHash"]
    canary.world.controller_down()
    try:
        canary.release("v2")
        canary.abort()
        rollout = canary.rollout
        assert int(rollout["status"]["observedGeneration"]) < rollout["metadata"]["generation"], "not yet observed"
        assert rollout["status"]["abort"] is True
    finally:
        canary.world.controller_up(handed=True)
    eventually(lambda: canary.status["currentPodHash"] != old, within=45, what="v2 is taken over")

    canary.until("Paused")
    assert not {"abort", "abortedAt"} & set(canary.status)
    assert canary.weights == (75, 25)

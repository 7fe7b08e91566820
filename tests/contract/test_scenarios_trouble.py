"""Trouble, in both worlds by the same words: a PATCH without an answer, a Lease that stands, a controller that starts."""

from __future__ import annotations

import re
import time
from datetime import datetime

import pytest
import urllib3

from tests.cluster.api import MERGE, Object
from tests.cluster.start import LEASE
from tests.contract.scenario import Canary
from tests.contract.worlds import World, leads
from tests.support.waiting import eventually


def _lease(world: World) -> Object:
    return dict(world.get(LEASE).json["spec"])


def _without_an_answer(canary: Canary) -> bool:
    """An abort that nobody answered in time; whether it stands there afterwards all the same."""
    canary.world.get(canary.path)  # a connection stands: what is sent lies in the server's socket
    with canary.world.stalled(), pytest.raises(urllib3.exceptions.ReadTimeoutError):
        canary.world.call("PATCH", f"{canary.path}/status", {"status": {"abort": True}}, MERGE, timeout=0.5)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if canary.status.get("abort"):
            return True
        time.sleep(0.05)
    return False


def test_a_patch_that_timed_out_on_our_side_may_be_applied_afterwards(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)

    # May, not must: a server that sees the closed connection first gives it up.
    assert any(_without_an_answer(canary) for _ in range(20))

    canary.until_acknowledged()
    canary.until_weights(100, 0)


def test_the_lease_moves_while_a_controller_leads_and_its_times_have_six_decimals(world: World) -> None:
    eventually(leads(world), within=45, every=0.1, what="the Lease moves")
    lease = _lease(world)
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{6}Z", lease[key]) for key in ("renewTime", "acquireTime"))
    assert lease["leaseDurationSeconds"] == 15
    assert re.fullmatch(r".+_[0-9a-f-]{36}", lease["holderIdentity"])


def test_a_controller_that_starts_takes_the_lease_over_before_it_acts(canary: Canary) -> None:
    world = canary.world
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    eventually(leads(world), within=45, every=0.1, what="the Lease moves")
    world.controller_down()
    try:
        before = _lease(world)
        canary.abort()
        canary.never(lambda: _lease(world) != before, for_seconds=6, what="the Lease moves or is given up")
    finally:
        world.controller_up()
    canary.never(lambda: canary.acknowledged, for_seconds=10, what="it acts before the old Lease has run out")
    canary.until_acknowledged(within=45)

    after = _lease(world)
    assert after["holderIdentity"] != before["holderIdentity"]
    assert after["holderIdentity"].partition("_")[0] == before["holderIdentity"].partition("_")[0]
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1
    acquired = datetime.fromisoformat(after["acquireTime"])
    assert (acquired - datetime.fromisoformat(before["renewTime"])).total_seconds() >= before["leaseDurationSeconds"]
    canary.until_weights(100, 0)

"""What v1.9.1 does with a write that falls between its own write and the end of its pass: the API has it, the controller has not.

Asked of the sandbox, aimed at on the cluster: an abort 0 to 60 ms after the controller's pause write, until one is overlooked.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.contract.scenario import Canary
from tests.contract.worlds import SandboxWorld, World
from tests.support.waiting import eventually

TRIES = 60


def _overlooked(world: World, act: Callable[[Canary], object], seen: Callable[[Canary], object]) -> Canary:
    """A canary at 25 % with a write of ours that stands in the API and that the controller does not see."""
    chance = random.Random(3)
    for _ in range(TRIES):
        canary = Canary(world).deployed()
        canary.release("v2")
        if isinstance(world, SandboxWorld):
            canary.until("Paused")
            world.control(swallow_next=f"{canary.namespace}/web")
        else:
            eventually(
                lambda one=canary: one.status.get("phase") == "Paused", within=30, every=0.001, what="the pause write"
            )
            time.sleep(chance.uniform(0, 0.06))  # the moment is the point
        act(canary)
        deadline = time.monotonic() + 3 / world.pace
        while not seen(canary) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not seen(canary):
            return canary
        canary.leave()
    pytest.fail(f"the controller overlooked none of {TRIES} writes")


@pytest.fixture
def overlooked(world: World) -> Iterator[Canary]:
    """Its abort is overlooked."""
    canary = _overlooked(world, Canary.abort, lambda one: one.acknowledged)
    yield canary
    canary.leave()


def test_an_overlooked_abort_stands_unacknowledged_and_only_a_patch_that_changes_something_wakes(
    overlooked: Canary,
) -> None:
    status = overlooked.status
    assert (status["abort"], status["phase"], "abortedAt" in status) == (True, "Paused", False)
    assert overlooked.weights == (75, 25)
    before = overlooked.rollout["metadata"]["resourceVersion"]

    assert overlooked.abort().json["metadata"]["resourceVersion"] == before, "the same patch is no write"
    overlooked.never(lambda: overlooked.acknowledged, for_seconds=3, what="acknowledged")

    overlooked.abort(message="wake 1")
    overlooked.until_acknowledged()
    overlooked.until_weights(100, 0)
    assert overlooked.status["message"] == "RolloutAborted: Rollout aborted update to revision 2"


def test_any_write_of_the_object_wakes(overlooked: Canary) -> None:
    answer = overlooked.world.merge(overlooked.path, {"metadata": {"annotations": {"wake": "1"}}})
    assert answer.code == 200

    overlooked.until_acknowledged()
    overlooked.until_weights(100, 0)


def test_an_overlooked_hotfix_is_not_taken_over_until_something_else_is_written(world: World) -> None:
    canary = _overlooked(world, lambda one: one.release("v3"), lambda one: "v3" in str(one.versions()))
    try:
        rollout = canary.rollout
        assert int(rollout["status"]["observedGeneration"]) < rollout["metadata"]["generation"]
        canary.never(lambda: "v3" in str(canary.versions()), for_seconds=3, what="taken over")

        canary.patch_status(message="wake 1")
        eventually(lambda: "v3" in str(canary.versions()), within=20, what="taken over")
        canary.until("Paused")
        assert canary.weights == (75, 25)
    finally:
        canary.leave()


def test_an_overlooked_resume_leaves_the_canary_where_it_is_until_something_else_is_written(world: World) -> None:
    canary = _overlooked(
        world, lambda one: one.patch_status(pauseConditions=None), lambda one: one.status["currentStepIndex"] > 1
    )
    try:
        assert "pauseConditions" not in canary.status
        canary.patch_status(message="wake 1")
        canary.until("Healthy")
    finally:
        canary.leave()

"""v1.9.1 overlooks a write that falls between its own write and the end of its pass: the product wakes it, and it is proven."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import pytest

from server.db import unstamp
from tests.cluster.api import Object
from tests.contract.rounds import SHORT_STEPS, Round, Rounds, Say, at_the_pause_write
from tests.contract.scenario import Canary

pytestmark = pytest.mark.cluster


def test_an_abort_that_the_controller_overlooked_is_woken_with_its_row_first_and_proven(
    begin: Callable[..., Rounds], count: int, say: Say
) -> None:
    rounds, woken = begin(steps=SHORT_STEPS, within=60), list[tuple[Canary, Round]]()

    def one_round(canary: Canary, number: int) -> None:
        played, _ = at_the_pause_write(rounds, canary, number)
        if played.woken:
            woken.append((canary, played))

    rounds.play(count, one_round)

    say(f"aborts woken on {rounds.release}: {len(woken)} of {count}, each with its row first, and proven")
    assert woken, "none was overlooked: the aim is wrong"
    for canary, played in woken:
        # 422: it was acknowledged before that wake arrived.
        assert (played.codes[0], set(played.codes) <= {200, 422}) == (200, True)
        wakes = [row for row in rounds.town.audit(played.run) if row["tag"] == "step_woken"]
        patches = _patches(rounds, canary, played)[1:]
        assert len(wakes) == len(patches)
        for row, patch in zip(wakes, patches, strict=True):
            assert unstamp(row["at"]) < _received(patch), "the row stands before the patch is sent"
            assert played.run in json.dumps(json.loads(row["evidence"])["call"]["body"])


def _patches(rounds: Rounds, canary: Canary, played: Round) -> list[Object]:
    """The run's own patches as the API server's audit has them: all between its first and its last row."""
    rows = rounds.town.audit(played.run)
    return [
        one
        for one in rounds.stage.world.plane.asked()
        if one["verb"] == "patch"
        and one["objectRef"]["namespace"] == canary.namespace
        and unstamp(rows[0]["at"]) < _received(one) < unstamp(rows[-1]["at"])
    ]


def _received(asked: Object) -> datetime:
    return datetime.fromisoformat(asked["requestReceivedTimestamp"])

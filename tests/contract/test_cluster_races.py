"""Somebody in the same moment, on the real control plane: a hotfix around the abort, an abort at the controller's own write.

The relay holds the abort on the wire, so that the moment is a test's own choice. Sixty rounds each by default;
`./ripcord test --cluster tests/contract/test_cluster_races.py --rounds 1000` for the whole of it.
"""

from __future__ import annotations

import json
import random
import shlex
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from statistics import median

import pytest

from tests.cluster.api import Object
from tests.contract.rounds import SHORT_STEPS, Round, Rounds, Say, at_the_pause_write, paused, version
from tests.contract.scenario import Canary

pytestmark = pytest.mark.cluster

# ---- a hotfix around the abort ----


def _hotfix(rollout: Object, number: int) -> Object:
    """The next version; each third one is the same, but for a variable that it has no more."""
    variables = rollout["spec"]["template"]["spec"]["containers"][0].get("env", [])
    if number % 3 or len(variables) < 2:
        return version(f"hotfix-{number}")
    fixed: Object = deepcopy(rollout["spec"]["template"])
    fixed["spec"]["containers"][0]["env"] = variables[:-1]
    return fixed


def test_a_hotfix_around_the_abort_is_never_left_aborted_or_asleep(
    begin: Callable[..., Rounds], count: int, say: Say
) -> None:
    rounds, found, offsets = begin(), Counter[str](), list[float]()

    def one_round(canary: Canary, number: int) -> None:
        before = rounds.ready(canary)
        hotfix, offset = _hotfix(before, number), random.Random(number).uniform(-0.020, 0.080)
        with rounds.held(canary, number) as held:
            if offset < 0:
                held.pass_on_after(-offset)
            else:
                held.pass_on()
                time.sleep(offset)  # the moment is the point
            changed_at = time.time()
            canary.spec(template=hotfix)
            held.over()
        played = rounds.ended(canary)
        assert played.state in ("refused", "unproven", "failed"), played
        at = f"{(changed_at - held.passed_at) * 1000:.0f} ms"
        if played.codes == [422] and "not taken over by the controller" in played.said:
            _wake_by_hand(rounds, canary, played)
            found["overlooked by the controller itself, and woken as the note says"] += 1
        try:
            rounds.lookout.until(canary.namespace, lambda now: paused(now) and _hash(now) != _hash(before))
        except AssertionError as error:
            raise AssertionError(f"{error}; before {_hash(before)}, {at}, {played}") from error
        offsets.append(changed_at - held.passed_at)
        found.update([*played.counted(), "a removal" if _image(hotfix) == _image(_template(before)) else "a version"])

    try:
        rounds.play(count, one_round)
    finally:
        say(
            f"hotfix races on {rounds.release}: {len(offsets)} of {count} rounds good, {_around(offsets)}: {dict(found)}"
        )
    for canary in rounds.canaries:
        assert paused(canary.rollout), canary.status


# ---- an abort at the controller's own write ----


def test_aborts_at_the_controllers_own_pause_write_are_proven(
    begin: Callable[..., Rounds], count: int, say: Say
) -> None:
    rounds, found, offsets = begin(steps=SHORT_STEPS, within=60), Counter[str](), list[float]()

    def one_round(canary: Canary, number: int) -> None:
        played, offset = at_the_pause_write(rounds, canary, number)
        offsets.append(offset)
        found.update(played.counted())

    try:
        rounds.play(count, one_round)
    finally:
        say(
            f"aborts at a pause write on {rounds.release}: {len(offsets)} of {count} rounds good, {_around(offsets)}: {dict(found)}"
        )


# ---- small things ----


def _wake_by_hand(rounds: Rounds, canary: Canary, played: Round) -> None:
    """v1.9.1 overlooks a hotfix now and then, whoever looks on. We wrote nothing, so nothing more is written: people are told how."""
    assert rounds.release == "v1.9.1", played
    [said] = [
        line for line in rounds.minds(played.run) if "a newer version stands in spec and the controller sleeps" in line
    ]
    operations = json.loads(shlex.split(said[said.index("kubectl") :])[-1])
    assert canary.world.json_patch(f"{canary.path}/status", *operations).code == 200


def _template(rollout: Object) -> Object:
    return dict(rollout["spec"]["template"])


def _hash(rollout: Object) -> str:
    return str(rollout["status"]["currentPodHash"])


def _image(pods: Object) -> str:
    return str(pods["spec"]["containers"][0]["image"])


def _around(offsets: list[float]) -> str:
    """How near they came."""
    if not offsets:
        return "none"
    return f"{min(offsets) * 1000:.0f} to {max(offsets) * 1000:.0f} ms, median {median(offsets) * 1000:.0f}"

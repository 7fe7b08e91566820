"""The sandbox's controller goes through the states of the recorded one, in their order: blue-green, undo."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import pytest

from tests.contract.bluegreen_player import Do, Stage, Story, analysis, records, replay

POST: dict[str, Any] = {"postPromotionAnalysis": analysis(), "abortScaleDownDelaySeconds": 5}
PRE: dict[str, Any] = {"prePromotionAnalysis": analysis()}
MANUAL: dict[str, Any] = {"autoPromotionEnabled": False, "abortScaleDownDelaySeconds": 5}
BOTH: dict[str, Any] = {"prePromotionAnalysis": analysis(), "postPromotionAnalysis": analysis()}
GATED: dict[str, Any] = {**BOTH, "autoPromotionEnabled": False}
SHORT: dict[str, Any] = {"scaleDownDelaySeconds": 1}
WINDOW: dict[str, Any] = {"rollbackWindow": {"revisions": 3}}


# ---- the way there, and what happened to pods ----


def case_a(stage: Stage) -> None:
    stage.in_preview()


def case_a_analysed(stage: Stage) -> None:
    stage.in_preview()
    stage.says("pre", "Successful")


def case_b(stage: Stage) -> None:
    stage.active()


def case_c(stage: Stage) -> None:
    stage.stable()


def case_c_old_gone(stage: Stage) -> None:
    stage.stable()
    stage.until(lambda: stage.pods("v1") == 0)


def nothing_yet(_stage: Stage) -> None:
    pass


def short_of(pods: int, version: str = "v2", way: Do = case_b) -> Do:
    def before(stage: Stage) -> None:
        way(stage)
        stage.unready(version, pods)

    return before


def held(version: str, pods: int) -> Do:
    return lambda stage: stage.unready(version, pods)


def let_go(stage: Stage) -> None:
    stage.unready("v2", 0)


def inconclusive(stage: Stage) -> None:
    stage.active()
    words = 'Metric "ok" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)'
    stage.says("post", "Inconclusive", message=words)
    stage.until(lambda: stage.status.get("pauseConditions"))


def aborted_back(stage: Stage) -> None:
    stage.active()
    stage.abort()
    stage.until(lambda: stage.status.get("abortedAt"))


def promoting_fully(stage: Stage) -> None:
    stage.template("v2")
    stage.cluster.tick_until(lambda: bool(stage.hash("v2")))
    stage.unready("v2", 1)
    stage.until(lambda: stage.status.get("updatedReplicas") == 3)
    stage.cluster.merge("rollouts", "api-backend", {"status": {"promoteFull": True}}, "status")


def undone(stage: Stage) -> None:
    stage.stable()
    stage.template("v1", resources={})
    stage.until(lambda: stage.status.get("stableRS") == stage.hash("v1"))


# ---- where the sandbox is coarser than life ----


def runs_apart(lines: list[str]) -> list[str]:
    """Each kind has a watch of its own: two writes 1 ms apart may be told the other way round."""
    return sorted(lines, key=lambda line: line.startswith("analysisrun"))


def kinds_apart(lines: list[str]) -> list[str]:
    """The same for all kinds."""
    return sorted(lines, key=lambda line: line.split(" ")[0])


def begun_before(lines: list[str]) -> list[str]:
    """There the pass had begun before the abort came, here the abort comes between two passes."""
    flag = next(line for line in lines if line.endswith('{"abort": true}'))
    return [flag, *(line for line in kinds_apart(lines) if line is not flag)]


def alternating_left_out(lines: list[str]) -> list[str]:
    """While it stands halted, the controller writes Paused and progressing by turns without an end; the recording counts them."""
    by_turns = {"Unknown/RolloutPaused", "True/NewReplicaSetAvailable", "True/RolloutPaused"}
    pattern = re.compile(r'rollout \S+ \{"conditions": (\{[^}]*\})\}$')
    found = [pattern.match(line) for line in lines]
    return [
        line
        for line, one in zip(lines, found, strict=True)
        if not (one and set(json.loads(one[1]).values()) <= by_turns)
    ]


def running_left_out(lines: list[str]) -> list[str]:
    """There the metric had spoken before the controller saw the run at work."""
    return [line for line in lines if '"status": "Running"' not in line]


def pods_on_the_way(lines: list[str]) -> list[str]:
    """Of two ReplicaSets that grow at once, one is told before the other there, both together here."""
    return [line.replace(', "replicas": 9', "") for line in lines]


STORIES = [
    Story("40", case_b, POST),
    Story("41", short_of(1), POST, marks={"release hold": let_go}),
    Story("42", short_of(3), POST),
    Story("43", short_of(3), {**POST, "abortScaleDownDelaySeconds": 12}, marks={"new pods ready again": let_go}),
    Story("44", short_of(3), POST, marks={"pods ready before the deadline, no hand patch": let_go}),
    Story("45", case_b, POST, at={4100: held("v2", 1)}, marks={"new saturated again": let_go}),
    Story("46", short_of(1, "v1"), POST, marks={"stable whole again": held("v1", 0)}),
    Story("47", case_b, POST, coarser=(alternating_left_out,)),
    Story("48", case_b, POST),
    Story("49", case_b, {"postPromotionAnalysis": analysis()}),
    Story("50", case_b, {"postPromotionAnalysis": analysis()}),
    Story("51", short_of(3), GATED),
    Story("52", short_of(3), {**GATED, "abortScaleDownDelaySeconds": 8}, until_ms=18100),
    Story("53", short_of(3), {**GATED, "abortScaleDownDelaySeconds": 8}, until_ms=13170),
    Story("54", short_of(3), {**POST, "autoPromotionEnabled": False, "abortScaleDownDelaySeconds": 8}),
    Story("55", case_a, MANUAL),
    Story("56", case_c, BOTH),
    Story("57", case_c_old_gone, {**GATED, **SHORT}, coarser=(runs_apart,)),
    Story("58", case_c_old_gone, {**BOTH, **SHORT}, ends_early=True, coarser=(kinds_apart,)),
    Story("59", case_c_old_gone, {**BOTH, **SHORT}, slower=3),
    Story("60", case_c, BOTH),
    Story("63", case_c_old_gone, {"autoPromotionEnabled": False, **SHORT}, spec=WINDOW),
    Story("64", case_c_old_gone, SHORT, spec=WINDOW, at={1000: held("v1", 1), 4700: held("v1", 0)}),
    Story(
        "65",
        nothing_yet,
        marks={"one pod unready, then patch by hand": held("v1", 1), "pod ready again": held("v1", 0)},
        coarser=(kinds_apart,),
    ),
    Story("66", case_a, MANUAL),
    Story("72", aborted_back, POST, coarser=(kinds_apart,)),
    Story("77", nothing_yet, POST, slower=25, coarser=(running_left_out, kinds_apart)),
    Story(
        "78", nothing_yet, {**PRE, "abortScaleDownDelaySeconds": 5}, slower=25, coarser=(running_left_out, kinds_apart)
    ),
    Story("79", case_a_analysed, {**MANUAL, **PRE, "abortScaleDownDelaySeconds": 20}),
    Story("80", case_a, {**MANUAL, "abortScaleDownDelaySeconds": 20}),
    Story(
        "81",
        short_of(3),
        {**GATED, "abortScaleDownDelaySeconds": 5},
        marks={"new ready": let_go},
        coarser=(begun_before,),
    ),
    Story("82", short_of(3), GATED),
    Story("83", short_of(1, "v1", case_c), BOTH, marks={"old whole again": held("v1", 0)}),
    Story("84", case_a, {**MANUAL, "abortScaleDownDelaySeconds": 30}),
    Story("86", inconclusive, {**POST, "abortScaleDownDelaySeconds": 4}, coarser=(alternating_left_out,)),
    Story("87", promoting_fully, {**MANUAL, "abortScaleDownDelaySeconds": 4}, at={5000: let_go}),
    Story("88", case_b, {**POST, "abortScaleDownDelaySeconds": 4}, coarser=(begun_before, pods_on_the_way)),
    Story("89", case_c),
    Story("v110-bg-a-retry", case_a_analysed, {**MANUAL, **PRE, "abortScaleDownDelaySeconds": 20}, rollouts="v1.10.1"),
    Story("v110-bg-b-restore", short_of(3), GATED, rollouts="v1.10.1", coarser=(kinds_apart,)),
    Story("v110-bg-rollbackWindow", case_c_old_gone, {**GATED, **SHORT}, spec=WINDOW, rollouts="v1.10.1"),
    Story("v110-bg-undo-of-an-undo", undone, BOTH, rollouts="v1.10.1"),
]


def _title(story: Story) -> str:
    return f"{story.trace}: {re.sub(r'[^ -~]', '', records(story.trace)[0]['trace'])[:80]}"


@pytest.mark.parametrize("story", STORIES, ids=_title)
def test_it_goes_through_the_recorded_states_in_their_order(story: Story) -> None:
    recorded, played = replay(story)

    assert len(recorded) > 1, "the recording shows nothing that could be compared"
    assert recorded == played, "\n" + "\n".join(difflib.unified_diff(recorded, played, "recorded", "played", "", "", 2))

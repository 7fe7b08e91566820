"""The sandbox's controller goes through the states of the recorded one, in their order: blue-green, undo."""

from __future__ import annotations

import difflib
import re
from typing import Any

import pytest

from tests.contract.bluegreen_player import Stage, Story, analysis, records, replay

POST: dict[str, Any] = {"postPromotionAnalysis": analysis(), "abortScaleDownDelaySeconds": 5}
MANUAL: dict[str, Any] = {"autoPromotionEnabled": False, "abortScaleDownDelaySeconds": 5}
BOTH: dict[str, Any] = {"prePromotionAnalysis": analysis(), "postPromotionAnalysis": analysis()}


def case_b(stage: Stage) -> None:
    stage.active()


def case_a(stage: Stage) -> None:
    stage.in_preview()


def case_c(stage: Stage) -> None:
    stage.stable()


def case_b_short_of(pods: int, version: str = "v2") -> Any:
    def before(stage: Stage) -> None:
        stage.active()
        stage.unready(version, pods)

    return before


def let_go(stage: Stage) -> None:
    stage.unready("v2", 0)


def runs_apart(lines: list[str]) -> list[str]:
    """Each kind has a watch of its own: two writes 1 ms apart may be told the other way round."""
    return sorted(lines, key=lambda line: line.startswith("analysisrun"))


STORIES = [
    Story("40", case_b, POST),
    Story("41", case_b_short_of(1), POST, marks={"release hold": let_go}),
    Story("55", case_a, MANUAL),
    Story("56", case_c, BOTH),
    Story(
        "57",
        lambda stage: (stage.stable(), stage.until(lambda: stage.pods("v1") == 0))[0],
        {**BOTH, "autoPromotionEnabled": False, "scaleDownDelaySeconds": 1},
        coarser=(runs_apart,),
    ),
]


def _title(story: Story) -> str:
    return f"{story.trace}: {re.sub(r'[^ -~]', '', records(story.trace)[0]['trace'])[:80]}"


@pytest.mark.parametrize("story", STORIES, ids=_title)
def test_it_goes_through_the_recorded_states_in_their_order(story: Story) -> None:
    recorded, played = replay(story)

    assert len(recorded) > 1, "the recording shows nothing that could be compared"
    assert recorded == played, "\n" + "\n".join(difflib.unified_diff(recorded, played, "recorded", "played", "", "", 2))

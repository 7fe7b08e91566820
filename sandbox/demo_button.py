"""The fourth incident: a person is asked, and presses a button; played while the other three go on."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sandbox.demo_incidents import BUTTON, FLAG
from sandbox.demo_story import Story

WHO = "Ana Person"
RUNBOOK = "disable-flag"


def press(story: Story) -> Iterator[None]:
    """One step for each look of the story; ends when the button is pressed, or when there is nothing to press it for."""
    while not story.parts[FLAG.label].final:
        yield
    if not story.parts[FLAG.label].proven:
        return
    turn_on = {"environmentKey": "production", "instructions": [{"kind": "turnFlagOn"}]}
    story.doors.launchdarkly(f"/flags/default/{FLAG.target}", turn_on)
    story.tell(BUTTON, f"somebody turns the flag {FLAG.target} on again")
    # An alert says something about a version only when that was there before; times are written in whole seconds.
    yield from _seconds(1.2)
    story.alert(BUTTON)
    part = story.parts[BUTTON.label]
    while "reread" not in part.told:
        yield
    yield from _seconds(1)
    story.doors.control("pagerduty", {"press": {"runbook": RUNBOOK, "incident": part.id, "user": WHO}})
    story.tell(BUTTON, f"{WHO} presses the button {RUNBOOK} in the incident")


def _seconds(wanted: float) -> Iterator[None]:
    until = time.monotonic() + wanted
    while time.monotonic() < until:
        yield

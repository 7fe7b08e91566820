"""The vocabulary of the pages: for each state, tag and decision one word, one icon, one tone.

Tone says how much of you is needed: ok nothing, live at work, wait a person or a brake, bad a person now, quiet nothing done on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from server.core.states import FINAL, State


@dataclass(frozen=True)
class Mark:
    """How something is shown; never by its colour alone."""

    word: str
    icon: str
    tone: str


STATES: Mapping[State, Mark] = MappingProxyType(
    {
        State.WAITING: Mark("Waiting for another run", "waiting", "live"),
        State.PLANNING: Mark("Planning", "running", "live"),
        State.ACTING: Mark("Acting", "running", "live"),
        State.PROVING: Mark("Proving", "running", "live"),
        State.PROVEN: Mark("Proven", "proven", "ok"),
        State.NOTHING_TO_DO: Mark("Already fixed", "none", "quiet"),
        State.REFUSED: Mark("Refused", "failed", "bad"),
        State.FAILED: Mark("Failed: a person must act", "failed", "bad"),
        State.UNPROVEN: Mark("Not proven: a person must act", "stuck", "bad"),
        State.OBSERVED: Mark("Observed", "observed", "quiet"),
    }
)

KINDS: Mapping[str, Mark] = MappingProxyType(
    {
        "run": Mark("Ran", "act", "ok"),
        "observed": Mark("Observed", "observed", "quiet"),
        "joined": Mark("Joined", "link", "quiet"),
        "braked": Mark("Braked", "braked", "wait"),
        "no": Mark("Did not run", "none", "quiet"),
    }
)

_EVENTS: Mapping[str, Mark] = MappingProxyType(
    {
        "delivery_received": Mark("Delivered", "inbox", "quiet"),
        "decided": Mark("Decided", "decide", "quiet"),
        "run_started": Mark("Run started", "decide", "quiet"),
        "guard_stopped": Mark("A guard stopped it", "braked", "wait"),
        "step_planned": Mark("Planned", "decide", "quiet"),
        "step_intended": Mark("About to write", "act", "live"),
        "step_woken": Mark("About to wake the controller", "act", "live"),
        "step_done": Mark("Accepted", "act", "ok"),
        "step_refused": Mark("Write refused", "failed", "bad"),
        "step_unknown": Mark("No clear answer", "stuck", "wait"),
        "check_passed": Mark("Check passed", "proven", "ok"),
        "check_failed": Mark("Check failed", "failed", "bad"),
        "check_unknown": Mark("Not proven yet", "todo", "quiet"),
        "told": Mark("Told the incident", "tell", "quiet"),
    }
)

_ENDS: Mapping[str, Mark] = MappingProxyType(
    {
        f"run_{state.value}": mark if state in FINAL else Mark(mark.word, "decide", "quiet")
        for state, mark in STATES.items()
    }
)

WEAK = frozenset({"header_secret", "basic", "bearer"})
"""Ways to authenticate that are no signature over the message: named as weaker wherever they stand."""


def event(tag: str) -> Mark:
    """How an audit tag is shown; a tag that nobody knows keeps its own name."""
    return _EVENTS.get(tag) or _ENDS.get(tag) or Mark(tag, "todo", "quiet")


def state(value: str | State) -> Mark:
    """How a run's state is shown."""
    return STATES[State(value)]


def kind(value: str) -> Mark:
    """How a decision is shown."""
    return KINDS.get(value, Mark(value, "none", "quiet"))


def auth(value: str) -> str:
    """How somebody was authenticated, and whether that is weak."""
    return f"{value}, weaker" if value in WEAK else "itself" if value == "internal" else value

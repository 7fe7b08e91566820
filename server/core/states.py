"""The states of a run, and which may follow which. Docs draw their picture from TRANSITIONS."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """A run's state, as written by its own steps."""

    WAITING = "waiting"
    PLANNING = "planning"
    ACTING = "acting"
    PROVING = "proving"
    PROVEN = "proven"
    NOTHING_TO_DO = "nothing_to_do"
    REFUSED = "refused"
    FAILED = "failed"
    UNPROVEN = "unproven"
    OBSERVED = "observed"


FINAL = frozenset({State.PROVEN, State.NOTHING_TO_DO, State.REFUSED, State.FAILED, State.UNPROVEN, State.OBSERVED})

TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.WAITING: frozenset({State.PLANNING, State.REFUSED, State.UNPROVEN}),
        State.PLANNING: frozenset(
            {State.WAITING, State.ACTING, State.PROVING, State.REFUSED, State.OBSERVED, State.UNPROVEN}
        ),
        State.ACTING: frozenset({State.PROVING, State.REFUSED, State.FAILED, State.UNPROVEN}),
        State.PROVING: frozenset(
            {State.ACTING, State.PROVEN, State.NOTHING_TO_DO, State.FAILED, State.UNPROVEN, State.REFUSED}
        ),
        **{final: frozenset() for final in FINAL},
    }
)


def may_follow(now: State, then: State) -> bool:
    """Whether `then` may follow `now`; staying is always allowed, because a step may run twice."""
    return now is then or then in TRANSITIONS[now]

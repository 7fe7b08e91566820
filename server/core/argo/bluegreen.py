"""Where a blue-green Rollout stands, by three hashes: current (cur), stable (sta), and the one that the live active Service selects.

a: cur is not stable and not active; b: it is active and not stable yet; c: it is all three. restored: stable again, and the Service
is still on another version of this Rollout.
"""

from __future__ import annotations

from typing import Literal

from server.core.argo.state import RolloutState

Situation = Literal["a", "b", "c", "restored", "elsewhere"]

DELAY = 30
"""Seconds until an aborted version's pods go, where spec does not say."""


def situation(state: RolloutState) -> Situation:
    """Which rows of the table apply."""
    active = state.active.selects
    if state.cur == state.sta:
        if active == state.sta:
            return "c"
        return "restored" if state.replica_set(active) is not None else "elsewhere"
    if active == state.sta:
        return "a"
    return "b" if active == state.cur else "elsewhere"


def hazard(state: RolloutState) -> bool:
    """Whether the controller would leave the active Service where it is, although the version on it was aborted."""
    return state.paused or not state.saturated


def capacity(state: RolloutState) -> str:
    """Why switching would take endpoints away; '' = it would not."""
    there, now = state.stable_available, state.endpoints.all_ready
    if state.endpoints.problem:
        return f"no proof would be possible: {state.endpoints.problem}"
    if there >= now:
        return ""
    return f"stable has {there} of {state.replicas} pods, switching would lose {now - there} endpoints"


def unreadable(state: RolloutState) -> str:
    """What could not be proven is not begun."""
    if state.active.problem:
        return f"no proof would be possible: Service {state.active.name}: {state.active.problem}"
    return f"no proof would be possible: {state.endpoints.problem}" if state.endpoints.problem else ""


def delay(state: RolloutState) -> int:
    """Seconds until an aborted version's pods go; 0 = never."""
    return DELAY if state.scale_down_delay is None else state.scale_down_delay

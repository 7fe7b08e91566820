"""Is there a controller? Its Lease is renewed every 2 s while one leads; a start or failover takes 14 to 20 s."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from server.core.argo.state import RolloutState

WINDOW = timedelta(seconds=6)
LATE = timedelta(seconds=25)
Movement = Literal["moving", "standing", "unclear", "unknown"]


def movement(seen: Sequence[RolloutState]) -> Movement:
    """moving: renewed between two looks of the last 6 s; standing: the same in looks that span 6 s; unknown: unreadable."""
    if not seen or seen[-1].lease.problem:
        return "unknown"
    last = seen[-1]
    readable = [state for state in seen if not state.lease.problem]
    recent = [state for state in readable if last.at - state.at <= WINDOW]
    if any(state.lease.renewed != last.lease.renewed for state in recent):
        return "moving"
    for state in reversed(readable):
        if state.lease.renewed != last.lease.renewed:
            break
        if last.at - state.at >= WINDOW:
            return "standing"
    return "unclear"


def lives(seen: Sequence[RolloutState]) -> bool:
    """Whether a wake may be sent: somebody renews, or nobody could say."""
    return movement(seen) in ("moving", "unknown")


def silent_since(state: RolloutState) -> datetime | None:
    """When the Lease was last renewed, where that is too long ago for a mere failover."""
    renewed = state.lease.renewed
    return renewed if renewed is not None and state.date - renewed > LATE else None

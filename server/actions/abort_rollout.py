"""Abort a canary that is under way: one write, bound to what was judged, and woken where the controller overlooks it.

Where the version is stable already and the runbook says so, it is undone instead. Taking either back would ship the bad version
again, so nothing is ever put back here: a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from server.actions.rollouts import observe, put_back, state, write
from server.core.argo import decide, undo_decide
from server.core.argo.by_plan import proceed, remarks, weigh
from server.core.argo.state import RolloutState
from server.core.durations import Seconds
from server.core.outcome import LookAgain, Plan, Refusal
from server.core.runbook import Options

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = False


class Params(Options):
    """when_promoted: what to do where the version is stable already. The rest is for the undo."""

    when_promoted: Literal["refuse", "undo"] = "refuse"
    promoted_within: Seconds = 3600.0
    skip_gates: bool = False


def plan(params: Params, seen: Sequence[RolloutState], now: datetime) -> Plan | Refusal | LookAgain:
    """The decision table."""
    options = undo_decide.Options.model_validate(params.model_dump())
    return undo_decide.canary(seen, options) or decide.plan(seen, now)

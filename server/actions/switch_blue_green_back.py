"""Switch a blue-green Rollout back to stable. Not built yet: it refuses aloud."""

from __future__ import annotations

from typing import Literal

from server.actions.not_built import observe, proceed, put_back, refusing, remarks, state, weigh, write
from server.core.durations import Seconds
from server.core.runbook import Options

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = False


class Params(Options):
    """What a runbook may say about it."""

    when_promoted: Literal["refuse", "undo"] = "refuse"
    promoted_within: Seconds = 3600.0
    skip_gates: bool = False


plan = refusing("switch_blue_green_back")

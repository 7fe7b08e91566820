"""Turn a LaunchDarkly flag to its safe state. Not built yet: it refuses aloud."""

from __future__ import annotations

from server.actions.not_built import observe, proceed, put_back, refusing, remarks, state, weigh, write
from server.core.runbook import Options

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = True


class Params(Options):
    """What a runbook may say about it."""

    comment: str = ""


plan = refusing("disable_flag")

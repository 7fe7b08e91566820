"""Resolve the incident in PagerDuty. Not built yet: it refuses aloud."""

from __future__ import annotations

from server.actions.not_built import observe, proceed, put_back, refusing, remarks, state, weigh, write
from server.core.runbook import Options

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = False


class Params(Options):
    """What a runbook may say about it."""


plan = refusing("resolve_incident")

"""Does the flag stand in its target's safe state (off, unless the catalog says on)? One read; the plan's word counts for nothing."""

from __future__ import annotations

from server.clients import Clients
from server.core.catalog import FlagTarget, Target
from server.core.flag import look as looking
from server.core.flag.prove import judge
from server.core.outcome import Plan, Verdict
from server.errors import Bug


def look(plan: Plan, clients: Clients, target: Target) -> Verdict:
    """One look."""
    if not isinstance(target, FlagTarget) or clients.launchdarkly is None:
        raise Bug(f"flag_is_off was given the target {target.name}, which is no flag, or no way to LaunchDarkly")
    return judge(looking.look(target, clients.launchdarkly, clients.now, around=False))

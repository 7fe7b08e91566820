"""Not built yet: it looks at nothing and never passes."""

from __future__ import annotations

from typing import Any

from server.clients import Clients
from server.core.outcome import Plan, Verdict


def look(plan: Plan, clients: Clients, target: Any) -> Verdict:
    """Unknown, and no waiting changes it."""
    return Verdict(kind="unknown", said="the check flag_is_off is not built yet", at=clients.now(), stop=True)

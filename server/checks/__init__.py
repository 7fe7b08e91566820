"""How we see whether it holds: the shape of a check, and the one table of them. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol, cast

from server.checks import flag_is_off, rollout_promoted_back, rollout_traffic_on_stable
from server.clients import Clients
from server.core.outcome import Plan, Verdict


class Check(Protocol):
    """One file each."""

    def look(self, plan: Plan, clients: Clients, target: Any) -> Verdict:
        """One look, reads only. Raises Transient where it cannot be read now; verdict.state is the look itself."""
        ...


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "rollout_traffic_on_stable": cast("Check", rollout_traffic_on_stable),
        "rollout_promoted_back": cast("Check", rollout_promoted_back),
        "flag_is_off": cast("Check", flag_is_off),
    }
)

KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "rollout_traffic_on_stable": frozenset({"rollout"}),
        "rollout_promoted_back": frozenset({"rollout"}),
        "flag_is_off": frozenset({"flag"}),
    }
)
"""Which kinds of target a check looks at; absent = every kind."""

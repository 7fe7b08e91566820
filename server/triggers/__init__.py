"""Who may wake us. A trigger is a module of two pure functions; the table is the list of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from server.core.delivery import Auth, Delivery
from server.triggers import pagerduty_v3


class Trigger(Protocol):
    """One source of deliveries: bytes in, Delivery out."""

    @staticmethod
    def authentic(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> Auth | None:
        """How the bytes were authenticated, or None."""
        ...

    @staticmethod
    def parse(headers: Mapping[str, str], raw: bytes, auth: Auth) -> Delivery:
        """What came; raises Rejected for what cannot come from this source."""
        ...


TRIGGERS: Mapping[str, Trigger] = MappingProxyType({"pagerduty_v3": pagerduty_v3})

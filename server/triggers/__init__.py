"""Who may wake us: one module for each source, pure: headers and bytes in, a Delivery out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from server.core.delivery import Auth, Delivery
from server.triggers import pagerduty_action, pagerduty_v3


class Trigger(Protocol):
    """What a module of this folder offers."""

    def authentic(self, headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> Auth | None:
        """How the message proved itself, or None. Constant time, over the raw bytes."""
        ...

    def parse(self, headers: Mapping[str, str], raw: bytes, auth: Auth) -> Delivery:
        """The message in our words: of several the first. Raises Rejected for what is not a JSON object, and nothing else."""
        ...

    def messages(self, headers: Mapping[str, str], raw: bytes, auth: Auth) -> tuple[tuple[Delivery, ...], int]:
        """Everything that the body says, in its order, and how much of it was left out. Raises as `parse`."""
        ...


TRIGGERS: Mapping[str, Trigger] = MappingProxyType({"pagerduty_v3": pagerduty_v3, "pagerduty_action": pagerduty_action})

"""What came: one received message in our own words, parsed once from its bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from server.core.outcome import Model

MOST = 100
"""Messages of one body that are taken."""

Trigger = Literal["pagerduty_v3", "pagerduty_action"]
Auth = Literal["v3_hmac", "header_secret", "basic", "mtls", "bearer", "api_token", "session", "internal"]


class Delivery(Model):
    """One received message. Texts are cleaned (no NUL, no lone surrogates) and cut; the raw bytes are stored beside it.

    webhook_id: X-Webhook-Id, or None. event_key: the event's id, else 'sha256:<hex of the body>'.
    incident: the PagerDuty id that it names, or None (ping, service events).
    workflow: the id of the incident workflow that a person started, for incident.workflow.started alone.
    note: the id of the note, for incident.annotated alone: by it our own notes are known when they come back.
    """

    trigger: Trigger
    auth: Auth
    webhook_id: str | None
    event_key: str
    event_type: str
    occurred_at: datetime | None
    incident: str | None
    agent: str | None = None
    agent_type: str | None = None
    agent_name: str | None = None
    workflow: str | None = None
    note: str | None = None
    runbook: str | None = None
    title: str = ""
    body_sha256: str


class StoredDelivery(Model):
    """A delivery with what the store gave it. id: time-ordered, so that ids sort by arrival.

    message, messages: which of how many messages of its body this is. A body with several is one delivery, keyed by the first;
    each message is decided by itself.
    """

    id: str
    received_at: datetime
    delivery: Delivery
    message: int = 1
    messages: int = 1

    @property
    def part(self) -> str:
        """Under which its decisions are kept: the delivery's id, from the second message on with its number."""
        return part_of(self.id, self.message)


def part_of(delivery: str, message: int) -> str:
    """One message's part of a delivery."""
    return delivery if message == 1 else f"{delivery}.{message:03d}"


def parts_of(delivery: str) -> list[str]:
    """All that a delivery can have."""
    return [part_of(delivery, message) for message in range(1, MOST + 1)]


def whole_of(part: str) -> str:
    """The delivery that a part belongs to."""
    return part.partition(".")[0]

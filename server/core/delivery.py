"""What came: one received message in our own words, parsed once from its bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from server.core.outcome import Model

Trigger = Literal["pagerduty_v3", "pagerduty_action"]
Auth = Literal["v3_hmac", "header_secret", "basic", "mtls", "bearer", "api_token", "session", "internal"]


class Delivery(Model):
    """One received message. Texts are cleaned (no NUL, no lone surrogates) and cut; the raw bytes are stored beside it.

    webhook_id: X-Webhook-Id, or None. event_key: the event's id, else 'sha256:<hex of the body>'.
    incident: the PagerDuty id that it names, or None (ping, service events).
    workflow: the id of the incident workflow that a person started, for incident.workflow.started alone.
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
    runbook: str | None = None
    title: str = ""
    body_sha256: str


class StoredDelivery(Model):
    """A delivery with what the store gave it. id: time-ordered, so that ids sort by arrival."""

    id: str
    received_at: datetime
    delivery: Delivery

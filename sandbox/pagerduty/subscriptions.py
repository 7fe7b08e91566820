"""Webhook subscriptions: who is told what, where, and signed with which secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.pagerduty.records import Incident

OFF_FOR = timedelta(hours=24)
DROPS_UNTIL_OFF = 3
EVENTS = (
    "incident.triggered",
    "incident.acknowledged",
    "incident.unacknowledged",
    "incident.escalated",
    "incident.delegated",
    "incident.reassigned",
    "incident.priority_updated",
    "incident.service_updated",
    "incident.incident_type.changed",
    "incident.reopened",
    "incident.resolved",
    "incident.annotated",
    "incident.status_update_published",
    "incident.custom_field_values.updated",
    "incident.conference_bridge.updated",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.workflow.started",
    "incident.workflow.completed",
    "incident.action_invocation.created",
    "incident.action_invocation.updated",
    "incident.action_invocation.terminated",
    "service.created",
    "service.updated",
    "service.deleted",
)


@dataclass
class Subscription:
    """A v3 subscription; with `v2` an extension: a Custom Incident Action, which is never signed."""

    id: str
    url: str
    events: list[str]
    filter: dict[str, Any]
    secrets: list[str]
    method_id: str
    description: str = ""
    active: bool = True
    headers: list[dict[str, str]] = field(default_factory=list)
    v2: bool = False
    drops_in_a_row: int = 0
    off_until: datetime | None = None

    @property
    def timeout(self) -> float:
        return 16.0 if self.v2 else 5.0

    def disabled(self, now: datetime) -> bool:
        return self.off_until is not None and now < self.off_until

    def enable(self) -> None:
        self.off_until, self.drops_in_a_row = None, 0

    def dropped(self, now: datetime) -> bool:
        """Count one; True where this one switched the subscription off."""
        self.drops_in_a_row += 1
        if self.drops_in_a_row < DROPS_UNTIL_OFF:
            return False
        self.off_until, self.drops_in_a_row = now + OFF_FOR, 0
        return True

    def wants(self, event_type: str, incident: Incident | None) -> bool:
        if not self.active or event_type not in self.events:
            return False
        if self.filter.get("type") == "service_reference":
            return incident is not None and incident.service.id == self.filter.get("id")
        return self.filter.get("type") == "account_reference"

    def shape(self, now: datetime, secret: str | None = None) -> dict[str, Any]:
        """The secret is shown once, in the answer that created it."""
        hidden = [{"name": one["name"], "value": "-- redacted --"} for one in self.headers]
        return {
            "id": self.id,
            "type": "webhook_subscription",
            "active": self.active,
            "description": self.description,
            "delivery_method": {
                "id": self.method_id,
                "type": "http_delivery_method",
                "url": self.url,
                "secret": secret,
                "temporarily_disabled": self.disabled(now),
                "custom_headers": hidden,
            },
            "events": self.events,
            "filter": self.filter,
            "oauth_client": None,
        }

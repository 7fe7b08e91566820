"""What PagerDuty remembers: plain records, in its own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class User:
    id: str
    name: str
    email: str


@dataclass
class Service:
    id: str
    name: str
    routing_key: str
    integration_id: str
    created_at: datetime


@dataclass
class Alert:
    id: str
    key: str
    service: Service
    incident: str
    created_at: datetime
    summary: str
    severity: str
    details: Any
    payload: dict[str, Any]
    client: str | None = None
    client_url: str | None = None
    links: list[dict[str, Any]] = field(default_factory=list)
    status: str = "triggered"
    resolved_at: datetime | None = None


@dataclass
class Note:
    id: str
    content: str
    user: User
    created_at: datetime
    updated_at: datetime


@dataclass
class Entry:
    """A log entry: what happened to an incident, by whom."""

    id: str
    type: str
    summary: str
    created_at: datetime
    agent: dict[str, Any] | None
    channel: dict[str, Any]


@dataclass
class Incident:
    id: str
    number: int
    title: str
    service: Service
    created_at: datetime
    changed_at: datetime
    urgency: str = "high"
    status: str = "triggered"
    incident_key: str | None = None
    body: str | None = None
    client: dict[str, Any] | None = None
    priority: dict[str, Any] | None = None
    assignees: list[User] = field(default_factory=list)
    acknowledged_by: list[tuple[User, datetime]] = field(default_factory=list)
    reopened_at: datetime | None = None
    resolved_at: datetime | None = None
    merged_into: str | None = None
    changed_by: dict[str, Any] | None = None
    alerts: list[Alert] = field(default_factory=list)
    closed_alerts: list[Alert] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.status != "resolved"


class Refused(Exception):
    """The REST API's own error answer."""

    def __init__(self, status: int, code: int, message: str, errors: list[str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.errors = status, code, message, errors

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors:
            error["errors"] = self.errors
        return {"error": error}


def invalid(*errors: str) -> Refused:
    return Refused(400, 2001, "Invalid Input Provided", list(errors))


def not_found(what: str = "") -> Refused:
    return Refused(404, 2100, f"{what} Not Found".strip())

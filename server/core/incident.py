"""What it is about: the incident and its alerts, as re-read from PagerDuty's REST API (never from a payload)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from server.core.outcome import Model


class Alert(Model):
    """One alert. details: body.details, else cef_details.details; None = no data (a string counts as none)."""

    id: str
    status: str
    created_at: datetime
    summary: str = ""
    severity: str = ""
    alert_key: str = ""
    details: dict[str, Any] | None = None


class Incident(Model):
    """status: triggered, acknowledged, resolved. epoch source: created_at, or the latest reopening.

    changed_by, changed_by_id, changed_at: who moved it to its status, and when. merged_into: the incident that a resolved one was merged into.
    merged: the incidents that were asked for first, when each was merged into the next and the last into this one.
    """

    id: str
    number: int | None
    title: str
    status: str
    created_at: datetime
    reopened_at: datetime | None = None
    html_url: str = ""
    service: str = Field(description="id of the PagerDuty service")
    service_name: str = ""
    resolve_reason: str | None = None
    changed_by: str = ""
    changed_by_id: str = ""
    changed_at: datetime | None = None
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = Field(default=(), description="oldest first")
    read_at: datetime

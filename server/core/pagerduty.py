"""PagerDuty's JSON in our own words: incidents and alerts as REST gives them, and its times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from server.core.incident import Alert, Incident
from server.core.text import clean, tidy, within_bounds

Json = dict[str, Any]
STATUSES = frozenset({"triggered", "acknowledged", "resolved"})


def parse_time(value: object) -> datetime | None:
    """An ISO time, in UTC; None for anything else."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_alert(body: Json) -> Alert:
    """One alert of GET /incidents/{id}/alerts. Raises ValueError for what is not one."""
    created_at = parse_time(body.get("created_at"))
    if created_at is None:
        raise ValueError("an alert without created_at")
    return Alert(
        id=text(body.get("id"), 64),
        status=text(body.get("status"), 32),
        created_at=created_at,
        summary=text(body.get("summary"), 1024),
        severity=text(body.get("severity"), 32),
        alert_key=text(body.get("alert_key"), 255),
        details=details(body.get("body")),
    )


def details(body: object) -> Json | None:
    """body.details, else body.cef_details.details; a text is no data, and so is what is too much to be kept whole."""
    if not isinstance(body, dict):
        return None
    cef = body.get("cef_details")
    for found in (body.get("details"), cef.get("details") if isinstance(cef, dict) else None):
        if isinstance(found, dict):
            kept: Json = tidy(found)
            return kept if within_bounds(found) else None
    return None


def parse_incident(body: Json, alerts: Sequence[Json], read_at: datetime) -> Incident:
    """GET /incidents/{id} with its alerts. Raises ValueError for what is not an incident."""
    created_at, incident = parse_time(body.get("created_at")), text(body.get("id"), 64)
    if created_at is None or not incident:
        raise ValueError("an incident without id or created_at")
    if text(body.get("status"), 32) not in STATUSES:  # what does not say that it is open must not count as open
        raise ValueError("an incident without a status")
    service = body.get("service") if isinstance(body.get("service"), dict) else {}
    number = body.get("incident_number", body.get("number"))
    parsed = [parse_alert(alert) for alert in alerts if isinstance(alert, dict)]
    return Incident(
        id=incident,
        number=number if isinstance(number, int) and not isinstance(number, bool) else None,
        title=text(body.get("title"), 1024),
        status=text(body.get("status"), 32),
        created_at=created_at,
        reopened_at=parse_time(body.get("reopened_at")),
        html_url=text(body.get("html_url"), 500),
        service=text((service or {}).get("id"), 64),
        service_name=text((service or {}).get("summary"), 255),
        resolve_reason=_resolve_reason(body.get("resolve_reason")),
        changed_by=text(_inside(body.get("last_status_change_by"), "summary"), 200),
        changed_by_id=text(_inside(body.get("last_status_change_by"), "id"), 64),
        changed_at=parse_time(body.get("last_status_change_at")),
        merged_into=_merged_into(body.get("resolve_reason")),
        alerts=tuple(sorted(parsed, key=lambda alert: (alert.created_at, alert.id))),
        read_at=read_at,
    )


def text(value: object, limit: int) -> str:
    """A text, clean; anything else is none."""
    return clean(value, limit) if isinstance(value, str) else ""


def _inside(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _merged_into(reason: object) -> str | None:
    """REST names the incident that took the alerts over; where only the word is there, nobody knows."""
    found = _inside(reason, "incident", "id")
    return text(found, 64) or None if isinstance(found, str) else None


def _resolve_reason(value: object) -> str | None:
    """Any value means merged: a text in V2, an object in REST."""
    if value is None:
        return None
    return text(value.get("type"), 64) if isinstance(value, dict) else text(value, 64)

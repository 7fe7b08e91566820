"""PagerDuty's REST objects in our own words. Everything in them is a stranger's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from server.core.incident import Alert, Incident
from server.core.text import clean


def parse_time(text: object) -> datetime | None:
    """An ISO 8601 time with a zone, in UTC; anything else is None."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def parse_alert(alert: Mapping[str, Any]) -> Alert:
    """One alert. Raises ValueError where it has no id or no time."""
    created = parse_time(alert.get("created_at"))
    if created is None:
        raise ValueError("an alert without created_at")
    return Alert(
        id=clean(alert.get("id"), 64),
        status=clean(alert.get("status"), 32),
        created_at=created,
        summary=clean(alert.get("summary"), 1024),
        severity=clean(alert.get("severity"), 32),
        alert_key=clean(alert.get("alert_key"), 255),
        details=_details(alert.get("body")),
    )


def _details(body: object) -> dict[str, Any] | None:
    """`body.details`, else `body.cef_details.details`; a string is no data."""
    if not isinstance(body, dict):
        return None
    cef = body.get("cef_details")
    for details in (body.get("details"), cef.get("details") if isinstance(cef, dict) else None):
        if isinstance(details, dict) and details:
            return {clean(key, 200): _value(value) for key, value in list(details.items())[:200]}
    return None


def _value(value: object) -> Any:
    if isinstance(value, str):
        return clean(value, 2000)
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(repr(value), 2000)


def parse_incident(incident: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]], read_at: datetime) -> Incident:
    """An incident with its alerts, oldest first. Raises ValueError or KeyError where it is not the shape of one."""
    created = parse_time(incident["created_at"])
    if created is None:
        raise ValueError("an incident without created_at")
    service = incident["service"]
    number = incident.get("incident_number", incident.get("number"))
    parsed = [parse_alert(alert) for alert in alerts]
    return Incident(
        id=clean(incident["id"], 64),
        number=number if isinstance(number, int) else None,
        title=clean(incident.get("title"), 1024),
        status=clean(incident["status"], 32),
        created_at=created,
        reopened_at=parse_time(incident.get("reopened_at")),
        html_url=clean(incident.get("html_url"), 500),
        service=clean(service["id"], 64),
        service_name=clean(service.get("summary"), 200),
        resolve_reason=None if incident.get("resolve_reason") is None else clean(str(incident["resolve_reason"]), 200),
        alerts=tuple(sorted(parsed, key=lambda alert: (alert.created_at, alert.id))),
        read_at=read_at,
    )

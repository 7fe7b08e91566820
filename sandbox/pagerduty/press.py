"""A Custom Incident Action: the button that posts an unsigned V2 body, authenticated by a header at best."""

from __future__ import annotations

from typing import Any

from sandbox.clock import whole_seconds
from sandbox.pagerduty import shapes
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.records import Incident


def message(
    account: Account, incident: Incident, runbook: str, url: str, user: dict[str, Any], at: str
) -> dict[str, Any]:
    """One element of `messages[]`."""
    service = shapes.service_reference(incident.service)
    entry = {
        "id": account.entry_id(),
        "type": "custom_log_entry",
        "summary": f"Custom action '{runbook}' triggered by {user['summary']}",
        "agent": user,
        "channel": {"type": "custom_web_trigger", "name": runbook, "details_omitted": False},
        "service": service,
        "incident": shapes.incident_reference(incident),
        "created_at": at,
        "teams": [],
        "contexts": [],
        "event_details": {},
    }
    return {
        "id": account.uuid(),
        "event": "incident.custom",
        "created_on": at,
        "log_entries": [entry],
        "webhook": {
            "id": account.short_id(),
            "type": "webhook",
            "name": runbook,
            "summary": runbook,
            "endpoint_url": url,
            "config": {},
            "webhook_object": {"id": incident.service.id, "type": "service_reference"},
            "outbound_integration": {"id": account.short_id(), "type": "outbound_integration_reference"},
            "accounts_addon": None,
        },
        "incident": _incident(incident, account),
    }


def _incident(incident: Incident, account: Account) -> dict[str, Any]:
    rest = shapes.incident(incident, account.escalation_policy)
    return {
        **rest,
        "service": {**rest["service"], "name": incident.service.name, "type": "service"},
        "alerts": [{"alert_key": alert.key} for alert in incident.alerts],
        "metadata": {},
        "external_references": [],
        "created_at": whole_seconds(incident.created_at),
    }

"""How records look from outside: REST objects, and the data of v3 webhooks. The two differ in names on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.clock import whole_seconds
from sandbox.pagerduty.account import API, WEB
from sandbox.pagerduty.records import Alert, Entry, Incident, Note, Service, User

_LONGEST_IN_WEBHOOK = 24_000
_PATHS = {"incident": "incidents", "service": "services", "user": "users", "escalation_policy": "escalation_policies"}


def reference(kind: str, key: str, summary: str | None) -> dict[str, Any]:
    path = _PATHS[kind]
    return {
        "id": key,
        "type": f"{kind}_reference",
        "summary": summary,
        "self": f"{API}/{path}/{key}",
        "html_url": f"{WEB}/{path}/{key}",
    }


def user_reference(user: User) -> dict[str, Any]:
    return reference("user", user.id, user.name)


def service_reference(service: Service) -> dict[str, Any]:
    return reference("service", service.id, service.name)


def incident_reference(incident: Incident) -> dict[str, Any]:
    return reference("incident", incident.id, incident.title)


def integration_reference(service: Service) -> dict[str, Any]:
    """The agent of what came through the Events API."""
    return {
        "id": service.integration_id,
        "type": "inbound_integration_reference",
        "summary": "Events API V2",
        "self": f"{API}/services/{service.id}/integrations/{service.integration_id}",
        "html_url": f"{WEB}/services/{service.id}/integrations/{service.integration_id}",
    }


def user(one: User) -> dict[str, Any]:
    return {
        **user_reference(one),
        "type": "user",
        "name": one.name,
        "email": one.email,
        "time_zone": "Etc/UTC",
        "role": "admin",
        "teams": [],
        "contact_methods": [],
        "notification_rules": [],
        "job_title": None,
    }


def service(one: Service, escalation_policy: str) -> dict[str, Any]:
    return {
        **service_reference(one),
        "type": "service",
        "name": one.name,
        "description": one.name,
        "status": "active",
        "created_at": whole_seconds(one.created_at),
        "alert_creation": "create_alerts_and_incidents",
        "escalation_policy": reference("escalation_policy", escalation_policy, "Default"),
        "integrations": [{**integration_reference(one), "type": "events_api_v2_inbound_integration_reference"}],
        "teams": [],
    }


def incident(one: Incident, escalation_policy: str) -> dict[str, Any]:
    """REST's view."""
    entry = one.entries[0] if one.entries else None
    return {
        **incident_reference(one),
        "type": "incident",
        "summary": f"[#{one.number}] {one.title}",
        "incident_number": one.number,
        "title": one.title,
        "description": one.title,
        "created_at": whole_seconds(one.created_at),
        "updated_at": whole_seconds(one.changed_at),
        "resolved_at": _maybe(one.resolved_at),
        "status": one.status,
        "incident_key": one.incident_key,
        "service": service_reference(one.service),
        "assignments": [
            {"at": whole_seconds(one.created_at), "assignee": user_reference(who)} for who in one.assignees
        ],
        "assigned_via": "escalation_policy",
        "acknowledgements": [
            {"at": whole_seconds(at), "acknowledger": user_reference(who)} for who, at in one.acknowledged_by
        ],
        "last_status_change_at": whole_seconds(one.changed_at),
        "last_status_change_by": one.changed_by or service_reference(one.service),
        "first_trigger_log_entry": _entry_reference(entry),
        "escalation_policy": reference("escalation_policy", escalation_policy, "Default"),
        "teams": [],
        "priority": one.priority,
        "urgency": one.urgency,
        "resolve_reason": _resolve_reason(one),
        "alert_counts": _counts(one.alerts),
        "incident_type": {"name": "incident_default"},
        "is_mergeable": one.open,
        "pending_actions": [],
        "impacted_services": [service_reference(one.service)],
        "body": {"type": "incident_body", "details": one.body} if one.body is not None else None,
    }


def incident_data(one: Incident, escalation_policy: str) -> dict[str, Any]:
    """The v3 webhook's view."""
    data: dict[str, Any] = {
        "id": one.id,
        "type": "incident",
        "self": f"{API}/incidents/{one.id}",
        "html_url": f"{WEB}/incidents/{one.id}",
        "number": one.number,
        "status": one.status,
        "incident_key": one.incident_key,
        "created_at": whole_seconds(one.created_at),
        "title": one.title,
        "incident_type": {"name": "incident_default"},
        "service": service_reference(one.service),
        "assignees": [user_reference(who) for who in one.assignees],
        "escalation_policy": reference("escalation_policy", escalation_policy, "Default"),
        "teams": [],
        "priority": one.priority,
        "urgency": one.urgency,
        "conference_bridge": None,
        "resolve_reason": _resolve_reason(one),
    }
    if one.reopened_at is not None:
        data["reopened_at"] = whole_seconds(one.reopened_at)
    return data


def alert(one: Alert, parent: Incident) -> dict[str, Any]:
    entry = parent.entries[0] if parent.entries else None
    return {
        "id": one.id,
        "type": "alert",
        "summary": one.summary,
        "self": f"{API}/incidents/{parent.id}/alerts/{one.id}",
        "html_url": f"{WEB}/alerts/{one.id}",
        "created_at": whole_seconds(one.created_at),
        "updated_at": whole_seconds(one.resolved_at or one.created_at),
        "resolved_at": _maybe(one.resolved_at),
        "status": one.status,
        "alert_key": one.key,
        "severity": one.severity,
        "suppressed": False,
        "service": service_reference(one.service),
        "incident": incident_reference(parent),
        "integration": integration_reference(one.service),
        "first_trigger_log_entry": _entry_reference(entry),
        "privilege": None,
        "body": _alert_body(one),
    }


def _alert_body(one: Alert) -> dict[str, Any]:
    contexts = [{"type": "link", "href": link.get("href"), "text": link.get("text")} for link in one.links]
    return {
        "type": "alert_body",
        "contexts": contexts,
        "details": one.details,
        "cef_details": {
            "dedup_key": one.key,
            "description": one.summary,
            "message": one.summary,
            "severity": one.severity,
            "source_origin": one.payload.get("source"),
            "source_component": one.payload.get("component"),
            "source_group": one.payload.get("group"),
            "event_class": one.payload.get("class"),
            "client": one.client,
            "client_url": one.client_url,
            "contexts": contexts,
            "creation_time": one.payload.get("timestamp"),
            "details": one.details,
        },
    }


def note(one: Note) -> dict[str, Any]:
    return {
        "id": one.id,
        "user": user_reference(one.user),
        "channel": {"summary": "The PagerDuty website or APIs"},
        "content": one.content,
        "created_at": whole_seconds(one.created_at),
        "updated_at": whole_seconds(one.updated_at),
    }


def note_data(one: Note, parent: Incident) -> dict[str, Any]:
    trimmed = len(one.content) > _LONGEST_IN_WEBHOOK
    return {
        "type": "incident_note",
        "id": one.id,
        "content": one.content[:_LONGEST_IN_WEBHOOK],
        "trimmed": trimmed,
        "incident": incident_reference(parent),
    }


def entry(one: Entry, parent: Incident) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "summary": one.summary,
        "self": f"{API}/log_entries/{one.id}",
        "html_url": None,
        "created_at": whole_seconds(one.created_at),
        "agent": one.agent,
        "channel": one.channel,
        "service": service_reference(parent.service),
        "incident": incident_reference(parent),
        "teams": [],
        "contexts": [],
        "event_details": {},
    }


def _entry_reference(one: Entry | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "id": one.id,
        "type": "trigger_log_entry_reference",
        "summary": one.summary,
        "self": f"{API}/log_entries/{one.id}",
        "html_url": None,
    }


def _resolve_reason(one: Incident) -> dict[str, Any] | None:
    if one.merged_into is None:
        return None
    return {"type": "merge_resolve_reason", "incident": reference("incident", one.merged_into, None)}


def _counts(alerts: Iterable[Alert]) -> dict[str, int]:
    states = [one.status for one in alerts]
    return {"all": len(states), "triggered": states.count("triggered"), "resolved": states.count("resolved")}


def _maybe(at: datetime | None) -> str | None:
    return whole_seconds(at) if at else None

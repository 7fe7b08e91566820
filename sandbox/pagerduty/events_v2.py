"""The Events API v2: what monitoring tools post, deduplicated into alerts and incidents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.http import Request, Response, json_response
from sandbox.pagerduty import shapes
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.incidents import Incidents
from sandbox.pagerduty.records import Alert, Service

if TYPE_CHECKING:
    from sandbox.world import World

LONGEST_SUMMARY = 1024
LONGEST_KEY = 255
BIGGEST_EVENT = 512 * 1024
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")


class EventsV2:
    """No auth header: the routing key in the body is the credential."""

    def __init__(self, world: World, account: Account, incidents: Incidents) -> None:
        self._world, self._account, self._incidents = world, account, incidents

    def enqueue(self, request: Request) -> Response:
        event, errors = self._read(request)
        if errors:
            return _invalid(errors)
        service = self._account.by_key(event["routing_key"])
        if service is None:
            return _invalid(["Invalid routing key"])
        key = str(event.get("dedup_key") or self._account.uuid().replace("-", ""))
        request.entry.applied = self._apply(event, service, key)
        return json_response(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def change(self, request: Request) -> Response:
        """Change events leave no incident; only their form is looked at."""
        event, errors = self._read(request, change=True)
        if errors:
            return _invalid(errors)
        if self._account.by_key(event["routing_key"]) is None:
            return _invalid(["Invalid routing key"])
        request.entry.applied = True
        return json_response(202, {"status": "success", "message": "Change event processed"})

    def _read(self, request: Request, change: bool = False) -> tuple[dict[str, Any], list[str]]:
        if len(request.body) > BIGGEST_EVENT:
            return {}, ["The event is larger than 512 KB"]
        try:
            event = request.json()
        except (ValueError, RecursionError):
            return {}, ["Event object format is unrecognized"]
        if not isinstance(event, dict):
            return {}, ["Event object format is unrecognized"]
        return event, _change_errors(event) if change else _event_errors(event)

    def _apply(self, event: dict[str, Any], service: Service, key: str) -> bool:
        """True where something changed: acknowledging or resolving what is not open is dropped without a word."""
        alert = self._incidents.open_alert(service, key)
        agent = shapes.integration_reference(service)
        if event["event_action"] == "trigger":
            if alert is None:
                self._open(event, service, key, agent)
            else:
                alert.summary = event["payload"]["summary"]
                self._incidents.record(self._incidents.all[alert.incident], "triggered", agent)
            return True
        if alert is None:
            return False
        incident = self._incidents.all[alert.incident]
        if event["event_action"] == "resolve":
            self._incidents.resolve_alert(alert, agent)
            return True
        if incident.status != "triggered":
            return False
        self._incidents.acknowledge(incident, agent)
        return True

    def _open(self, event: dict[str, Any], service: Service, key: str, agent: dict[str, Any]) -> None:
        payload, client = event["payload"], event.get("client")
        alert = Alert(
            id=self._account.long_id(),
            key=key,
            service=service,
            incident="",
            created_at=self._world.clock.now(),
            summary=payload["summary"],
            severity=payload["severity"],
            details=payload.get("custom_details") if payload.get("custom_details") is not None else {},
            payload=payload,
            client=client,
            client_url=event.get("client_url"),
            links=[link for link in event.get("links") or [] if isinstance(link, dict)],
        )
        known = {"name": client} if client else None
        if known and event.get("client_url"):
            known["url"] = event["client_url"]
        self._incidents.open(service, payload["summary"], agent, alert=alert, client=known)


def _event_errors(event: dict[str, Any]) -> list[str]:
    errors = _key_errors(event)
    action, dedup_key = event.get("event_action"), event.get("dedup_key")
    if action not in _ACTIONS:
        errors.append("'event_action' is invalid (must be one of: trigger, acknowledge, resolve)")
    if dedup_key is not None and (not isinstance(dedup_key, str) or len(dedup_key) > LONGEST_KEY):
        errors.append(f"'dedup_key' is invalid (at most {LONGEST_KEY} characters)")
    if action in ("acknowledge", "resolve") and not dedup_key:
        errors.append(f"'dedup_key' is missing or blank, {action} needs it")
    if action == "trigger":
        errors += _payload_errors(event.get("payload"))
    return errors


def _change_errors(event: dict[str, Any]) -> list[str]:
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return [*_key_errors(event), "'payload' is missing or blank"]
    return _key_errors(event) + _summary_errors(payload)


def _key_errors(event: dict[str, Any]) -> list[str]:
    key = event.get("routing_key")
    if isinstance(key, str) and len(key) == 32 and key.isalnum():
        return []
    return ["'routing_key' is invalid (32 letters and digits are wanted)"]


def _payload_errors(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    errors = _summary_errors(payload)
    if not isinstance(payload.get("source"), str) or not payload["source"]:
        errors.append("'payload.source' is missing or blank")
    if payload.get("severity") not in _SEVERITIES:
        errors.append("'payload.severity' is invalid (must be one of: critical, error, warning, info)")
    details = payload.get("custom_details")
    if details is not None and not isinstance(details, dict | str):
        errors.append("'payload.custom_details' is invalid (must be an object)")
    if payload.get("timestamp") is not None and not _is_time(payload["timestamp"]):
        errors.append("'payload.timestamp' is invalid (must be ISO 8601)")
    return errors


def _summary_errors(payload: dict[str, Any]) -> list[str]:
    summary = payload.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        return ["'payload.summary' is missing or blank"]
    if len(summary) > LONGEST_SUMMARY:
        return [f"'payload.summary' is invalid (longer than {LONGEST_SUMMARY} characters)"]
    return []


def _is_time(text: object) -> bool:
    try:
        datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _invalid(errors: list[str]) -> Response:
    return json_response(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})

"""PagerDuty's v3 webhooks: signed over the raw body, one event in each.

The signature has no time in it; repeats are found by the ids, age by `occurred_at`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from server.core.delivery import Auth, Delivery
from server.core.pagerduty import parse_time, text
from server.core.runbook import WORKFLOW_STARTED
from server.triggers.wire import Json, header, read_object, sha256, whole, within

SIGNATURE = "X-PagerDuty-Signature"
ANNOTATED = "incident.annotated"


def authentic(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> Auth | None:
    """Any `v1=` part against any secret. The secret is plain text, not base64, and every pair is compared."""
    listed = (part.strip() for part in (header(headers, SIGNATURE) or "").split(","))
    given = [part[3:].encode("utf-8", "replace") for part in listed if part.startswith("v1=")]
    wanted = [hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    fits = False
    for one in given:
        for other in wanted:
            fits |= hmac.compare_digest(one, other)
    return "v3_hmac" if fits else None


def parse(headers: Mapping[str, str], raw: bytes, auth: Auth) -> Delivery:
    """The event. Only what is not a JSON object is Rejected: a sender drops for good what gets a 4xx."""
    body, digest = read_object(raw), sha256(raw)
    event = within(body, "event")
    event_type = whole(within(event, "event_type"), 100) or ""
    agent = within(event, "agent")
    return Delivery(
        trigger="pagerduty_v3",
        auth=auth,
        webhook_id=whole(header(headers, "X-Webhook-Id"), 200),
        event_key=whole(within(event, "id"), 200) or f"sha256:{digest}",
        event_type=event_type,
        occurred_at=parse_time(within(event, "occurred_at")),
        incident=_incident(within(event, "data")),
        agent=whole(within(agent, "id"), 64),
        agent_type=whole(within(agent, "type"), 64),
        agent_name=text(within(agent, "summary"), 200) or None,
        workflow=_workflow(event) if event_type == WORKFLOW_STARTED else None,
        note=whole(within(event, "data", "id"), 64) if event_type == ANNOTATED else None,
        title=_title(within(event, "data")),
        body_sha256=digest,
    )


def messages(headers: Mapping[str, str], raw: bytes, auth: Auth) -> tuple[tuple[Delivery, ...], int]:
    """One body is one event."""
    return (parse(headers, raw, auth),), 0


def _incident(data: object) -> str | None:
    """Three places, by the type of the data; service events and pings have none."""
    kind = within(data, "type")
    if kind == "incident":
        return whole(within(data, "id"), 64)
    if kind == "incident_role_assignment":
        return whole(within(data, "incident_role_assignments", 0, "incident", "id"), 64)
    return whole(within(data, "incident", "id"), 64)


def _workflow(event: Json) -> str | None:
    """The workflow that a person started; one that a condition started asks for nothing."""
    if within(event, "agent", "type") != "user_reference":
        return None
    return whole(within(event, "data", "incident_workflow", "id"), 64)


def _title(data: object) -> str:
    return text(within(data, "title"), 1024) or text(within(data, "incident", "summary"), 1024)

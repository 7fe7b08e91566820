"""PagerDuty's v3 webhook subscriptions: signed over the raw bytes, one event a request.

The signature is HMAC-SHA256 over the body exactly as it came, keyed with the secret's own characters (it looks like base64 and
is not). Several may stand in the header, one for each active secret; one that fits is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Never

from server.core.delivery import Auth, Delivery
from server.core.pagerduty import parse_time
from server.core.text import clean
from server.errors import Rejected

MOST_SIGNATURES = 100


def authentic(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str]) -> Auth | None:
    """How the bytes were authenticated, or None. Compared in constant time, every signature against every secret."""
    given = _header(headers, "X-PagerDuty-Signature") or ""
    parts = [part.strip() for part in given.split(",")[:MOST_SIGNATURES]]
    got = [part[3:].encode("utf-8", "replace") for part in parts if part.startswith("v1=")]
    want = [hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode() for secret in secrets]
    fits = False
    for one in got:
        for other in want:
            fits |= hmac.compare_digest(one, other)
    return "v3_hmac" if fits else None


def parse(headers: Mapping[str, str], raw: bytes, auth: Auth) -> Delivery:
    """What came. Only what cannot come from PagerDuty is Rejected: not JSON, not an object."""
    body = load(raw)
    event = body.get("event")
    event = event if isinstance(event, dict) else {}
    digest = hashlib.sha256(raw).hexdigest()
    event_id = clean(event.get("id"), 200)
    event_type = clean(event.get("event_type"), 100)
    agent = event.get("agent")
    agent = agent if isinstance(agent, dict) else {}
    data = event.get("data")
    data = data if isinstance(data, dict) else {}
    return Delivery(
        trigger="pagerduty_v3",
        auth=auth,
        webhook_id=clean(_header(headers, "X-Webhook-Id"), 200) or None,
        event_key=event_id or f"sha256:{digest}",
        event_type=event_type,
        occurred_at=parse_time(event.get("occurred_at")),
        incident=_incident(data),
        agent=clean(agent.get("id"), 64) or None,
        agent_type=clean(agent.get("type"), 64) or None,
        agent_name=clean(agent.get("summary"), 200) or None,
        workflow=_workflow(event_type, data),
        title=clean(data.get("title"), 500),
        body_sha256=digest,
    )


def load(raw: bytes) -> dict[str, Any]:
    """The body as one JSON object, by the one parser that everything uses."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Rejected("the body is not UTF-8", 400) from error
    except RecursionError as error:
        raise Rejected("the body is nested too deeply", 400) from error
    except ValueError as error:
        raise Rejected("the body is not JSON", 400) from error
    if not isinstance(body, dict):
        raise Rejected("the body is not a JSON object", 400)
    return body


def _no_constant(_text: str) -> Never:
    raise ValueError("NaN and Infinity are not JSON")


def _incident(data: Mapping[str, Any]) -> str | None:
    """The incident's id, wherever this kind of data keeps it."""
    if data.get("type") == "incident":
        return _identifier(data.get("id"))
    holder: Any = data
    assignments = data.get("incident_role_assignments")
    if isinstance(assignments, list) and assignments and isinstance(assignments[0], dict):
        holder = assignments[0]
    incident = holder.get("incident")
    return _identifier(incident.get("id")) if isinstance(incident, dict) else None


def _identifier(value: object) -> str | None:
    return clean(value, 64) or None


def _workflow(event_type: str, data: Mapping[str, Any]) -> str | None:
    workflow = data.get("incident_workflow")
    if event_type != "incident.workflow.started" or not isinstance(workflow, dict):
        return None
    return _identifier(workflow.get("id"))


def _header(headers: Mapping[str, str], name: str) -> str | None:
    found = headers.get(name)
    if found is None:
        found = next((value for key, value in headers.items() if key.lower() == name.lower()), None)
    return found

"""Messages as PagerDuty sends them, signed as PagerDuty signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

SECRET = "one-webhook-secret-of-the-tests"


def event(
    event_type: str = "incident.triggered", *, event_id: str | None = None, title: str = "checkout hurts"
) -> dict[str, Any]:
    """A v3 event."""
    return {
        "event": {
            "id": event_id or uuid4().hex,
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": "2026-11-24T03:12:34.000Z",
            "agent": None,
            "client": None,
            "data": {
                "id": "QINC1",
                "type": "incident",
                "title": title,
                "status": "triggered",
                "service": {"id": "PCANARY", "type": "service_reference", "summary": "web-frontend"},
            },
        }
    }


def body(value: Any) -> bytes:
    """The bytes of a JSON value, not reduced to ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def signature(raw: bytes, secret: str = SECRET) -> str:
    """One signature."""
    return "v1=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def signed(raw: bytes, secret: str = SECRET, webhook_id: str | None = None) -> dict[str, str]:
    """The headers of a delivery."""
    return {
        "X-PagerDuty-Signature": signature(raw, secret),
        "X-Webhook-Id": webhook_id or uuid4().hex,
        "X-Webhook-Subscription": "PSUB1",
        "User-Agent": "PagerDuty-Webhook/V3.0",
        "Content-Type": "application/json",
    }

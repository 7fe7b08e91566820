"""Hand-made deliveries, for tests of what comes after the door."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa

from server import db
from server.core.delivery import Delivery
from server.store.inbox import Inbox, Recorded

AT = datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC)


def message(
    event_type: str = "incident.triggered", *, event_key: str | None = None, webhook_id: str | None = None
) -> Delivery:
    """One message about an incident."""
    return Delivery(
        trigger="pagerduty_v3",
        auth="v3_hmac",
        webhook_id=webhook_id or uuid4().hex,
        event_key=event_key or uuid4().hex,
        event_type=event_type,
        occurred_at=AT,
        incident="QINC1",
        body_sha256="0" * 64,
    )


def put(inbox: Inbox, delivery: Delivery, limit: float = 1.25) -> Recorded:
    """Records it now."""
    return inbox.record(delivery, {"X-Webhook-Id": str(delivery.webhook_id)}, b"{}", datetime.now(UTC), limit)


def engines(url: str) -> tuple[sa.Engine, sa.Engine, sa.Engine]:
    """A reading, a writing and an accepting engine on a database that has its tables."""
    writing = db.writing(url)
    db.metadata.create_all(writing)
    return db.reading(url), writing, db.writing(url, patience=1.5)


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it comes to hold in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return holds()

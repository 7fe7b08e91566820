"""What came, as rows: read by the executing process, claimed, settled. Writing them is `store/inbox.py`.

The row is the outbox: a delivery that is committed and not yet started stands in state NEW until somebody starts it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from server.core.delivery import Delivery, StoredDelivery
from server.store.tables import CLAIMED, NEW, STARTED, deliveries


def new_id(at: datetime) -> str:
    """An id that sorts by arrival: 48 bits of milliseconds, 12 of the microseconds left, 36 of chance; 24 hex digits."""
    millis, micros = divmod((at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 1000)
    return f"{millis:012x}{micros:03x}{secrets.randbits(36):09x}"


@dataclass(frozen=True)
class Loaded:
    """A delivery with everything that proves it: the headers that authenticate, and the bytes as they came."""

    stored: StoredDelivery
    headers: Mapping[str, str]
    raw: bytes


def load(connection: sa.Connection, delivery_id: str) -> Loaded | None:
    """One delivery, or None."""
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    if row is None:
        return None
    return Loaded(_stored(row), json.loads(row.headers), bytes(row.body))


def of_type(connection: sa.Connection, incident: str, event_type: str, n: int = 20) -> tuple[Loaded, ...]:
    """The latest deliveries of one type about one incident, newest first."""
    wanted = sa.and_(deliveries.c.incident == incident, deliveries.c.event_type == event_type)
    rows = connection.execute(sa.select(deliveries).where(wanted).order_by(deliveries.c.id.desc()).limit(n)).all()
    return tuple(Loaded(_stored(row), json.loads(row.headers), bytes(row.body)) for row in rows)


def take(engine: sa.Engine, n: int, me: str, now: datetime) -> tuple[StoredDelivery, ...]:
    """The `n` oldest deliveries that nobody has started, in order of arrival.

    On PostgreSQL they are claimed for `me`, so that two executing processes never take the same one; on SQLite there is one
    executing process only, and looking is enough (give a reading engine: no write lock is taken).
    """
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.execute(_oldest(_SHOWN, n)).all()
        else:
            mine = _oldest((deliveries.c.id,), n).with_for_update(skip_locked=True)
            claim = sa.update(deliveries).where(deliveries.c.id.in_(mine))
            rows = list(
                connection.execute(claim.values(state=CLAIMED, claimed_by=me, claimed_at=now).returning(*_SHOWN))
            )
    return tuple(sorted((_stored(row) for row in rows), key=lambda stored: stored.id))


def mark(connection: sa.Connection, ids: Sequence[str], state: int) -> None:
    """Sets the state of these deliveries: STARTED, ENDED, or NEW for a claim that is given back."""
    if ids:
        connection.execute(sa.update(deliveries).where(deliveries.c.id.in_(ids)).values(state=state))


def settle_claims(engine: sa.Engine, before: datetime, exists: Callable[[str], bool]) -> int:
    """Repairs what a dead claimer left: claims older than `before` become STARTED where a story exists, else NEW again."""
    with engine.connect() as connection:
        stale = sa.and_(deliveries.c.state == CLAIMED, deliveries.c.claimed_at < before)
        ids = (
            connection.execute(sa.select(deliveries.c.id).where(stale).order_by(deliveries.c.id).limit(500))
            .scalars()
            .all()
        )
    if not ids:
        return 0
    started = [one for one in ids if exists(one)]
    with engine.begin() as connection:
        mark(connection, started, STARTED)
        mark(connection, [one for one in ids if one not in set(started)], NEW)
    return len(ids)


def waiting(connection: sa.Connection) -> int:
    """How many deliveries nobody has started yet."""
    return int(connection.execute(sa.select(sa.func.count()).where(deliveries.c.state == NEW)).scalar_one())


_SHOWN = tuple(
    deliveries.c[name] for name in ("id", "received_at", "parsed", "trigger", "event_key", "event_type", "incident")
)


def _oldest(columns: Sequence[sa.Column[Any]], n: int) -> sa.Select[Any]:
    # The state is written out, not bound: SQLite uses a partial index only where it can see the constant.
    return sa.select(*columns).where(sa.text(f"state = {NEW}")).order_by(deliveries.c.id).limit(n)


def _stored(row: sa.Row[Any]) -> StoredDelivery:
    return StoredDelivery(id=row.id, received_at=row.received_at, delivery=_delivery(row))


def _delivery(row: sa.Row[Any]) -> Delivery:
    """Where somebody changed what was read of its bytes, as little as the columns say: one row must not keep the others from
    being started, and its story reads the signed bytes anew anyway."""
    try:
        return Delivery.model_validate_json(row.parsed)
    except ValueError:
        columns = {name: getattr(row, name) for name in ("event_key", "event_type", "incident")}
        nothing = {"auth": "internal", "webhook_id": None, "occurred_at": None, "body_sha256": ""}
        trigger = "pagerduty_action" if row.trigger == "pagerduty_action" else "pagerduty_v3"
        return Delivery.model_validate({**columns, **nothing, "trigger": trigger})

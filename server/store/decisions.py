"""What each runbook decided about a delivery. Written once; a step that runs again adds nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from server.core.match import Decision
from server.store.tables import decisions

NOBODY = ""
"""In the place of a runbook: no runbook starts on this event type."""


def record(connection: sa.Connection, delivery_id: str, made: Sequence[Decision], now: datetime) -> None:
    """Writes the decisions about one delivery."""
    _insert(connection, [_row(delivery_id, one, now) for one in made])


def nothing_starts(connection: sa.Connection, over: Sequence[tuple[str, str]], now: datetime) -> None:
    """The one row of each delivery that starts nothing: (delivery id, reason)."""
    _insert(connection, [_plain(delivery_id, reason, now) for delivery_id, reason in over])


def of(connection: sa.Connection, delivery_id: str) -> tuple[Decision, ...]:
    """The decisions about one delivery, in the order of the runbooks' names."""
    query = sa.select(decisions.c.detail).where(decisions.c.delivery == delivery_id, decisions.c.runbook != NOBODY)
    return tuple(
        Decision.model_validate_json(text) for text in connection.execute(query.order_by(decisions.c.runbook)).scalars()
    )


def _row(delivery_id: str, one: Decision, now: datetime) -> dict[str, Any]:
    return {
        "delivery": delivery_id,
        "runbook": one.runbook,
        "kind": one.kind,
        "reason": one.reason,
        "target": one.target,
        "run": one.run,
        "detail": one.model_dump_json(),
        "at": now,
    }


def _plain(delivery_id: str, reason: str, now: datetime) -> dict[str, Any]:
    detail = json.dumps({"runbook": NOBODY, "kind": "no", "reason": reason})
    return {
        "delivery": delivery_id,
        "runbook": NOBODY,
        "kind": "no",
        "reason": reason,
        "target": None,
        "run": None,
        "detail": detail,
        "at": now,
    }


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        on_postgresql = connection.dialect.name == "postgresql"
        statement = (postgresql.insert if on_postgresql else sqlite.insert)(decisions)
        connection.execute(statement.on_conflict_do_nothing(), rows)

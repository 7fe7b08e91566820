"""What the pages read of the audit. Every row that is shown is hashed anew, so that a page never shows a changed row as sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from server.audit.chain import row_hash
from server.audit.tables import FIELDS, audit
from server.db import unstamp


@dataclass(frozen=True)
class Row:
    """One audit row. fits: its content gives its hash. at: None where the stored text is no time any more."""

    seq: int
    at: datetime | None
    tag: str
    actor_kind: str
    actor: str
    auth: str
    delivery: str | None
    incident: str | None
    run: str | None
    step: str | None
    runbook: str | None
    target: str | None
    said: str
    evidence: str
    hash: str
    fits: bool


@dataclass(frozen=True)
class Filters:
    """Which rows: every one that is given must be equal. incidents: PagerDuty ids, one of which it must be."""

    incidents: tuple[str, ...] | None = None
    target: str | None = None
    runbook: str | None = None
    run: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL."""
        given = [audit.c[name] == value for name in ("target", "runbook", "run") if (value := getattr(self, name))]
        return given if self.incidents is None else [*given, audit.c.incident.in_(self.incidents)]


@dataclass(frozen=True)
class Page:
    """Some rows, newest first; more: older ones follow."""

    rows: tuple[Row, ...]
    more: bool


def page(connection: sa.Connection, filters: Filters, before: int | None, n: int = 50) -> Page:
    """The newest rows, or those before a row: a page stays the same however many rows come."""
    query = sa.select(audit).where(*filters.conditions()).order_by(audit.c.seq.desc()).limit(n + 1)
    if before is not None:
        query = query.where(audit.c.seq < before)
    rows = _rows(connection, query)
    return Page(rows[:n], len(rows) > n)


def of_run(connection: sa.Connection, run: str, delivery: str, runbook: str) -> tuple[Row, ...]:
    """A run's story in order: the delivery that started it, what its runbook decided, and its own rows."""
    before = sa.and_(
        audit.c.delivery == delivery,
        audit.c.run.is_(None),
        sa.or_(audit.c.tag == "delivery_received", sa.and_(audit.c.tag == "decided", audit.c.runbook == runbook)),
    )
    own = audit.c.run == run
    first = _rows(connection, sa.select(audit).where(before).order_by(audit.c.seq).limit(10))
    rest = _rows(connection, sa.select(audit).where(own).order_by(audit.c.seq).limit(1000))
    return tuple(sorted((*first, *rest), key=lambda row: row.seq))


def of_delivery(connection: sa.Connection, delivery: str) -> tuple[Row, ...]:
    """The rows that a delivery left before its runs began."""
    tags = audit.c.tag.in_(("delivery_received", "decided"))
    return _rows(
        connection, sa.select(audit).where(audit.c.delivery == delivery, tags).order_by(audit.c.seq).limit(200)
    )


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> tuple[Row, ...]:
    return tuple(_row(found._mapping) for found in connection.execute(query))


def _row(found: sa.RowMapping) -> Row:
    fields: Sequence[Any] = [found[name] for name in FIELDS]
    named = {name: found[name] for name in Row.__dataclass_fields__ if name not in ("at", "fits")}
    return Row(**named, at=_time(found["at"]), fits=row_hash(fields) == found["hash"])


def _time(text: str) -> datetime | None:
    try:
        return unstamp(text)
    except (ValueError, TypeError, AttributeError):
        return None  # somebody changed it: the page must still show the row, and that it does not fit

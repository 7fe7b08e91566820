"""What the pages read of runs, deliveries and decisions. Nothing here writes; give a connection of the reading engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from server.core.delivery import Delivery, parts_of, whole_of
from server.core.outcome import Plan
from server.core.run import Report, RunSpec
from server.core.states import FINAL, State
from server.store.tables import decisions, deliveries, joins, notes, runs

_FINAL = tuple(state.value for state in FINAL)


@dataclass(frozen=True)
class RunRow:
    """A run as one line of a list."""

    id: str
    delivery: str
    incident: str
    incident_number: int | None
    runbook: str
    target: str
    state: State
    said: str
    waiting_for: str | None
    created_at: datetime
    ended_at: datetime | None
    kind: str = "rollout"
    """What the target is: rollout or flag."""

    @property
    def number(self) -> str:
        """The incident as people name it."""
        return f"#{self.incident_number}" if self.incident_number else self.incident

    @property
    def over(self) -> bool:
        """Whether nothing more will happen in it."""
        return self.state in FINAL


@dataclass(frozen=True)
class Note:
    """The note in one incident; posted: PagerDuty's id of it, once known."""

    incident: str
    posted: str | None
    body: str
    at: datetime


@dataclass(frozen=True)
class RunPage:
    """A run with everything that its page is made of."""

    row: RunRow
    spec: RunSpec
    plan: Plan | None
    report: Report | None
    joined: tuple[str, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class DecisionRow:
    """What one runbook decided about one delivery, and the conditions it looked at: (what, whether it held, what was seen)."""

    delivery: str
    runbook: str
    kind: str
    reason: str
    target: str | None
    run: str | None
    at: datetime
    checked: tuple[tuple[str, bool, str], ...]


@dataclass(frozen=True)
class DeliveryPage:
    """A delivery with its decisions. state: as in store/tables.py."""

    id: str
    received_at: datetime
    state: int
    delivery: Delivery
    body: bytes
    decisions: tuple[DecisionRow, ...]
    runs: tuple[RunRow, ...]


_ROW = tuple(runs.c["spec" if name == "kind" else name] for name in RunRow.__dataclass_fields__)


def run(connection: sa.Connection, run_id: str) -> RunPage | None:
    """One run, or None."""
    if "\x00" in run_id:  # PostgreSQL has no such text
        return None
    found = connection.execute(sa.select(*_ROW, runs.c.plan, runs.c.report).where(runs.c.id == run_id)).one_or_none()
    if found is None:
        return None
    joined = connection.execute(sa.select(joins.c.incident).where(joins.c.run == run_id).order_by(joins.c.at)).scalars()
    told = connection.execute(sa.select(notes).where(notes.c.run == run_id).order_by(notes.c.at, notes.c.incident))
    return RunPage(
        row=_row(found),
        spec=RunSpec.model_validate_json(found.spec),
        plan=Plan.model_validate_json(found.plan) if found.plan else None,
        report=Report.model_validate_json(found.report) if found.report else None,
        joined=tuple(joined),
        notes=tuple(Note(n.incident, n.note, n.body, n.at) for n in told),
    )


def under_way(connection: sa.Connection, n: int = 50) -> tuple[RunRow, ...]:
    """Runs that are not over, newest first."""
    return _runs(connection, runs.c.state.not_in(_FINAL), n)


def finished(connection: sa.Connection, n: int = 30) -> tuple[RunRow, ...]:
    """Runs that are over, newest first."""
    return _runs(connection, runs.c.state.in_(_FINAL), n)


def braked(connection: sa.Connection, since: datetime, n: int = 10) -> tuple[DecisionRow, ...]:
    """What the stop switch held back, newest first."""
    query = sa.select(decisions).where(decisions.c.kind == "braked", decisions.c.at >= since)
    return _decisions(connection, query.order_by(decisions.c.at.desc(), decisions.c.runbook).limit(n))


def last_delivery(connection: sa.Connection) -> tuple[str, datetime] | None:
    """The newest delivery's id and time; ids sort by arrival."""
    query = sa.select(deliveries.c.id, deliveries.c.received_at).order_by(deliveries.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.id, row.received_at)


def delivery(connection: sa.Connection, delivery_id: str) -> DeliveryPage | None:
    """One delivery, or None."""
    if "\x00" in delivery_id:
        return None
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    if row is None:
        return None
    query = sa.select(decisions).where(decisions.c.delivery.in_(parts_of(delivery_id)))
    query = query.order_by(decisions.c.delivery, decisions.c.runbook)
    return DeliveryPage(
        id=row.id,
        received_at=row.received_at,
        state=row.state,
        delivery=Delivery.model_validate_json(row.parsed),
        body=bytes(row.body),
        decisions=_decisions(connection, query),
        runs=_runs(connection, runs.c.delivery == delivery_id, 100),
    )


def incidents_numbered(connection: sa.Connection, number: int) -> tuple[str, ...]:
    """The PagerDuty ids of the incidents that carry this number."""
    query = sa.select(runs.c.incident).where(runs.c.incident_number == number).distinct().limit(20)
    return tuple(connection.execute(query).scalars())


def names(connection: sa.Connection, lately: int = 200) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Targets and runbooks of the last runs: what a filter offers."""
    query = sa.select(runs.c.target, runs.c.runbook).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(lately)
    rows = connection.execute(query).all()
    return tuple(sorted({row.target for row in rows})), tuple(sorted({row.runbook for row in rows}))


def a_day_before(now: datetime) -> datetime:
    """Where 'lately' begins on the first page."""
    return now - timedelta(hours=24)


def _runs(connection: sa.Connection, where: sa.ColumnElement[bool], n: int) -> tuple[RunRow, ...]:
    query = sa.select(*_ROW).where(where).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(n)
    return tuple(_row(found) for found in connection.execute(query))


def _row(found: Any) -> RunRow:
    values = {name: getattr(found, name) for name in RunRow.__dataclass_fields__ if name != "kind"}
    kind = str(json.loads(found.spec)["target_spec"].get("kind") or "rollout")
    return RunRow(**{**values, "state": State(found.state), "kind": kind})


def _decisions(connection: sa.Connection, query: sa.Select[Any]) -> tuple[DecisionRow, ...]:
    return tuple(
        DecisionRow(whole_of(d.delivery), d.runbook, d.kind, d.reason, d.target, d.run, d.at, _checked(d.detail))
        for d in connection.execute(query)
    )


def _checked(detail: str) -> tuple[tuple[str, bool, str], ...]:
    """The conditions of a Decision's JSON, as triples or as objects with these names."""
    rows: Sequence[Any] = json.loads(detail).get("checked") or ()
    parts = ((r["what"], r["held"], r["seen"]) if isinstance(r, dict) else r for r in rows)
    return tuple((str(what), bool(held), str(seen)) for what, held, seen in parts)

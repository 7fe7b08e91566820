"""What a story writes down: each verb is one short transaction over store and audit, and may run twice.

No upstream is asked while a transaction is open. The chain is locked first, so decisions and endings are made one after the other:
two deliveries that arrive together see each other's run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from server.audit import journal
from server.audit.journal import Entry
from server.audit.tables import audit
from server.audit.tags import Tag
from server.core.argo.history import History
from server.core.argo.state import RolloutState
from server.core.delivery import StoredDelivery
from server.core.outcome import Model, Outcome, Plan, Verdict, Write
from server.core.run import Report, RunSpec
from server.core.states import FINAL, State, may_follow
from server.core.text import clean
from server.db import Utc, stamp
from server.store import history
from server.store.tables import joins, notes, runs, target_locks

Json = dict[str, Any]
_LAST = tuple(f"run_{state.value}" for state in FINAL)
_UNDER_WAY = tuple(state.value for state in State if state not in FINAL)


class Ledger:
    """Store and audit as one book. me: this process, new at each start. reading: for what only reads most of the time."""

    def __init__(
        self, engine: sa.Engine, now: Callable[[], datetime], me: str, reading: sa.Engine | None = None
    ) -> None:
        self.engine, self.now, self.me, self.reading = engine, now, me, reading

    # A target --------------------------------------------------------------------------------------------------------

    def remembered(self, target: str, state: RolloutState) -> History:
        """What this look adds is kept; what is known of the target's versions comes back."""
        return history.looked(self.engine, target, state, reading=self.reading)

    # A delivery ------------------------------------------------------------------------------------------------------

    def received(self, stored: StoredDelivery) -> None:
        """The first row of a story."""
        delivery = stored.delivery
        said = f"{delivery.event_type or 'an event without a type'} for incident {delivery.incident or 'none'}"
        self._append(
            Entry(
                f"d-{stored.id}/delivery_received",
                Tag.DELIVERY_RECEIVED,
                said,
                actor_kind="pagerduty",
                actor=delivery.agent_name or "PagerDuty",
                auth=delivery.auth,
                delivery=stored.id,
                incident=delivery.incident,
                evidence={
                    "body_sha256": delivery.body_sha256,
                    "event": delivery.event_key,
                    "occurred_at": delivery.occurred_at,
                    "received_at": stamp(stored.received_at),
                },
            )
        )

    # A run -----------------------------------------------------------------------------------------------------------

    def take_target(self, spec: RunSpec) -> str | None:
        """Takes the target's lock for this run; else the run that must end first. Observed runs take none."""
        with self.engine.begin() as connection:
            journal.lock(connection)
            waits_for = None if spec.observed else _waits_for(connection, spec)
            if waits_for is None:
                if not spec.observed:
                    _hold(connection, spec, self.now())
                self._enter(connection, spec, State.PLANNING, "looking at the target")
            else:
                self._enter(connection, spec, State.WAITING, f"waiting for {waits_for}", waiting_for=waits_for)
        return waits_for

    def planned(self, spec: RunSpec, index: int, plan: Plan) -> None:
        """The plan, written down before anything is touched."""
        with self.engine.begin() as connection:
            calls = [call.model_dump(mode="json") for call in plan.calls]
            evidence = {
                "calls": calls,
                "predicted": plan.predicted,
                "was": plan.was,
                "judged": plan.judged.model_dump(mode="json"),
            }
            key = f"{spec.id}/{index}/step_planned"
            journal.append(connection, self.now(), self._entry(spec, key, Tag.STEP_PLANNED, plan.said, index, evidence))
            if index < len(spec.steps):  # what comes after the proof is not what the run is about
                values = {"plan": _stored(plan), "judged": clean(plan.judged.revision, 200)}
                connection.execute(sa.update(runs).where(runs.c.id == spec.id).values(values))

    def wrote_last(self, spec: RunSpec, revision: str) -> str | None:
        """When another run last wrote on this target and revision, as a stamp."""
        query = sa.select(sa.func.max(runs.c.wrote_at)).where(
            runs.c.target == spec.target, runs.c.judged == revision, runs.c.id != spec.id
        )
        with self.engine.connect() as connection:
            last: datetime | None = connection.execute(query).scalar()
        return None if last is None else stamp(last)

    def guard_stopped(self, spec: RunSpec, reason: str) -> None:
        """A guard ended the run before its first write."""
        self._append(self._entry(spec, f"{spec.id}/guard_stopped", Tag.GUARD_STOPPED, reason))

    def intend(self, spec: RunSpec, index: int, write: Write) -> Json:
        """The row without which nothing is sent. Says which process is about to send."""
        rows = [self._intent(spec, index, one) for one in (write, *write.also)]
        with self.engine.begin() as connection:
            journal.append(connection, self.now(), *rows)
            self._enter(connection, spec, State.ACTING, write.call.said)
        return {"by": self.me}

    def _intent(self, spec: RunSpec, index: int, write: Write) -> Entry:
        tag = Tag.STEP_WOKEN if write.woken else Tag.STEP_INTENDED
        key = f"{spec.id}/{index}/{write.n}/{tag.value}"
        evidence = {"effect": f"{spec.id}/{index}/{write.n}", "call": write.call.model_dump(mode="json")}
        return self._entry(spec, key, tag, f"intends to: {write.call.said}", index, evidence)

    def outcome(self, spec: RunSpec, index: int, outcome: Outcome) -> None:
        """What became of one write; `wrote_at` starts the cool-down."""
        tag = {"done": Tag.STEP_DONE, "noop": Tag.STEP_DONE, "refused": Tag.STEP_REFUSED, "unknown": Tag.STEP_UNKNOWN}[
            outcome.kind
        ]
        key = f"{spec.id}/{index}/{outcome.n}/{tag.value}"
        evidence = {
            "effect": f"{spec.id}/{index}/{outcome.n}",
            "kind": outcome.kind,
            "cause": outcome.cause,
            **outcome.evidence,
        }
        with self.engine.begin() as connection:
            journal.append(connection, self.now(), self._entry(spec, key, tag, outcome.said, index, evidence))
            if outcome.kind in ("done", "unknown") and index < len(spec.steps):
                first = sa.func.coalesce(runs.c.wrote_at, sa.bindparam(None, outcome.at, type_=Utc()))
                connection.execute(sa.update(runs).where(runs.c.id == spec.id).values(wrote_at=first))

    def checked(self, spec: RunSpec, check: int, look: int, verdict: Verdict) -> None:
        """A look of a check that said something new."""
        tag = {"passed": Tag.CHECK_PASSED, "failed": Tag.CHECK_FAILED, "unknown": Tag.CHECK_UNKNOWN}[verdict.kind]
        evidence = {"reached": list(verdict.reached), **verdict.evidence}
        entry = self._entry(spec, f"{spec.id}/check/{check}/{look}/{tag.value}", tag, verdict.said, None, evidence)
        with self.engine.begin() as connection:
            self._enter(connection, spec, State.PROVING, verdict.said)
            journal.append(connection, self.now(), entry)

    def progress(self, spec: RunSpec, report: Report) -> None:
        """How far the run is, for the page."""
        with self.engine.begin() as connection:
            under_way = runs.c.state.in_(_UNDER_WAY)
            query = sa.update(runs).where(runs.c.id == spec.id, under_way)
            connection.execute(query.values(report=_stored(report), said=clean(report.said, 500)))

    def ended(self, spec: RunSpec, report: Report) -> Json:
        """Closes the run: last row, state, lock. Returns the chain's head and the incidents that joined."""
        tag = Tag(f"run_{report.state.value}")
        evidence = {
            "truths": [truth.model_dump(mode="json") for truth in report.truths],
            "remarks": report.remarks.model_dump(mode="json", exclude={"plot"}),
            "seconds": report.seconds,
        }
        with self.engine.begin() as connection:
            head = journal.append(
                connection, self.now(), self._entry(spec, f"{spec.id}/{tag.value}", tag, report.said, None, evidence)
            )
            values = {
                "state": report.state.value,
                "said": clean(report.said, 500),
                "report": _stored(report),
                "ended_at": self.now(),
                "waiting_for": None,
            }
            query = sa.update(runs).where(runs.c.id == spec.id, runs.c.state.in_(_UNDER_WAY))
            connection.execute(query.values(values))
            connection.execute(sa.delete(target_locks).where(target_locks.c.run == spec.id))
            joined = connection.execute(sa.select(joins.c.incident).where(joins.c.run == spec.id)).scalars().all()
        return {"head": [head[0], head[1]], "joined": sorted(joined), "state": report.state.value}

    def state(self, run: str) -> str:
        """The state of a run, for a story that waits for it."""
        with self.engine.connect() as connection:
            return str(connection.execute(sa.select(runs.c.state).where(runs.c.id == run)).scalar())

    def spec(self, run: str) -> RunSpec:
        """What a run was started with."""
        with self.engine.connect() as connection:
            return RunSpec.model_validate_json(
                connection.execute(sa.select(runs.c.spec).where(runs.c.id == run)).scalar_one()
            )

    def report(self, run: str) -> tuple[RunSpec, Report | None, tuple[int, str]]:
        """A run's beginning and end (None = under way), and the chain's head at its last row (under way: as it is now)."""
        with self.engine.connect() as connection:
            row = connection.execute(
                sa.select(runs.c.spec, runs.c.report, runs.c.ended_at).where(runs.c.id == run)
            ).one()
            report = Report.model_validate_json(row.report) if row.report and row.ended_at else None
            standing = journal.head(connection)
            head = connection.execute(
                sa.select(audit.c.seq, audit.c.hash)
                .where(audit.c.run == run, audit.c.tag.in_(_LAST))
                .order_by(audit.c.seq.desc())
            ).first()
        return RunSpec.model_validate_json(row.spec), report, (head.seq, head.hash) if head else standing

    # The note --------------------------------------------------------------------------------------------------------

    def about_to_tell(self, run: str, incident: str, body: str) -> Json:
        """The note's text is kept before it is sent. Says which process is about to send."""
        with self.engine.begin() as connection:
            where = sa.and_(notes.c.run == run, notes.c.incident == incident)
            values = {"body": body, "at": self.now()}
            if connection.execute(sa.select(notes.c.run).where(where)).first() is None:
                connection.execute(sa.insert(notes).values(run=run, incident=incident, note=None, **values))
            else:
                connection.execute(sa.update(notes).where(where).values(values))
        return {"by": self.me}

    def told(self, spec: RunSpec, incident: str, n: int, note: str, said: str) -> None:
        """A note stands in the incident."""
        key = f"{spec.id}/note/{n}/told"
        evidence = {"note": note, "incident": incident}
        with self.engine.begin() as connection:
            journal.append(connection, self.now(), self._entry(spec, key, Tag.TOLD, said, None, evidence))
            where = sa.and_(notes.c.run == spec.id, notes.c.incident == incident)
            connection.execute(sa.update(notes).where(where).values(note=note))

    # Inside ----------------------------------------------------------------------------------------------------------

    def _append(self, entry: Entry) -> None:
        with self.engine.begin() as connection:
            journal.append(connection, self.now(), entry)

    def _enter(
        self, connection: sa.Connection, spec: RunSpec, then: State, said: str, waiting_for: str | None = None
    ) -> None:
        """Moves a run on, with the row `run_<state>` the first time; a state that may not follow is left alone."""
        now = connection.execute(sa.select(runs.c.state).where(runs.c.id == spec.id)).scalar()
        if now is None or not may_follow(State(now), then):
            return
        entry = self._entry(spec, f"{spec.id}/run_{then.value}", Tag(f"run_{then.value}"), said)
        journal.append(connection, self.now(), entry)
        values = {"state": then.value, "said": clean(said, 500), "waiting_for": waiting_for}
        connection.execute(sa.update(runs).where(runs.c.id == spec.id).values(values))

    @staticmethod
    def _entry(
        spec: RunSpec, key: str, tag: Tag, said: str, index: int | None = None, evidence: Json | None = None
    ) -> Entry:
        return run_entry(spec, key, tag, said, index, evidence)


def _stored(value: Model) -> str:
    """As JSON that can be read back. Half a surrogate pair in an upstream's text is no text: it must not keep a run from being closed."""
    try:
        return value.model_dump_json()
    except ValueError:
        text = json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
        return clean(text, len(text))


def run_entry(
    spec: RunSpec, key: str, tag: Tag, said: str, index: int | None = None, evidence: Json | None = None
) -> Entry:
    """An audit row of a run."""
    return Entry(
        key,
        tag,
        said,
        delivery=spec.delivery,
        incident=spec.incident,
        run=spec.id,
        step=None if index is None else f"{index} {spec.step(index).action}",
        runbook=spec.runbook,
        runbook_hash=spec.runbook_hash,
        target=spec.target,
        evidence=json.loads(json.dumps(evidence or {}, default=str)),
    )


def _waits_for(connection: sa.Connection, spec: RunSpec) -> str | None:
    """Who must end first: the lock's holder, else an earlier ticket."""
    holder = connection.execute(sa.select(target_locks.c.run).where(target_locks.c.target == spec.target)).scalar()
    if holder == spec.id:
        return None
    if holder is not None and _state(connection, holder) in _UNDER_WAY:
        return str(holder)
    mine = sa.select(runs.c.ticket).where(runs.c.id == spec.id).scalar_subquery()
    earlier = sa.select(runs.c.id).where(
        runs.c.target == spec.target,
        runs.c.state.in_(_UNDER_WAY),
        runs.c.observed.is_(False),
        runs.c.id != spec.id,
        runs.c.ticket < mine,
    )
    first = connection.execute(earlier.order_by(runs.c.ticket).limit(1)).scalar()
    return None if first is None else str(first)


def _state(connection: sa.Connection, run: str) -> str:
    return str(connection.execute(sa.select(runs.c.state).where(runs.c.id == run)).scalar())


def _hold(connection: sa.Connection, spec: RunSpec, now: datetime) -> None:
    """Takes the lock; a holder that is over (or never was) has none."""
    connection.execute(sa.delete(target_locks).where(target_locks.c.target == spec.target))
    connection.execute(sa.insert(target_locks).values(target=spec.target, run=spec.id, since=now))

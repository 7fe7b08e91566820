"""The step bodies of a delivery's story: check the stored bytes again, re-read what they are about, decide and write it down.

Deciding happens in one transaction under the chain's lock: what runs under way exist, every runbook's decision, the new runs and
the joins. So of two deliveries that arrive together the second sees the first one's run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from server.audit import journal
from server.audit.journal import Entry
from server.audit.tags import Tag
from server.clients import Clients
from server.core import match
from server.core.delivery import StoredDelivery
from server.core.incident import Alert, Incident
from server.core.library import Library
from server.core.match import Decision, Gone, Holds, Unread
from server.core.run import CheckSpec, RunSpec, StepSpec
from server.core.states import FINAL, State
from server.db import stamp, unstamp
from server.errors import Missing, Transient
from server.ledger import Ledger, run_entry
from server.settings import Settings
from server.store import decisions, deliveries
from server.store.tables import joins, runs
from server.triggers import TRIGGERS

Json = dict[str, Any]
_FINAL = tuple(state.value for state in FINAL)


class DeliveryWorld:
    """What `flow/delivery.py` asks of the world."""

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        ledger: Ledger,
        library: Callable[[], Library],
        stopped: Callable[[], str | None],
    ) -> None:
        self.settings, self.clients, self.ledger, self.library, self.stopped = (
            settings,
            clients,
            ledger,
            library,
            stopped,
        )

    def receive(self, delivery: str) -> Json:
        """Takes nothing on the database's word: the stored signature must fit the stored bytes."""
        with self.ledger.engine.connect() as connection:
            loaded = deliveries.load(connection, delivery)
        if loaded is None:
            return {"forged": "there is no such delivery"}
        stored = loaded.stored
        secrets = {
            "pagerduty_v3": self.settings.pagerduty_webhook_secrets,
            "pagerduty_action": self.settings.pagerduty_action_secrets,
        }[stored.delivery.trigger]
        trigger = TRIGGERS[stored.delivery.trigger]
        auth = trigger.authentic(loaded.headers, loaded.raw, secrets)
        if auth is None:
            reason = "no: the stored signature does not fit the stored body, nothing was believed"
            with self.ledger.engine.begin() as connection:
                decisions.nothing_starts(connection, [(stored.id, reason)], self.ledger.now())
            return {"forged": reason}
        again = trigger.parse(loaded.headers, loaded.raw, auth)
        stored = stored.model_copy(update={"delivery": again})
        self.ledger.received(stored)
        return {"stored": stored.model_dump(mode="json")}

    def gave_up(self, delivery: str, said: str) -> None:
        """A bug of ours kept the runbooks from deciding: that is said where people look for the reason."""
        reason = f"no: a bug in Ripcord, nothing was touched ({said})"
        with self.ledger.engine.begin() as connection:
            decisions.nothing_starts(connection, [(delivery, reason)], self.ledger.now())

    def read(self, stored: Json) -> Json:
        """Incident and alerts as they are now. patience: seconds until every runbook's max_age has passed."""
        delivery = StoredDelivery.model_validate(stored)
        library = self.library()
        now = self.clients.now()
        since = delivery.delivery.occurred_at or delivery.received_at
        age = max((now - since).total_seconds(), 0.0)
        answer: Json = {
            "at": stamp(now),
            "unread": False,
            "wants_alerts": False,
            "patience": match.longest_max_age(library, delivery.delivery) - age,
        }
        incident = delivery.delivery.incident
        if incident is None:
            return {**answer, "reading": None}
        try:
            read = self.clients.pagerduty.incident(incident)
        except Missing:
            return {**answer, "reading": {"gone": True}}
        except Transient as error:
            self.clients.upstreams.failed("pagerduty", error.said)
            return {**answer, "unread": True, "reading": {"unread": error.said}}
        self.clients.upstreams.answered("pagerduty")
        wants = match.wants_alerts(read, library)
        return {**answer, "wants_alerts": wants, "reading": {"incident": read.model_dump(mode="json")}}

    def decide(self, stored: Json, read: Json, unread_since: str | None) -> Json:
        """Every runbook's decision, recorded; the runs that it starts."""
        delivery = StoredDelivery.model_validate(stored)
        incident = _reading(read, unread_since)
        alerts: Sequence[Alert] = incident.alerts if isinstance(incident, Incident) else ()
        library, stop, now = self.library(), self.stopped(), self.clients.now()
        with self.ledger.engine.begin() as connection:
            journal.lock(connection)
            known = _known(connection, delivery.id)
            if known is not None:
                return known
            holds = _holds(connection, incident, stop)
            made = match.decide(delivery, incident, tuple(alerts), library, holds, now)
            specs = [_spec(delivery, incident, one, library) for one in made if _starts(one, holds)]
            decisions.record(connection, delivery.id, made, now)
            journal.append(connection, now, *[_decided(delivery, one, library) for one in made])
            self._write_runs(connection, specs, delivery, now)
            for one in made:
                if one.kind == "joined" and one.run and isinstance(incident, Incident):
                    _join(connection, one.run, incident.id, delivery.id, now)
        return {"start": [spec.model_dump(mode="json") for spec in specs]}

    def _write_runs(
        self, connection: sa.Connection, specs: list[RunSpec], delivery: StoredDelivery, now: datetime
    ) -> None:
        for spec in specs:
            values = {
                "id": spec.id,
                "key": spec.key,
                "delivery": delivery.id,
                "incident": spec.incident,
                "incident_number": spec.incident_number,
                "runbook": spec.runbook,
                "target": spec.target,
                "observed": spec.observed,
                "state": State.PLANNING.value,
                "said": "decided",
                "ticket": f"{stamp(delivery.received_at)} {delivery.id}",
                "created_at": now,
                "spec": spec.model_dump_json(),
            }
            connection.execute(sa.insert(runs).values(values))
            said = f"{spec.runbook} on {spec.target} for incident {spec.incident}"
            evidence = {"key": spec.key, "mode": spec.mode, "alerts": [alert.id for alert in spec.alerts]}
            journal.append(
                connection, now, run_entry(spec, f"{spec.id}/run_started", Tag.RUN_STARTED, said, None, evidence)
            )


def _reading(read: Json, unread_since: str | None) -> Incident | Gone | Unread | None:
    reading = read["reading"]
    if reading is None:
        return None
    if "incident" in reading:
        return Incident.model_validate(reading["incident"])
    if "gone" in reading:
        return Gone()
    return Unread(since=unstamp(unread_since or read["at"]))


def _known(connection: sa.Connection, delivery: str) -> Json | None:
    """This step ran before: what it started then."""
    if not decisions.of(connection, delivery):
        return None
    specs = connection.execute(sa.select(runs.c.spec).where(runs.c.delivery == delivery)).scalars()
    return {"start": [RunSpec.model_validate_json(spec).model_dump(mode="json") for spec in specs]}


def _holds(connection: sa.Connection, incident: Incident | Gone | Unread | None, stop: str | None) -> Holds:
    busy = connection.execute(
        sa.select(runs.c.target, runs.c.id)
        .where(runs.c.state.not_in(_FINAL), runs.c.observed.is_(False))
        .order_by(runs.c.ticket.desc())
    ).all()
    existing: frozenset[str] = frozenset()
    if isinstance(incident, Incident):
        query = sa.select(runs.c.id).where(runs.c.incident == incident.id)
        existing = frozenset(connection.execute(query).scalars())
    return Holds(stop=stop, busy={row.target: row.id for row in busy}, existing=existing)


def _starts(one: Decision, holds: Holds) -> bool:
    return one.kind in ("run", "observed") and one.run is not None and one.run not in holds.existing


def _join(connection: sa.Connection, run: str, incident: str, delivery: str, now: datetime) -> None:
    known = sa.select(joins.c.run).where(joins.c.run == run, joins.c.incident == incident)
    if connection.execute(known).first() is None:
        connection.execute(sa.insert(joins).values(run=run, incident=incident, delivery=delivery, at=now))


def _decided(delivery: StoredDelivery, one: Decision, library: Library) -> Entry:
    runbook = next((book for book in library.runbooks if book.name == one.runbook), None)
    return Entry(
        f"d-{delivery.id}/{one.runbook}/decided",
        Tag.DECIDED,
        f"{one.kind}: {one.reason}",
        delivery=delivery.id,
        incident=delivery.delivery.incident,
        run=one.run,
        runbook=one.runbook,
        runbook_hash=runbook.hash if runbook else None,
        target=one.target,
        evidence={"kind": one.kind},
    )


def _spec(
    delivery: StoredDelivery, incident: Incident | Gone | Unread | None, one: Decision, library: Library
) -> RunSpec:
    """Everything that the run will need, resolved now: editing a file never touches a run under way."""
    if not isinstance(incident, Incident) or one.target is None or one.run is None or one.key is None:
        raise TypeError("a run without an incident or a target")
    runbook = next(book for book in library.runbooks if book.name == one.runbook)
    target = library.catalog.targets[one.target]
    return RunSpec(
        id=one.run,
        key=one.key,
        delivery=delivery.id,
        received_at=delivery.received_at,
        event_type=delivery.delivery.event_type,
        occurred_at=delivery.delivery.occurred_at,
        auth=delivery.delivery.auth,
        actor=delivery.delivery.agent_name or "PagerDuty",
        incident=incident.id,
        incident_number=incident.number,
        incident_title=incident.title,
        incident_url=incident.html_url,
        service=incident.service,
        alerts=match.naming(target, incident.alerts),
        runbook=runbook.name,
        runbook_hash=runbook.hash,
        max_age=runbook.max_age,
        mode=match.effective_mode(runbook, target),
        observed=one.kind == "observed",
        target=one.target,
        target_spec=target.model_dump(mode="json"),
        steps=tuple(StepSpec(action=step.action, options=step.options) for step in runbook.steps),
        verify=tuple(
            CheckSpec(
                check=v.check,
                within=v.within if v.within is not None else match.traffic_budget(target),
                settle=v.settle,
            )
            for v in runbook.verify
        ),
        on_failure=runbook.on_failure,
        after_proof=tuple(StepSpec(action=step.action, options=step.options) for step in runbook.after_proof),
        tell=runbook.tell,
    )

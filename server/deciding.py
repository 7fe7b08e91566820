"""The step bodies of a delivery's story: check the stored bytes again, re-read what they are about, decide and write it down.

Deciding happens in one transaction under the chain's lock: what runs under way exist, every runbook's decision, the new runs and
the joins. So of two deliveries that arrive together the second sees the first one's run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from server.audit import journal
from server.audit.journal import Entry
from server.audit.tags import Tag
from server.clients import Clients
from server.core import echo, match
from server.core.delivery import Auth, Delivery, StoredDelivery
from server.core.incident import Alert, Incident
from server.core.library import Library
from server.core.match import Decision, Gone, Holds, Unread
from server.core.run import CheckSpec, RunSpec, StepSpec
from server.core.states import FINAL, State
from server.core.text import quoted
from server.db import stamp, unstamp
from server.errors import Missing, RipcordError, Transient
from server.ledger import Ledger, run_entry
from server.settings import Settings
from server.store import decisions, deliveries, notes
from server.store.deliveries import Loaded
from server.store.tables import joins, runs
from server.triggers import TRIGGERS

Json = dict[str, Any]
log = logging.getLogger("ripcord.deciding")
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

    def settle(self, stored: StoredDelivery, reading: sa.Engine) -> str | None:
        """Why nothing starts on it, from the stored row alone; None = its story decides. Asks nobody."""
        delivery = stored.delivery
        if echo.may_be(delivery):
            with reading.connect() as connection:
                if (ours := self._own(connection, delivery)) is not None:
                    return ours
        if match.starts(self.library(), delivery):
            return None
        if delivery.trigger == match.PRESS:
            return f"no runbook is called {quoted(delivery.runbook or '', 100)}, so that button starts nothing"
        return f"no runbook starts on {delivery.event_type or 'an event without a type'}"

    def receive(self, delivery: str) -> Json:
        """Takes nothing on the database's word: the stored signature must fit the stored bytes. more: later messages of one body."""
        with self.ledger.engine.connect() as connection:
            loaded = deliveries.load(connection, delivery)
        if loaded is None:
            return {"forged": "there is no such delivery"}
        auth = self._authentic(loaded)
        if auth is None:
            reason = "no: the stored signature does not fit the stored body, nothing was believed"
            self._nothing_starts(delivery, reason)
            return {"forged": reason}
        trigger = TRIGGERS[loaded.stored.delivery.trigger]
        messages, left = trigger.messages(loaded.headers, loaded.raw, auth)
        told = [
            loaded.stored.model_copy(update={"delivery": one, "message": n, "messages": len(messages)})
            for n, one in enumerate(messages, start=1)
        ]
        if (ours := self._recognised(messages[0])) is not None:
            self._nothing_starts(delivery, ours)
            return {"ours": ours}
        self.ledger.received(told[0])
        if left:
            self._nothing_starts(delivery, f"no: {left} messages beyond the first {len(messages)} were not taken")
        first, *more = [one.model_dump(mode="json") for one in told]
        return {"stored": first, "more": more}

    def _authentic(self, loaded: Loaded) -> Auth | None:
        secrets = {
            "pagerduty_v3": self.settings.pagerduty_webhook_secrets,
            "pagerduty_action": self.settings.pagerduty_action_secrets,
        }[loaded.stored.delivery.trigger]
        return TRIGGERS[loaded.stored.delivery.trigger].authentic(loaded.headers, loaded.raw, secrets)

    def _own(self, connection: sa.Connection, delivery: Delivery) -> str | None:
        """Whether it is our own echo: the bot user first, the ids of our notes second."""
        by_bot = echo.by_bot(delivery, self.clients.pagerduty.known_as)
        return by_bot or echo.by_note(delivery, notes.written_by(connection, delivery.incident, delivery.note))

    def _recognised(self, delivery: Delivery) -> str | None:
        """The same where a runbook starts on such an event: there PagerDuty is asked who we are, if nobody knows yet."""
        if not echo.may_be(delivery):
            return None
        if self.clients.pagerduty.known_as is None:
            self.learn_who_we_are()
        with self.ledger.engine.connect() as connection:
            return self._own(connection, delivery)

    def learn_who_we_are(self) -> bool:
        """Asks PagerDuty which user we are; whether that is known now. What fails is asked again when it matters."""
        try:
            return self.clients.pagerduty.who_are_we() is not None
        except RipcordError as error:
            log.info("which user of PagerDuty we are is not known yet: %s", error.said)
            return False

    def gave_up(self, delivery: str, said: str) -> None:
        """A bug of ours kept the runbooks from deciding: that is said where people look for the reason."""
        with self.ledger.engine.connect() as connection:
            if decisions.of(connection, delivery):
                return  # they have decided, and that stands there
        self._nothing_starts(delivery, f"no: a bug in Ripcord, nothing was touched ({said})")

    def _nothing_starts(self, part: str, reason: str) -> None:
        with self.ledger.engine.begin() as connection:
            decisions.nothing_starts(connection, [(part, reason)], self.ledger.now())

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
            known = _known(connection, delivery)
            if known is not None:
                return known
            if echo.may_be(delivery.delivery) and (ours := self._own(connection, delivery.delivery)) is not None:
                decisions.nothing_starts(connection, [(delivery.part, ours)], now)
                return {"start": []}
            if isinstance(incident, Incident):
                incident = self._as_reopened(connection, incident)
            holds = _holds(connection, incident, stop)
            made = match.decide(delivery, incident, tuple(alerts), library, holds, now)
            specs = [_spec(delivery, incident, one, library) for one in made if _starts(one, holds)]
            decisions.record(connection, delivery.part, made, now)
            journal.append(connection, now, *[_decided(delivery, one, library) for one in made])
            self._write_runs(connection, specs, delivery, now)
            for one in made:
                if one.kind == "joined" and one.run and isinstance(incident, Incident):
                    _join(connection, one.run, incident.id, delivery.id, now)
        return {"start": [spec.model_dump(mode="json") for spec in specs]}

    def _as_reopened(self, connection: sa.Connection, incident: Incident) -> Incident:
        """Where REST does not say when it was reopened last, the signed events do: every later event belongs to that epoch."""
        if incident.reopened_at is not None:
            return incident
        told = deliveries.of_type(connection, incident.id, "incident.reopened")
        signed = [(one, auth) for one in told if (auth := self._authentic(one)) is not None]
        times = [_said(one, auth).occurred_at for one, auth in signed]
        latest = max((at for at in times if at is not None), default=None)
        return incident if latest is None else incident.model_copy(update={"reopened_at": latest})

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
                "ticket": _ticket(delivery),
                "created_at": now,
                "spec": spec.model_dump_json(),
            }
            connection.execute(sa.insert(runs).values(values))
            said = f"{spec.runbook} on {spec.target} for incident {spec.incident}"
            evidence = {"key": spec.key, "mode": spec.mode, "alerts": [alert.id for alert in spec.alerts]}
            entry = run_entry(spec, f"{spec.id}/run_started", Tag.RUN_STARTED, said, None, evidence)
            journal.append(connection, now, _asked_by(entry, delivery.delivery))


def _reading(read: Json, unread_since: str | None) -> Incident | Gone | Unread | None:
    reading = read["reading"]
    if reading is None:
        return None
    if "incident" in reading:
        return Incident.model_validate(reading["incident"])
    if "gone" in reading:
        return Gone()
    return Unread(since=unstamp(unread_since or read["at"]))


def _said(loaded: Loaded, auth: Auth) -> Delivery:
    """What its bytes say, not what the row says of them."""
    return TRIGGERS[loaded.stored.delivery.trigger].parse(loaded.headers, loaded.raw, auth)


def _ticket(delivery: StoredDelivery) -> str:
    """Who comes first: by arrival, the messages of one body in their order."""
    return f"{stamp(delivery.received_at)} {delivery.part}"


def _known(connection: sa.Connection, delivery: StoredDelivery) -> Json | None:
    """This step ran before: what it started then."""
    if not decisions.of(connection, delivery.part):
        return None
    mine = sa.and_(runs.c.delivery == delivery.id, runs.c.ticket == _ticket(delivery))
    specs = connection.execute(sa.select(runs.c.spec).where(mine)).scalars()
    return {"start": [RunSpec.model_validate_json(spec).model_dump(mode="json") for spec in specs]}


def _asked_by(entry: Entry, delivery: Delivery) -> Entry:
    """The row under the name of the person who asked, where a person did."""
    if delivery.agent_type != "user_reference":
        return entry
    name = delivery.agent_name or delivery.agent or "a person without a name"
    return replace(entry, actor_kind="person", actor=name, auth=delivery.auth)


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
        f"d-{delivery.id}/{one.runbook}/decided{f'/{delivery.message}' if delivery.message > 1 else ''}",
        Tag.DECIDED,
        f"{one.kind}: {one.reason}",
        delivery=delivery.id,
        incident=delivery.delivery.incident,
        run=one.run,
        runbook=one.runbook,
        runbook_hash=runbook.hash if runbook else None,
        target=one.target,
        evidence={"kind": one.kind, **_asked(delivery)},
    )


def _asked(delivery: StoredDelivery) -> Json:
    """Of a press: who, and by which message of how many."""
    came = delivery.delivery
    if came.trigger != match.PRESS:
        return {}
    by = {"id": came.agent, "name": came.agent_name}
    return {"pressed_by": by, "message": came.event_key, "n": delivery.message, "of": delivery.messages}


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

"""The story's steps over both databases: several messages of one body, echoes, and an epoch that only a signed event tells."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from server import db
from server.audit.tables import audit
from server.clients import Clients
from server.core.incident import Incident
from server.core.library import Library
from server.deciding import DeliveryWorld
from server.errors import Transient
from server.ledger import Ledger
from server.settings import Settings
from server.store import queries
from server.store.inbox import insert
from server.store.tables import NEW, decisions, notes, runs
from server.triggers import TRIGGERS, pagerduty_action
from tests.unit.deciding import NOW, ago, alert, incident, library, runbook
from tests.web.signing import body, event, signed

Json = dict[str, Any]
SIGNING, PRESSING = "a-signing-secret-of-the-tests", "an-action-secret-of-the-tests"
AT = "2026-11-24T03:12:04Z"  # 30 s before NOW


@dataclass
class PagerDuty:
    """Incidents as values. user: who we are, or what asking for it raises."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    user: str | Exception | None = "PBOT"
    known_as: str | None = None
    asked: int = 0

    def who_are_we(self) -> str | None:
        self.asked += 1
        if isinstance(self.user, Exception):
            raise self.user
        self.known_as = self.user
        return self.user

    def incident(self, name: str, *, alerts: bool = True) -> Incident:
        return self.incidents[name]


@dataclass
class Office:
    pagerduty: PagerDuty
    deciding: DeliveryWorld
    engine: sa.Engine
    shelf: list[Library]

    def store(self, trigger: str, headers: Json, raw: bytes, number: int = 1) -> str:
        """A delivery as the door commits it."""
        auth = "v3_hmac" if trigger == "pagerduty_v3" else "header_secret"
        parsed = TRIGGERS[trigger].parse(headers, raw, auth)  # type: ignore[arg-type]
        row = {
            "id": f"d{number}",
            "received_at": NOW,
            "trigger": trigger,
            "webhook_id": f"W{number}",
            "event_key": parsed.event_key,
            "event_type": parsed.event_type,
            "incident": parsed.incident,
            "parsed": parsed.model_dump_json(),
            "headers": json.dumps(headers),
            "body": raw,
            "state": NEW,
        }
        insert(self.engine, [row])
        return f"d{number}"

    def press(self, *messages: Json) -> str:
        """A button's body."""
        raw = body({"messages": list(messages)})
        given = {"X-Ripcord-Secret": PRESSING}
        return self.store("pagerduty_action", pagerduty_action.sealed(given, raw, (PRESSING,), "abort-canary"), raw)

    def hook(self, kind: str, number: int = 1, secret: str = SIGNING, **changed: Any) -> str:
        """A v3 event."""
        one = event(kind, event_id=f"01E{number}")["event"] | {"occurred_at": AT} | changed
        raw = body({"event": one})
        return self.store("pagerduty_v3", signed(raw, secret), raw, number)

    def decide(self, stored: Json) -> list[Json]:
        """Reads and decides one message."""
        return list(self.deciding.decide(stored, self.deciding.read(stored), None)["start"])

    def reasons(self) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            query = sa.select(decisions.c.delivery, decisions.c.reason).order_by(decisions.c.delivery)
            return [(row.delivery, row.reason) for row in connection.execute(query)]


@pytest.fixture
def office(migrated_url: str) -> Any:
    engine = db.writing(migrated_url)
    pagerduty = PagerDuty({"QINC1": incident(), "QINC2": incident(alert(n=2), id="QINC2")})
    clients = Clients(kubernetes=None, pagerduty=pagerduty, launchdarkly=None, now=lambda: NOW)  # type: ignore[arg-type]
    settings = Settings(
        database_url="sqlite:////nowhere",
        pagerduty_webhook_secrets=(SIGNING,),
        pagerduty_action_secrets=(PRESSING,),
    )
    shelf = [library()]
    ledger = Ledger(engine, lambda: NOW, "me")
    deciding = DeliveryWorld(settings, clients, ledger, lambda: shelf[0], lambda: None)
    yield Office(pagerduty, deciding, engine, shelf)
    engine.dispose()


def message(key: str, about: str, name: str = "Ana") -> Json:
    person = {"id": f"P{name}", "type": "user_reference", "summary": name}
    return {
        "id": key,
        "event": "incident.custom",
        "created_on": AT,
        "log_entries": [{"agent": person}],
        "incident": {"id": about},
    }


def test_two_messages_are_two_sets_of_decisions_and_a_repeated_step_adds_nothing(office: Office) -> None:
    got = office.deciding.receive(office.press(message("M1", "QINC1"), message("M2", "QINC2", "Ben")))
    first, (second,) = got["stored"], got["more"]
    (run,) = office.decide(first)
    assert run["key"] == "QINC1/M1/abort-canary/web-frontend"
    assert office.decide(second) == []
    before = office.reasons()
    assert before == [
        ("d1", "web-frontend is named, the button was pressed"),
        ("d1.002", f"{run['id']} is under way on web-frontend"),
    ]
    assert [one["id"] for one in office.decide(first)] == [run["id"]]
    assert office.decide(second) == []
    assert office.reasons() == before


def test_the_audit_says_of_each_message_who_pressed_and_the_page_of_the_delivery_shows_both(office: Office) -> None:
    got = office.deciding.receive(office.press(message("M1", "QINC1"), message("M2", "QINC2", "Ben")))
    for stored in (got["stored"], *got["more"]):
        office.decide(stored)
    with office.engine.connect() as connection:
        rows = connection.execute(sa.select(audit.c.key, audit.c.evidence).where(audit.c.tag == "decided")).all()
        page = queries.delivery(connection, "d1")
    by = {row.key: json.loads(row.evidence)["pressed_by"]["name"] for row in rows}
    assert by == {"d-d1/abort-canary/decided": "Ana", "d-d1/abort-canary/decided/2": "Ben"}
    assert page is not None
    assert [(one.delivery, one.kind) for one in page.decisions] == [("d1", "run"), ("d1", "joined")]
    assert [one.checked[0] for one in page.decisions] == [
        ("message", True, "1 of 2, 'M1'"),
        ("message", True, "2 of 2, 'M2'"),
    ]


def test_what_is_more_than_a_hundred_messages_is_counted(office: Office) -> None:
    got = office.deciding.receive(office.press(*[message(f"M{n}", "QINC1") for n in range(103)]))
    assert len(got["more"]) == 99
    assert office.reasons() == [("d1", "no: 3 messages beyond the first 100 were not taken")]


ON_NOTES = runbook(when={"events": ["incident.annotated", "incident.triggered"]})
NOTE = {"id": "PN1", "type": "incident_note", "incident": {"id": "QINC1"}}


def by(user: str) -> Json:
    return {"id": user, "type": "user_reference", "summary": user}


def test_our_own_note_is_told_from_the_row_alone_once_it_is_known_who_we_are(office: Office) -> None:
    office.shelf[0] = library(ON_NOTES)
    office.deciding.learn_who_we_are()
    stored = _stored(office, office.hook("incident.annotated", data=NOTE, agent=by("PBOT")))
    said = office.deciding.settle(stored, office.engine)
    assert said == "our own note came back (incident.annotated by the bot user PBOT)"
    other = _stored(office, office.hook("incident.annotated", 2, data=NOTE, agent=by("PANA")))
    assert office.deciding.settle(other, office.engine) is None
    assert office.pagerduty.asked == 1


def _stored(office: Office, name: str) -> Any:
    from server.store import deliveries

    with office.engine.connect() as connection:
        loaded = deliveries.load(connection, name)
    assert loaded is not None
    return loaded.stored


def test_an_echo_that_comes_before_anybody_knows_who_we_are_is_asked_about_and_starts_nothing(office: Office) -> None:
    office.shelf[0] = library(ON_NOTES)
    name = office.hook("incident.annotated", data=NOTE, agent=by("PBOT"))
    assert office.deciding.settle(_stored(office, name), office.engine) is None
    assert office.deciding.receive(name) == {"ours": "our own note came back (incident.annotated by the bot user PBOT)"}
    assert office.reasons() == [("d1", "our own note came back (incident.annotated by the bot user PBOT)")]


def test_an_echo_that_overtakes_the_answer_of_its_own_post_is_known_when_it_is_decided(office: Office) -> None:
    """Where nobody may ask who we are: the id of the note is there a moment later."""
    office.shelf[0] = library(ON_NOTES)
    office.pagerduty.user = Transient("403")
    got = office.deciding.receive(office.hook("incident.annotated", data=NOTE, agent=by("PBOT")))
    assert "stored" in got
    with office.engine.begin() as connection:
        values = {"run": "r-1", "incident": "QINC1", "note": "PN1", "body": "", "at": NOW}
        connection.execute(sa.insert(notes).values(values))
    assert office.decide(got["stored"]) == []
    assert office.reasons() == [("d1", "our own note came back (incident.annotated, the note of r-1)")]


def test_a_persons_note_starts_what_listens_to_notes(office: Office) -> None:
    office.shelf[0] = library(ON_NOTES)
    got = office.deciding.receive(office.hook("incident.annotated", data=NOTE, agent=by("PANA")))
    assert len(office.decide(got["stored"])) == 1


def reopened(office: Office, at: datetime, number: int, secret: str = SIGNING) -> str:
    return office.hook("incident.reopened", number, secret, occurred_at=at.isoformat())


def epochs(office: Office) -> set[str]:
    with office.engine.connect() as connection:
        return {key.split("/")[1] for key in connection.execute(sa.select(runs.c.key)).scalars()}


def test_an_event_after_a_reopening_belongs_to_the_epoch_of_the_latest_one(office: Office) -> None:
    reopened(office, ago(40), 7)
    reopened(office, ago(20), 8)
    got = office.deciding.receive(office.hook("incident.triggered", 9))
    office.decide(got["stored"])
    assert epochs(office) == {"2026-11-24T03:12:14Z"}


def test_a_reopening_that_nobody_signed_makes_no_epoch(office: Office) -> None:
    reopened(office, ago(20), 8, secret="somebody-elses-secret")
    got = office.deciding.receive(office.hook("incident.triggered", 9))
    office.decide(got["stored"])
    assert epochs(office) == {"2026-11-24T03:11:33Z"}


def test_a_changed_row_of_a_reopening_changes_no_epoch(office: Office) -> None:
    from server.store.tables import deliveries

    reopened(office, ago(20), 8)
    with office.engine.begin() as connection:
        text = connection.execute(sa.select(deliveries.c.parsed)).scalar_one()
        forged = json.loads(text) | {"occurred_at": "2026-11-24T03:12:33Z"}
        connection.execute(sa.update(deliveries).values(parsed=json.dumps(forged)))
    got = office.deciding.receive(office.hook("incident.triggered", 9))
    office.decide(got["stored"])
    assert epochs(office) == {"2026-11-24T03:12:14Z"}


def test_a_run_that_a_person_asked_for_starts_under_that_name(office: Office) -> None:
    got = office.deciding.receive(office.press(message("M1", "QINC1")))
    office.decide(got["stored"])
    with office.engine.connect() as connection:
        (row,) = connection.execute(sa.select(audit).where(audit.c.tag == "run_started")).all()
    assert (row.actor_kind, row.actor, row.auth) == ("person", "Ana", "header_secret")


def test_a_button_that_no_runbook_has_is_told_from_the_row_alone(office: Office) -> None:
    raw = body({"messages": [message("M1", "QINC1")]})
    given = {"X-Ripcord-Secret": PRESSING}
    name = office.store("pagerduty_action", pagerduty_action.sealed(given, raw, (PRESSING,), "x y"), raw)
    said = office.deciding.settle(_stored(office, name), office.engine)
    assert said == "no runbook is called 'x y', so that button starts nothing"

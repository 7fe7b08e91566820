"""What a story writes down, on both databases: every verb may run twice, and two stories at once see each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from server import db
from server.actions import ACTIONS
from server.audit.tables import audit
from server.audit.verify import verify
from server.clients import Clients
from server.core.incident import Alert, Incident
from server.core.outcome import Call, Judged, Outcome, Plan, Verdict, Write
from server.core.run import Report, RunSpec, StepSpec
from server.core.states import FINAL, TRANSITIONS, State
from server.deciding import DeliveryWorld
from server.errors import Missing, Transient
from server.ledger import Ledger
from server.settings import Settings
from server.store.tables import NEW, decisions, deliveries, joins, runs, target_locks
from server.world import NoteWorld, RunWorld
from tests.flow.values import spec as run_spec
from tests.unit.deciding import NOW, alert, catalog, delivery, incident, library, rollout

Json = dict[str, Any]
CALL = Call(method="PATCH", path="/web", body=[], said="abort production/web-frontend")
PLAN = Plan(said="abort it", calls=(CALL,), judged=Judged(revision="7d9f", since=NOW - timedelta(seconds=300)))


@pytest.fixture
def engine(migrated_url: str) -> Iterator[sa.Engine]:
    engine = db.writing(migrated_url, patience=10)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: sa.Engine) -> Ledger:
    return Ledger(engine, lambda: NOW, "me")


def spec(n: int = 1, **changed: Any) -> RunSpec:
    fields = {"id": f"r-{n}", "key": f"Q{n}/e/abort/web", "delivery": f"d{n}", "incident": f"Q{n}", "received_at": NOW}
    target = catalog(web_frontend=rollout()).targets["web-frontend"].model_dump(mode="json")
    return run_spec(**{**fields, "target": "web-frontend", "target_spec": target, "occurred_at": NOW, **changed})


def there(ledger: Ledger, about: RunSpec, state: State = State.PLANNING, ticket: str | None = None) -> RunSpec:
    """The run stands in the store, as deciding leaves it."""
    row = {
        "id": about.id, "key": about.key, "delivery": about.delivery, "incident": about.incident, "runbook": "abort",
        "target": about.target, "observed": about.observed, "state": state.value, "said": "decided",
        "ticket": ticket or f"{db.stamp(about.received_at)} {about.delivery}", "created_at": NOW,
        "spec": about.model_dump_json(),
    }  # fmt: skip
    with ledger.engine.begin() as connection:
        connection.execute(sa.insert(runs).values(row))
    return about


def everything(ledger: Ledger) -> list[Any]:
    """All that the ledger's verbs write."""
    with ledger.engine.connect() as connection:
        tables = (audit, runs, target_locks, joins, decisions)
        return [sorted(map(str, connection.execute(sa.select(table)))) for table in tables]


def row(ledger: Ledger, run: str) -> Any:
    with ledger.engine.connect() as connection:
        return connection.execute(sa.select(runs).where(runs.c.id == run)).one()


def keys(ledger: Ledger) -> list[str]:
    with ledger.engine.connect() as connection:
        return list(connection.execute(sa.select(audit.c.key).order_by(audit.c.seq)).scalars())


def outcome(kind: str = "done", n: int = 1, at: datetime = NOW) -> Outcome:
    return Outcome.model_validate({"kind": kind, "said": kind, "n": n, "at": at})


def verdict(kind: str = "unknown") -> Verdict:
    return Verdict.model_validate({"kind": kind, "said": kind, "at": NOW})


def end(state: State) -> Report:
    return Report(state=state, said="so it ended", plan=PLAN, ended_at=NOW)


VERBS: dict[str, tuple[Callable[[Ledger, RunSpec], object], list[str]]] = {
    "received": (lambda ledger, about: ledger.received(delivery()), ["d-d1/delivery_received"]),
    "take_target": (lambda ledger, about: ledger.take_target(about), ["r-1/run_planning"]),
    "planned": (lambda ledger, about: ledger.planned(about, 0, PLAN), ["r-1/0/step_planned"]),
    "guard_stopped": (lambda ledger, about: ledger.guard_stopped(about, "resolved"), ["r-1/guard_stopped"]),
    "intend": (
        lambda ledger, about: ledger.intend(about, 0, Write(n=1, call=CALL)),
        ["r-1/0/1/step_intended", "r-1/run_acting"],
    ),
    "wake": (
        lambda ledger, about: ledger.intend(about, 0, Write(n=2, call=CALL, woken=True)),
        ["r-1/0/2/step_woken", "r-1/run_acting"],
    ),
    "two intents": (
        lambda ledger, about: ledger.intend(about, 0, Write(n=1, call=CALL, also=(Write(n=2, call=CALL),))),
        ["r-1/0/1/step_intended", "r-1/0/2/step_intended", "r-1/run_acting"],
    ),
    "done": (lambda ledger, about: ledger.outcome(about, 0, outcome()), ["r-1/0/1/step_done"]),
    "noop": (lambda ledger, about: ledger.outcome(about, 0, outcome("noop")), ["r-1/0/1/step_done"]),
    "refused": (lambda ledger, about: ledger.outcome(about, 0, outcome("refused")), ["r-1/0/1/step_refused"]),
    "unknown": (lambda ledger, about: ledger.outcome(about, 0, outcome("unknown")), ["r-1/0/1/step_unknown"]),
    "checked": (
        lambda ledger, about: ledger.checked(about, 0, 3, verdict()),
        ["r-1/run_proving", "r-1/check/0/3/check_unknown"],
    ),
    "progress": (lambda ledger, about: ledger.progress(about, end(State.PROVING)), []),
    "told": (lambda ledger, about: ledger.told(about, "Q1", 1, "N1", "first line"), ["r-1/note/1/told"]),
    "about_to_tell": (lambda ledger, about: ledger.about_to_tell("r-1", "Q1", "text"), []),
    **{
        state.value: (lambda ledger, about, state=state: ledger.ended(about, end(state)), [f"r-1/run_{state.value}"])  # type: ignore[misc]
        for state in sorted(FINAL)
    },
}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_that_runs_twice_has_run_once(ledger: Ledger, verb: str) -> None:
    about = there(ledger, spec())
    do, wanted = VERBS[verb]
    first = do(ledger, about)
    once = everything(ledger)
    assert do(ledger, about) == first
    assert everything(ledger) == once
    assert sorted(keys(ledger)) == sorted(wanted)


def test_the_whole_story_twice_leaves_the_chain_of_one(ledger: Ledger) -> None:
    about = there(ledger, spec())
    story = ["received", "take_target", "planned", "intend", "done", "checked", "told", "proven"]
    for verb in story:
        VERBS[verb][0](ledger, about)
    once = everything(ledger)
    for verb in story:
        VERBS[verb][0](ledger, about)
    assert everything(ledger) == once
    assert verify(ledger.engine).wrong is None


# ---- states ----


def enter(ledger: Ledger, about: RunSpec, then: State) -> None:
    """The verb that brings a run into a state that is not final."""
    other = {State.PLANNING: "take_target", State.ACTING: "intend", State.PROVING: "checked"}
    VERBS[other[then]][0](ledger, about)


@pytest.mark.parametrize("then", [State.PLANNING, State.ACTING, State.PROVING])
@pytest.mark.parametrize("now", sorted(State))
def test_a_state_that_may_not_follow_is_left_alone(ledger: Ledger, now: State, then: State) -> None:
    about = there(ledger, spec(), now)
    enter(ledger, about, then)
    allowed = then in TRANSITIONS[now]
    assert row(ledger, "r-1").state == (then if allowed or then is now else now)
    assert (f"r-1/run_{then.value}" in keys(ledger)) is (allowed or then is now)


@pytest.mark.parametrize("first", sorted(FINAL))
def test_what_is_over_stays_as_it_ended(ledger: Ledger, first: State) -> None:
    about = there(ledger, spec())
    ledger.ended(about, end(first))
    ended = str(row(ledger, "r-1"))
    for other in FINAL - {first}:
        ledger.ended(about, end(other))
    ledger.progress(about, end(State.PROVING))
    assert str(row(ledger, "r-1")) == ended


def test_the_report_and_its_place_in_the_chain_are_read_back(ledger: Ledger) -> None:
    about = there(ledger, spec())
    assert ledger.report("r-1") == (about, None, (0, "0" * 64))
    ledger.progress(about, end(State.PROVING))
    assert ledger.report("r-1")[1] is None
    closed = ledger.ended(about, end(State.PROVEN))
    ledger.told(about, "Q1", 1, "N1", "later")
    assert ledger.report("r-1") == (about, end(State.PROVEN), tuple(closed["head"]))


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "\udc00"])
def test_a_text_that_no_database_takes_keeps_no_run_from_being_planned_shown_and_closed(
    ledger: Ledger, text: str
) -> None:
    """It comes from an upstream's JSON, where both can be written; a run that is not closed holds its target for ever."""
    about = there(ledger, spec())
    plan = PLAN.model_copy(update={"said": text, "judged": Judged(revision=text, since=NOW), "was": {"phase": text}})
    ended = Report(state=State.UNPROVEN, said=text, plan=plan, before={"message": text}, ended_at=NOW)
    ledger.take_target(about)
    ledger.planned(about, 0, plan)
    ledger.intend(about, 0, Write(n=1, call=CALL.model_copy(update={"said": text})))
    ledger.checked(about, 0, 0, verdict().model_copy(update={"said": text}))
    ledger.progress(about, ended)
    ledger.ended(about, ended)
    assert row(ledger, "r-1").state == "unproven"
    assert ledger.take_target(there(ledger, spec(2))) is None
    kept = ledger.report("r-1")[1]
    assert kept is not None
    assert kept.before["message"] == text.replace("\ud800", "\ufffd").replace("\udc00", "\ufffd")
    assert verify(ledger.engine).wrong is None


# ---- the target's lock ----


def test_one_run_has_the_target_and_the_next_waits_for_it_by_name(ledger: Ledger) -> None:
    one, two = there(ledger, spec(1)), there(ledger, spec(2))
    assert ledger.take_target(one) is None
    assert ledger.take_target(two) == "r-1"
    assert (row(ledger, "r-2").state, row(ledger, "r-2").said) == ("waiting", "waiting for r-1")
    assert row(ledger, "r-2").waiting_for == "r-1"


def test_the_lock_goes_to_the_earliest_ticket(ledger: Ledger) -> None:
    one = there(ledger, spec(1))
    late = there(ledger, spec(2, received_at=NOW + timedelta(seconds=2)))
    early = there(ledger, spec(3, received_at=NOW + timedelta(seconds=1)))
    assert (ledger.take_target(one), ledger.take_target(late), ledger.take_target(early)) == (None, "r-1", "r-1")
    ledger.ended(one, end(State.PROVEN))
    assert ledger.take_target(late) == "r-3"
    assert ledger.take_target(early) is None
    assert ledger.take_target(late) == "r-3"
    ledger.ended(early, end(State.REFUSED))
    assert ledger.take_target(late) is None
    assert (row(ledger, "r-2").state, row(ledger, "r-2").waiting_for) == ("planning", None)


def test_of_two_deliveries_of_the_same_moment_the_lower_id_is_first(ledger: Ledger) -> None:
    two, one = there(ledger, spec(2)), there(ledger, spec(1))
    assert (ledger.take_target(two), ledger.take_target(one)) == ("r-1", None)


def test_other_targets_and_observed_runs_hold_nobody_up(ledger: Ledger) -> None:
    ledger.take_target(there(ledger, spec(1)))
    observed = there(ledger, spec(2, observed=True))
    assert ledger.take_target(observed) is None
    assert ledger.take_target(there(ledger, spec(3, target="api"))) is None
    ledger.ended(observed, end(State.OBSERVED))
    assert ledger.take_target(there(ledger, spec(4))) == "r-1"


def test_an_observed_run_with_an_earlier_ticket_holds_nobody_up(ledger: Ledger) -> None:
    there(ledger, spec(1, observed=True))
    assert ledger.take_target(there(ledger, spec(2))) is None


def test_a_lock_whose_holder_is_over_is_free(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(sa.insert(target_locks).values(target="web-frontend", run="r-gone", since=NOW))
    assert ledger.take_target(there(ledger, spec(1))) is None


def test_of_many_that_ask_at_once_exactly_one_has_the_target(ledger: Ledger) -> None:
    abouts = [there(ledger, spec(n)) for n in range(1, 7)]
    together = Barrier(len(abouts))

    def ask(about: RunSpec) -> str | None:
        together.wait(10)
        return ledger.take_target(about)

    with ThreadPoolExecutor(len(abouts)) as pool:
        assert list(pool.map(ask, abouts)) == [None, "r-1", "r-1", "r-1", "r-1", "r-1"]
    with ledger.engine.connect() as connection:
        assert connection.execute(sa.select(target_locks.c.run)).scalars().all() == ["r-1"]


# ---- the cool-down ----


@pytest.mark.parametrize(("kind", "counts"), [("done", True), ("unknown", True), ("noop", False), ("refused", False)])
def test_only_what_took_effect_or_may_have_starts_the_cool_down(ledger: Ledger, kind: str, counts: bool) -> None:
    about = there(ledger, spec(1))
    ledger.planned(about, 0, PLAN)
    ledger.outcome(about, 0, outcome(kind))
    assert ledger.wrote_last(spec(2), "7d9f") == (db.stamp(NOW) if counts else None)


def test_the_cool_down_counts_from_the_first_write_and_belongs_to_target_and_version(ledger: Ledger) -> None:
    about = there(ledger, spec(1))
    ledger.planned(about, 0, PLAN)
    ledger.outcome(about, 0, outcome("unknown"))
    ledger.outcome(about, 0, outcome("done", 2, NOW + timedelta(seconds=40)))
    assert ledger.wrote_last(spec(2), "7d9f") == db.stamp(NOW)
    assert ledger.wrote_last(about, "7d9f") is None
    assert ledger.wrote_last(spec(2), "8abc") is None
    assert ledger.wrote_last(spec(2, target="api"), "7d9f") is None


def test_what_comes_after_the_proof_neither_starts_the_cool_down_nor_replaces_the_plan(ledger: Ledger) -> None:
    about = there(ledger, spec(after_proof=(StepSpec(action="resolve_incident"),)))
    ledger.planned(about, 0, PLAN)
    later = PLAN.model_copy(update={"judged": Judged(revision="Q1", since=None), "said": "resolve the incident"})
    ledger.planned(about, 1, later)
    ledger.outcome(about, 1, outcome())
    assert (row(ledger, "r-1").judged, Plan.model_validate_json(row(ledger, "r-1").plan)) == ("7d9f", PLAN)
    assert (ledger.wrote_last(spec(2), "7d9f"), ledger.wrote_last(spec(2), "Q1")) == (None, None)
    assert keys(ledger) == ["r-1/0/step_planned", "r-1/1/step_planned", "r-1/1/1/step_done"]


# ---- deciding ----


@dataclass
class Upstream:
    """PagerDuty and Kubernetes as values; whoever asks them must hold no connection of the database's."""

    engine: sa.Engine
    incidents: dict[str, Incident | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _ask(self, what: str) -> None:
        assert self.engine.pool.checkedout() == 0, f"a transaction is open while {what} is asked"  # type: ignore[attr-defined]
        self.asked.append(what)

    def incident(self, name: str) -> Incident:
        self._ask("incident")
        found = self.incidents[name]
        if isinstance(found, Exception):
            raise found
        return found

    def notes(self, name: str) -> list[tuple[str, str]]:
        self._ask("notes")
        return []

    def add_note(self, name: str, content: str) -> str:
        self._ask("add_note")
        return "N1"

    def edit_note(self, name: str, note: str, content: str) -> None:
        self._ask("edit_note")

    def get(self, cluster: str, path: str) -> tuple[Json, datetime]:
        self._ask("get")
        raise Transient("away")

    def list(self, cluster: str, path: str, query: Any) -> tuple[Json, datetime]:
        return self.get(cluster, path)

    def patch(self, cluster: str, path: str, body: object, content_type: str) -> tuple[Json, datetime]:
        self._ask("patch")
        return {"status": {"abort": True}}, NOW


@dataclass
class Office:
    upstream: Upstream
    clients: Clients
    deciding: DeliveryWorld
    stop: list[str] = field(default_factory=list)


@pytest.fixture
def office(engine: sa.Engine, ledger: Ledger) -> Office:
    upstream = Upstream(engine)
    clients = Clients(kubernetes=upstream, pagerduty=upstream, now=lambda: NOW)
    stop: list[str] = []
    settings = Settings(database_url="sqlite:////nowhere", pagerduty_webhook_secrets=("s" * 20,))
    deciding = DeliveryWorld(settings, clients, ledger, library, lambda: stop[0] if stop else None)
    return Office(upstream, clients, deciding, stop)


def came(office: Office, n: int) -> Json:
    """A delivery about an incident of its own on the same service."""
    office.upstream.incidents[f"QINC{n}"] = incident(alert(n=n), id=f"QINC{n}")
    one = delivery(incident=f"QINC{n}", event_key=f"01E{n}", webhook_id=f"W{n}").model_copy(update={"id": f"d{n}"})
    return one.model_dump(mode="json")


def decide(office: Office, stored: Json) -> list[str]:
    read = office.deciding.read(stored)
    return [one["id"] for one in office.deciding.decide(stored, read, None)["start"]]


def kinds(ledger: Ledger) -> list[str]:
    with ledger.engine.connect() as connection:
        return sorted(connection.execute(sa.select(decisions.c.kind)).scalars())


def test_a_decision_that_is_made_twice_starts_the_same_run(office: Office, ledger: Ledger) -> None:
    stored = came(office, 1)
    first = decide(office, stored)
    once = everything(ledger)
    assert decide(office, stored) == first
    assert len(first) == 1
    assert everything(ledger) == once


def test_a_bug_is_a_decision_unless_they_have_decided(office: Office, ledger: Ledger) -> None:
    decide(office, came(office, 1))
    before = kinds(ledger)
    office.deciding.gave_up("d1", "KeyError")
    assert kinds(ledger) == before
    office.deciding.gave_up("d2", "KeyError")
    assert kinds(ledger) == ["no", *before]


def test_of_two_deliveries_at_the_same_moment_one_starts_a_run_and_the_other_joins_it(
    office: Office, ledger: Ledger
) -> None:
    together = Barrier(2)
    stored = [came(office, n) for n in (1, 2)]
    reads = [office.deciding.read(one) for one in stored]

    def at_once(n: int) -> list[Json]:
        together.wait(10)
        started: list[Json] = office.deciding.decide(stored[n], reads[n], None)["start"]
        return started

    with ThreadPoolExecutor(2) as pool:
        started = [one for answer in pool.map(at_once, (0, 1)) for one in answer]
    assert (len(started), kinds(ledger)) == (1, ["joined", "run"])
    with ledger.engine.connect() as connection:
        (joined,) = connection.execute(sa.select(joins)).all()
    assert joined.run == started[0]["id"]
    assert {joined.incident, started[0]["incident"]} == {"QINC1", "QINC2"}


def test_the_same_incident_in_two_deliveries_starts_one_run_and_joins_nothing(office: Office, ledger: Ledger) -> None:
    one = came(office, 1)
    two = {**one, "id": "d2"}
    assert (len(decide(office, one)), decide(office, two)) == (1, [])
    assert kinds(ledger) == ["run", "run"]
    with ledger.engine.connect() as connection:
        assert connection.execute(sa.select(joins)).all() == []


def test_an_incident_that_joins_twice_has_joined_once(office: Office, ledger: Ledger) -> None:
    decide(office, came(office, 1))
    two = came(office, 2)
    decide(office, two)
    decide(office, {**two, "id": "d3"})
    assert kinds(ledger) == ["joined", "joined", "run"]
    with ledger.engine.connect() as connection:
        assert [one.incident for one in connection.execute(sa.select(joins))] == ["QINC2"]


def test_the_incidents_that_joined_are_told_at_the_end(office: Office, ledger: Ledger) -> None:
    (run,) = decide(office, came(office, 1))
    decide(office, came(office, 2))
    closed = ledger.ended(ledger.spec(run), end(State.PROVEN))
    assert closed["joined"] == ["QINC2"]
    assert decide(office, came(office, 3)) != []


def test_the_stop_switch_brakes_and_starts_nothing(office: Office, ledger: Ledger) -> None:
    office.stop.append("freeze")
    assert decide(office, came(office, 1)) == []
    assert kinds(ledger) == ["braked"]


@pytest.mark.parametrize(("error", "reading", "unread"), [
    (Missing("gone"), {"gone": True}, False), (Transient("503"), {"unread": "503"}, True),
])  # fmt: skip
def test_an_incident_that_cannot_be_read_is_gone_or_not_readable_now(
    office: Office, error: Exception, reading: Json, unread: bool
) -> None:
    stored = came(office, 1)
    office.upstream.incidents["QINC1"] = error
    read = office.deciding.read(stored)
    assert (read["reading"], read["unread"]) == (reading, unread)
    assert office.deciding.decide(stored, read, read["at"])["start"] == []


def test_a_stored_body_that_its_signature_does_not_fit_is_not_believed(office: Office, ledger: Ledger) -> None:
    one = delivery()
    values = {
        "id": "d1", "received_at": NOW, "trigger": "pagerduty_v3", "webhook_id": "W1", "event_key": "01E",
        "event_type": "incident.triggered", "parsed": one.delivery.model_dump_json(), "state": NEW, "body": b"{}",
        "headers": json.dumps({"X-PagerDuty-Signature": "v1=" + "0" * 64}),
    }  # fmt: skip
    with ledger.engine.begin() as connection:
        connection.execute(sa.insert(deliveries).values(values))
    answer = office.deciding.receive("d1")
    assert answer == {"forged": "no: the stored signature does not fit the stored body, nothing was believed"}
    assert office.deciding.receive("d2") == {"forged": "there is no such delivery"}
    assert (kinds(ledger), keys(ledger)) == (["no"], [])


# ---- no transaction is open while an upstream is asked ----


def test_no_transaction_is_open_while_an_upstream_is_asked(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    (run,) = decide(office, came(office, 1))
    about = ledger.spec(run)
    world = RunWorld(office.clients, ledger, tmp_path / "stop")
    told = NoteWorld(office.clients, ledger, lambda run, ended: "words")
    world.take_target(about)
    assert "unread" in world.look(about, 0)
    assert world.guards(about, PLAN) == {}
    plan = PLAN.model_copy(update={"facts": {"cluster": "default"}})
    by = world.intend(about, 0, Write(n=1, call=CALL))["by"]
    assert world.write(about, 0, plan, CALL, 1, by)["outcome"]["kind"] == "done"
    assert "unread" in world.check(about, 0, PLAN)
    kept = told.about_to_tell(run, "QINC1", False)
    assert told.post(run, "QINC1", kept["text"], kept["by"]) == {"note": "N1"}
    assert told.find(run, "QINC1") == {"none": True}
    assert told.edit("QINC1", "N1", "words") == {"note": "N1"}
    assert set(office.upstream.asked) == {"incident", "get", "patch", "notes", "add_note", "edit_note"}


def test_what_another_process_intended_is_not_sent_by_this_one(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    about = there(ledger, spec())
    world = RunWorld(office.clients, ledger, tmp_path / "stop", ACTIONS)
    answer = world.write(about, 0, PLAN, CALL, 1, "somebody else")
    assert (answer["outcome"]["kind"], answer["outcome"]["cause"], office.upstream.asked) == ("unknown", "died", [])
    told = NoteWorld(office.clients, ledger, lambda run, ended: "words")
    assert "unknown" in told.post("r-1", "Q1", "words", "somebody else")
    assert office.upstream.asked == []


@pytest.mark.parametrize("ended", [False, True])
def test_a_note_that_cannot_be_worded_tells_people_that_much(office: Office, ledger: Ledger, ended: bool) -> None:
    def words(run: str, ended: bool) -> str:
        raise ValueError("a report of another version")

    kept = NoteWorld(office.clients, ledger, words).about_to_tell("r-1", "Q1", ended)
    first, *rest = kept["text"].split("\n")
    assert first.startswith(f"Ripcord: r-1 is {'over' if ended else 'under way'}. ")
    assert rest == ["[ripcord r-1/note]"]


# ---- the guards before the first write ----


def guards(office: Office, ledger: Ledger, folder: Path, **changed: Any) -> Json:
    about = there(ledger, spec(steps=(StepSpec(action="abort_rollout"),), incident="QINC1", **changed))
    return RunWorld(office.clients, ledger, folder / "stop").guards(about, PLAN)


def opened(office: Office, *alerts: Alert, **changed: Any) -> None:
    office.upstream.incidents["QINC1"] = incident(*alerts, **changed)


def test_a_resolved_incident_stops_the_first_write(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    opened(office, status="resolved")
    assert guards(office, ledger, tmp_path) == {"stop": "incident is 'resolved', wanted an open one"}


def test_a_switch_that_is_on_stops_the_first_write(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    opened(office)
    (tmp_path / "stop").write_text("deploy freeze\nsecond line\n", encoding="utf-8")
    assert guards(office, ledger, tmp_path) == {"stop": "stop switch: deploy freeze"}


def test_a_switch_that_cannot_be_read_is_on(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    opened(office)
    (tmp_path / "stop").mkdir()
    assert guards(office, ledger, tmp_path)["stop"].startswith("stop switch: var/stop cannot be read")


def test_a_version_younger_than_the_alert_stops_the_first_write(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    opened(office, alert(age=301))
    assert guards(office, ledger, tmp_path) == {"stop": "7d9f (03:07:34Z) is younger than the alert (03:07:33Z)"}


def test_a_write_there_a_short_while_ago_stops_the_next_run(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    opened(office)
    before = there(ledger, spec(9, target="web-frontend"))
    ledger.planned(before, 0, PLAN)
    ledger.outcome(before, 0, outcome(at=NOW - timedelta(minutes=10)))
    assert guards(office, ledger, tmp_path) == {"stop": "cool-down until 03:32:34Z"}


def test_an_incident_that_is_gone_stops_the_first_write(office: Office, ledger: Ledger, tmp_path: Path) -> None:
    office.upstream.incidents["QINC1"] = Missing("404")
    assert guards(office, ledger, tmp_path) == {"stop": "incident gone"}


def test_a_pagerduty_that_is_away_is_waited_for_until_the_event_is_too_old(
    office: Office, ledger: Ledger, tmp_path: Path
) -> None:
    office.upstream.incidents["QINC1"] = Transient("503")
    assert guards(office, ledger, tmp_path) == {"unread": "503"}
    old = spec(2, incident="QINC1", occurred_at=NOW - timedelta(seconds=901))
    answer = RunWorld(office.clients, ledger, tmp_path / "stop").guards(old, PLAN)
    assert answer["stop"].startswith("the event is 901 s old")

"""A person asks, by a button or by a workflow: who asked is written down, and asking replaces `when` and nothing else."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3

from server.store.tables import decisions
from tests.story.town import Town
from tests.support.waiting import eventually

Json = dict[str, Any]
BLUE_GREEN_KEY = "b" * 32


@pytest.fixture
def town(build: Callable[..., Town]) -> Town:
    """A town in which nothing starts by itself: an alert tells, a person asks."""
    made = build()
    on_its_own(made, "[incident.acknowledged]")
    made.start()
    return made


def on_its_own(town: Town, events: str, mode: str = "auto") -> None:
    """Which events start abort-canary."""
    book = town.runbooks / "abort-canary.yaml"
    text = book.read_text()
    assert "[incident.triggered, incident.reopened]" in text
    text = text.replace("[incident.triggered, incident.reopened]", events).replace("mode: auto", f"mode: {mode}")
    book.write_text(text)


def press(town: Town, runbook: str = "abort-canary", n: int = 0, user: str = "ana@example.com") -> None:
    """As PagerDuty sends it when somebody presses the button in the n-th incident."""
    told = {"runbook": runbook, "incident": town.incident(n)["id"], "user": user}
    town.control("pagerduty", {"press": told})


def message(incident: str, *, key: str = "", at: datetime | None = None, name: str = "Ana Person") -> Json:
    """One element of `messages[]`, as small as it may be."""
    return {
        "id": key or str(uuid.uuid4()),
        "event": "incident.custom",
        "created_on": (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "log_entries": [{"agent": {"id": "PUSR007", "type": "user_reference", "summary": name}}],
        "incident": {"id": incident, "title": "é {{7*7}}"},
    }


def post(
    town: Town, *messages: Json, runbook: str = "abort-canary", headers: Json | None = None
) -> urllib3.BaseHTTPResponse:
    """A body of our own making at a button's URL."""
    secret = town.exports["RIPCORD_PAGERDUTY_ACTION_SECRETS"]
    return town.http.request(
        "POST",
        f"{town.url}/webhooks/pagerduty/actions/{runbook}",
        body=json.dumps({"messages": list(messages)}, ensure_ascii=False).encode(),
        headers=headers or {"X-Ripcord-Secret": secret},
        timeout=20,
    )


def decided(town: Town, key: str) -> str:
    """What the audit says of one decision."""
    rows = eventually(lambda: [row for row in town.audit() if row["key"] == key], within=20, what=key)
    return str(rows[0]["said"])


def test_a_press_aborts_the_canary_and_the_audit_names_who_pressed_and_how(town: Town) -> None:
    town.alert()
    press(town)
    run = town.ended()
    assert (run["state"], len(town.effects("PATCH", "/rollouts/"))) == ("proven", 1)
    assert town.asked("GET", "/services/web-frontend")
    received = next(row for row in town.audit() if row["key"] == f"d-{run['delivery']}/delivery_received")
    assert (received["actor"], received["auth"]) == ("Ana Person", "header_secret")
    started = next(row for row in town.audit(run["id"]) if row["tag"] == "run_started")
    assert (started["actor_kind"], started["actor"], started["auth"]) == ("person", "Ana Person", "header_secret")
    by = json.loads(next(row for row in town.audit(run["id"]) if row["tag"] == "decided")["evidence"])
    assert run["key"] == f"{town.incident()['id']}/{by['message']}/abort-canary/web-frontend"
    assert by["pressed_by"]["name"] == "Ana Person"
    assert "PROVEN in" in town.note()


def test_basic_auth_is_written_down_as_such(town: Town) -> None:
    town.alert()
    pair = base64.b64encode(f"pagerduty:{town.exports['RIPCORD_PAGERDUTY_ACTION_SECRETS']}".encode()).decode()
    answer = post(town, message(town.incident()["id"]), headers={"Authorization": f"Basic {pair}"})
    run = town.ended()
    assert answer.json() == {"delivery": run["delivery"], "duplicate": False}
    received = next(row for row in town.audit() if row["key"] == f"d-{run['delivery']}/delivery_received")
    assert (run["state"], received["auth"]) == ("proven", "basic")


def test_each_message_of_a_body_is_decided_by_itself_in_their_order(town: Town) -> None:
    town.control("kubernetes", {"controller": {"slow": 2}})
    town.alert("one")
    town.alert("two")
    first, second = town.incident(0)["id"], town.incident(1)["id"]
    gone = "Q" + uuid.uuid4().hex[:13].upper()
    answer = post(town, message(first, key="M1"), message(gone), message(second, key="M3", name="Ben Person"))
    delivery = answer.json()["delivery"]
    said = [decided(town, f"d-{delivery}/abort-canary/decided{n}") for n in ("", "/2", "/3")]
    run = town.runs()[0]
    assert said[0].startswith("run: web-frontend is named, the button was pressed")
    assert said[1:] == ["no: incident gone", f"joined: {run['id']} is under way on web-frontend"]
    assert (run["key"], run["incident"]) == (f"{first}/M1/abort-canary/web-frontend", first)
    assert town.ended()["state"] == "proven"
    assert f"[ripcord {run['id']}/note]" in town.note(0)
    assert f"[ripcord {run['id']}/note]" in town.note(1)
    assert len(town.effects("PATCH", "/rollouts/")) == 1
    third = next(row for row in town.audit() if row["key"] == f"d-{delivery}/abort-canary/decided/3")
    assert json.loads(third["evidence"])["pressed_by"] == {"id": "PUSR007", "name": "Ben Person"}
    assert third["delivery"] == delivery


def test_a_message_that_comes_again_in_another_body_starts_nothing_new(town: Town) -> None:
    town.alert()
    incident = town.incident()["id"]
    post(town, message(incident, key="M1"))
    run = town.ended()
    answer = post(town, message("QELSEWHERE", key="M9"), message(incident, key="M1"))
    assert answer.json()["duplicate"] is False
    assert decided(town, f"d-{answer.json()['delivery']}/abort-canary/decided/2") == f"run: already {run['id']}"
    assert len(town.runs()) == 1


@pytest.mark.parametrize("over", [False, True])
def test_a_press_older_than_max_age_is_no_with_both_times_and_nothing_is_done(town: Town, over: bool) -> None:
    """Also where the incident is over by then: PagerDuty repeats a press for two days."""
    town.alert()
    incident = town.incident()["id"]
    if over:
        town.pagerduty("PUT", f"/incidents/{incident}", {"incident": {"type": "incident", "status": "resolved"}})
    began = datetime.now(UTC)
    then = began - timedelta(minutes=20)
    answer = post(town, message(incident, at=then))
    assert answer.status == 202
    said = decided(town, f"d-{answer.json()['delivery']}/abort-canary/decided")
    found = re.search(r"^no: the event is (\d+) s old \((\S+)Z\), max_age is 900 s \(now \S+Z\)", said)
    assert found is not None, said
    assert 1200 <= int(found[1]) <= 1200 + (datetime.now(UTC) - began).total_seconds() + 2  # whole seconds, rounded
    assert found[2] == f"{then:%H:%M:%S}"
    # A plan looks at the canary's Services; what looks at all rollouts by itself, once a minute, does not.
    asked = town.asked("GET", "/services/web-frontend")
    assert (town.runs(), asked, town.effects("PATCH", "/"), town.effects("POST", "/notes")) == ([], [], [], [])


def test_a_button_that_nobody_knows_costs_one_decision_row(town: Town) -> None:
    town.alert()
    answer = post(town, message(town.incident()["id"]), runbook="abort-everything")
    query = sa.select(decisions).where(decisions.c.delivery == answer.json()["delivery"])
    rows = eventually(lambda: town.rows(query), within=10)
    said = "no runbook is called 'abort-everything', so that button starts nothing"
    assert [(row["runbook"], row["kind"], row["reason"]) for row in rows] == [("", "no", said)]
    assert (answer.status, town.runs()) == (202, [])


def test_a_press_in_an_incident_of_another_service_is_no(town: Town) -> None:
    town.alert(key=BLUE_GREEN_KEY)
    answer = post(town, message(town.incident()["id"]))
    said = decided(town, f"d-{answer.json()['delivery']}/abort-canary/decided")
    assert said == "no: api-backend is a rollout blue-green, wanted rollout canary"


def test_the_stop_switch_brakes_a_press(town: Town) -> None:
    (town.folder / "var").mkdir(exist_ok=True)
    (town.folder / "var" / "stop").write_text("audit night\n")
    town.alert()
    answer = post(town, message(town.incident()["id"]))
    assert decided(town, f"d-{answer.json()['delivery']}/abort-canary/decided") == "braked: stop switch: audit night"
    assert town.runs() == []


def test_a_press_on_a_runbook_in_mode_observe_writes_nothing(build: Callable[..., Town]) -> None:
    town = build()
    on_its_own(town, "[incident.acknowledged]", mode="observe")
    town.start()
    town.alert()
    press(town)
    assert town.ended()["state"] == "observed"
    assert town.effects("PATCH", "/kubernetes/") == []


def test_a_press_in_a_second_incident_joins_the_run_that_an_alert_started(build: Callable[..., Town]) -> None:
    town = build()
    town.control("kubernetes", {"controller": {"slow": 3}})
    town.start()
    town.alert("one")
    run = eventually(lambda: town.runs(), within=15)[0]["id"]
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert("two")
    answer = post(town, message(town.incident(1)["id"]))
    said = decided(town, f"d-{answer.json()['delivery']}/abort-canary/decided")
    assert said == f"joined: {run} is under way on web-frontend"
    assert town.ended()["state"] == "proven"
    assert f"[ripcord {run}/note]" in town.note(1)
    assert len(town.effects("PATCH", "/rollouts/")) == 1


def test_a_workflow_that_a_person_starts_is_the_signed_way_to_ask(build: Callable[..., Town]) -> None:
    town = build()
    on_its_own(town, "[incident.workflow.started]")
    book = town.runbooks / "abort-canary.yaml"
    blocks = "    - alert: {deployment_type: canary}\n"
    assert blocks in book.read_text()
    book.write_text(book.read_text().replace(blocks, f"    - workflow: PWF0001\n{blocks}"))
    town.start()
    town.alert()
    incident = {"id": town.incident()["id"], "type": "incident_reference"}
    for workflow in ("PWF0002", "PWF0001"):
        body = {"incident_workflow_instance": {"id": str(uuid.uuid4()), "incident": incident}}
        town.pagerduty("POST", f"/incident_workflows/{workflow}/instances", body)
    run = town.ended()
    assert run["state"] == "proven"
    received = next(row for row in town.audit() if row["key"] == f"d-{run['delivery']}/delivery_received")
    assert received["auth"] == "v3_hmac"
    said = [row["said"] for row in town.audit() if row["tag"] == "decided" and row["runbook"] == "abort-canary"]
    assert "no: workflow is 'PWF0002', wanted 'PWF0001'" in said
    assert next(row for row in town.audit(run["id"]) if row["tag"] == "run_started")["actor_kind"] == "person"

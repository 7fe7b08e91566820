"""The main job over real sockets: a signed webhook aborts a bad canary, proves it, tells it, writes it down."""

from __future__ import annotations

import concurrent.futures
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.story.town import Town, assert_every_effect_has_its_rows
from tests.support.waiting import eventually, never


@pytest.mark.parametrize("database", ["sqlite_url", "postgresql_url"])
def test_an_alert_aborts_the_canary_and_the_note_says_that_it_is_proven(
    build: Callable[..., Town], database: str, request: pytest.FixtureRequest
) -> None:
    town = build(request.getfixturevalue(database))
    town.start()
    town.alert()
    run = town.ended()
    assert run["state"] == "proven"
    status = town.rollout()["status"]
    assert (status["abort"], status["canary"]["weights"]["canary"]["weight"]) == (True, 0)
    patches = town.effects("PATCH", "/rollouts/web-frontend/status")
    assert len(patches) == 1
    body = json.loads(patches[0]["body"])
    assert [op["path"] for op in body if op["op"] == "test"] == [
        "/metadata/uid",
        "/status/currentPodHash",
        "/status/stableRS",
        "/spec/template",
    ]
    note = town.note()
    lines = note.splitlines()
    assert re.fullmatch(r"Ripcord: web-frontend is back on stable\. PROVEN in \d+ s\.", lines[0])
    assert lines[1].startswith("Wrong: CanaryHighErrorRate, ")
    assert lines[2].startswith("Done: aborted production/web-frontend, canary ")
    assert "25 % -> 0 %" in lines[2]
    assert lines[3].startswith("Proof: controller ")
    assert "10/10 stable; criteria not declared" in lines[3]
    assert lines[-1].startswith(f"Evidence: {town.url}/runs/{run['id']}  chain ")
    assert lines[-1].endswith(f"[ripcord {run['id']}/note]")
    assert len(town.effects("POST", "/notes")) == 1
    assert_every_effect_has_its_rows(town)


def test_every_row_of_the_story_is_in_the_chain_in_order(town: Town) -> None:
    town.alert()
    run = town.ended()
    town.note()
    tags = [row["tag"] for row in town.audit(run["id"])]
    wanted = [
        "decided",
        "run_started",
        "run_planning",
        "step_planned",
        "step_intended",
        "step_done",
        "check_passed",
        "run_proven",
    ]
    assert [tag for tag in tags if tag in wanted and not (tag == "check_passed" and tags.index(tag) < 0)][: len(wanted)]
    positions = [tags.index(tag) for tag in wanted]
    assert positions == sorted(positions)
    keys = {row["key"] for row in town.audit()}
    assert {f"{run['id']}/0/step_planned", f"{run['id']}/0/1/step_intended", f"{run['id']}/0/1/step_done"} <= keys
    assert f"d-{run['delivery']}/delivery_received" in keys
    assert f"d-{run['delivery']}/abort-canary/decided" in keys


def test_two_hundred_copies_are_one_patch_and_one_note(town: Town) -> None:
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert(summary="é {{7*7}} ${x}")
    incident = town.incident()["id"]
    event = town.event(incident, title="é {{7*7}} ${x}")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: town.webhook(event, f"hook-{n % 7}"), range(200)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.json()["delivery"] for answer in answers}) == 1
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert town.ended()["state"] == "proven"
    town.note()
    assert len(town.effects("PATCH", "/rollouts/")) == 1
    assert len(town.effects("POST", "/notes")) == 1


def test_a_deleted_signature_or_a_changed_body_in_the_database_is_not_believed(town: Town) -> None:
    """The executing process takes nothing on the database's word."""
    import sqlalchemy as sa

    from server import db
    from server.store.tables import deliveries

    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert()
    raw = json.dumps({"event": town.event(town.incident()["id"])}).encode()
    engine = db.writing(town.database_url)
    with engine.begin() as connection:
        values = {
            "id": "f" * 24,
            "received_at": datetime.now(UTC),
            "trigger": "pagerduty_v3",
            "webhook_id": "forged",
            "event_key": "forged",
            "event_type": "incident.triggered",
            "incident": town.incident()["id"],
            "parsed": json.dumps(
                {
                    "trigger": "pagerduty_v3",
                    "auth": "v3_hmac",
                    "webhook_id": "forged",
                    "event_key": "forged",
                    "event_type": "incident.triggered",
                    "occurred_at": None,
                    "incident": town.incident()["id"],
                    "body_sha256": "0" * 64,
                }
            ),
            "headers": json.dumps({"X-PagerDuty-Signature": "v1=" + "0" * 64}),
            "body": raw,
            "state": 0,
        }
        connection.execute(sa.insert(deliveries).values(values))
    engine.dispose()

    def refused() -> bool:
        from server.store.tables import decisions

        rows = town.rows(sa.select(decisions).where(decisions.c.delivery == "f" * 24))
        return bool(rows) and "does not fit the stored body" in rows[0]["reason"]

    eventually(refused, within=15)
    assert town.runs() == []


def test_a_stopped_controller_ends_unproven_and_the_note_says_who_is_missing(build: Callable[..., Town]) -> None:
    town = build()
    town.control("kubernetes", {"controller": "down"})
    _short_budgets(town, acknowledge="10s", traffic="12s")
    town.start()
    town.alert()
    run = town.ended(within=60)
    assert run["state"] == "unproven"
    note = town.note()
    assert note.splitlines()[0] == "Ripcord: web-frontend: tried, NOT PROVEN: a person is needed"
    assert "Held: no controller has renewed since " in note or "Held: controller failing over" in note
    assert len(town.effects("PATCH", "/rollouts/")) == 1
    assert town.incident()["status"] == "triggered"


def test_a_stable_that_lacks_a_pod_ends_unproven_and_the_note_counts_the_pods(build: Callable[..., Town]) -> None:
    town = build()
    town.control("kubernetes", {"stable_missing_pod": "production/web-frontend"})
    _short_budgets(town, acknowledge="6s", traffic="7s")
    town.start()
    town.alert()
    run = town.ended()
    assert run["state"] == "unproven"
    assert "Held: stable has 9 of 10 pods" in town.note()
    assert len(town.effects("PATCH", "/rollouts/")) == 1


def test_a_swallowed_abort_is_woken_once_and_proven(town: Town) -> None:
    town.control("kubernetes", {"swallow_next": "production/web-frontend"})
    town.alert()
    assert town.ended()["state"] == "proven"
    patches = town.effects("PATCH", "/rollouts/web-frontend/status")
    assert len(patches) == 2
    assert f"{town.runs()[0]['id']} wake " in patches[1]["body"]
    assert "Held: the controller did not see the abort, woken 1 times" in town.note()
    tags = [row["tag"] for row in town.audit()]
    assert tags.count("step_woken") == 1
    assert_every_effect_has_its_rows(town)


def test_a_receiver_that_hangs_is_not_woken_and_is_named(build: Callable[..., Town]) -> None:
    town = build()
    town.control("kubernetes", {"hold_status": {"object": "production/web-frontend", "seconds": 8}})
    town.start()
    town.alert()
    assert town.ended()["state"] == "proven"
    assert len(town.effects("PATCH", "/rollouts/")) == 1
    assert "most likely a notification receiver" in town.note()


def test_in_mode_observe_everything_happens_except_the_write(build: Callable[..., Town]) -> None:
    town = build()
    targets = town.runbooks / "targets.yaml"
    targets.write_text(targets.read_text().replace("mode: auto", "mode: observe"))
    town.start()
    town.alert()
    run = town.ended()
    assert run["state"] == "observed"
    assert town.note().startswith("Ripcord: web-frontend: observed: would have abort")
    assert town.effects("PATCH", "/kubernetes/") == []


def test_the_stop_switch_brakes(town: Town) -> None:
    (town.folder / "var").mkdir(exist_ok=True)
    (town.folder / "var" / "stop").write_text("audit night\n")
    town.alert()

    def braked() -> bool:
        return any(
            row["tag"] == "decided" and row["said"] == "braked: stop switch: audit night" for row in town.audit()
        )

    eventually(braked, within=15)
    assert town.runs() == []
    assert town.effects("PATCH", "/kubernetes/") == []


def test_a_second_incident_on_a_busy_target_joins_and_gets_the_note(town: Town) -> None:
    town.control("kubernetes", {"controller": {"slow": 3}})
    town.alert("one")
    eventually(lambda: town.runs(), within=15)
    run = town.runs()[0]["id"]
    town.alert("two")
    other = town.incident(1)["id"]

    def decided() -> list[str]:
        return [row["said"] for row in town.audit() if row["tag"] == "decided" and row["incident"] == other]

    said = eventually(decided, within=20)
    assert f"joined: {run} is under way on web-frontend" in said
    assert town.ended()["state"] == "proven"
    assert "PROVEN in" in town.note(0)
    assert f"[ripcord {run}/note]" in town.note(1)
    assert len(town.effects("PATCH", "/rollouts/")) == 1


def test_pagerduty_away_loses_nothing_and_acts_on_nothing(town: Town) -> None:
    fault = {"match": {"method": "GET", "path": "/pagerduty/incidents*"}, "do": "status", "status": 500}
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert()
    incident = town.incident()["id"]
    town.control("faults", [fault])
    assert town.webhook(town.event(incident)).status == 202
    never(lambda: town.effects("PATCH", "/kubernetes/"), for_seconds=2)
    town.control("faults", None, "DELETE")
    assert town.ended(within=30)["state"] == "proven"


def test_a_hanging_note_delays_no_write_and_is_never_posted_twice(town: Town) -> None:
    fault = {"match": {"method": "POST", "path": "*/notes"}, "do": "hold_after_apply", "seconds": 3600, "times": 1}
    town.control("faults", [fault])
    town.alert()
    assert town.ended(within=30)["state"] == "proven"
    town.control("release", {})
    assert "PROVEN in" in town.note(within=60)
    assert len(town.effects("POST", "/notes")) == 1


def test_a_502_after_the_abort_took_effect_is_read_back_and_never_repeated(town: Town) -> None:
    fault = {"match": {"method": "PATCH", "path": "*/status"}, "do": "reset_after_apply", "times": 1}
    town.control("faults", [fault])
    town.alert()
    assert town.ended()["state"] == "proven"
    assert len(town.effects("PATCH", "/rollouts/")) == 1
    assert_every_effect_has_its_rows(town)


def test_a_refused_write_is_sent_again_under_its_own_number(town: Town) -> None:
    fault = {"match": {"method": "PATCH", "path": "*/status"}, "do": "status", "status": 429, "times": 2}
    town.control("faults", [fault])
    town.alert()
    assert town.ended()["state"] == "proven"
    assert len(town.asked("PATCH", "/rollouts/")) == 3
    assert [row["key"] for row in town.audit() if row["tag"] == "step_intended"] == [
        f"{town.runs()[0]['id']}/0/1/step_intended"
    ]


def test_a_webhook_that_no_runbook_starts_on_costs_one_decision_row_and_no_audit_row(town: Town) -> None:
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert()
    answer = town.webhook(town.event(town.incident()["id"], "incident.acknowledged"))
    delivery = answer.json()["delivery"]
    import sqlalchemy as sa

    from server.store.tables import decisions

    rows = eventually(lambda: town.rows(sa.select(decisions).where(decisions.c.delivery == delivery)), within=10)
    assert [(row["runbook"], row["kind"], row["reason"]) for row in rows] == [
        ("", "no", "no runbook starts on incident.acknowledged")
    ]
    assert town.audit() == []


def test_an_incident_that_is_gone_is_said(town: Town) -> None:
    assert town.webhook(town.event("Q" + uuid.uuid4().hex[:13].upper())).status == 202
    said = eventually(lambda: [row["said"] for row in town.audit() if row["tag"] == "decided"], within=10)
    assert set(said) == {"no: incident gone"}


def _short_budgets(town: Town, acknowledge: str, traffic: str) -> None:
    """The same story with less patience."""
    targets = town.runbooks / "targets.yaml"
    text = targets.read_text()
    assert "name: web-frontend" in text
    targets.write_text(
        text.replace(
            "name: web-frontend",
            f"name: web-frontend\n    budgets: {{acknowledge: {acknowledge}, traffic: {traffic}}}",
            1,
        )
    )

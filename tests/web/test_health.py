"""The probes: who may send traffic here, and what a person should know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.web.parts import Parts
from tests.web.conftest import Door
from tests.web.signing import body, event, signed


def client(door: Door, **other: object) -> FlaskClient:
    """The same web in other surroundings."""
    parts: Parts = replace(door.parts, **other)  # type: ignore[arg-type]
    return create_app(parts.settings, parts).test_client()


def test_alive_means_only_that_the_process_answers(door: Door) -> None:
    assert (door.client.get("/healthz").status_code, door.client.get("/healthz").text) == (200, "alive\n")


def test_ready_says_so(door: Door) -> None:
    assert door.client.get("/readyz").json == {"ready": True, "problems": [], "warnings": []}


def test_not_ready_without_its_migrations(door: Door) -> None:
    answer = client(door, migrations=lambda: "the database is not at this version: run ./ripcord migrate").get(
        "/readyz"
    )
    assert answer.status_code == 503
    assert answer.json["problems"] == ["the database is not at this version: run ./ripcord migrate"]


def test_not_ready_without_its_database(door: Door, tmp_path: Path) -> None:
    door.parts.reading.dispose()
    (tmp_path / "ripcord.db").rename(tmp_path / "gone.db")
    (tmp_path / "ripcord.db").mkdir()
    answer = door.client.get("/readyz")
    assert (answer.status_code, answer.json["problems"]) == (503, ["the database does not answer"])
    assert door.client.get("/metrics").status_code == 200


def test_a_process_that_executes_is_not_ready_when_its_executor_is_gone(door: Door) -> None:
    answer = client(door, executes=True, executor=lambda: False).get("/readyz")
    assert (answer.status_code, answer.json["problems"]) == (503, ["the executor of this process has died"])


def test_a_web_without_any_executor_stays_ready_and_warns_because_accepting_must_go_on(door: Door) -> None:
    answer = client(door, executor=lambda: False).get("/readyz")
    assert answer.status_code == 200
    assert answer.json["warnings"] == ["no executing process is alive: messages are taken in and wait"]


def test_a_runbook_error_on_reload_is_a_warning(door: Door) -> None:
    answer = client(door, warnings=lambda: ["runbooks/x.yaml:3: expected a duration"]).get("/readyz")
    assert (answer.status_code, answer.json["warnings"]) == (200, ["runbooks/x.yaml:3: expected a duration"])


@pytest.mark.parametrize(
    "line",
    [
        'ripcord_webhook_answers_total{status="202"} 2.0',
        'ripcord_webhook_answers_total{status="403"} 1.0',
        'ripcord_deliveries_total{duplicate="false"} 1.0',
        'ripcord_deliveries_total{duplicate="true"} 1.0',
        "ripcord_webhook_seconds_count 3.0",
        "ripcord_deliveries_waiting 1.0",
        "ripcord_door_shut 0.0",
    ],
)
def test_metrics_count_what_came_and_what_was_said(door: Door, line: str) -> None:
    raw = body(event())
    for headers in (signed(raw), signed(raw), {}):
        door.client.post("/webhooks/pagerduty", data=raw, headers=headers)
    assert line in door.client.get("/metrics").text.splitlines()

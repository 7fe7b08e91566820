"""Resolving an incident over the wire: once is done, twice is no error, and what hangs on it goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sandbox.start import start
from server.clients.pagerduty import PagerDutyApi
from server.errors import Missing, Refused, Transient, Unknown
from tests.sandbox.door import Door


def now() -> datetime:
    return datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC)


@pytest.fixture
def door() -> Iterator[Door]:
    sandbox = start(scene=False, ticking=False, seed=11)
    yield Door(sandbox)
    sandbox.end()


def client(door: Door) -> PagerDutyApi:
    return PagerDutyApi(f"{door.sandbox.base_url}/pagerduty", door.key, "ripcord@example.com", now)


def test_twice_is_once(door: Door) -> None:
    incident = door.incident(rollout="web")
    assert client(door).resolve(incident, "proven") is True
    found = client(door).incident(incident)
    assert (found.status, {alert.status for alert in found.alerts}) == ("resolved", {"resolved"})
    assert client(door).resolve(incident, "proven") is False
    assert [row["applied"] for row in door.log() if row["method"] == "PUT"] == [True, False]


def test_an_incident_that_is_gone_is_missing(door: Door) -> None:
    with pytest.raises(Missing):
        client(door).resolve("QGONE", "proven")


@pytest.mark.parametrize(
    ("do", "status", "error"),
    [
        ("status", 400, Refused),
        ("status", 429, Transient),
        ("status", 500, Unknown),
        ("reset_after_apply", None, Unknown),
        ("reset_before", None, Unknown),
    ],
)
def test_an_answer_is_sorted_by_what_to_do_next(
    door: Door, do: str, status: int | None, error: type[Exception]
) -> None:
    incident = door.incident(rollout="web")
    fault = {"match": {"method": "PUT", "path": "*"}, "do": do, "status": status or 500, "times": 1}
    assert door.control("faults", [fault]).status == 200
    with pytest.raises(error) as caught:
        client(door).resolve(incident, "proven")
    assert type(caught.value) is error
    assert len([row for row in door.log() if row["method"] == "PUT"]) == 1

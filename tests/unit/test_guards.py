"""What is asked once more right before the first write, and what only the live state can tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from server.core import guards
from server.core.incident import Incident
from server.core.outcome import Judged
from tests.unit.deciding import NOW, ago, alert, incident

ALERT_AT = datetime.fromisoformat("2026-11-24T03:10:40Z")
ALERTS = (alert().model_copy(update={"created_at": ALERT_AT}),)


def judged(since: str | None) -> Judged:
    return Judged(revision="7d9f5b6c77", since=datetime.fromisoformat(since) if since else None)


def asked(
    *,
    stop: str | None = None,
    occurred_at: datetime | None = NOW,
    about: Incident | None = None,
    observed: bool = False,
) -> str | None:
    return guards.before_write(
        observed=observed, occurred_at=occurred_at, max_age=900, incident=about or incident(), stop=stop, now=NOW
    )


def test_a_version_that_started_after_the_alert_is_not_its_cause() -> None:
    assert guards.younger(judged("2026-11-24T03:12:01Z"), ALERTS) == (
        "7d9f (03:12:01Z) is younger than the alert (03:10:40Z)"
    )


def test_a_version_that_started_before_the_alert_may_be_its_cause() -> None:
    assert guards.younger(judged("2026-11-24T03:10:39Z"), ALERTS) is None


def test_the_same_second_counts_as_younger_because_both_times_are_whole_seconds() -> None:
    for since in ("2026-11-24T03:10:40Z", "2026-11-24T03:10:40.999Z"):
        assert guards.younger(judged(since), ALERTS) == "7d9f (03:10:40Z) is younger than the alert (03:10:40Z)"


def test_the_newest_alert_that_names_the_target_is_the_one_that_counts() -> None:
    older = alert().model_copy(update={"created_at": ALERT_AT - timedelta(minutes=9)})
    assert guards.younger(judged("2026-11-24T03:05:00Z"), (older, *ALERTS)) is None
    assert guards.younger(judged("2026-11-24T03:05:00Z"), (older,)) is not None


def test_without_a_time_or_without_an_alert_nothing_is_written() -> None:
    assert guards.younger(judged(None), ALERTS) == "7d9f: when it started is not known, so the alert cannot be about it"
    assert guards.younger(judged("2026-11-24T03:05:00Z"), ()) == "no open alert names the target any more"


def test_a_cool_down_ends_to_the_second() -> None:
    wrote = datetime.fromisoformat("2026-11-24T03:10:00Z")
    assert guards.cooldown(wrote, 1800, datetime.fromisoformat("2026-11-24T03:39:59Z")) == "cool-down until 03:40:00Z"
    assert guards.cooldown(wrote, 1800, datetime.fromisoformat("2026-11-24T03:40:00Z")) is None


def test_nothing_holds_back_an_open_incident_that_is_young_enough() -> None:
    assert asked() is None
    assert asked(about=incident(status="acknowledged")) is None


@pytest.mark.parametrize(
    ("reason", "held"),
    [
        ("stop switch: deploy freeze", asked(stop="deploy freeze", occurred_at=ago(9000), about=incident(status="resolved"))),
        ("the event is 901 s old (02:57:33Z), max_age is 900 s (now 03:12:34Z)",
         asked(occurred_at=ago(901), about=incident(status="resolved"))),
        ("incident is 'resolved', wanted an open one", asked(about=incident(status="resolved"))),
        ("the event carries no time, so its age is not known", asked(occurred_at=None)),
    ],
)  # fmt: skip
def test_before_the_first_write_the_first_guard_that_holds_is_named(reason: str, held: str | None) -> None:
    assert held == reason


AT = NOW


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"changed_by": "Ana Person", "changed_at": AT}, " (by 'Ana Person' at 03:12:34Z)"),
        ({"changed_at": AT}, " (at 03:12:34Z)"),
        ({"resolve_reason": "merged"}, " (merged)"),
        (
            {"resolve_reason": "merge_resolve_reason", "merged_into": "Q2", "changed_by": "Ana"},
            " (merged into Q2 by 'Ana')",
        ),
        ({"changed_by": "a\nb"}, " (by 'a b')"),
    ],
)
def test_a_resolved_incident_is_named_with_who_and_when_and_a_merge_as_one(changed: Any, said: str) -> None:
    over = incident(status="resolved", **changed)
    assert guards.resolved(over) == f"incident is 'resolved', wanted an open one{said}"
    assert guards.resolved(over.model_copy(update={"status": "triggered"})) is None

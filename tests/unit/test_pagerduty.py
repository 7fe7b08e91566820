"""PagerDuty's REST objects in our own words, the odd ones included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from server.core.pagerduty import parse_alert, parse_incident, parse_time
from tests.unit.deciding import NOW

DETAILS = {"rollout": "web-frontend"}


def rest_alert(body: Any = None, **changed: Any) -> dict[str, Any]:
    return {"id": "PA1", "status": "triggered", "created_at": "2026-11-24T03:10:40Z", "body": body, **changed}


def rest_incident(**changed: Any) -> dict[str, Any]:
    return {
        "id": "QINC1",
        "incident_number": 42,
        "title": "checkout hurts",
        "status": "triggered",
        "created_at": "2026-11-24T03:10:40Z",
        "service": {"id": "PCANARY", "summary": "Canaries"},
        "resolve_reason": None,
        **changed,
    }


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"details": DETAILS, "cef_details": {"details": {"rollout": "other"}}}, DETAILS),
        ({"details": "a text", "cef_details": {"details": DETAILS}}, DETAILS),
        ({"details": None, "cef_details": {"details": DETAILS}}, DETAILS),
        ({"details": "a text", "cef_details": None}, None),
        ({"cef_details": {"details": "a text"}}, None),
        ({}, None),
        (None, None),
        ("a text", None),
    ],
)
def test_details_come_from_the_body_then_from_the_common_format_and_a_text_is_no_data(body: Any, details: Any) -> None:
    assert parse_alert(rest_alert(body)).details == details


def test_what_no_database_takes_is_marked_in_details_so_that_nothing_becomes_equal() -> None:
    alert = parse_alert(rest_alert({"details": {"ti\x00tle": "a\x00b\ud800c", "n": float("nan"), "list": ["\x00"]}}))
    assert alert.details == {"ti\ufffdtle": "a\ufffdb\ufffdc", "n": "nan", "list": ["\ufffd"]}
    assert alert.model_validate_json(alert.model_dump_json()) == alert


def test_details_are_bounded() -> None:
    deep: Any = "end"
    for _ in range(500):
        deep = {"a": deep}
    alert = parse_alert(
        rest_alert({"details": {"long": "x" * 100_000, "deep": deep, **{str(n): n for n in range(5000)}}})
    )
    assert alert.details is None  # a key that was cut away could be the one that says no
    assert parse_alert(rest_alert({"details": {"long": "x" * 100_000}})).details == {"long": "x" * 4000}


def test_alerts_stand_oldest_first() -> None:
    alerts = [rest_alert(id="new", created_at="2026-11-24T03:11:00Z"), rest_alert(id="old")]
    assert [one.id for one in parse_incident(rest_incident(), alerts, NOW).alerts] == ["old", "new"]


def test_an_incident_keeps_what_decisions_and_notes_need() -> None:
    incident = parse_incident(rest_incident(), [], NOW)
    assert (incident.id, incident.number, incident.service, incident.service_name) == (
        "QINC1",
        42,
        "PCANARY",
        "Canaries",
    )
    assert incident.created_at == datetime(2026, 11, 24, 3, 10, 40, tzinfo=UTC)


@pytest.mark.parametrize("reason", ["merged", {"type": "merge_resolve_reason", "incident": {"id": "QINC2"}}])
def test_any_resolve_reason_means_that_it_was_merged(reason: Any) -> None:
    assert parse_incident(rest_incident(resolve_reason=reason), [], NOW).resolve_reason is not None
    assert parse_incident(rest_incident(), [], NOW).resolve_reason is None


def test_an_incident_without_a_service_is_bound_to_nothing() -> None:
    assert parse_incident(rest_incident(service=None), [], NOW).service == ""


@pytest.mark.parametrize("broken", [{"created_at": None}, {"created_at": "yesterday"}, {"id": ""}])
def test_what_is_not_an_incident_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an incident without"):
        parse_incident(rest_incident(**broken), [], NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-24T03:12:34Z", 0),
        ("2026-11-24T03:12:34.000Z", 0),
        ("2026-11-24T04:12:34+01:00", 0),
        ("2026-11-24T03:12:34", 0),
        ("2026-11-24T03:12:35Z", 1),
    ],
)
def test_times_are_read_in_every_form_that_pagerduty_writes(text: str, seconds: int) -> None:
    at = parse_time(text)
    assert at is not None
    assert (at - NOW).total_seconds() == seconds


@pytest.mark.parametrize("text", [None, 5, "", "soon", "0001-01-01T00:00:00+23:59", "2026-11-24T03:12:34Z" * 9])
def test_what_is_no_time_is_none(text: Any) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "details",
    [
        {"rollout": "web", **{str(n): n for n in range(250)}, "namespace": "other"},
        {"x" * 201: "1"},
        {"list": list(range(300))},
    ],
)
def test_details_that_cannot_be_kept_whole_are_no_data(details: dict[str, Any]) -> None:
    assert parse_alert(rest_alert({"details": details})).details is None


def test_a_value_with_a_nul_does_not_become_equal_to_one_without() -> None:
    alert = parse_alert(rest_alert({"details": {"rollout": "web\x00", "name\ud800space": "production"}}))
    assert alert.details == {"rollout": "web\ufffd", "name\ufffdspace": "production"}


def test_who_moved_an_incident_to_its_status_and_where_it_was_merged_to_are_kept() -> None:
    by = {"id": "PANA", "type": "user_reference", "summary": "Ana\x00"}
    body = {
        **rest_incident(status="resolved"),
        "last_status_change_at": "2026-11-24T03:12:34Z",
        "last_status_change_by": by,
        "resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "Q2", "type": "incident_reference"}},
    }
    read = parse_incident(body, [], NOW)
    assert (read.changed_by, read.changed_by_id, read.merged_into) == ("Ana\ufffd", "PANA", "Q2")
    assert f"{read.changed_at:%H:%M:%S}" == "03:12:34"


@pytest.mark.parametrize(
    "reason", [None, "merged", {"type": "merge_resolve_reason"}, {"incident": 5}, {"incident": {"id": 5}}]
)
def test_a_merge_that_does_not_say_where_to_leads_nowhere(reason: Any) -> None:
    body = rest_incident(resolve_reason=reason, last_status_change_by="x")
    assert (parse_incident(body, [], NOW).merged_into, parse_incident(body, [], NOW).changed_by) == (None, "")


@pytest.mark.parametrize("status", [None, "", "open", 1, ["triggered"], {}])
def test_an_incident_that_does_not_say_whether_it_is_open_is_none_and_never_counts_as_open(status: Any) -> None:
    with pytest.raises(ValueError, match="without a status"):
        parse_incident(rest_incident(status=status), [], NOW)

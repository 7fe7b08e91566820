"""The Events API v2: what is taken, what is refused, and how the dedup key works."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.door import Door


def incidents(door: Door, **query: str) -> list[dict[str, Any]]:
    more = "&".join(f"{name}={text}" for name, text in query.items())
    return list(door.pagerduty("GET", f"/incidents?{more}").json["incidents"])


def test_a_trigger_is_taken_and_opens_one_incident_on_the_service_of_its_key(door: Door) -> None:
    answer = door.trigger("web", summary="é {{7*7}} ${x}", service="b")
    assert (answer.status, answer.json["status"], answer.json["dedup_key"]) == (202, "success", "web")
    (incident,) = incidents(door)
    assert (incident["title"], incident["service"]["id"]) == ("é {{7*7}} ${x}", "PBLUEGREEN")


def test_a_missing_dedup_key_is_made_up_and_told(door: Door) -> None:
    payload = {"summary": "x", "source": "y", "severity": "info"}
    keys = {door.event("trigger", None, payload=payload).json["dedup_key"] for _ in range(2)}
    assert len(keys) == 2
    assert len(incidents(door)) == 2


def test_the_same_key_adds_to_the_open_alert_and_shows_its_newest_summary(door: Door) -> None:
    door.trigger("web", summary="first")
    door.trigger("web", summary="second")
    (incident,) = incidents(door)
    (alert,) = door.pagerduty("GET", f"/incidents/{incident['id']}/alerts").json["alerts"]
    assert (incident["title"], alert["summary"]) == ("first", "second")


def test_after_a_resolve_the_same_key_opens_a_new_incident(door: Door) -> None:
    door.trigger("web")
    assert door.event("resolve", "web").status == 202
    door.trigger("web")
    assert [one["status"] for one in incidents(door)] == ["resolved", "triggered"]


def test_the_same_key_on_another_service_is_another_alert(door: Door) -> None:
    door.trigger("web", service="c")
    door.trigger("web", service="f")
    door.event("resolve", "web", service="f")
    assert [(one["service"]["id"], one["status"]) for one in incidents(door)] == [
        ("PCANARY", "triggered"),
        ("PFLAG", "resolved"),
    ]


def test_acknowledging_and_resolving_what_is_not_open_is_taken_and_changes_nothing(door: Door) -> None:
    for action in ("acknowledge", "resolve"):
        assert door.event(action, "nothing").status == 202
        assert door.log()[-1]["applied"] is False
    assert incidents(door) == []


def test_an_acknowledge_acknowledges_the_incident_once(door: Door) -> None:
    door.trigger("web")
    applied = []
    for _ in range(2):
        door.event("acknowledge", "web")
        applied.append(door.log()[-1]["applied"])
    assert applied == [True, False]
    assert incidents(door)[0]["status"] == "acknowledged"


def test_client_and_links_reappear_in_the_alert(door: Door) -> None:
    payload = {"summary": "x", "source": "y", "severity": "warning", "component": "web", "class": "deploy"}
    links = [{"href": "https://example.com/d", "text": "Dashboard"}]
    door.event("trigger", "k", payload=payload, client="Argo", client_url="https://argo", links=links)
    (alert,) = door.pagerduty("GET", "/incidents/1/alerts").json["alerts"]
    cef = alert["body"]["cef_details"]
    assert (cef["client"], cef["source_component"], cef["event_class"]) == ("Argo", "web", "deploy")
    assert alert["body"]["contexts"] == [{"type": "link", "href": "https://example.com/d", "text": "Dashboard"}]


GOOD = {"summary": "x", "source": "y", "severity": "critical"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"routing_key": "c" * 31},
        {"routing_key": "x" * 32},
        {"routing_key": None},
        {"event_action": "shout"},
        {"event_action": "resolve", "dedup_key": None},
        {"dedup_key": "k" * 256},
        {"payload": None},
        {"payload": GOOD | {"summary": "s" * 1025}},
        {"payload": GOOD | {"summary": ""}},
        {"payload": GOOD | {"source": ""}},
        {"payload": GOOD | {"severity": "awful"}},
        {"payload": GOOD | {"timestamp": "yesterday"}},
        {"payload": GOOD | {"custom_details": [1]}},
    ],
)
def test_an_invalid_event_is_a_400_that_says_why(door: Door, wrong: dict[str, object]) -> None:
    event = {"routing_key": "c" * 32, "event_action": "trigger", "dedup_key": "k", "payload": GOOD} | wrong
    answer = door.call("POST", "/pagerduty/v2/enqueue", event)
    assert (answer.status, answer.json["status"]) == (400, "invalid event")
    assert answer.json["errors"]
    assert incidents(door) == []


def test_a_summary_of_exactly_1024_characters_is_taken(door: Door) -> None:
    assert door.event("trigger", "k", payload=GOOD | {"summary": "é" * 1024}).status == 202


def test_details_may_be_a_string(door: Door) -> None:
    door.event("trigger", "k", payload=GOOD | {"custom_details": "just text"})
    (alert,) = door.pagerduty("GET", "/incidents/1/alerts").json["alerts"]
    assert alert["body"]["details"] == "just text"


def test_a_hostile_title_travels_unharmed(door: Door) -> None:
    """A lone surrogate and a NUL: nothing that UTF-8 can carry, and still no crash."""
    body = b'{"routing_key": "%s", "event_action": "trigger", "payload": ' % (b"c" * 32)
    body += b'{"summary": "\\u0000 \\ud800 \\u00e9", "source": "y", "severity": "info"}}'
    assert door.call("POST", "/pagerduty/v2/enqueue", body).status == 202
    assert incidents(door)[0]["title"] == "\x00 \ud800 é"
    assert door.call("GET", "/_sandbox/state").status == 200


def test_a_change_event_is_taken_and_opens_nothing(door: Door) -> None:
    event = {"routing_key": "c" * 32, "payload": {"summary": "rolled back"}}
    assert door.call("POST", "/pagerduty/v2/change/enqueue", event).status == 202
    assert incidents(door) == []

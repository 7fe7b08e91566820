"""PagerDuty's REST API: who is let in, what is refused with which code, what the objects say."""

from __future__ import annotations

import pdpyras
import pytest

from tests.sandbox.door import Door


@pytest.mark.parametrize("given", ["", "Token token=wrong", "Bearer wrong", "Basic abc"])
def test_a_missing_or_wrong_key_is_401_with_code_2006(door: Door, given: str) -> None:
    answer = door.pagerduty("GET", "/abilities", Authorization=given)
    assert (answer.status, answer.json["error"]["code"]) == (401, 2006)


def test_the_key_is_also_taken_as_a_bearer(door: Door) -> None:
    assert door.pagerduty("GET", "/abilities", Authorization=f"Bearer {door.key}").status == 200


@pytest.mark.parametrize(("sender", "code"), [("", 2016), ("Ripcord", 1028), ("nobody@example.com", 1008)])
def test_a_write_needs_the_address_of_a_real_user(door: Door, sender: str, code: int) -> None:
    incident = door.incident()
    for method, path, body in [
        ("POST", f"/incidents/{incident}/notes", {"note": {"content": "x"}}),
        ("PUT", f"/incidents/{incident}", {"incident": {"status": "resolved"}}),
        ("POST", "/incidents", {"incident": {"title": "x", "service": {"id": "PFLAG"}}}),
    ]:
        answer = door.pagerduty(method, path, body, From=sender)
        assert (answer.status, answer.json["error"]["code"]) == (400, code)
    assert door.pagerduty("GET", f"/incidents/{incident}").json["incident"]["status"] == "triggered"


def test_every_answer_tells_the_rate_limit(door: Door) -> None:
    first, second = (door.pagerduty("GET", "/abilities").headers for _ in range(2))
    assert first["ratelimit-limit"] == "960"
    assert int(second["ratelimit-remaining"]) == int(first["ratelimit-remaining"]) - 1
    assert 0 < int(first["ratelimit-reset"]) <= 60


def test_an_incident_is_found_by_id_and_by_number_and_not_otherwise(door: Door) -> None:
    incident = door.incident()
    assert incident[0] == "Q"
    assert len(incident) == 14
    by_number = door.pagerduty("GET", "/incidents/1").json["incident"]
    assert (by_number["id"], by_number["incident_number"]) == (incident, 1)
    answer = door.pagerduty("GET", "/incidents/QNOTTHERE00000")
    assert (answer.status, answer.json["error"]["code"]) == (404, 2100)


def test_an_incident_born_from_an_alert_has_no_incident_key_and_no_details_of_its_own(door: Door) -> None:
    shown = door.pagerduty("GET", f"/incidents/{door.incident(rollout='web-frontend')}").json["incident"]
    assert shown["incident_key"] is None
    assert shown["service"]["id"] == "PCANARY"
    assert "web-frontend" not in str(shown)


def test_the_alert_carries_the_details_twice(door: Door) -> None:
    incident = door.incident(rollout="web-frontend", error_rate="8.3 %")
    (alert,) = door.pagerduty("GET", f"/incidents/{incident}/alerts").json["alerts"]
    wanted = {"rollout": "web-frontend", "error_rate": "8.3 %"}
    assert alert["body"]["details"] == wanted
    assert alert["body"]["cef_details"]["details"] == wanted
    assert alert["body"]["cef_details"]["source_origin"] == "prometheus"
    assert (alert["status"], alert["severity"], alert["alert_key"]) == ("triggered", "critical", "key-0")


def test_alerts_may_appear_later_than_their_incident(door: Door) -> None:
    door.control("pagerduty", {"alerts_after": 3})
    incident = door.incident()
    assert door.pagerduty("GET", f"/incidents/{incident}/alerts").json["alerts"] == []
    door.control("clock", {"advance": 3})
    assert len(door.pagerduty("GET", f"/incidents/{incident}/alerts").json["alerts"]) == 1


def test_the_list_is_filtered_and_paged(door: Door) -> None:
    ids = [door.incident() for _ in range(3)]
    door.trigger("flag", service="f")
    door.pagerduty("PUT", f"/incidents/{ids[0]}", {"incident": {"status": "resolved"}})
    found = door.pagerduty("GET", "/incidents?statuses[]=triggered&service_ids[]=PCANARY").json
    assert [one["id"] for one in found["incidents"]] == ids[1:]
    page = door.pagerduty("GET", "/incidents?limit=2&offset=2&total=true").json
    assert (len(page["incidents"]), page["more"], page["total"]) == (2, False, 4)
    assert door.pagerduty("GET", "/incidents?limit=2").json["more"] is True
    assert door.pagerduty("GET", "/incidents?offset=9999").status == 400


def test_resolving_twice_is_code_1001_and_acknowledging_twice_1002(door: Door) -> None:
    incident = door.incident()
    for status, code in [("acknowledged", 1002), ("resolved", 1001)]:
        body = {"incident": {"type": "incident_reference", "status": status}}
        assert door.pagerduty("PUT", f"/incidents/{incident}", body).json["incident"]["status"] == status
        again = door.pagerduty("PUT", f"/incidents/{incident}", body)
        assert (again.status, again.json["error"]["code"]) == (400, code)


def test_resolving_an_incident_resolves_its_alerts_and_the_last_alert_its_incident(door: Door) -> None:
    incident = door.incident()
    door.pagerduty("PUT", f"/incidents/{incident}", {"incident": {"status": "resolved"}})
    assert statuses(door, incident) == ["resolved"]
    other = door.incident()
    (alert,) = door.pagerduty("GET", f"/incidents/{other}/alerts").json["alerts"]
    door.pagerduty("PUT", f"/incidents/{other}/alerts/{alert['id']}", {"alert": {"status": "resolved"}})
    assert door.pagerduty("GET", f"/incidents/{other}").json["incident"]["status"] == "resolved"


def statuses(door: Door, incident: str) -> list[str]:
    return [one["status"] for one in door.pagerduty("GET", f"/incidents/{incident}/alerts").json["alerts"]]


def test_an_alert_can_be_moved_to_another_incident(door: Door) -> None:
    source, target = door.incident(rollout="a"), door.incident(rollout="b")
    (alert,) = door.pagerduty("GET", f"/incidents/{source}/alerts").json["alerts"]
    body = {"alert": {"incident": {"id": target, "type": "incident_reference"}}}
    door.pagerduty("PUT", f"/incidents/{source}/alerts/{alert['id']}", body)
    assert statuses(door, source) == []
    assert statuses(door, target) == ["triggered", "triggered"]


def test_a_merge_moves_the_alerts_and_resolves_the_source_with_a_reason(door: Door) -> None:
    source, target = door.incident(), door.incident()
    body = {"source_incidents": [{"id": source, "type": "incident_reference"}]}
    assert door.pagerduty("PUT", f"/incidents/{target}/merge", body).status == 200
    merged = door.pagerduty("GET", f"/incidents/{source}").json["incident"]
    assert (merged["status"], merged["resolve_reason"]["type"]) == ("resolved", "merge_resolve_reason")
    assert statuses(door, target) == ["triggered", "triggered"]


def test_notes_are_added_edited_and_deleted(door: Door) -> None:
    incident = door.incident()
    path = f"/incidents/{incident}/notes"
    note = door.pagerduty("POST", path, {"note": {"content": "taking it back é"}}).json["note"]
    assert note["user"]["summary"] == "Ripcord"
    assert door.pagerduty("PUT", f"{path}/{note['id']}", {"note": {"content": "PROVEN"}}).status == 200
    assert [one["content"] for one in door.pagerduty("GET", path).json["notes"]] == ["PROVEN"]
    assert door.pagerduty("DELETE", f"{path}/{note['id']}").status == 204
    assert door.pagerduty("GET", path).json["notes"] == []


@pytest.mark.parametrize("content", ["", "   ", None, "x" * 65_536])
def test_a_note_without_text_or_with_too_much_is_refused(door: Door, content: object) -> None:
    incident = door.incident()
    answer = door.pagerduty("POST", f"/incidents/{incident}/notes", {"note": {"content": content}})
    assert (answer.status, answer.json["error"]["code"]) == (400, 2001)


def test_a_second_open_incident_with_the_same_key_is_refused(door: Door) -> None:
    body = {"incident": {"title": "by hand", "service": {"id": "PFLAG"}, "incident_key": "k"}}
    first = door.pagerduty("POST", "/incidents", body)
    assert (first.status, first.json["incident"]["incident_key"]) == (201, "k")
    assert door.pagerduty("POST", "/incidents", body).status == 400
    key = first.json["incident"]["id"]
    door.pagerduty("PUT", f"/incidents/{key}", {"incident": {"status": "resolved"}})
    assert door.pagerduty("POST", "/incidents", body).status == 201


def test_log_entries_tell_what_happened_newest_first(door: Door) -> None:
    incident = door.incident()
    door.pagerduty("PUT", f"/incidents/{incident}", {"incident": {"status": "acknowledged"}})
    entries = door.pagerduty("GET", f"/incidents/{incident}/log_entries").json["log_entries"]
    assert [one["type"] for one in entries] == ["acknowledge_log_entry", "trigger_log_entry"]


def test_abilities_are_204_or_402(door: Door) -> None:
    assert door.pagerduty("GET", "/abilities/teams").status == 204
    assert door.pagerduty("GET", "/abilities/time_travel").status == 402


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_is_a_400_not_a_crash(door: Door, body: bytes) -> None:
    incident = door.incident()
    assert door.pagerduty("POST", f"/incidents/{incident}/notes", body).status == 400


def test_the_product_s_own_client_library_works_with_it(door: Door) -> None:
    """pdpyras over a real socket: the calls that a runbook server makes."""
    incident = door.incident(rollout="web-frontend")
    session = pdpyras.APISession(door.key, default_from="ripcord@example.com")
    session.url, session.trust_env = f"{door.sandbox.base_url}/pagerduty", False
    assert session.rget(f"/incidents/{incident}")["status"] == "triggered"
    assert session.list_all(f"/incidents/{incident}/alerts")[0]["body"]["details"] == {"rollout": "web-frontend"}
    note = session.rpost(f"/incidents/{incident}/notes", json={"content": "hello"})
    session.jput(f"/incidents/{incident}/notes/{note['id']}", json={"note": {"content": "bye"}})
    assert session.jget(f"/incidents/{incident}/notes")["notes"][0]["content"] == "bye"
    resolved = session.rput(f"/incidents/{incident}", json={"type": "incident_reference", "status": "resolved"})
    assert resolved["status"] == "resolved"
    assert session.find("users", "ripcord@example.com", attribute="email")["name"] == "Ripcord"
    session.close()

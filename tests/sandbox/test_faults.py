"""Faults, holds, the clock and the log: what a judge orders, and what a judge counts."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.sandbox.door import Door
from tests.support.waiting import eventually

NOTES = "/pagerduty/incidents/*/notes"


def add_note(door: Door, incident: str, text: str = "hello") -> int:
    return door.pagerduty("POST", f"/incidents/{incident}/notes", {"note": {"content": text}}).status


def notes(door: Door, incident: str) -> list[str]:
    found = door.pagerduty("GET", f"/incidents/{incident}/notes").json["notes"]
    return [note["content"] for note in found]


def fault(door: Door, do: str, path: str = NOTES, method: str = "POST", **more: object) -> None:
    answer = door.control("faults", [{"match": {"method": method, "path": path}, "do": do, **more}])
    assert answer.status == 200, answer.text


def test_an_ordered_status_is_answered_and_nothing_is_applied(door: Door) -> None:
    incident = door.incident()
    fault(door, "status", status=503, times=1)
    assert add_note(door, incident) == 503
    assert notes(door, incident) == []
    assert add_note(door, incident) == 200


@pytest.mark.parametrize(("status", "code"), [(401, 2006), (429, 2020)])
def test_an_ordered_status_has_the_body_that_pagerduty_would_send(door: Door, status: int, code: int) -> None:
    fault(door, "status", path="/pagerduty/*", method="GET", status=status)
    answer = door.pagerduty("GET", "/abilities")
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


@pytest.mark.parametrize(("status", "given", "later"), [(429, None, 1), (503, "5", 5), (503, None, None)])
def test_an_ordered_status_of_kubernetes_says_when_to_come_again_in_header_and_body(
    door: Door, status: int, given: str | None, later: int | None
) -> None:
    headers = {"headers": {"Retry-After": given}} if given else {}
    fault(door, "status", path="/kubernetes/*", method="GET", status=status, **headers)
    answer = door.call("GET", "/kubernetes/version")
    assert answer.status == status
    assert answer.headers.get("Retry-After") == (str(later) if later else None)
    assert answer.json.get("details") == ({"retryAfterSeconds": later} if later else None)


def test_an_ordered_body_may_be_html(door: Door) -> None:
    fault(door, "status", path="*", method="GET", status=200, body="<html>maintenance</html>")
    answer = door.pagerduty("GET", "/abilities")
    assert (answer.headers["Content-Type"], answer.text) == ("text/html", "<html>maintenance</html>")


def test_a_reset_before_changes_nothing_and_a_reset_after_leaves_the_change(door: Door) -> None:
    incident = door.incident()
    fault(door, "reset_before", times=1)
    with pytest.raises(ConnectionResetError):
        add_note(door, incident, "first")
    assert notes(door, incident) == []
    fault(door, "reset_after_apply", times=1)
    with pytest.raises(ConnectionResetError):
        add_note(door, incident, "second")
    assert notes(door, incident) == ["second"]
    rows = [row for row in door.log() if row["method"] == "POST" and row["path"].endswith("/notes")]
    assert [(row["applied"], row["status"]) for row in rows] == [(False, None), (True, None)]


def test_a_request_held_before_is_in_the_log_and_applies_only_after_the_release(door: Door) -> None:
    incident = door.incident()
    fault(door, "hold_before", times=1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(add_note, door, incident)
        row = eventually(lambda: held(door))
        assert (row["applied"], row["status"]) == (False, None)
        assert notes(door, incident) == []
        assert door.control("release").json == {"released": 1}
        assert answer.result(5) == 200
    assert notes(door, incident) == ["hello"]


def test_a_request_held_after_it_applied_says_so_in_the_log_while_its_answer_waits(door: Door) -> None:
    incident = door.incident()
    fault(door, "hold_after_apply", times=1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(add_note, door, incident)
        eventually(lambda: held(door)["applied"])
        assert held(door)["status"] is None
        assert notes(door, incident) == ["hello"]
        door.control("release")
        assert answer.result(5) == 200
    assert door.log()[-1]["status"] == 200 or door.log()[-2]["status"] == 200


def held(door: Door) -> dict[str, object]:
    rows = [row for row in door.log() if row["method"] == "POST" and row["path"].endswith("/notes")]
    assert rows, "nothing arrived yet"
    return rows[-1]


def test_a_hold_ends_by_itself_after_its_seconds(door: Door) -> None:
    incident = door.incident()
    fault(door, "hold_before", times=1, seconds=0.2)
    assert add_note(door, incident) == 200


def test_a_delay_answers_later(door: Door) -> None:
    fault(door, "delay", path="*", method="GET", seconds=0.3, times=1)
    before = datetime.now(UTC)
    assert door.pagerduty("GET", "/abilities").status == 200
    assert (datetime.now(UTC) - before).total_seconds() >= 0.3


def test_the_first_fault_that_matches_wins_and_its_times_run_out(door: Door) -> None:
    fault(door, "status", path="/pagerduty/*", method="GET", status=502, times=2)
    fault(door, "status", path="*", method="GET", status=429)
    answers = [door.pagerduty("GET", "/abilities").status for _ in range(4)]
    assert answers == [502, 502, 429, 429]


def test_cleared_faults_are_gone(door: Door) -> None:
    fault(door, "status", path="*", method="GET", status=500)
    assert door.pagerduty("GET", "/abilities").status == 500
    assert door.control("faults", method="DELETE").status == 200
    assert door.pagerduty("GET", "/abilities").status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        [{"do": "explode"}],
        [{"do": "status", "colour": "red"}],
        [{"do": "status", "match": {"host": "x"}}],
        ["status"],
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_sentence_and_none_of_its_list_stands(
    door: Door, wrong: list[object]
) -> None:
    answer = door.control("faults", [{"do": "status", "match": {"path": "*"}}, *wrong])
    assert answer.status == 400
    assert answer.json["error"]
    assert door.pagerduty("GET", "/abilities").status == 200


def test_the_log_tells_each_request_as_it_was_sent_and_nothing_of_the_control_door(door: Door) -> None:
    door.control("clock", {"advance": 1})
    body = '{"note": {"content": "é"}}'.encode()
    incident = door.incident()
    door.pagerduty("POST", f"/incidents/{incident}/notes?a=1&b=%2F", body)
    row = door.log()[-1]
    assert row["method"] == "POST"
    assert row["path"] == f"/pagerduty/incidents/{incident}/notes"
    assert (row["query"], row["body"]) == ("a=1&b=%2F", body.decode())
    assert row["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert (row["applied"], row["status"]) == (True, 200)
    rows = door.log()
    assert [one["seq"] for one in rows] == list(range(1, len(rows) + 1))
    assert not [one for one in rows if one["path"].startswith("/_sandbox")]


def test_a_write_that_changes_nothing_is_not_applied(door: Door) -> None:
    incident = door.incident()
    note = door.pagerduty("POST", f"/incidents/{incident}/notes", {"note": {"content": "same"}}).json["note"]["id"]
    door.pagerduty("PUT", f"/incidents/{incident}/notes/{note}", {"note": {"content": "same"}})
    assert door.log()[-1]["applied"] is False
    door.pagerduty("PUT", f"/incidents/{incident}/notes/{note}", {"note": {"content": "other"}})
    assert door.log()[-1]["applied"] is True


def test_the_clock_moves_for_all_and_the_date_header_follows_it(door: Door) -> None:
    incident = door.incident()
    answer = door.pagerduty("GET", f"/incidents/{incident}")
    assert abs((parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)).total_seconds()) < 5
    door.control("clock", {"advance": 3600})
    later = door.pagerduty("GET", f"/incidents/{incident}")
    moved = parsedate_to_datetime(later.headers["Date"]) - parsedate_to_datetime(answer.headers["Date"])
    assert 3600 <= moved.total_seconds() < 3610


def test_the_clock_can_run_faster_and_never_backwards(door: Door) -> None:
    clock = door.sandbox.world.clock
    door.control("clock", {"speed": 1000})
    start = clock.now()
    eventually(lambda: (clock.now() - start).total_seconds() > 60)
    assert door.control("clock", {"advance": -1}).status == 400
    assert door.control("clock", {"advance": "soon"}).status == 400


def test_a_wait_ends_when_somebody_moves_the_clock(door: Door) -> None:
    clock, over = door.sandbox.world.clock, threading.Event()

    def wait() -> None:
        clock.wait(3600)
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    door.control("clock", {"advance": 3601})
    assert over.wait(5)


def test_an_unknown_control_is_named(door: Door) -> None:
    assert door.control("weather", {}).status == 404
    answer = door.control("pagerduty", {"rain": True})
    assert answer.status == 400
    assert "rain" in answer.json["error"]


def test_the_state_is_there_for_a_person_to_read(door: Door) -> None:
    incident = door.incident()
    state = door.call("GET", "/_sandbox/state").json
    assert [one["id"] for one in state["pagerduty"]["incidents"]] == [incident]
    assert state["launchdarkly"]["flags"]["default/new-checkout"]["environments"]["production"]["on"] is True

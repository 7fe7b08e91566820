"""POST /webhooks/pagerduty: which message gets which answer, and what is kept of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest
import sqlalchemy as sa

from server.store.tables import refusals
from tests.web.conftest import Door, open_door
from tests.web.signing import SECRET, body, event, signature, signed

URL = "/webhooks/pagerduty"


def test_a_signed_message_is_committed_and_answered_202_with_its_delivery(door: Door) -> None:
    raw = body(event(event_id="E1"))
    answer = door.client.post(URL, data=raw, headers=signed(raw, webhook_id="W1"))
    [row] = door.rows()
    assert (answer.status_code, answer.json) == (202, {"delivery": row.id, "duplicate": False})
    assert (row.webhook_id, row.event_key, row.event_type, row.incident) == ("W1", "E1", "incident.triggered", "QINC1")
    assert (bytes(row.body), row.state) == (raw, 0)
    assert json.loads(row.headers)["X-PagerDuty-Signature"] == signature(raw)


def test_the_content_type_is_not_looked_at_once_the_signature_fits(door: Door) -> None:
    raw = body(event())
    headers = signed(raw) | {"Content-Type": "application/x-www-form-urlencoded"}
    assert door.client.post(URL, data=raw, headers=headers).status_code == 202
    assert bytes(door.rows()[0].body) == raw


def test_the_same_webhook_id_is_a_duplicate_that_names_the_first(door: Door) -> None:
    one, two = body(event()), body(event())
    first = door.client.post(URL, data=one, headers=signed(one, webhook_id="W1")).json
    again = door.client.post(URL, data=two, headers=signed(two, webhook_id="W1"))
    assert (again.status_code, again.json) == (202, {"delivery": first["delivery"], "duplicate": True})
    assert len(door.rows()) == 1


def test_the_same_event_through_another_subscription_is_a_duplicate_that_names_the_first(door: Door) -> None:
    raw = body(event(event_id="E1"))
    first = door.client.post(URL, data=raw, headers=signed(raw, webhook_id="W1")).json
    again = door.client.post(URL, data=raw, headers=signed(raw, webhook_id="W2"))
    assert (again.status_code, again.json) == (202, {"delivery": first["delivery"], "duplicate": True})


def test_two_hundred_copies_at_once_become_one_delivery(door: Door) -> None:
    raw = body(event(title="é {{7*7}} ${x}"))
    headers, gate, answers = signed(raw), Barrier(32), []

    def post() -> None:
        client = door.client.application.test_client()
        gate.wait()
        answers.extend(client.post(URL, data=raw, headers=headers) for _ in range(7))

    threads = [Thread(target=post) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json["delivery"] for answer in answers} == {door.rows()[0].id}
    assert sum(not answer.json["duplicate"] for answer in answers) == 1
    assert len(door.rows()) == 1


@pytest.mark.parametrize(
    "event_type", ["incident.something.new", "service.updated", "pagey.ping", "incident.custom_field_values.updated"]
)
def test_a_type_that_nobody_handles_is_accepted_all_the_same(door: Door, event_type: str) -> None:
    raw = body(event(event_type))
    assert door.client.post(URL, data=raw, headers=signed(raw)).status_code == 202
    assert door.rows()[0].event_type == event_type


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"event": None},
        {"event": []},
        {"event": {"id": 5, "event_type": {}, "occurred_at": 1e300, "data": "text"}},
        {"event": {"data": {"type": "incident_role_assignment", "incident_role_assignments": [7]}}},
        {"event": event()["event"] | {"occurred_at": "yesterday"}},
    ],
)
def test_an_object_of_another_shape_is_accepted_all_the_same(door: Door, value: object) -> None:
    raw = body(value)
    assert door.client.post(URL, data=raw, headers=signed(raw)).status_code == 202
    assert len(door.rows()) == 1


@pytest.mark.parametrize("title", ["a\x00b", "\ud800 alone", "é" * 5000, "\u202eevil"])
def test_a_strange_title_loses_nothing(door: Door, title: str) -> None:
    raw = json.dumps(event(title=title)).encode()
    answer = door.client.post(URL, data=raw, headers=signed(raw))
    assert answer.status_code == 202
    assert bytes(door.rows()[0].body) == raw


WRONG = {
    "missing": None,
    "empty": "",
    "another version": signature(b"{}").replace("v1=", "v2="),
    "upper case": signature(b"{}").upper(),
    "another secret": signature(b"{}", "somebody else's"),
    "of another body": signature(b"{} "),
    "not ASCII": "v1=é" + "0" * 63,
    "cut": signature(b"{}")[:-1],
    "a thousand wrong ones": ",".join(["v1=" + "0" * 64] * 1000),
}


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG.keys())
def test_a_message_that_is_not_signed_with_our_secret_is_refused_and_not_kept(door: Door, header: str | None) -> None:
    headers = {} if header is None else {"X-PagerDuty-Signature": header}
    answer = door.client.post(URL, data=b"{}", headers=headers)
    assert (answer.status_code, answer.text.count("\n")) == (403, 1)
    assert door.rows() == []


def test_a_body_that_was_written_anew_is_refused(door: Door) -> None:
    raw = body(event(title="é"))
    again = json.dumps(json.loads(raw)).encode()
    assert door.client.post(URL, data=again, headers=signed(raw)).status_code == 403
    assert door.client.post(URL, data=raw + b"\n", headers=signed(raw)).status_code == 403


def test_any_of_several_signatures_with_any_of_several_secrets_will_do(tmp_path: Path) -> None:
    door = open_door(tmp_path, ("old", "new"))
    raw = body(event())
    several = ", ".join(["v2=00", signature(raw, "unknown"), signature(raw, "new")])
    answer = door.client.post(URL, data=raw, headers=signed(raw) | {"X-PagerDuty-Signature": several})
    assert answer.status_code == 202
    door.parts.inbox.stop()


def test_without_a_secret_the_door_says_503_so_that_the_sender_repeats(tmp_path: Path) -> None:
    door = open_door(tmp_path, ())
    raw = body(event())
    answer = door.client.post(URL, data=raw, headers=signed(raw))
    assert (answer.status_code, "RIPCORD_PAGERDUTY_WEBHOOK_SECRETS" in answer.text) == (503, True)


def test_a_body_over_one_mebibyte_is_413_whoever_signed_it_and_whatever_is_configured(tmp_path: Path) -> None:
    door = open_door(tmp_path, ())
    raw = b"x" * ((1 << 20) + 1)
    assert door.client.post(URL, data=raw, headers=signed(raw)).status_code == 413


def test_a_body_of_exactly_one_mebibyte_is_read(door: Door) -> None:
    raw = b'{"event":null,"pad":"' + b"x" * ((1 << 20) - 23) + b'"}'
    assert len(raw) == 1 << 20
    assert door.post(URL, raw, signed(raw)).status_code == 202


NOT_OBJECTS = {
    "empty": b"",
    "text": b"hello",
    "cut": b'{"event": {',
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "too deep": b"[" * 100_000,
    "an object too deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NaN": b'{"event": NaN}',
    "Infinity": b'{"event": Infinity}',
    "Latin-1": '{"event": "é"}'.encode("latin-1"),
}


@pytest.mark.parametrize("raw", NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
def test_what_is_signed_but_no_json_object_is_400_in_one_sentence(door: Door, raw: bytes) -> None:
    answer = door.client.post(URL, data=raw, headers=signed(raw))
    assert (answer.status_code, answer.text.count("\n")) == (400, 1)
    assert "Traceback" not in answer.text
    assert door.rows() == []


HARD = {
    "UTF-16": json.dumps({"event": {}}).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a number of a million digits": b'{"event": {"id": ' + b"9" * 1_000_000 + b"}}",
    "1e999": b'{"event": {"id": 1e999}}',
    "a key twice": b'{"event": {"id": "a", "id": "b"}}',
    "a hundred thousand keys": b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}",
}


@pytest.mark.parametrize("raw", HARD.values(), ids=HARD.keys())
def test_hard_json_is_kept_or_refused_but_never_an_error_of_ours(door: Door, raw: bytes) -> None:
    assert door.client.post(URL, data=raw, headers=signed(raw)).status_code in (202, 400)


def test_other_methods_are_405_and_other_doors_404_in_one_plain_sentence(door: Door) -> None:
    assert door.client.get(URL).status_code == 405
    assert door.client.get(URL).headers["Allow"] == "POST"
    assert door.client.post("/webhooks/argo-rollouts").status_code == 404
    assert door.client.post("/gates/flagger/rollback").text == "there is nothing here\n"


def test_every_answer_carries_the_safe_headers(door: Door) -> None:
    for answer in (door.client.get("/healthz"), door.client.get("/nothing"), door.client.post(URL)):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_refusals_are_counted_by_minute_and_source_with_one_sample_not_kept_one_by_one(door: Door) -> None:
    for n in range(500):
        source = {"REMOTE_ADDR": f"10.0.{n % 50}.1"}
        door.client.post(
            URL, data=b"<script>\x00" * 100, headers={"X-PagerDuty-Signature": "v1=00"}, environ_base=source
        )
    door.parts.inbox.stop()
    door.parts.refusals.flush(door.parts.writing, at_once=True)
    with door.parts.reading.connect() as connection:
        rows = list(connection.execute(sa.select(refusals)))
    assert sum(row.count for row in rows) == 500
    assert len({row.source for row in rows}) <= 21
    assert len(rows) <= 2 * 21  # at most two minutes were touched
    assert all(len(row.sample) <= 200 and row.sample.isprintable() for row in rows)
    assert {row.reason for row in rows} == {"signature or secret does not fit"}


def test_a_full_database_is_503_and_nothing_is_half_written(door: Door, tmp_path: Path) -> None:
    raw = body(event())
    door.client.post(URL, data=raw, headers=signed(raw))

    @sa.event.listens_for(door.parts.inbox.engine, "begin")
    def _full(connection: sa.Connection) -> None:
        connection.exec_driver_sql(
            "PRAGMA max_page_count=1"
        )  # SQLite keeps the size that the file has: not one page more

    big = body(event(title="x" * 200_000))
    assert door.client.post(URL, data=big, headers=signed(big)).status_code == 503
    sa.event.remove(door.parts.inbox.engine, "begin", _full)

    @sa.event.listens_for(door.parts.inbox.engine, "begin")
    def _room(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")

    assert _accepted_again(door, big)
    assert [len(bytes(row.body)) for row in door.rows()] == [len(raw), len(big)]
    check = sqlite3.connect(tmp_path / "ripcord.db")
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def _accepted_again(door: Door, raw: bytes) -> bool:
    """Repeats as PagerDuty does, for a while."""
    for _ in range(50):
        if door.client.post(URL, data=raw, headers=signed(raw)).status_code == 202:
            return True
        Event().wait(0.1)
    return False


def test_a_file_system_that_is_read_only_is_503_and_heals_by_itself(door: Door) -> None:
    disk = {"query_only": "ON"}  # every write fails as on such a disk

    @sa.event.listens_for(door.parts.inbox.engine, "checkout")
    def _mounted(dbapi: sqlite3.Connection, _record: object, _proxy: object) -> None:
        dbapi.execute(f"PRAGMA query_only={disk['query_only']}")

    raw = body(event())
    assert door.client.post(URL, data=raw, headers=signed(raw)).status_code == 503
    assert door.rows() == []
    disk["query_only"] = "OFF"
    assert _accepted_again(door, raw)
    assert len(door.rows()) == 1


def test_a_replay_is_a_duplicate_on_another_replica_after_a_restart_and_under_another_secret(tmp_path: Path) -> None:
    one = open_door(tmp_path, ("old", "new"))
    raw = body(event(event_id="E1"))
    first = one.client.post(URL, data=raw, headers=signed(raw, "old", webhook_id="W1")).json["delivery"]
    replica = open_door(tmp_path, ("new",))
    answers = [
        door.client.post(URL, data=raw, headers=signed(raw, "new", webhook_id=webhook))
        for door in (one, replica)
        for webhook in ("W1", "W2")
    ]
    one.parts.inbox.stop()
    restarted = open_door(tmp_path, ("new",))
    answers.append(restarted.client.post(URL, data=raw, headers=signed(raw, "new", webhook_id="W3")))
    assert {(one.status_code, one.json["delivery"], one.json["duplicate"]) for one in answers} == {(202, first, True)}
    assert len(restarted.rows()) == 1
    for door in (replica, restarted):
        door.parts.inbox.stop()


def test_secrets_of_the_tests_never_reach_the_database(door: Door) -> None:
    raw = body(event())
    door.client.post(URL, data=raw, headers=signed(raw))
    assert SECRET not in repr(door.rows())

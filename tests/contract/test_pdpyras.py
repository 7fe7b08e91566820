"""The library under our client has traps; each is closed, seen over real sockets. What ours makes of answers: test_clients.py."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader

import pytest

from server.annotations.pagerduty_note import meanwhile
from server.clients.pagerduty import PagerDutyApi
from server.errors import Missing, RipcordError, Transient, Unknown

KEY = "u+pagerdutykey0815notforyou"
NOTE = {"note": {"id": "N1", "user": {"id": "PBOT", "type": "user_reference"}}}
INCIDENT = {
    "incident": {"id": "Q1", "status": "triggered", "created_at": "2026-11-24T03:12:00Z", "service": {"id": "P1"}}
}
CALLS: dict[str, Callable[[PagerDutyApi], object]] = {
    "incident": lambda api: api.incident("Q1"),
    "notes": lambda api: api.notes("Q1"),
    "add_note": lambda api: api.add_note("Q1", "hello"),
    "edit_note": lambda api: api.edit_note("Q1", "N1", "hello"),
    "who_are_we": lambda api: api.who_are_we(),
}


def api(url: str, sender: str = "ripcord@example.com") -> PagerDutyApi:
    return PagerDutyApi(url, KEY, sender, lambda: datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC))


@dataclass
class Vendor:
    """A server that keeps its connections, and tells which request came through which. `pause`: before each answer."""

    port: int
    pause: float = 0.0
    answers: list[tuple[str, object, str]] = field(default_factory=list)
    seen: list[tuple[int, str, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[str, object, str]:
        """(status, body, more headers)."""
        if self.answers:
            return self.answers.pop(0)
        if "/users" in path:
            return "200 OK", {"users": [{"id": "PBOT", "email": "Ripcord@Example.com"}]}, ""
        if "/alerts" in path:
            return "200 OK", {"alerts": [], "more": False}, ""
        return "200 OK", {**NOTE, **INCIDENT, "notes": []}, ""


def _head(lines: BufferedReader) -> bytes:
    """Up to the empty line; nothing once the other side has gone."""
    return b"".join(iter(lambda: line if (line := lines.readline()) != b"\r\n" else b"", b""))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    listener = socket.create_server(("127.0.0.1", 0))
    one = Vendor(listener.getsockname()[1])

    def serve(connection: socket.socket, peer: int) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as lines:
            while head := _head(lines):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = lines.read(int(length[1])) if length else b""
                one.seen.append((peer, head.split(b"\r\n")[0].decode(), head + body))
                status, said, more = one.answer(one.seen[-1][1])
                threading.Event().wait(one.pause)
                text = said if isinstance(said, bytes) else json.dumps(said).encode()
                connection.sendall(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(text)}\r\n\r\n".encode() + text)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = listener.accept()
                threading.Thread(target=serve, args=(connection, peer[1]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield one
    listener.close()


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 X", "502 X", "503 X", "504 X", "401 X", "408 X"])
@pytest.mark.parametrize("call", CALLS)
def test_no_answer_makes_the_library_ask_again_or_sleep(vendor: Vendor, call: str, status: str) -> None:
    """By itself it repeats a 429 without end, after 3, 6, 12 … seconds."""
    vendor.answers = [(status, {}, "")] * 9
    began = time.monotonic()
    with pytest.raises(RipcordError) as caught:
        CALLS[call](api(vendor.url))
    assert (len(vendor.seen), time.monotonic() - began < 2.0) == (1, True)
    assert KEY[-4:] not in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_answers_too_late_got_one_request_and_its_connection_is_gone(vendor: Vendor, call: str) -> None:
    """By itself it sends a POST four times when the answer is slow."""
    vendor.pause = 30.0
    ours = api(vendor.url)
    began = time.monotonic()
    with pytest.raises((Transient, Unknown)):
        CALLS[call](ours)
    assert 4.5 < time.monotonic() - began < 6.5
    vendor.pause = 0.0
    CALLS[call](ours)
    assert vendor.seen[1][0] != vendor.seen[0][0]


def test_each_thread_has_a_connection_of_its_own_and_keeps_it(vendor: Vendor) -> None:
    vendor.pause = 0.05
    ours, gate = api(vendor.url), threading.Barrier(4)

    def work(n: int) -> None:
        gate.wait()
        for _ in range(3):
            ours.add_note("Q1", f"thread {n}.")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ports = [{peer for peer, _line, raw in vendor.seen if f"thread {n}.".encode() in raw} for n in range(4)]
    assert [len(one) for one in ports] == [1, 1, 1, 1]
    assert len(set.union(*ports)) == 4
    assert len(vendor.seen) == 12


def test_neither_netrc_nor_a_proxy_of_the_environment_is_listened_to(
    vendor: Vendor, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n", encoding="ascii")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("no_proxy", "")
    api(vendor.url).add_note("Q1", "hello")
    assert f"Authorization: Token token={KEY}".encode() in vendor.seen[0][2]


def test_what_the_library_counts_for_each_url_does_not_grow(vendor: Vendor) -> None:
    ours = api(vendor.url)
    for n in range(5):
        ours.edit_note("Q1", f"N{n}", "hello")
    session = ours._session()
    assert (len(session.api_call_counts), len(session.api_time)) == (0, 0)


def test_a_note_is_sent_with_the_sender_and_in_the_version_of_the_api_that_was_read_about(vendor: Vendor) -> None:
    api(vendor.url).add_note("Q1", "é")
    raw = vendor.seen[0][2]
    assert b"From: ripcord@example.com\r\n" in raw
    assert b"Accept: application/vnd.pagerduty+json;version=2\r\n" in raw
    assert b"Content-Type: application/json\r\n" in raw
    head, _, text = raw.partition(b"\r\n\r\n")
    assert json.loads(text or head.rpartition(b"\r\n")[2]) == {"note": {"content": "é"}}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_every_server_error_is_one_and_not_500_alone(vendor: Vendor, status: int) -> None:
    """The library's own classes call only exactly 500 a server error."""
    vendor.answers = [(f"{status} X", {}, "")]
    with pytest.raises(Unknown):
        api(vendor.url).add_note("Q1", "hello")


def test_a_404_is_missing_and_an_incidents_id_is_all_that_may_stand_in_a_path(vendor: Vendor) -> None:
    vendor.answers = [("404 Not Found", {"error": {"code": 2100}}, "")]
    with pytest.raises(Missing):
        api(vendor.url).notes("Q1")
    for evil in ("../users", "Q1%2f..", "http://elsewhere/Q1", "Q1\r\nX: y"):
        with pytest.raises(Missing):
            api(vendor.url).notes(evil)
    assert len(vendor.seen) == 1


def test_a_name_that_does_not_resolve_was_certainly_not_asked() -> None:
    with pytest.raises(Transient, match="its name cannot be resolved"):
        api("http://pagerduty.invalid").add_note("Q1", "hello")


def test_who_we_are_is_the_user_of_the_from_address_whatever_its_case_and_is_asked_once(vendor: Vendor) -> None:
    ours = api(vendor.url)
    assert (ours.who_are_we(), ours.who_are_we(), ours.known_as) == ("PBOT", "PBOT", "PBOT")
    assert [line.split(" ")[1] for _, line, _ in vendor.seen] == ["/users?query=ripcord%40example.com&limit=100"]


def test_a_users_own_key_is_asked_for_its_user(vendor: Vendor) -> None:
    vendor.answers = [("200 OK", {"user": {"id": "PME"}}, "")]
    assert api(vendor.url, sender="").who_are_we() == "PME"


def test_an_address_that_nobody_has_is_nobody(vendor: Vendor) -> None:
    vendor.answers = [("200 OK", {"users": [{"id": "P2", "email": "ripcord@example.com.evil"}, 7, {}]}, "")]
    assert api(vendor.url).who_are_we() is None


def test_the_first_note_tells_who_we_are(vendor: Vendor) -> None:
    ours = api(vendor.url)
    ours.add_note("Q1", "hello")
    assert (ours.known_as, ours.who_are_we(), len(vendor.seen)) == ("PBOT", "PBOT", 1)


def incident(key: str, into: str | None) -> tuple[str, object, str]:
    reason = {"type": "merge_resolve_reason", "incident": {"id": into}} if into else None
    shape = {"id": key, "created_at": "2026-11-24T03:12:00Z", "status": "resolved" if into else "triggered"}
    return "200 OK", {"incident": {**shape, "service": {"id": "P1"}, "resolve_reason": reason}}, ""


NO_ALERTS = ("200 OK", {"alerts": []}, "")


def test_a_merged_incident_is_read_where_its_alerts_are_now(vendor: Vendor) -> None:
    vendor.answers = [incident("Q1", "Q2"), NO_ALERTS, incident("Q2", "Q3"), NO_ALERTS, incident("Q3", None), NO_ALERTS]
    read = api(vendor.url).incident("Q1")
    assert (read.id, read.status, read.merged) == ("Q3", "triggered", ("Q1", "Q2"))


def test_incidents_that_name_each_other_are_not_followed_in_circles(vendor: Vendor) -> None:
    vendor.answers = [incident("Q1", "Q2"), NO_ALERTS, incident("Q2", "Q1"), NO_ALERTS]
    read = api(vendor.url).incident("Q1")
    assert (read.id, read.status, len(vendor.seen)) == ("Q2", "resolved", 4)


def test_an_answer_about_another_incident_is_none(vendor: Vendor) -> None:
    """As a cache or a proxy gives it: no run may be about that one."""
    for answers in ([incident("Q9", None)], [incident("Q1", "Q2"), incident("Q9", None)]):
        vendor.answers = [*answers]
        with pytest.raises(Transient, match=r"the answer is about another one, Q9$"):
            api(vendor.url).incident("Q1", alerts=False)


def test_an_incident_that_is_no_object_is_none_either(vendor: Vendor) -> None:
    vendor.answers = [("200 OK", {"incident": ["Q1"]}, "")]
    with pytest.raises(Transient, match="not the shape of an incident"):
        api(vendor.url).incident("Q1", alerts=False)


def test_who_resolved_an_incident_is_left_open_while_our_own_user_is_not_known(vendor: Vendor) -> None:
    by = {"id": "PBOT", "type": "user_reference", "summary": "Ripcord"}
    status, body, more = incident("Q1", None)
    assert isinstance(body, dict)
    body["incident"] |= {"status": "resolved", "last_status_change_by": by}
    ours, vendor.answers = api(vendor.url), [(status, body, more)] * 3
    said = "the incident was resolved meanwhile (by 'Ripcord')"
    assert meanwhile(ours, "Q1")["mind"] == f"{said}, or that was Ripcord: its own user is not known"
    ours.known_as = "PANA"
    assert meanwhile(ours, "Q1")["mind"] == said
    ours.known_as = "PBOT"
    assert meanwhile(ours, "Q1") == {}

"""The door over real HTTP, as the product serves it: lying lengths, chunks, slow senders, a locked database, a killed process."""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import Process, clean_environment, free_port
from tests.support.waiting import eventually
from tests.web.signing import SECRET, body, event, signed

DOOR = "/webhooks/pagerduty"


@dataclass
class Web:
    """A web process of its own, and the SQLite file that it writes to."""

    process: Process
    port: int
    database: Path

    def post(self, raw: bytes, headers: dict[str, str], timeout: float = 10.0) -> tuple[int, str]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", DOOR, raw, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def talk(self, sent: bytes, *, half_close: bool = False, timeout: float = 10.0) -> bytes:
        """Sends these bytes, and reads until the other side closes or has answered once."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as line:
            line.sendall(sent)
            if half_close:
                line.shutdown(socket.SHUT_WR)
            return _read_answers(line)

    def rows(self) -> list[tuple[str, str]]:
        """(id, event key) of every delivery."""
        file = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return list(file.execute("SELECT id, event_key FROM deliveries ORDER BY id"))
        finally:
            file.close()


def _read_answers(line: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionResetError):
        while piece := line.recv(65536):
            answer += piece
            head, found, rest = answer.partition(b"\r\n\r\n")
            length = [
                int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length")
            ]
            if found and length and len(rest) >= length[0]:
                break
    return answer


@contextmanager
def serving(database: Path, port: int) -> Iterator[Web]:
    """The product's web on this file."""
    env = clean_environment(
        RIPCORD_DATABASE_URL=f"sqlite:///{database}",
        RIPCORD_LISTEN=f"127.0.0.1:{port}",
        RIPCORD_PAGERDUTY_WEBHOOK_SECRETS=SECRET,
        RIPCORD_SECRET_KEY="k" * 32,
    )
    with Process.python("-m", "server", "web", env=env) as process:
        made = Web(process, port, database)
        eventually(lambda: _answers(made), within=20, what="the web answers")
        yield made


def _answers(web: Web) -> bool:
    with suppress(OSError):
        return web.talk(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
    return False


@pytest.fixture
def web(migrated_sqlite_url: str) -> Iterator[Web]:
    """A web process on a fresh database."""
    with serving(Path(migrated_sqlite_url.removeprefix("sqlite:///")), free_port()) as made:
        yield made


def head(raw_length: int | str, headers: dict[str, str]) -> bytes:
    """A request head with this Content-Length, whatever follows."""
    lines = [f"POST {DOOR} HTTP/1.1", "Host: x", f"Content-Length: {raw_length}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def chunked(raw: bytes, headers: dict[str, str], size: int = 65536) -> bytes:
    """The same as chunks."""
    top = "\r\n".join([f"POST {DOOR} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"])
    top += "".join(f"\r\n{name}: {value}" for name, value in headers.items())
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    return top.encode() + b"\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def status(answer: bytes) -> int:
    """The status of the first answer."""
    return int(answer.split(b" ", 2)[1])


def test_what_was_answered_202_is_there_after_kill_9_and_its_repeat_names_it(web: Web) -> None:
    raw = body(event(event_id="E1", title="é {{7*7}} ${x}"))
    headers = signed(raw)
    code, answer = web.post(raw, headers)
    web.process.kill()
    assert (code, [one for one, _key in web.rows()]) == (202, [json.loads(answer)["delivery"]])
    with serving(web.database, free_port()) as again:
        assert json.loads(again.post(raw, headers)[1]) == {
            "delivery": json.loads(answer)["delivery"],
            "duplicate": True,
        }


def test_a_body_of_two_mebibytes_is_told_413_and_its_sender_can_read_that(web: Web) -> None:
    raw = b"x" * (2 << 20)
    for _ in range(5):
        code, answer = web.post(raw, signed(raw))
        assert (code, answer) == (413, "the body is larger than 1 MiB: this message was not taken\n")


def test_a_length_of_a_gigabyte_is_refused_before_one_byte_of_it_came(web: Web) -> None:
    began = time.monotonic()
    assert status(web.talk(head(1 << 30, {}))) == 413
    assert time.monotonic() - began < 2


def test_a_sender_that_promises_a_body_and_falls_silent_gives_its_thread_back(web: Web) -> None:
    silent = [socket.create_connection(("127.0.0.1", web.port), timeout=15) for _ in range(16)]
    for line in silent:
        line.sendall(head(500, {}) + b"{")
    began = time.monotonic()
    raw = body(event())
    assert web.post(raw, signed(raw), timeout=15)[0] == 202
    assert time.monotonic() - began < 8
    assert {status(_read_answers(line)) for line in silent} == {503}  # not 4xx: it may be one of ours on a bad line
    for line in silent:
        line.close()


def test_chunks_without_end_are_refused_at_one_mebibyte(web: Web) -> None:
    endless = chunked(b"x" * (3 << 20), {})
    assert status(web.talk(endless)) == 413


def test_chunks_are_put_together_before_the_signature_is_tested(web: Web) -> None:
    raw = body(event(title="é"))
    assert status(web.talk(chunked(raw, signed(raw), size=7))) == 202


@pytest.mark.parametrize("cut", [b"5\r\nabc", b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\n\r\n"])
def test_broken_chunks_are_never_an_error_of_ours(web: Web, cut: bytes) -> None:
    top = f"POST {DOOR} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    answer = web.talk(top + cut, half_close=True)
    assert answer == b"" or 400 <= status(answer) < 500
    assert web.rows() == []


def test_a_body_that_is_cut_off_keeps_nothing(web: Web) -> None:
    raw = body(event())
    answer = web.talk(head(len(raw), signed(raw)) + raw[:-10], half_close=True)
    assert answer == b"" or 400 <= status(answer) < 500
    assert web.rows() == []


def test_a_length_that_promises_less_than_comes_is_another_body_and_does_not_fit(web: Web) -> None:
    raw = body(event())
    assert status(web.talk(head(len(raw) - 1, signed(raw)) + raw)) == 403
    assert web.rows() == []


def test_two_lengths_or_a_length_and_chunks_are_refused(web: Web) -> None:
    raw = body(event())
    twice = head(len(raw), signed(raw) | {"content-length": "3"})
    both = head(len(raw), signed(raw) | {"Transfer-Encoding": "chunked"})
    assert status(web.talk(twice + raw)) == 400
    assert status(web.talk(both + raw)) == 400


def test_an_encoded_body_is_not_unpacked(web: Web) -> None:
    import gzip

    raw = gzip.compress(b'{"event":' + b" " * (1 << 24) + b"null}")
    assert web.post(raw, signed(raw) | {"Content-Encoding": "gzip"})[0] == 400
    assert web.rows() == []


def test_a_signature_header_that_comes_twice_counts_as_a_list(web: Web) -> None:
    raw = body(event())
    headers = signed(raw)
    wrong = f"X-PagerDuty-Signature: v1={'0' * 64}\r\n".encode()
    top = head(len(raw), headers).replace(b"Host: x\r\n", b"Host: x\r\n" + wrong)
    assert status(web.talk(top + raw)) == 202


def test_while_the_database_is_locked_sixty_four_senders_are_told_503_within_two_seconds(web: Web) -> None:
    with locked(web.database), ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _n: _timed(web), range(64)))
    assert {code for code, _seconds in answers} == {503}
    assert max(seconds for _code, seconds in answers) < 2.0
    assert eventually(lambda: _timed(web)[0] == 202, within=10)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody else holds the write lock."""
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def _timed(web: Web) -> tuple[int, float]:
    raw = body(event())
    began = time.monotonic()
    code, _answer = web.post(raw, signed(raw))
    return code, time.monotonic() - began


def test_through_a_stop_and_a_start_a_sender_sees_202_503_or_nobody_and_loses_nothing(web: Web) -> None:
    kept: list[str] = []
    other: list[int] = []

    def post_one() -> None:
        raw = body(event())
        with suppress(OSError, http.client.HTTPException):
            code, answer = web.post(raw, signed(raw))
            if code == 202:
                kept.append(json.loads(answer)["delivery"])
            else:
                other.append(code)

    with ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(post_one) for _ in range(60)]
        eventually(lambda: len(kept) > 5)
        web.process.stop()
        with serving(web.database, web.port):
            for one in posts:
                one.result()
            post_one()
    assert set(other) <= {503}
    assert set(kept) == {one for one, _key in web.rows()} & set(kept)
    assert kept


def test_garbage_is_answered_4xx_or_not_at_all(web: Web) -> None:
    for garbage in (b"\x00" * 100, b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"A" * 20000, b"\x16\x03\x01\x02\x00"):
        answer = web.talk(garbage, half_close=True)
        assert answer == b"" or 400 <= status(answer) < 500 or status(answer) == 505
    assert _answers(web)

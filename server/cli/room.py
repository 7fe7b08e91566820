"""Where connections wait until a whole request is there: a sender that is slow, or silent, holds no thread.

gunicorn's threads read a request themselves, so sixteen senders of one byte a second would hold all sixteen. Here the event loop
gathers the bytes; a thread gets the connection when head and body are complete, or when nothing more will tell. Everything that is
odd (a body that is too large, lengths that contradict each other, garbage) is handed over at once: the parser has the answer.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LARGEST = 1 << 20
"""A longer body is refused by the door, which reads no further; so it is not gathered here."""
HEAD = 64 * 1024
"""Bytes without an end of the head, after which the parser may say what it thinks of them."""
PATIENCE = 10.0
"""Seconds for one request, from its first moment to its last byte. PagerDuty itself gives up after five, or sixteen for a press."""
ROOM = 64 << 20
"""Bytes that all who wait may hold together."""
LINGER = 2.0
"""Seconds that a server which is being stopped still waits for what is on its way."""
LATE = b"the request did not come in time: please repeat\n"

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


@dataclass
class Gathered:
    """One request's bytes so far."""

    got: bytearray = field(default_factory=bytearray)
    head: int = -1  # where the body begins, once known
    wanted: int | None = None  # bytes of head and body, once known

    def add(self, piece: bytes) -> None:
        """More bytes."""
        looked = max(len(self.got) - 3, 0)
        self.got += piece
        if self.head < 0 and (end := self.got.find(b"\r\n\r\n", looked)) >= 0:
            self.head = end + 4
            self.wanted = self._length()

    def _length(self) -> int | None:
        """None: in chunks, so the end shows itself."""
        head = bytes(self.got[: self.head])
        lengths = _LENGTH.findall(head)
        if _CHUNKED.search(head):
            return self.head if lengths else None
        if len(lengths) != 1 or not lengths[0].isdigit() or int(lengths[0][:20]) > LARGEST:
            return self.head
        return self.head + int(lengths[0])

    @property
    def complete(self) -> bool:
        """Whether a thread can answer without waiting for the sender."""
        if self.head < 0:
            return len(self.got) > HEAD
        if self.wanted is not None:
            return len(self.got) >= self.wanted
        return len(self.got) - self.head > LARGEST + HEAD or self.got.endswith(b"0\r\n\r\n")

    @property
    def expects(self) -> bool:
        """Whether its sender waits for a word before it sends the body."""
        return self.head > 0 and not self.complete and _EXPECT.search(self.got[: self.head]) is not None


@dataclass(eq=False)
class _Guest:
    conn: Any
    ends: float
    request: Gathered = field(default_factory=Gathered)
    told: bool = False


class Patient(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, and a room in front of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._room: dict[_Guest, None] = {}  # in the order of their deadlines
        self._bytes = 0
        self._last_call: float | None = None

    def _stops(self, now: float) -> float:
        self._last_call = self._last_call or now + LINGER
        return self._last_call

    def enqueue_req(self, conn: Any) -> None:
        """A request begins: on a new connection, or on a kept one."""
        guest = _Guest(conn, time.monotonic() + PATIENCE)
        if conn.parser is not None:  # it may have read ahead
            self._gather(guest, conn.parser.unreader.take_buffered())
        conn.sock.setblocking(False)
        self._room[guest] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._readable, guest))
        self._readable(guest, conn.sock)  # most senders have sent all of it by now

    def _readable(self, guest: _Guest, sock: socket.socket) -> None:
        try:
            piece = sock.recv(1 << 18) if not guest.request.complete else b""
        except BlockingIOError:
            return
        except OSError:
            self._leave(guest)
            self._gone(guest)
            return
        self._gather(guest, piece)
        if guest.request.complete or not piece:
            self._hand_over(guest)
        elif self._bytes > ROOM:
            self._turn_away(guest)
        elif guest.request.expects and not guest.told:
            guest.told = True
            with suppress(OSError):
                sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _gather(self, guest: _Guest, piece: bytes) -> None:
        guest.request.add(piece)
        self._bytes += len(piece)

    def _leave(self, guest: _Guest) -> None:
        self._room.pop(guest, None)
        self._bytes -= len(guest.request.got)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(guest.conn.sock)

    def _gone(self, guest: _Guest) -> None:
        self.nr_conns -= 1
        guest.conn.close()

    def _hand_over(self, guest: _Guest) -> None:
        """To a thread, with the bytes as if they had just been read."""
        self._leave(guest)
        conn = guest.conn
        conn.sock.setblocking(True)
        conn.init()
        conn.parser.unreader.unread(bytes(guest.request.got))
        conn.data_ready = True
        super().enqueue_req(conn)

    def _turn_away(self, guest: _Guest) -> None:
        """Not 4xx: it may be one of PagerDuty's on a bad line, and those are repeated."""
        self._leave(guest)
        if guest.request.head > 0:
            top = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: {len(LATE)}\r\n"
            with suppress(OSError):
                guest.conn.sock.send(f"{top}Retry-After: 5\r\nConnection: close\r\n\r\n".encode() + LATE)
        self._gone(guest)

    def murder_pending(self) -> None:
        """Called by the loop at least once a second: whose time is up goes."""
        super().murder_pending()
        now = time.monotonic()
        if not self.alive:
            for guest in self._room:
                guest.ends = min(guest.ends, self._stops(now))
        for guest in list(self._room):
            if guest.ends > now:
                break
            self._turn_away(guest)

"""The one port: reads requests, writes the log row, plays the faults, and hands over to the vendor of the prefix."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from sandbox.faults import Fault
from sandbox.log import LogEntry

if TYPE_CHECKING:
    from sandbox.world import World

BIGGEST_BODY = 8 * 1024 * 1024
_NOBODY = LogEntry(0, "", "", "", "", "", "")


@dataclass
class Request:
    """One request as a vendor sees it. `path` has no prefix, still percent-encoded; `headers.get` ignores case."""

    method: str
    path: str
    full_path: str
    query: dict[str, list[str]]
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    entry: LogEntry

    def json(self) -> Any:
        """The body as JSON; ValueError where it is none."""
        return json.loads(self.body.decode("utf-8"))

    def first(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


@dataclass
class Response:
    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: Iterator[bytes] | None = (
        None  # an empty piece sends nothing: a moment in which it is seen that the client left
    )


def dump(value: object) -> bytes:
    """UTF-8, as the vendors write it; escaped only where the text holds what UTF-8 cannot carry (a lone surrogate)."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def json_response(status: int, value: object, headers: Iterable[tuple[str, str]] = ()) -> Response:
    return Response(status, dump(value), [("Content-Type", "application/json"), *headers])


class _Reset(Exception):
    """The connection is to be torn, without an answer."""


class Server(ThreadingHTTPServer):
    """A thread for each connection; nothing outlives the process."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def opened(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(connection)

    def close_connections(self) -> None:
        """Wake every thread that waits for the next request of an idle client."""
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is everyday life here; anything else is a bug and shows its traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(cast(Any, request), client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    @property
    def world(self) -> World:
        return cast(Server, self.server).world

    def setup(self) -> None:
        super().setup()
        cast(Server, self.server).opened(self.connection)

    def finish(self) -> None:
        cast(Server, self.server).closed(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are in /_sandbox/log; the terminal stays quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.world.clock.for_headers().replace(microsecond=0), usegmt=True)

    def _serve(self) -> None:
        full_path, _, query = self.path.partition("?")
        try:
            body = self._read_body()
        except ValueError as bad:
            self.close_connection = True
            self._send(json_response(400, {"error": str(bad)}))
            return
        try:
            self._send(self._answer(full_path, query, body))
        except _Reset:
            self._reset()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _answer(self, full_path: str, query: str, body: bytes) -> Response:
        if full_path == "/_sandbox" or full_path.startswith("/_sandbox/"):
            return self.world.control.handle(self._request(full_path, query, body, full_path, _NOBODY))
        entry = self.world.log.open(self.world.clock.now(), self.command, full_path, query, body)
        fault = self.world.faults.take(self.command, full_path)
        response = self._before(fault, full_path)
        if response is None:
            response = self.world.dispatch(self._request(full_path, query, body, _without_prefix(full_path), entry))
            response = self._after(fault, full_path, response)
        entry.status = response.status
        return response

    def _before(self, fault: Fault | None, full_path: str) -> Response | None:
        match fault.do if fault else None:
            case "status":
                return self.world.fault_response(cast(Fault, fault), full_path)
            case "delay":
                time.sleep(cast(Fault, fault).seconds or 0)
            case "reset_before":
                raise _Reset
            case "hold_before":
                self.world.faults.hold(cast(Fault, fault).seconds)
        return None

    def _after(self, fault: Fault | None, full_path: str, response: Response) -> Response:
        match fault.do if fault else None:
            case "reset_after_apply":
                raise _Reset
            case "hold_after_apply":
                self.world.faults.hold(cast(Fault, fault).seconds)
            case "status_after_apply":
                return self.world.fault_response(cast(Fault, fault), full_path)
            case "silent_watch" if response.stream is not None:
                response.stream = self.world.faults.silence(cast(Fault, fault).seconds)
        return response

    def _request(self, full_path: str, query: str, body: bytes, path: str, entry: LogEntry) -> Request:
        parsed = parse_qs(query, keep_blank_values=True)
        headers = cast(Mapping[str, str], self.headers)
        return Request(self.command, path, full_path, parsed, query, headers, body, entry)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            raise ValueError("Content-Length is no number") from None
        if not 0 <= length <= BIGGEST_BODY:
            raise ValueError(f"a body of {length} bytes is not read here")
        return self.rfile.read(length)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(64).split(b";")[0].strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline(8)
            if len(body) > BIGGEST_BODY:
                raise ValueError("the body is too long")
        while self.rfile.readline(8192) not in (b"\r\n", b"\n", b""):
            pass
        return body

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if response.stream is not None and self.command != "HEAD":
            self._send_stream(response.stream)
            return
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD" and response.status != 204:
            self.wfile.write(response.body)
        self.wfile.flush()

    def _send_stream(self, stream: Iterator[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for piece in stream:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            elif self._is_alone():
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _is_alone(self) -> bool:
        """Whether the client of a stream is gone, which nobody hears who has nothing to send."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def _reset(self) -> None:
        """Close so that the peer gets RST, not an orderly end: its write may or may not have happened."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError, ValueError):
            self.rfile.close()
            self.wfile.close()
        cast(Server, self.server).closed(self.connection)
        self.connection.close()
        raise ConnectionAbortedError("reset, as ordered")


def _without_prefix(full_path: str) -> str:
    rest = full_path.split("/", 2)
    return "/" + rest[2] if len(rest) > 2 else "/"

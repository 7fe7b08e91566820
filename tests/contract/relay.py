"""A slow network in front of the API server: one request, or its answer, can be held on the wire and let go at a chosen moment.

It ends TLS with the API server's own certificate, so a kubeconfig needs another port and nothing else. Who asks is still told by
the token, which goes on as it came; so do all other headers, the answer's too. A break on one side is a break on the other.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import urllib3
import yaml  # type: ignore[import-untyped]

from tests.cluster.start import PRODUCT, ControlPlane

What = Literal["request", "answer"]
_BROKEN = (urllib3.exceptions.HTTPError, OSError)
_OF_ONE_HOP = {"connection", "transfer-encoding", "keep-alive"}
_LONGEST = 30.0  # nobody is held for ever, whatever a test forgets


class Held:
    """One request that stands still on the wire, or whose answer does."""

    def __init__(self, method: str, path: str, what: What) -> None:
        self.method, self.path, self.what = method, path, what
        self.passed_at = 0.0  # wall clock
        self._lost = False
        self._arrived, self._gone, self._over = threading.Event(), threading.Event(), threading.Event()

    def arrives(self, within: float = 60) -> None:
        """Waits until it stands here."""
        assert self._arrived.wait(within), f"not within {within:g} s: {self.method} {self.path}"

    @property
    def arrived(self) -> bool:
        """Whether it stands here, or did."""
        return self._arrived.is_set()

    def pass_on(self) -> None:
        """Lets it go, whether or not somebody still waits for it."""
        self.passed_at = self.passed_at or time.time()
        self._gone.set()

    def pass_on_after(self, seconds: float) -> None:
        """The same, so much later, while the caller does something else."""
        threading.Timer(seconds, self.pass_on).start()

    def lose(self) -> None:
        """What stood here never arrives: the connection breaks instead."""
        self._lost = True
        self.pass_on()

    def over(self, within: float = 10) -> None:
        """Waits until the exchange is through, or broken."""
        assert self._over.wait(within), f"not through within {within:g} s: {self.method} {self.path}"

    def stand(self, what: What) -> None:
        """Called where the request, or its answer, comes by."""
        if what == self.what:
            self._arrived.set()
            self._gone.wait(_LONGEST)
            if self._lost:
                raise ConnectionResetError

    def end(self) -> None:
        """Called when all of it has been said."""
        self._over.set()


class Relay:
    """Listens once it is made. `kubeconfig` is the product's way through it."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._server = _Server(plane)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self.kubeconfig = folder / "relay.kubeconfig"
        self.kubeconfig.write_text(self._config(plane.kubeconfig(PRODUCT)))
        # Not a daemon's default half second: the end of a test waits for it.
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _config(self, direct: Path) -> str:
        body = yaml.safe_load(direct.read_text())
        body["clusters"][0]["cluster"]["server"] = self.url
        return str(yaml.safe_dump(body))

    @contextmanager
    def hold(self, path: str, what: What = "request", method: str = "PATCH") -> Iterator[Held]:
        """The next such request, or its answer, stands still until it is passed on; at the latest at the end of the block."""
        held = Held(method, path, what)
        self._server.holds.append(held)
        try:
            yield held
        finally:
            held.pass_on()
            self._server.forget(held)

    def close(self) -> None:
        """Listens no more. Connections that stand end with the other side."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(plane.certificate, plane.certificate.with_suffix(".key"))
        # The handshake is made by the connection's own thread: one slow client does not stop the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.upstream = plane.url
        self.pool = urllib3.PoolManager(maxsize=64, retries=False, ca_certs=str(plane.certificate))
        self.holds: list[Held] = []
        self._lock = threading.Lock()

    def take(self, method: str, path: str) -> Held | None:
        """The hold that waits for this request; it is for this one alone."""
        with self._lock:
            found = next((one for one in self.holds if (one.method, one.path) == (method, path)), None)
            if found is not None:
                self.holds.remove(found)
            return found

    def forget(self, held: Held) -> None:
        """Nothing came."""
        with self._lock:
            if held in self.holds:
                self.holds.remove(held)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is life here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        held = self.server.take(self.command, self.path.partition("?")[0])
        try:
            if held is not None:
                held.stand("request")
            answer = self._ask(body)
            if held is not None:
                held.stand("answer")
            self._answer(answer)
        except _BROKEN:
            self.close_connection = True
        finally:
            if held is not None:
                held.end()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _relay

    def _ask(self, body: bytes) -> urllib3.BaseHTTPResponse:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
        return self.server.pool.request(
            self.command,
            self.server.upstream + self.path,
            body=body or None,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=5, read=3600),
        )

    def _answer(self, answer: urllib3.BaseHTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.iteritems():
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        none = self.command == "HEAD" or answer.status in (204, 304)
        chunked = not none and "content-length" not in answer.headers
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            # Piece by piece: what watches gets each event as it comes.
            for piece in answer.stream(65536, decode_content=False):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        except BaseException:
            answer.close()
            raise
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        answer.release_conn()

    def log_message(self, *_: object) -> None:
        """Says nothing: the API server's own audit log says who asked for what."""

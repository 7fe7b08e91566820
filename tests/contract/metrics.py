"""What metrics answer: one small server on loopback, asked as Prometheus or as any web API by both worlds alike.

Each subject (a scenario's namespace) has answers of its own: the first segment of the path names it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Metrics:
    """Started when it is first asked for its address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[int, tuple[float, ...]]] = {}
        self._server: ThreadingHTTPServer | None = None

    def answer(self, subject: str, *values: float, status: int = 200) -> None:
        """From now on: these values (none = an empty result), or only that status."""
        with self._lock:
            self._answers[subject] = (status, values)

    def url(self, subject: str) -> str:
        """A Prometheus' address, and for anything else below it a page with {"data": {"rate": …}}."""
        with self._lock:
            if self._server is None:
                self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
                threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
            return f"http://127.0.0.1:{self._server.server_port}/{subject}"

    def told(self, path: str) -> tuple[int, Any]:
        """Status and body for a path."""
        _, subject, rest = (*path.split("?")[0].split("/", 2), "", "")[:3]
        with self._lock:
            status, values = self._answers.get(subject, (404, ()))
        if status != 200:
            return status, {}
        if rest != "api/v1/query":
            return 200, {"data": {"rate": values[0]} if values else {}}
        samples = [{"metric": {}, "value": [0, str(value)]} for value in values]
        return 200, {"status": "success", "data": {"resultType": "vector", "result": samples}}

    def end(self) -> None:
        """Gone, if it ever was there."""
        with self._lock:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None


def _handler(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = metrics.told(self.path)
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Handler

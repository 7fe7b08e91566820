"""How the tests of the sandbox speak to it: over real sockets, and as a receiver of its webhooks."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.start import Sandbox


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Door:
    """One client of a sandbox. `pagerduty` adds the key and, on request, the From header."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.key = sandbox.world.pagerduty.account.api_key

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.server.server_address[1], timeout=10)
        try:
            raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, path, raw, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()

    def pagerduty(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        named = {"Authorization": f"Token token={self.key}", "From": "ripcord@example.com"} | headers
        return self.call(method, "/pagerduty" + path, body, **{key: text for key, text in named.items() if text})

    def control(self, path: str, body: object = None, method: str = "POST") -> Answer:
        return self.call(method, "/_sandbox/" + path, body)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.call("GET", "/_sandbox/log").text.splitlines()]

    def trigger(self, key: str = "key-1", summary: str = "boom", service: str = "c", **details: Any) -> Answer:
        payload = {"summary": summary, "source": "prometheus", "severity": "critical", "custom_details": details}
        return self.event("trigger", key, service, payload=payload)

    def event(self, action: str, key: str | None, service: str = "c", **more: Any) -> Answer:
        event = {"routing_key": service * 32, "event_action": action, **more}
        if key is not None:
            event["dedup_key"] = key
        return self.call("POST", "/pagerduty/v2/enqueue", event)

    def incident(self, **details: Any) -> str:
        """Opened by an event; its id."""
        key = f"key-{len(self.log())}"
        assert self.trigger(key, **details).status == 202
        found = self.pagerduty("GET", f"/incidents?incident_key={key}").json["incidents"]
        return str(found[0]["id"])


@dataclass
class Received:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["event"])

    @property
    def type(self) -> str:
        return str(self.event["event_type"])


@dataclass
class Receiver:
    """A webhook receiver. `answers` decides the status of each; None leaves the sender without an answer."""

    server: ThreadingHTTPServer
    got: list[Received] = field(default_factory=list)
    answers: Callable[[Received], int | None] = lambda received: 202

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/webhooks/pagerduty"

    def of(self, event_type: str) -> list[Received]:
        return [one for one in list(self.got) if one.type == event_type]


def start_receiver() -> Receiver:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            received = Received(self.path, dict(self.headers.items()), self.rfile.read(length))
            receiver.got.append(received)
            status = receiver.answers(received)
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return receiver

"""All alerts of an incident are read: one that is not read could be the one that names another target."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from server.clients.pagerduty import PagerDutyApi
from server.errors import Transient

AT = "2026-11-24T03:10:40Z"


class Pages(BaseHTTPRequestHandler):
    """PagerDuty's classic pagination over `count` alerts."""

    count = 0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body: dict[str, Any] = {
            "incident": {"id": "Q1", "status": "triggered", "created_at": AT, "service": {"id": "P1"}, "title": "t"}
        }
        if parts.path.endswith("/alerts"):
            query = parse_qs(parts.query)
            start, limit = int(query["offset"][0]), int(query["limit"][0])
            numbers = range(start, min(start + limit, self.count))
            alerts = [{"id": f"A{n}", "status": "triggered", "created_at": AT} for n in numbers]
            body = {"alerts": alerts, "more": start + limit < self.count}
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def pagerduty() -> Iterator[PagerDutyApi]:
    """The client, pointed at the pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api = PagerDutyApi(
        f"http://127.0.0.1:{server.server_address[1]}", "key", "a@example.com", lambda: datetime.now(UTC)
    )
    yield api
    api._session().close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("count", [0, 1, 100, 101, 211, 1000])
def test_every_page_is_read(pagerduty: PagerDutyApi, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(Pages, "count", count)
    assert {alert.id for alert in pagerduty.incident("Q1").alerts} == {f"A{n}" for n in range(count)}


def test_more_than_an_incident_can_have_is_not_believed(
    pagerduty: PagerDutyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pages, "count", 5000)
    with pytest.raises(Transient, match="more than"):
        pagerduty.incident("Q1")

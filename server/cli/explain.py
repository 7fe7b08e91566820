"""`explain FILE`: what each runbook would decide about a payload. Calls nobody; uses the server's own code.

A press names its button by the URL that it was sent to, which stands in no file: each line is for that runbook's own button.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server import bootstrap
from server.core.delivery import Delivery, StoredDelivery
from server.core.incident import Alert, Incident
from server.core.library import Library
from server.core.match import Decision, Holds, decide
from server.core.pagerduty import parse_alert, parse_incident, parse_time
from server.errors import Misconfigured, Rejected
from server.settings import Settings
from server.triggers import pagerduty_action, pagerduty_v3
from server.triggers.wire import read_object, within

Json = dict[str, Any]
PRESS = "a press names its button by its URL alone: each line is for that runbook's own button"


def main(argv: list[str], settings: Settings) -> int:
    """One line for each runbook: `abort-canary: run: …`, as if the message had just come and nothing were under way."""
    parser = argparse.ArgumentParser(prog="ripcord explain")
    shapes = '{"event": …, "alerts": […]} or {"messages": […], "alerts": […]}'
    parser.add_argument("file", type=Path, metavar="FILE", help=f"a webhook body (an event or a press), or {shapes}")
    file: Path = parser.parse_args(argv).file
    try:
        raw = file.read_bytes()
        body = read_object(raw)
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read ({error.strerror})") from error
    except Rejected as error:
        raise Misconfigured(f'{file}: {error.said}: expected a webhook body or {{"event", "alerts"}}') from error
    press = "messages" in body and "event" not in body
    library = bootstrap.shelf(settings).current()
    for line in _pressed(raw, body, library) if press else _told(raw, body, library):
        print(line)
    if press:
        print(PRESS, file=sys.stderr)
    if "alerts" not in body:
        print('the file holds no "alerts": the server would read them from PagerDuty', file=sys.stderr)
    return 0


def _told(raw: bytes, body: Json, library: Library) -> Iterator[str]:
    """The lines of a v3 event."""
    data = within(body, "event", "data")
    if isinstance(data, Mapping) and data.get("type") != "incident":
        inner = data.get("incident")
        data = {**(inner if isinstance(inner, Mapping) else {}), "service": data.get("service")}
    for decision in _decided(pagerduty_v3.parse({}, raw, "internal"), data, body, library):
        yield f"{decision.runbook}: {decision.kind}: {decision.reason}"


def _pressed(raw: bytes, body: Json, library: Library) -> Iterator[str]:
    """The lines of a press: one for each message and runbook."""
    messages, left = pagerduty_action.messages({}, raw, "internal")
    for n, message in enumerate(messages):
        data = within(body, "messages", n, "incident")
        which = f" (message {n + 1} of {len(messages) + left})" if len(messages) > 1 else ""
        for runbook in library.runbooks:
            delivery = message.model_copy(update={"runbook": runbook.name})
            for one in _decided(delivery, data, body, library):
                if one.runbook == runbook.name:
                    yield f"{one.runbook}: {one.kind}: {one.reason}{which}"
    if left:
        said = f"the server takes the first {len(messages)} messages of a body: {left} would be left out"
        print(said, file=sys.stderr)


def _decided(delivery: Delivery, data: object, body: Json, library: Library) -> tuple[Decision, ...]:
    """One decision for each runbook, as if the message had just come: a kept payload is not about its age."""
    now = delivery.occurred_at or datetime.now(UTC)
    alerts = tuple(_alert(n, alert, now) for n, alert in enumerate(_list(body.get("alerts"))))
    stored = StoredDelivery(id="explained", received_at=now, delivery=delivery)
    return decide(stored, _incident(data, alerts, now), alerts, library, Holds(), now)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _alert(n: int, alert: object, now: datetime) -> Alert:
    """A REST alert, or its details alone."""
    if not isinstance(alert, Mapping):
        raise Misconfigured(f"alerts[{n}]: expected an object")
    given = dict(alert) if "body" in alert else {"body": {"details": dict(alert)}}
    try:
        return parse_alert({"id": f"alert-{n}", "status": "triggered", "created_at": now.isoformat(), **given})
    except ValueError as error:
        said = "expected a time with its zone, for example 2026-11-24T03:12:34Z"
        raise Misconfigured(f"alerts[{n}].created_at: {said}") from error


def _incident(data: object, alerts: tuple[Alert, ...], now: datetime) -> Incident | None:
    """The incident as the payload tells it: the server would read it again."""
    if not isinstance(data, Mapping):
        return None
    shape = {"status": "triggered", "title": "", **data}
    if parse_time(shape.get("created_at")) is None:
        shape["created_at"] = now.isoformat()
    try:
        read = parse_incident(shape, [], now)
    except (KeyError, TypeError, ValueError):
        return None
    return read.model_copy(update={"alerts": alerts})

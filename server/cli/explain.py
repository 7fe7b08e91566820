"""`explain FILE`: what each runbook would decide about a payload. Calls nobody; uses the server's own code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server import bootstrap
from server.core.delivery import StoredDelivery
from server.core.incident import Alert, Incident
from server.core.match import Holds, decide
from server.core.pagerduty import parse_alert, parse_incident, parse_time
from server.errors import Misconfigured, Rejected
from server.settings import Settings
from server.triggers import pagerduty_v3
from server.triggers.wire import read_object


def main(argv: list[str], settings: Settings) -> int:
    """One line for each runbook: `abort-canary: run: …`, as if the message had just come and nothing were under way."""
    parser = argparse.ArgumentParser(prog="ripcord explain")
    parser.add_argument("file", type=Path, metavar="FILE", help='a webhook body, or {"event": …, "alerts": […]}')
    file: Path = parser.parse_args(argv).file
    try:
        raw = file.read_bytes()
        body = read_object(raw)
        delivery = pagerduty_v3.parse({}, raw, "internal")
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read ({error.strerror})") from error
    except Rejected as error:
        raise Misconfigured(f'{file}: {error.said}: expected a webhook body or {{"event", "alerts"}}') from error
    now = delivery.occurred_at or datetime.now(UTC)  # as if it had just come: a kept payload is not about its age
    alerts = tuple(_alert(n, alert, now) for n, alert in enumerate(_list(body.get("alerts"))))
    incident = _incident(body.get("event"), alerts, now)
    stored = StoredDelivery(id="explained", received_at=now, delivery=delivery)
    library = bootstrap.shelf(settings).current()
    for decision in decide(stored, incident, alerts, library, Holds(), now):
        print(f"{decision.runbook}: {decision.kind}: {decision.reason}")
    if "alerts" not in body:
        print('the file holds no "alerts": the server would read them from PagerDuty', file=sys.stderr)
    return 0


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _alert(n: int, alert: object, now: datetime) -> Alert:
    """A REST alert, or its details alone."""
    if not isinstance(alert, Mapping):
        raise Misconfigured(f"alerts[{n}]: expected an object")
    if "body" in alert:
        given = {"id": f"alert-{n}", "status": "triggered", "created_at": now.isoformat(), **alert}
        return parse_alert(given)
    return parse_alert(
        {"id": f"alert-{n}", "status": "triggered", "created_at": now.isoformat(), "body": {"details": dict(alert)}}
    )


def _incident(event: object, alerts: tuple[Alert, ...], now: datetime) -> Incident | None:
    """The incident as the payload tells it: the server would read it again."""
    data = event.get("data") if isinstance(event, Mapping) else None
    if not isinstance(data, Mapping):
        return None
    if data.get("type") != "incident":
        inner = data.get("incident")
        data = {**(inner if isinstance(inner, Mapping) else {}), "service": data.get("service")}
    shape = {"status": "triggered", "title": "", **data}
    if parse_time(shape.get("created_at")) is None:
        shape["created_at"] = now.isoformat()
    try:
        read = parse_incident(shape, [], now)
    except (KeyError, TypeError, ValueError):
        return None
    return read.model_copy(update={"alerts": alerts})

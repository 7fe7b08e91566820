"""The probes. Alive says that the process answers; ready says whether traffic may come; metrics are for Prometheus."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, Response

from server.store import deliveries
from server.web.answers import json_answer, sentence
from server.web.parts import Parts


def blueprint(parts: Parts) -> Blueprint:
    """/healthz, /readyz, /metrics."""
    probes = Blueprint("health", __name__)

    @probes.get("/healthz")
    def healthz() -> Response:
        return sentence(200, "alive")

    @probes.get("/readyz")
    def readyz() -> Response:
        problems, warnings = problems_of(parts), warnings_of(parts)
        said = {"ready": not problems, "problems": problems, "warnings": warnings}
        return json_answer(503 if problems else 200, said)

    @probes.get("/metrics")
    def metrics() -> Response:
        measure(parts)
        return Response(
            parts.meter.text(), mimetype="text/plain", headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    return probes


def problems_of(parts: Parts) -> list[str]:
    """What keeps this process from being ready."""
    try:
        with parts.reading.connect() as connection:
            connection.execute(sa.select(1))
        missing = parts.migrations()
    except sa.exc.SQLAlchemyError:
        return ["the database does not answer"]
    problems = [missing] if missing else []
    if away := parts.inbox.shut():
        problems.append(away)
    if parts.executes and parts.executor() is False:
        problems.append("the executor of this process has died")
    return problems


def warnings_of(parts: Parts) -> list[str]:
    """What a person should know although messages are taken in."""
    warnings = list(parts.warnings())
    if not parts.executes and parts.executor() is False:
        warnings.append("no executing process is alive: messages are taken in and wait")
    return warnings


def measure(parts: Parts) -> None:
    """Reads the numbers that are read, not counted."""
    shut = parts.inbox.shut() is not None
    parts.meter.set("ripcord_door_shut", "1 while messages are answered 503 because of the database", float(shut))
    parts.meter.set("ripcord_inbox_waiting", "Messages that wait for a commit", float(parts.inbox.waiting()))
    parts.meter.set("ripcord_inbox_commits", "Group commits since the start", float(parts.inbox.commits))
    parts.meter.set("ripcord_executor_alive", "1 while an executing process is alive", float(parts.executor() is True))
    try:
        with parts.reading.connect() as connection:
            number = deliveries.waiting(connection)
    except sa.exc.SQLAlchemyError:
        return
    parts.meter.set("ripcord_deliveries_waiting", "Messages that nobody has started yet", float(number))

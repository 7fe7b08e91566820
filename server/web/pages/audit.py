"""`/audit`: who did what, when, on what proof? Newest first; a page is named by the row that it ends before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import sqlalchemy as sa
from flask import Blueprint, Response, request

from server.audit import queries as audit
from server.audit.queries import Filters, Row
from server.store import queries
from server.web.frame import Frame
from server.web.parts import Parts
from server.web.view import number, visible

NAMES = ("incident", "target", "runbook", "run")
_MOST_ROW = 2**31 - 1


@dataclass(frozen=True)
class Asked:
    """The query string, understood: filters as given, and the row to end before."""

    given: Mapping[str, str]
    before: int | None

    def url(self, *, without: str = "", before: int | None = None) -> str:
        """The same page without one filter, or further down."""
        query = {name: value for name, value in self.given.items() if name != without}
        if before is not None:
            query["before"] = str(before)
        return f"/audit?{urlencode(query)}" if query else "/audit"


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    """Hangs the page."""

    @pages.get("/audit")
    def audit_page() -> Response:
        asked = understand(request.args)
        with parts.reading.connect() as connection:
            found = audit.page(connection, filters(connection, asked), asked.before)
            targets, runbooks = queries.names(connection)
        return frame.page(
            "audit.html",
            current="audit",
            asked=asked,
            rows=found.rows,
            older=asked.url(before=found.rows[-1].seq) if found.more else None,
            range=covered(found.rows),
            wrong=[row for row in found.rows if not row.fits],
            targets=targets,
            runbooks=runbooks,
        )


def understand(args: Mapping[str, str]) -> Asked:
    """What is asked for; a `before` that is no row number counts as none."""
    given = {name: text for name in NAMES if (text := args.get(name, "").replace("\x00", "").strip()[:200])}
    before = args.get("before", "")
    row = int(before) if re.fullmatch(r"[0-9]{1,10}", before) else None
    return Asked(given, None if row is None else min(row, _MOST_ROW))


def filters(connection: sa.Connection, asked: Asked) -> Filters:
    """An incident may be given by PagerDuty's id or by its number."""
    incident = asked.given.get("incident")
    incidents: tuple[str, ...] | None = (incident,) if incident else None
    if incident and (match := re.fullmatch(r"#?([0-9]{1,9})", incident)):
        incidents = (incident, *queries.incidents_numbered(connection, int(match[1])))
    return Filters(incidents, asked.given.get("target"), asked.given.get("runbook"), asked.given.get("run"))


def covered(rows: Sequence[Row]) -> str:
    """From which row to which, and how many of them are not shown, so that a gap is explained."""
    if not rows:
        return ""
    first, last = rows[0].seq, rows[-1].seq
    hidden = first - last + 1 - len(rows)
    text = f"rows {number(first)} to {number(last)}, {len(rows)} shown"
    return visible(f"{text}, {number(hidden)} filtered out") if hidden > 0 else text

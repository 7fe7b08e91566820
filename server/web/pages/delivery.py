"""`/deliveries/<id>`: why did it run, or why not?"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from server.audit import queries as audit
from server.store import queries
from server.store.queries import DecisionRow, DeliveryPage
from server.store.tables import ENDED
from server.web.frame import Frame
from server.web.parts import Parts
from server.web.view import pretty, visible
from server.web.words import KINDS, Mark

_ORDER = tuple(KINDS)


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    """Hangs the page."""

    @pages.get("/deliveries/<delivery_id>")
    def delivery(delivery_id: str) -> Response:
        with parts.reading.connect() as connection:
            page = queries.delivery(connection, delivery_id)
            if page is None:
                raise NotFound("delivery")
            rows = audit.of_delivery(connection, delivery_id)
        decisions = sorted((d for d in page.decisions if d.runbook), key=lambda d: (_ORDER.index(d.kind), d.runbook))
        return frame.page(
            "delivery.html",
            current="now",
            refresh=not page.decisions and page.state != ENDED,
            page=page,
            delivery=page.delivery,
            decisions=decisions,
            mark=mark(page, decisions),
            rest=rest(decisions),
            headline=sentence(page, decisions),
            body=pretty(page.body),
            rows=rows,
        )


def sentence(page: DeliveryPage, decisions: Sequence[DecisionRow]) -> str:
    """What became of it."""
    what = f"{visible(page.delivery.event_type) or 'A message without a type'} for {_incident(page)}"
    if not page.decisions:
        return f"{what} is not decided yet."
    if not decisions:
        return f"{what} starts no runbook."
    started = [d.runbook for d in decisions if d.kind == "run"]
    if started:
        return f"{what} started {' and '.join(visible(name) for name in started)}."
    return f"{what} started no runbook: each one’s reason is below."


def _incident(page: DeliveryPage) -> str:
    if page.runs:
        return page.runs[0].number
    return visible(page.delivery.incident) if page.delivery.incident else "no incident"


def mark(page: DeliveryPage, decisions: Sequence[DecisionRow]) -> Mark:
    """The page's status."""
    if not page.decisions:
        return Mark("Not decided yet", "waiting", "live")
    kinds = [d.kind for d in decisions]
    if "run" in kinds:
        return Mark(f"{kinds.count('run')} of {len(kinds)} runbooks ran", "act", "ok")
    if "braked" in kinds:
        return Mark("Braked: would have run", "braked", "wait")
    return Mark("No runbook ran", "none", "quiet")


def rest(decisions: Sequence[DecisionRow]) -> str:
    """The kinds that are not in the status, counted."""
    kinds = [d.kind for d in decisions]
    return ", ".join(f"{kinds.count(k)} {KINDS[k].word.lower()}" for k in _ORDER if k != "run" and k in kinds)

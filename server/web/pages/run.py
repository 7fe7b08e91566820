"""`/runs/<id>`: what did it do, why, did it work?"""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from server.audit import queries as audit
from server.core.run import Report
from server.store import queries
from server.web import evidence, headline, metrics, story
from server.web.frame import Frame
from server.web.parts import Parts


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    """Hangs the page."""

    @pages.get("/runs/<run_id>")
    def run(run_id: str) -> Response:
        with parts.reading.connect() as connection:
            page = queries.run(connection, run_id)
            if page is None:
                raise NotFound("run")
            rows = audit.of_run(connection, run_id, page.row.delivery, page.row.runbook)
        report = page.report
        held, mind = story.remarks(page)
        return frame.page(
            "run.html",
            current="now",
            refresh=not page.row.over,
            page=page,
            row=page.row,
            spec=page.spec,
            report=report,
            title=headline.short(page.row),
            headline=headline.sentence(page),
            why=headline.why(page),
            so=headline.so(page),
            next=headline.next_step(page),
            truths=story.truths(page),
            steps=story.steps(page, rows),
            held=held,
            mind=mind,
            pairs=evidence.pairs(report.before, report.after) if report else (),
            read_at=evidence.read_at(report.before, report.after) if report else (None, None),
            metrics=metrics.measured(report.before, report.after, _acted(report)) if report else (),
            facts=page.plan.facts if page.plan else {},
            timeline=story.timeline(page.spec, rows),
            wrong=[row for row in rows if not row.fits],
        )


def _acted(report: Report) -> datetime | None:
    """When the first write took effect, or may have."""
    return next((outcome.at for outcome in report.outcomes if outcome.kind in ("done", "unknown")), None)

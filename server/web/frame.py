"""What stands around every page: who is signed in, the stop switch, the head of the chain, the time of the page."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Response, g

from server.audit import journal
from server.store.people import Person
from server.web.parts import Parts
from server.web.view import environment, visible

log = logging.getLogger("ripcord.pages")

REFRESH = 10
"""Seconds after which a page about something unfinished is asked for again."""


@dataclass(frozen=True)
class Around:
    """The frame's values."""

    now: datetime
    person: Person | None
    stop: str | None
    head: tuple[int, str] | None
    current: str
    refresh: int | None


class Frame:
    """Renders pages. One for the whole web: the templates are read once."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.templates = environment()

    def page(
        self, template: str, *, current: str = "", status: int = 200, refresh: bool = False, **values: Any
    ) -> Response:
        """A page, never kept by anybody in between."""
        around = Around(self.parts.now(), person(), self._stop(), self._head(), current, REFRESH if refresh else None)
        text = self.templates.get_template(template).render(around=around, **values)
        return Response(text, status, {"Cache-Control": "no-store"}, content_type="text/html; charset=utf-8")

    def said(self, status: int, title: str, *lines: str) -> Response:
        """A page that only says something."""
        return self.page("said.html", status=status, title=title, lines=lines)

    def missing(self, what: str) -> Response:
        """404, in the frame."""
        return self.said(404, f"There is no such {what}.", "It was never here, or the link is not whole.")

    def _stop(self) -> str | None:
        """The stop switch's reason, where this process sees its file."""
        try:
            with self.parts.settings.stop_file.open(encoding="utf-8", errors="replace") as file:
                return visible(file.readline(1000)) or "no reason is given"
        except FileNotFoundError:
            return None
        except OSError:
            return "its file cannot be read"

    def _head(self) -> tuple[int, str] | None:
        """The chain's head, for whoever is signed in; a page that says that the database is away has none."""
        if person() is None:
            return None
        try:
            with self.parts.reading.connect() as connection:
                return journal.head(connection)
        except sa.exc.SQLAlchemyError:
            return None


def person() -> Person | None:
    """Who asks."""
    found: Person | None = g.get("person")
    return found

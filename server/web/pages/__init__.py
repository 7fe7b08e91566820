"""The pages. `register(app, parts)` hangs them and the sign-in on an app; every page needs a session."""

from __future__ import annotations

import logging
import secrets

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, g, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from server.store import people
from server.web import login
from server.web.frame import Frame
from server.web.pages import audit, delivery, home, run
from server.web.parts import Parts

log = logging.getLogger("ripcord.pages")


def register(app: Flask, parts: Parts) -> None:
    """Hangs sign-in and pages on the app."""
    frame = Frame(parts)
    door, inside = login.blueprint(parts, frame), blueprint(parts, frame)
    for group in (door, inside):
        _errors(group, frame)
        app.register_blueprint(group)


def blueprint(parts: Parts, frame: Frame) -> Blueprint:
    """Everything behind the sign-in."""
    pages = Blueprint("pages", __name__)

    @pages.before_request
    def _who() -> AnyResponse | None:
        session = request.cookies.get(login.COOKIE, "")
        g.person = people.who(parts.reading, session, parts.now()) if session else None
        return None if g.person else redirect("/login", 303)

    for page in (home, audit, run, delivery):
        page.add(pages, parts, frame)
    return pages


def _errors(group: Blueprint, frame: Frame) -> None:
    """Errors keep the frame; a bug gets a number that stands in the log too."""

    @group.errorhandler(sa.exc.OperationalError)
    @group.errorhandler(sa.exc.InterfaceError)
    @group.errorhandler(sa.exc.ProgrammingError)  # no tables yet
    @group.errorhandler(sa.exc.TimeoutError)
    def _away(error: sa.exc.SQLAlchemyError) -> Response:
        log.warning("a page could not read the database: %s", type(error).__name__)
        return frame.said(503, "The database does not answer.", "Nothing is lost. Load the page again in a moment.")

    @group.errorhandler(NotFound)
    def _missing(error: NotFound) -> Response:
        return frame.missing(error.description or "page")

    @group.errorhandler(500)
    def _bug(_error: Exception) -> Response:
        number = secrets.token_hex(4)
        log.error("a bug in a page, error %s", number)
        return frame.said(500, "This page has a bug.", f"Error {number} is in the log of the web process.")

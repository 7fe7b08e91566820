"""Sign-in by a printed one-time link: looking at it uses nothing up, the button signs in. The cookie holds a random token alone."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from server.store import people
from server.web.frame import Frame
from server.web.parts import Parts

COOKIE = "ripcord_session"


def blueprint(parts: Parts, frame: Frame) -> Blueprint:
    """/login and /login/<token>."""
    door = Blueprint("login", __name__)

    @door.before_request
    def _nobody() -> None:
        g.person = None  # the same page for everybody: it tells nothing about who is signed in

    @door.get("/login")
    def how() -> Response:
        return frame.page("login.html", token=None)

    @door.get("/login/<token>")
    def ask(token: str) -> Response:
        if not people.link_is_good(parts.reading, token, parts.now()):
            return refused(frame)
        return frame.page("login.html", token=token)

    @door.post("/login/<token>")
    def enter(token: str) -> AnyResponse:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return frame.said(
                403, "This sign-in came from another site.", "Open the link itself, then press the button."
            )
        session = people.sign_in(parts.writing, token, parts.now())
        return refused(frame) if session is None else welcome(session, parts.settings.public_url)

    return door


def refused(frame: Frame) -> Response:
    """One answer for a link that is used up, too old, or never was one."""
    return frame.page("login.html", status=403, token="")


def welcome(session: str, public_url: str) -> AnyResponse:
    """The cookie, and on to the first page of this site, whatever the request says about hosts."""
    answer = redirect("/", 303)
    answer.set_cookie(
        COOKIE,
        session,
        max_age=int(people.SESSION_LASTS.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=public_url.startswith("https://"),
        path="/",
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer

"""The shapes of an answer: one plain sentence, or a small JSON object; and the headers that every answer carries."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

SENTENCES = {
    404: "there is nothing here",
    405: "this door does not open that way: {method} is not allowed here",
    413: "the body is larger than 1 MiB: this message was not taken",
    500: "a bug in Ripcord: it is in the log",
}


def sentence(status: int, said: str, headers: Mapping[str, str] | None = None) -> Response:
    """One plain sentence."""
    return Response(said + "\n", status, headers, mimetype="text/plain")


def json_answer(status: int, value: object) -> Response:
    """A small JSON object."""
    return Response(json.dumps(value) + "\n", status, mimetype="application/json")


def hang(app: Flask) -> None:
    """Every answer gets the safe headers, and every error is a sentence without a trace."""

    @app.after_request
    def _safe(answer: Response) -> Response:
        for name, value in SAFE.items():
            answer.headers.setdefault(name, value)
        return answer

    @app.errorhandler(HTTPException)
    def _error(error: HTTPException) -> Response:
        status = error.code or 500
        said = SENTENCES.get(status, error.name.lower()).format(method=request.method)
        kept = {name: value for name, value in error.get_headers() if name in ("Allow", "Location")}
        return sentence(status, said, kept)

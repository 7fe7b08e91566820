"""The limit of this Python and this gunicorn: a Flask view that reads the body and answers 202, and does nothing else."""

from __future__ import annotations

from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/webhooks/pagerduty")
def accept() -> Response:
    """Reads, answers."""
    request.get_data(cache=False)
    return Response('{"delivery": "000000000000000000000000", "duplicate": false}\n', 202, mimetype="application/json")


@app.get("/readyz")
def ready() -> str:
    """For the bench's own waiting."""
    return "ready"

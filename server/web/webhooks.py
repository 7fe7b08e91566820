"""The doors for machines: authenticate the raw bytes, commit one row, answer. Nothing else happens in the request.

The order of the answers is the contract: too big 413, no secret configured 503, not authentic 403, authentic but not JSON 400,
database away 503, everything else 202. A sender drops what gets a 4xx for good, so nothing that is genuine may get one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from flask import Blueprint, Response, request

from server.errors import Rejected
from server.store.inbox import Busy, Inbox, Recorded
from server.store.refusals import Refusals
from server.triggers import TRIGGERS, Trigger
from server.web.answers import json_answer, sentence
from server.web.meter import Meter
from server.web.parts import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LIMIT = 1 << 20
"""The largest body that is read: PagerDuty never sends more than 256 KiB."""

KEPT = ("X-PagerDuty-Signature", "X-Webhook-Id", "X-Webhook-Subscription", "User-Agent")
"""The headers that are stored, under these names: what proves a delivery, never a secret."""

LINGER_BYTES, LINGER_SECONDS = 4 << 20, 1.0
"""How much of a body that is too big is thrown away so that its sender reads the answer instead of a reset."""

log = logging.getLogger("ripcord.door")


@dataclass(frozen=True)
class Door:
    """One kind of sender at one URL."""

    trigger: Trigger
    secrets: tuple[str, ...]
    no_secret: str


def blueprint(parts: Parts) -> Blueprint:
    """The webhook routes."""
    doors = Blueprint("webhooks", __name__)
    v3 = Door(
        TRIGGERS["pagerduty_v3"],
        parts.settings.pagerduty_webhook_secrets,
        "no webhook secret is configured: set RIPCORD_PAGERDUTY_WEBHOOK_SECRETS",
    )

    @doors.post("/webhooks/pagerduty")
    def pagerduty() -> Response:
        return _measured(v3, parts)

    return doors


def _measured(door: Door, parts: Parts) -> Response:
    began = time.perf_counter()
    answer = receive(door, parts)
    parts.meter.answered(answer.status_code, time.perf_counter() - began)
    return answer


def receive(door: Door, parts: Parts) -> Response:
    """One message, answered."""
    received_at = parts.now()
    try:
        raw = _read(request.environ)
    except Rejected as error:
        return sentence(error.status, error.said)
    if raw is None:
        return _too_big(request.environ["wsgi.input"])
    if not door.secrets:
        return sentence(503, door.no_secret)
    headers = {name: value for name in KEPT if (value := request.headers.get(name)) is not None}
    auth = door.trigger.authentic(headers, raw, door.secrets)
    if auth is None:
        return _turned_away(headers, raw, parts.refusals, parts.inbox)
    try:
        delivery = door.trigger.parse(headers, raw, auth)
    except Rejected as error:
        return sentence(error.status, error.said)
    try:
        return _accepted(parts.inbox.record(delivery, headers, raw, received_at), parts.meter)
    except Busy as error:
        return sentence(503, error.said, {"Retry-After": "5"})


def _read(environ: WSGIEnvironment) -> bytes | None:
    """The body, or None when it is larger than LIMIT: then nothing beyond that is read.

    Read by ourselves: the framework cuts a chunked body at its limit and says nothing about it.
    """
    told = environ.get("CONTENT_LENGTH") or ""
    ends_by_itself = bool(environ.get("wsgi.input_terminated"))
    if told.isdecimal() and int(told) > LIMIT:
        return None
    left = LIMIT + 1 if ends_by_itself else int(told or 0)
    pieces = []
    try:
        while left > 0 and (piece := environ["wsgi.input"].read(left)):
            pieces.append(piece)
            left -= len(piece)
    except Exception as error:  # the server's parser found broken chunks, or the sender went away
        log.info("a body could not be read: %s", type(error).__name__)
        raise Rejected("the body could not be read to its end: this message was not taken", 400) from error
    raw = b"".join(pieces)
    return raw if len(raw) <= LIMIT else None


def _accepted(recorded: Recorded, meter: Meter) -> Response:
    meter.recorded(duplicate=recorded.duplicate)
    return json_answer(202, {"delivery": recorded.id, "duplicate": recorded.duplicate})


def _turned_away(headers: Mapping[str, str], raw: bytes, refusals: Refusals, inbox: Inbox) -> Response:
    signed = "X-PagerDuty-Signature" in headers
    sample = f"{len(raw)} bytes: {raw[:120].decode('utf-8', 'replace')}"
    refusals.note(request.remote_addr or "", "signature does not fit" if signed else "no signature", sample)
    inbox.start()  # it writes the counts
    said = "the signature fits none of our secrets" if signed else "the signature is missing"
    return sentence(403, f"{said}: this message was not taken")


def _too_big(body: IO[bytes]) -> Response:
    answer = sentence(413, "the body is larger than 1 MiB: this message was not taken")
    text = answer.get_data()
    answer.response = _then_linger(text, body)
    return answer


def _then_linger(text: bytes, body: IO[bytes]) -> Iterator[bytes]:
    yield text
    ends, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
    while left > 0 and time.monotonic() < ends and (piece := body.read(1 << 16)):
        left -= len(piece)

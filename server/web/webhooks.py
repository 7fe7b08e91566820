"""The doors for machines: authenticate the raw bytes, commit one row, answer. Nothing else happens in the request.

The order of the answers is the contract: too big 413, no secret configured 503, not authentic 403, authentic but not JSON 400,
database away 503, everything else 202. A sender drops what gets a 4xx for good, so nothing that is genuine may get one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from server.errors import Rejected
from server.store.inbox import Busy, Inbox, Recorded
from server.store.refusals import Refusals
from server.triggers import TRIGGERS, Trigger, pagerduty_action, pagerduty_v3
from server.web.answers import json_answer, sentence
from server.web.meter import Meter
from server.web.parts import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LIMIT = 1 << 20
"""The largest body that is read: PagerDuty never sends more than 256 KiB."""

SIGNED = ("X-PagerDuty-Signature", "X-Webhook-Id", "X-Webhook-Subscription", "User-Agent")
PRESSED = ("X-Webhook-Id", "User-Agent")
"""The headers that are stored, under these names: what proves a delivery, never a secret."""

LINGER_BYTES, LINGER_SECONDS = 4 << 20, 1.0
"""How much of a body that is too big is thrown away so that its sender reads the answer instead of a reset."""

STALLED = 5.0
"""Seconds without a byte after which a sender is told to come again: PagerDuty itself gives up after five."""

log = logging.getLogger("ripcord.door")


@dataclass(frozen=True)
class Door:
    """One kind of sender at one URL. kept: the headers that are stored, and tested before and after; never a secret."""

    trigger: Trigger
    secrets: tuple[str, ...]
    setting: str
    kept: Callable[[bytes], dict[str, str]]


def blueprint(parts: Parts) -> Blueprint:
    """The webhook routes."""
    doors = Blueprint("webhooks", __name__)
    settings = parts.settings

    def signed(_raw: bytes) -> dict[str, str]:
        return _named(SIGNED)

    v3 = Door(TRIGGERS["pagerduty_v3"], settings.pagerduty_webhook_secrets, "RIPCORD_PAGERDUTY_WEBHOOK_SECRETS", signed)

    @doors.post("/webhooks/pagerduty")
    def pagerduty() -> Response:
        return _measured(v3, parts)

    @doors.post("/webhooks/pagerduty/actions/<runbook>")
    def action(runbook: str) -> Response:
        secrets = settings.pagerduty_action_secrets

        def pressed(raw: bytes) -> dict[str, str]:
            return _named(PRESSED) | pagerduty_action.sealed(dict(request.headers), raw, secrets, runbook)

        button = Door(TRIGGERS["pagerduty_action"], secrets, "RIPCORD_PAGERDUTY_ACTION_SECRETS", pressed)
        return _measured(button, parts)

    return doors


def _named(names: Sequence[str]) -> dict[str, str]:
    return {name: value for name in names if (value := request.headers.get(name)) is not None}


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
        return _too_big(request.environ)
    if not door.secrets:
        return sentence(503, f"no secret is configured for this door: set {door.setting}")
    headers = door.kept(raw)
    auth = door.trigger.authentic(headers, raw, door.secrets)
    if auth is None:
        return _turned_away(raw, parts.refusals, parts.inbox)
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
    _patience(environ, STALLED)
    try:
        while left > 0 and (piece := environ["wsgi.input"].read(left)):
            pieces.append(piece)
            left -= len(piece)
    except TimeoutError as error:
        raise Rejected("the body did not come in time: please repeat", 503) from error
    except Exception as error:  # the server's parser found broken chunks, or the sender went away
        log.info("a body could not be read: %s", type(error).__name__)
        raise Rejected("the body could not be read to its end: this message was not taken", 400) from error
    raw = b"".join(pieces)
    return raw if len(raw) <= LIMIT else None


def _patience(environ: WSGIEnvironment, seconds: float) -> None:
    """Bounds each wait for the sender; a server that does not hand its socket over bounds it by itself."""
    if (sock := environ.get("gunicorn.socket")) is not None:
        sock.settimeout(seconds)


def _accepted(recorded: Recorded, meter: Meter) -> Response:
    meter.recorded(duplicate=recorded.duplicate)
    return json_answer(202, {"delivery": recorded.id, "duplicate": recorded.duplicate})


def _turned_away(raw: bytes, refusals: Refusals, inbox: Inbox) -> Response:
    shown = any(name in request.headers for name in (pagerduty_v3.SIGNATURE, pagerduty_action.SECRET, "Authorization"))
    sample = f"{len(raw)} bytes: {raw[:120].decode('utf-8', 'replace')}"
    reason = "signature or secret does not fit" if shown else "no signature or secret"
    refusals.note(request.remote_addr or "", reason, sample)
    inbox.start()  # it writes the counts
    said = "the signature or secret fits none of ours" if shown else "the signature or secret is missing"
    return sentence(403, f"{said}: this message was not taken")


def _too_big(environ: WSGIEnvironment) -> Response:
    answer = sentence(413, "the body is larger than 1 MiB: this message was not taken")
    text = answer.get_data()
    answer.response = _then_linger(text, environ)
    return answer


def _then_linger(text: bytes, environ: WSGIEnvironment) -> Iterator[bytes]:
    yield text
    _patience(environ, LINGER_SECONDS)
    ends, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
    with suppress(Exception):  # gone, silent, or broken chunks: it has its answer
        while left > 0 and time.monotonic() < ends and (piece := environ["wsgi.input"].read(1 << 16)):
            left -= len(piece)

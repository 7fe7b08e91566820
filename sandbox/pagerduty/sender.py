"""The webhook sender: signs, keeps the order of each subscription and incident, retries, drops, and switches off.

Its threads never hold the world's lock: a receiver that answers by calling the API back must not wait for itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.clock import Clock, stamp
from sandbox.pagerduty.subscriptions import Subscription

THREADS = 8
LOOK_AGAIN = 0.05
GIVE_UP_AFTER = timedelta(hours=48)
LONGEST_PAUSE = 30.0
REMEMBERED = 500


@dataclass
class Webhook:
    """One message to one receiver. Its id is the same on every attempt."""

    id: str
    subscription: Subscription
    resource: str
    event_type: str
    body: bytes
    made_at: datetime
    due: datetime
    headers: list[tuple[str, str]] = field(default_factory=list)
    attempts: int = 0
    state: str = "waiting"
    said: str = ""

    def shape(self) -> dict[str, Any]:
        return {
            "webhook_id": self.id,
            "subscription": self.subscription.id,
            "event_type": self.event_type,
            "resource": self.resource,
            "url": self.subscription.url,
            "attempts": self.attempts,
            "state": self.state,
            "said": self.said,
            "due": stamp(self.due),
        }


Lane = tuple[str, str]


class Sender:
    """Lanes, one for each subscription and incident; only the head of a lane is ever under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._lanes: dict[Lane, deque[Webhook]] = {}
        self._busy: set[Lane] = set()
        self._past: deque[Webhook] = deque(maxlen=REMEMBERED)
        self._paused = False
        self._ended = False
        self._threads: list[threading.Thread] = []

    def enqueue(self, webhook: Webhook) -> None:
        with self._changed:
            if webhook.subscription.disabled(self._clock.now()):
                return
            self._lanes.setdefault((webhook.subscription.id, webhook.resource), deque()).append(webhook)
            self._past.append(webhook)
            self._grow()
            self._changed.notify()

    def pause(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def enable(self, subscription: Subscription) -> None:
        with self._changed:
            subscription.enable()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def state(self) -> dict[str, Any]:
        with self._changed:
            waiting = sum(len(lane) for lane in self._lanes.values())
            return {"paused": self._paused, "waiting": waiting, "webhooks": [one.shape() for one in self._past]}

    def _grow(self) -> None:
        if len(self._threads) < min(THREADS, len(self._lanes)):
            name = f"webhooks-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            lane, webhook = taken
            status, said = send(webhook, self._clock.now())
            self._settle(lane, webhook, status, said)

    def _take(self) -> tuple[Lane, Webhook] | None:
        with self._changed:
            while not self._ended:
                now = self._clock.now()
                for lane, webhooks in self._lanes.items():
                    if lane not in self._busy and webhooks and webhooks[0].due <= now and not self._paused:
                        self._busy.add(lane)
                        webhooks[0].attempts += 1
                        return lane, webhooks[0]
                self._changed.wait(self._pause())
            return None

    def _pause(self) -> float | None:
        """The clock may be moved at any time, so look again; more rarely where there is much to look at."""
        return min(1.0, LOOK_AGAIN * max(1.0, len(self._lanes) / 50)) if self._lanes else None

    def _settle(self, lane: Lane, webhook: Webhook, status: int | None, said: str) -> None:
        with self._changed:
            now = self._clock.now()
            self._busy.discard(lane)
            webhook.said = said
            if status is not None and 200 <= status < 300:
                webhook.state, webhook.subscription.drops_in_a_row = "delivered", 0
                self._done(lane, webhook)
            elif _temporary(status) and now - webhook.made_at < GIVE_UP_AFTER:
                webhook.state, webhook.due = "retrying", now + timedelta(seconds=pause_after(webhook.attempts))
            else:
                webhook.state = "dropped"
                self._done(lane, webhook)
                if webhook.subscription.dropped(now):
                    self._empty(webhook.subscription)
            self._changed.notify_all()

    def _done(self, lane: Lane, webhook: Webhook) -> None:
        webhooks = self._lanes.get(lane)
        if webhooks and webhooks[0] is webhook:
            webhooks.popleft()
        if not webhooks:
            self._lanes.pop(lane, None)

    def _empty(self, subscription: Subscription) -> None:
        for lane in [lane for lane in self._lanes if lane[0] == subscription.id]:
            for webhook in self._lanes.pop(lane):
                webhook.state = "lost with the queue"


def pause_after(attempts: int) -> float:
    """1, 2, 4, 8, 16 and then always 30 seconds. PagerDuty publishes no schedule."""
    return float(min(2 ** (attempts - 1), LONGEST_PAUSE)) if attempts < 10 else LONGEST_PAUSE


def signature(secrets: list[str], body: bytes) -> str:
    """Secrets are plain text, however much they look like base64."""
    return ",".join("v1=" + hmac.new(one.encode(), body, hashlib.sha256).hexdigest() for one in secrets)


def send(webhook: Webhook, now: datetime) -> tuple[int | None, str]:
    """One attempt: the status, or None where none came in time."""
    try:
        status = _post(webhook)
    except ssl.SSLCertVerificationError as bad:
        return 495, str(bad)
    except (OSError, http.client.HTTPException, ValueError) as bad:
        return None, f"{type(bad).__name__}: {bad}"
    return status, f"{status} at {stamp(now)}"


def _post(webhook: Webhook) -> int:
    url = urlsplit(webhook.subscription.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection = kind(url.hostname or "127.0.0.1", url.port, timeout=webhook.subscription.timeout)
    with contextlib.closing(connection):
        connection.request("POST", path, webhook.body, dict(_headers(webhook)))
        return connection.getresponse().status


def _headers(webhook: Webhook) -> list[tuple[str, str]]:
    subscription, url = webhook.subscription, urlsplit(webhook.subscription.url)
    headers = [
        ("Content-Type", "application/json"),
        ("X-Webhook-Id", webhook.id),
        ("User-Agent", "PagerDuty-Webhook/V2.0" if subscription.v2 else "PagerDuty-Webhook/V3.0"),
    ]
    if not subscription.v2:
        headers.append(("X-Webhook-Subscription", subscription.id))
        if subscription.secrets:
            headers.append(("X-PagerDuty-Signature", signature(subscription.secrets, webhook.body)))
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
        headers.append(("Authorization", "Basic " + base64.b64encode(pair).decode()))
    return headers + [(one["name"], one["value"]) for one in subscription.headers] + webhook.headers


def _temporary(status: int | None) -> bool:
    return status is None or status == 429 or status >= 500

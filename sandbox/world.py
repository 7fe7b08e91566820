"""The world: one clock, one lock, one log, one list of faults, and the vendors that live under them."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.fault_answers import fault_response
from sandbox.faults import Fault, Faults
from sandbox.http import Request, Response, json_response
from sandbox.kubernetes import Kubernetes
from sandbox.launchdarkly import LaunchDarkly
from sandbox.log import Log
from sandbox.pagerduty import PagerDuty

DEFAULT_WEBHOOK = "http://127.0.0.1:8080/webhooks/pagerduty"
TICK_SECONDS = 0.2


class Vendor(Protocol):
    """What every vendor offers. All four are called with the world's lock held and must not block."""

    def handle(self, request: Request) -> Response: ...
    def tick(self, now: datetime) -> None: ...
    def control(self, settings: dict[str, Any]) -> dict[str, Any]: ...
    def state(self) -> dict[str, Any]: ...


class World:
    """Everything that exists; tests tick it by hand, `start_ticking` does it five times a second."""

    def __init__(self, *, webhook_url: str = DEFAULT_WEBHOOK, seed: int | None = None) -> None:
        self.clock = Clock()
        self.lock = threading.RLock()
        self.log = Log()
        self.faults = Faults()
        self.rng = random.Random(seed)  # ids and hashes of a play, no secrets
        self.control = Control(self)
        self.pagerduty = PagerDuty(self, webhook_url)
        self.launchdarkly = LaunchDarkly(self)
        self.kubernetes = Kubernetes(self)
        self._ended = threading.Event()

    @property
    def vendors(self) -> Mapping[str, Vendor]:
        return {"kubernetes": self.kubernetes, "pagerduty": self.pagerduty, "launchdarkly": self.launchdarkly}

    def dispatch(self, request: Request) -> Response:
        vendor = self.vendors.get(request.full_path.split("/", 2)[1])
        if vendor is None:
            return json_response(404, {"error": f"nobody lives at {request.full_path}"})
        with self.lock:
            return vendor.handle(request)

    def fault_response(self, fault: Fault, full_path: str) -> Response:
        return fault_response(fault, full_path)

    def tick(self) -> None:
        with self.lock:
            now = self.clock.now()
            for vendor in self.vendors.values():
                vendor.tick(now)

    def start_ticking(self) -> None:
        threading.Thread(target=self._tick_on, name="ticker", daemon=True).start()

    def end(self) -> None:
        """Stop the ticker and the webhook sender, and let held requests go."""
        self._ended.set()
        self.pagerduty.sender.end()
        self.faults.release()

    def _tick_on(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self.tick()

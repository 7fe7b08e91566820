"""The Lease, and with it whether a controller acts at all: every start of one takes 15 to 20 s."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta

from sandbox.argo.names import Object
from sandbox.argo.writes import Write

NAMESPACE = "argo-rollouts"
NAME = "argo-rollouts-controller-lock"
RENEW_SECONDS = 2.0


class Leader:
    """up, down, or starting; `acts` says whether passes happen."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._pod = f"argo-rollouts-{rng.getrandbits(36):09x}-{rng.getrandbits(20):05x}"
        self._down = False
        self._starts_at: datetime | None = None
        self._fresh = True
        self._renewed: datetime | None = None

    @property
    def acts(self) -> bool:
        return not self._down and self._starts_at is None

    def go_down(self) -> None:
        self._down, self._starts_at = True, None

    def come_up(self, now: datetime) -> None:
        if self._down:
            self.fail_over(now)

    def fail_over(self, now: datetime) -> None:
        self._down = False
        self._starts_at = now + timedelta(seconds=self._rng.uniform(15.0, 20.0))

    def tick(self, now: datetime, lease: Object | None) -> Write | None:
        if self._down:
            return None
        if self._starts_at is not None:
            if now < self._starts_at:
                return None
            self._starts_at, self._fresh = None, True
        if lease is None or self._fresh:
            return self._take(now, lease)
        if self._renewed is None or (now - self._renewed).total_seconds() >= RENEW_SECONDS:
            self._renewed = now
            return Write("leases", NAMESPACE, NAME, "patch", {"spec": {"renewTime": micro(now)}})
        return None

    def _take(self, now: datetime, lease: Object | None) -> Write:
        self._fresh, self._renewed = False, now
        holder = f"{self._pod}_{uuid.UUID(int=self._rng.getrandbits(128), version=4)}"
        spec: Object = {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "acquireTime": micro(now),
            "renewTime": micro(now),
        }
        if lease is not None:
            spec["leaseTransitions"] = int((lease.get("spec") or {}).get("leaseTransitions") or 0) + 1
            return Write("leases", NAMESPACE, NAME, "patch", {"spec": spec})
        spec["leaseTransitions"] = 0
        made = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": spec,
        }
        return Write("leases", NAMESPACE, NAME, "create", made)


def micro(at: datetime) -> str:
    """Leases carry six decimals."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

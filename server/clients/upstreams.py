"""Which upstream did not answer when it was last asked, and since when: for the probe that people and Prometheus read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime


class Upstreams:
    """Fed by real traffic alone: nobody is asked just to know."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._away: dict[str, tuple[datetime, str]] = {}
        self._lock = threading.Lock()

    def answered(self, name: str) -> None:
        """It answered."""
        with self._lock:
            self._away.pop(name, None)

    def failed(self, name: str, said: str) -> None:
        """It did not; the first time counts."""
        with self._lock:
            since = self._away[name][0] if name in self._away else self._now()
            self._away[name] = (since, said)

    def warnings(self) -> list[str]:
        """One sentence for each that is away."""
        with self._lock:
            away = sorted(self._away.items())
        return [f"{name} does not answer since {since:%H:%M:%S}Z: {said}" for name, (since, said) in away]

"""One clock for the whole world, which tests and judges may move forward or speed up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """World time: the machine's time until somebody moves it. It never goes backwards."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._world = datetime.now(UTC)
        self._since = time.monotonic()
        self._speed = 1.0
        self.moved = False

    def now(self) -> datetime:
        with self._changed:
            return self._now()

    def advance(self, seconds: float) -> datetime:
        if seconds < 0:
            raise ValueError("advance: the clock only goes forward")
        with self._changed:
            self._world, self._since = self._now() + timedelta(seconds=seconds), time.monotonic()
            self.moved = True
            self._changed.notify_all()
            return self._world

    def speed(self, factor: float) -> None:
        if factor <= 0:
            raise ValueError("speed: more than 0 is wanted")
        with self._changed:
            self._world, self._since, self._speed = self._now(), time.monotonic(), float(factor)
            self.moved = True
            self._changed.notify_all()

    def wait(self, seconds: float, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Wait so many seconds of world time; a moved clock ends the wait early. Hold no lock while calling."""
        with self._changed:
            until = self._now() + timedelta(seconds=seconds)
            while not cancelled() and (left := (until - self._now()).total_seconds()) > 0:
                self._changed.wait(min(left / self._speed, 0.5))

    def for_headers(self) -> datetime:
        """What a Date header says: the machine's time, unless the world's was moved."""
        return self.now() if self.moved else datetime.now(UTC)

    def _now(self) -> datetime:
        return self._world + timedelta(seconds=(time.monotonic() - self._since) * self._speed)


def stamp(at: datetime) -> str:
    """`2026-11-24T03:12:34.123456Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def whole_seconds(at: datetime) -> str:
    """`2026-11-24T03:12:34Z`, as the vendors' objects write times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

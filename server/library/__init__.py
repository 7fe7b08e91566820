"""Reads runbooks/ from disk with line numbers and keeps the last good set."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from server.core.library import Library
from server.core.runbook import Known
from server.errors import Misconfigured
from server.library.load import load

__all__ = ["Shelf", "load"]

log = logging.getLogger("ripcord.library")


class Shelf:
    """The runbooks as they are on disk, looked at again at most once a second; the last good set stays when they are not."""

    def __init__(self, folder: Path, known: Known, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.known, self.monotonic = folder, known, monotonic
        self.problem: str | None = None
        self._library: Library | None = None
        self._print: tuple[tuple[str, int, int], ...] = ()
        self._looked = 0.0
        self._lock = threading.Lock()

    def current(self) -> Library:
        """The last good set. Raises Misconfigured only while there never was one."""
        with self._lock:
            if self._library is None or self.monotonic() - self._looked >= 1.0:
                self._look()
            if self._library is None:
                raise Misconfigured(self.problem or f"{self.folder}: no runbooks")
            return self._library

    def _look(self) -> None:
        self._looked = self.monotonic()
        now = self._fingerprint()
        if now == self._print and (self._library is not None or self.problem is not None):
            return
        try:
            self._library, self.problem = load(self.folder, self.known), None
        except Misconfigured as error:
            self.problem = error.said
            if self._library is not None:  # who starts with wrong ones says so and ends
                log.warning("the runbooks on disk are wrong, the last good set stays: %s", error.said)
        self._print = now

    def _fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        try:
            files = [(path.name, path.stat()) for path in sorted(self.folder.glob("*.yaml"))]
        except OSError:
            return ()
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in files)

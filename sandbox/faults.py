"""Faults on demand: what happens to a request before or after the vendor handles it, and the held requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

KINDS = (
    "status",
    "delay",
    "reset_before",
    "reset_after_apply",
    "hold_before",
    "hold_after_apply",
    "status_after_apply",
    "silent_watch",  # its headers at once, and then not a word
)
_KEYS = {"match", "do", "status", "seconds", "times", "body", "headers"}
HOLD_SECONDS = 60.0
_GLANCE = 0.1


@dataclass
class Fault:
    """One entry of the list; `left` counts down where `times` was given."""

    do: str
    method: str | None = None
    path: str = "*"
    status: int = 500
    seconds: float | None = None
    left: int | None = None
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def fits(self, method: str, path: str) -> bool:
        if self.left is not None and self.left <= 0:
            return False
        return self.method in (None, "*", method) and fnmatchcase(path, self.path)


class Faults:
    """The list, in the order it was given: the first match wins. Holds last in the machine's seconds."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._releases = 0
        self._held = 0

    def append(self, wanted: object) -> int:
        """All of the list or nothing of it; answers how many stand now."""
        listed = wanted if isinstance(wanted, list) else [wanted]
        faults = [_parse(item) for item in listed]
        with self._changed:
            self._faults.extend(faults)
            return len(self._faults)

    def clear(self) -> None:
        with self._changed:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        with self._changed:
            fault = next((one for one in self._faults if one.fits(method, path)), None)
            if fault is not None and fault.left is not None:
                fault.left -= 1
            return fault

    def hold(self, seconds: float | None) -> None:
        """Block until somebody releases, or the time is over."""
        until = time.monotonic() + (HOLD_SECONDS if seconds is None else seconds)
        with self._changed:
            mine, self._held = self._releases, self._held + 1
            try:
                while mine == self._releases and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
            finally:
                self._held -= 1

    def silence(self, seconds: float | None) -> Iterator[bytes]:
        """A stream of nothing, as long as a hold: it then ends as if nothing had been."""
        until = time.monotonic() + (HOLD_SECONDS if seconds is None else seconds)
        with self._changed:
            mine, self._held = self._releases, self._held + 1
        try:
            while mine == self._releases and (left := until - time.monotonic()) > 0:
                yield b""
                with self._changed:
                    self._changed.wait(min(left, _GLANCE))
        finally:
            with self._changed:
                self._held -= 1

    def release(self) -> int:
        """Let every held request go; answers how many were held."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()
            return self._held

    def state(self) -> dict[str, Any]:
        with self._changed:
            return {"held": self._held, "faults": [vars(one) | {} for one in self._faults]}


def _parse(item: object) -> Fault:
    if not isinstance(item, Mapping):
        raise TypeError(f"a fault is an object, not {item!r}")
    if unknown := set(item) - _KEYS:
        raise ValueError(f"unknown key in a fault: {', '.join(sorted(map(str, unknown)))}")
    match = item.get("match") or {}
    if not isinstance(match, Mapping) or set(match) - {"method", "path"}:
        raise ValueError('match takes {"method", "path"}')
    do = item.get("do")
    if do not in KINDS:
        raise ValueError(f"do is {do!r}, wanted one of {', '.join(KINDS)}")
    method = match.get("method")
    return Fault(
        do=str(do),
        method=str(method).upper() if method is not None else None,
        path=str(match.get("path") or "*"),
        status=int(item.get("status") or 500),
        seconds=float(item["seconds"]) if item.get("seconds") is not None else None,
        left=int(item["times"]) if item.get("times") is not None else None,
        body=str(item["body"]) if item.get("body") is not None else None,
        headers={str(key): str(value) for key, value in (item.get("headers") or {}).items()},
    )

"""Waiting for something to become true: polled, with a deadline, never slept for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float = 10.0, every: float = 0.02, what: str = "") -> T:
    """The first truthy answer of `look`. An AssertionError inside `look` means "not yet"."""
    deadline = time.monotonic() + within
    while True:
        problem: object
        try:
            if found := look():
                return found
            problem = found
        except AssertionError as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or look}; the last look gave {problem!r}")
        time.sleep(every)


def never(look: Callable[[], object], *, for_seconds: float, every: float = 0.02, what: str = "") -> None:
    """`look` stays falsy for that long: the only honest way to see that something does not happen."""
    deadline = time.monotonic() + for_seconds
    while time.monotonic() < deadline:
        if found := look():
            raise AssertionError(f"happened, and should not: {what or look}: {found!r}")
        time.sleep(every)

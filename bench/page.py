"""How figures are printed: one line each, in milliseconds."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence


def say(text: str = "") -> None:
    """One line, at once."""
    print(text, flush=True)


def cores() -> int:
    """Processors of this process."""
    return len(os.sched_getaffinity(0))


def p99(known: Sequence[float]) -> float:
    """Of fewer than 100 it is the greatest."""
    return sorted(known)[min(int(len(known) * 0.99), len(known) - 1)]


def line(what: str, seconds: Sequence[float | None]) -> None:
    """One line of percentiles."""
    known = [one for one in seconds if one is not None]
    if not known:
        say(f"{what:<39}nothing was seen")
        return
    missing = f", {len(seconds) - len(known)} not seen" if len(known) < len(seconds) else ""
    middle, late = 1000 * statistics.median(known), 1000 * p99(known)
    say(f"{what:<39}p50 {middle:.1f} ms, p99 {late:.1f} ms (n = {len(known)}{missing})")

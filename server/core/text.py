"""Foreign text made storable: what no database or JSON file takes is marked, what is too long is cut, the rest stays.

Marked, never dropped: two texts that differ must not become equal on their way to a comparison.
"""

from __future__ import annotations

import math
import re
from typing import Any

_DEEPEST, _MOST, _LONGEST, _KEY = 12, 200, 4000, 200
_MARK = "\ufffd"
_LONE = re.compile("[\ud800-\udfff]")


def clean(text: str, limit: int) -> str:
    """With U+FFFD in the place of NUL and lone surrogates, at most `limit` characters."""
    kept = text[:limit].replace("\x00", _MARK)
    return _LONE.sub(_MARK, kept)


def within_bounds(value: Any, deep: int = 0) -> bool:
    """Whether `tidy` keeps every key and every item: a detail that was cut away could be the one that says no."""
    if isinstance(value, dict):
        short = all(len(str(key)) <= _KEY for key in value)
        return (
            deep < _DEEPEST
            and len(value) <= _MOST
            and short
            and all(within_bounds(v, deep + 1) for v in value.values())
        )
    if isinstance(value, list):
        return deep < _DEEPEST and len(value) <= _MOST and all(within_bounds(one, deep + 1) for one in value)
    return True


def tidy(value: Any, deep: int = 0) -> Any:
    """A foreign JSON value, bounded in depth, number and length, with clean texts."""
    if isinstance(value, str):
        return clean(value, _LONGEST)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else clean(f"{value:x}", _LONGEST)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if deep >= _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {clean(str(key), _KEY): tidy(one, deep + 1) for key, one in list(value.items())[:_MOST]}
    if isinstance(value, list):
        return [tidy(one, deep + 1) for one in value[:_MOST]]
    return clean(str(value), _LONGEST)


def quoted(value: str, limit: int = 80) -> str:
    """A foreign text inside a sentence: in quotes, on one line, cut."""
    shown = "".join(char if char.isprintable() else " " for char in clean(value, limit + 1))
    return f"'{shown[:limit]}…'" if len(shown) > limit else f"'{shown}'"

"""Foreign text made storable: what no database or JSON file takes is dropped, what is too long is cut, the rest stays."""

from __future__ import annotations

import math
from typing import Any

_DEEPEST, _MOST, _LONGEST = 12, 200, 4000


def clean(text: str, limit: int) -> str:
    """Without NUL and lone surrogates, at most `limit` characters."""
    kept = text[: limit * 2].replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    return kept[:limit]


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
        return {clean(str(key), 200): tidy(one, deep + 1) for key, one in list(value.items())[:_MOST]}
    if isinstance(value, list):
        return [tidy(one, deep + 1) for one in value[:_MOST]]
    return clean(str(value), _LONGEST)


def quoted(value: str, limit: int = 80) -> str:
    """A foreign text inside a sentence: in quotes, on one line, cut."""
    shown = "".join(char if char.isprintable() else " " for char in clean(value, limit + 1))
    return f"'{shown[:limit]}…'" if len(shown) > limit else f"'{shown}'"

"""Durations as people write them: digits and ms, s, m, h or d."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

FROM_FILE = {"from": "file"}
"""The validation context of what people wrote: there a duration needs its unit. Our own JSON holds plain seconds."""

PATTERN = r"^[0-9]{1,9}(ms|s|m|h|d)$"
_EXPECTED = "expected digits and ms, s, m, h or d (for example 15m)"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 366 * 86400.0


def parse(text: str) -> float:
    """Seconds. Raises ValueError, whose text says what was expected."""
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", text)
    if found is None:
        raise ValueError(_EXPECTED)
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST:
        raise ValueError("expected at most 366d")
    return seconds


def _validate(value: Any, info: ValidationInfo) -> float:
    if isinstance(value, str):
        return parse(value)
    if info.context == FROM_FILE or isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_EXPECTED)
    return float(value)


_AS_TEXT = WithJsonSchema({"type": "string", "pattern": PATTERN})

Seconds = Annotated[float, BeforeValidator(_validate), _AS_TEXT]
"""A duration, in seconds once it is read."""

SomeSeconds = Annotated[float, Field(gt=0), BeforeValidator(_validate), _AS_TEXT]
"""A duration that may not be nothing."""

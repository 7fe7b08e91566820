"""Durations as people write them: digits and ms, s, m, h or d."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"(\d{1,9})(ms|s|m|h|d)")


def parse(text: object) -> float:
    """Seconds. '15m' is 900.0."""
    if isinstance(text, float) and not isinstance(text, bool):  # already parsed: a stored value comes back
        return text
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("expected a duration: digits and ms, s, m, h or d, for example 15m")
    return int(match[1]) * _SECONDS[match[2]]


Seconds = Annotated[float, BeforeValidator(parse)]
"""A duration in a YAML file; in code, seconds."""

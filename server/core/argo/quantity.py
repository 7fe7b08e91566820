"""Kubernetes quantities compared by value: '500m' is '0.5', '1Gi' is '1024Mi'."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?")
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {
    letter: Decimal(1000) ** power for letter, power in zip("numkMGTPE", (-3, -2, -1, 1, 2, 3, 4, 5, 6), strict=True)
}


def value(text: object) -> Decimal | None:
    """The number that a quantity stands for; None = not a quantity."""
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        return None
    found = _FORM.fullmatch(str(text).strip())
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    try:
        return Decimal(number + (exponent or "")) * (_BINARY | _DECIMAL).get(suffix or "", Decimal(1))
    except (InvalidOperation, OverflowError):
        return None


def same(one: object, other: object) -> bool:
    """Whether two quantities are the same amount."""
    first, second = value(one), value(other)
    return one == other if first is None or second is None else first == second

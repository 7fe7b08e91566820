"""Durations as Argo Rollouts writes them."""

from __future__ import annotations


def duration(value: object) -> float | None:
    """Seconds of `30`, `"30"`, `40s`, `5m`, `1h30m`, `500ms`; None = without end."""
    if value is None or value == "":
        return None
    text, total, number = str(value), 0.0, ""
    at = 0
    while at < len(text):
        if text[at].isdigit() or text[at] in ".-":
            number += text[at]
            at += 1
            continue
        unit = "ms" if text.startswith("ms", at) else text[at]
        total += float(number) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[unit]
        number, at = "", at + len(unit)
    return total + (float(number) if number else 0.0)

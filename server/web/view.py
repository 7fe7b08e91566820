"""From values to what a person reads: text without hidden characters, times in UTC, and the templates with escaping on."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from server.web import words

MOST = 200
"""How much of a text from a payload is shown in one place."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(value: object, most: int = MOST) -> str:
    """One line of text as it is: what hides or turns letters around is named by its number, and too much is cut."""
    line = " ".join(str(value).split())
    cut = line if len(line) <= most else line[: most - 1] + "…"
    return "".join(_shown(char) for char in cut)


def sentence(text: object, *names: str) -> str:
    """A remark as a sentence: with a capital at its beginning, unless that is a name, and a full stop."""
    shown = visible(text, 500)
    first = shown.partition(" ")[0].rstrip(":,;")
    head = shown[:1].upper() + shown[1:] if first.isalpha() and first.islower() and first not in names else shown
    return head if not head or head[-1] in ".!?…" else f"{head}."


def whole(text: str, most: int = 100_000) -> str:
    """Text of many lines, hidden characters named."""
    cut = text if len(text) <= most else f"{text[:most]}\n… {len(text) - most} more characters"
    return "".join(char if char in "\n\t" else _shown(char) for char in cut.replace("\r\n", "\n"))


def _shown(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in _HIDDEN else char


def pretty(raw: bytes) -> str:
    """A body for people: indented where it is JSON that reads the same both ways, else exactly as it came."""
    text = raw.decode("utf-8", "replace")
    try:
        return whole(
            json.dumps(json.loads(text, object_pairs_hook=_no_twins), indent=2, ensure_ascii=False, allow_nan=False)
        )
    except (ValueError, RecursionError):
        return whole(text)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != len({key for key, _ in pairs}):
        raise ValueError("a key stands twice: one of them would be hidden")
    return dict(pairs)


def iso(at: datetime) -> str:
    """For machines."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def clock(at: datetime) -> str:
    """03:07:14"""
    return at.astimezone(UTC).strftime("%H:%M:%S")


def fine(at: datetime) -> str:
    """03:07:14.302, for timelines."""
    return at.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def day(at: datetime) -> str:
    """24 Nov"""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b}"


def date(at: datetime) -> str:
    """24 November 2026"""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y}"


def seconds(value: float) -> str:
    """0.22 s, 9 s, 3 min: as exact as is of use."""
    if abs(value) < 9.95:
        return f"{value:.2f}\u00a0s"
    if abs(value) < 119.5:
        return f"{value:.0f}\u00a0s"
    if abs(value) < 7200:
        return f"{value / 60:.0f}\u00a0min"
    return f"{value / 3600:.1f}\u00a0h"


def offset(at: datetime, start: datetime) -> str:
    """+4.90 s since the delivery; a source with another clock may lie before it."""
    span = (at - start).total_seconds()
    return f"{'+' if span >= 0 else '−'}{seconds(abs(span))}"


def number(value: int) -> str:
    """48 211, with narrow spaces that do not break."""
    return f"{value:,}".replace(",", "\u202f")


def web_link(url: str) -> str | None:
    """A link that PagerDuty's API gave, if it is one that may be followed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc else None


def segment(text: str) -> str:
    """A value as one part of a path, or of a query."""
    return quote(text, safe="")


def environment() -> Environment:
    """The templates: every value is escaped, and a name that is not there is an error instead of nothing."""
    made = Environment(
        loader=PackageLoader("server.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (visible, sentence, whole, iso, clock, fine, day, date, seconds, number, segment, web_link):
        made.filters[filter_.__name__] = filter_
    made.globals.update(event=words.event, state=words.state, kind=words.kind, auth=words.auth, offset=offset)
    return made

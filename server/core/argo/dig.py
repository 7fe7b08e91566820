"""Taking values out of raw objects. Total: what is absent or of another kind is an empty value, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


def part(value: Any, *keys: str) -> Json:
    """The mapping at a path, or an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return dict(value) if isinstance(value, Mapping) else {}


def text(value: Any) -> str:
    """A text, or ''."""
    return value if isinstance(value, str) else ""


def number(value: Any, absent: int = 0) -> int:
    """A whole number, or what absent means."""
    return value if isinstance(value, int) and not isinstance(value, bool) else absent


def maybe(value: Any) -> int | None:
    """A whole number, 0 where it is something else, None where it is absent."""
    return None if value is None else number(value)


def time(value: Any) -> datetime | None:
    """An RFC 3339 time, or None."""
    try:
        parsed = datetime.fromisoformat(text(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def items(value: Any) -> list[Json]:
    """The mappings of a list."""
    return [dict(one) for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def owned(one: Json, uid: str) -> bool:
    """Whether an object belongs to the one with that uid."""
    return any(owner.get("uid") == uid and uid for owner in items(part(one, "metadata").get("ownerReferences")))

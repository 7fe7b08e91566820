"""LaunchDarkly's answers, read as foreign data: what is missing or of another kind is a sentence, never an exception."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from server.core.flag.state import Change, FlagState
from server.core.text import clean, quoted

Raw = dict[str, Any]


class NotAFlag(ValueError):
    """An answer without the shape of a flag; its text says what is wrong."""


def flag(bare: FlagState, raw: Raw) -> FlagState:
    """The state with what stands in the answer."""
    environments = raw.get("environments")
    here = environments.get(bare.environment) if isinstance(environments, dict) else None
    if not isinstance(here, dict):
        return bare.model_copy(update={"problem": f"project {bare.project} has no environment {bare.environment}"})
    try:
        return bare.model_copy(update=_seen(raw, here))
    except NotAFlag as error:
        return bare.model_copy(update={"problem": f"LaunchDarkly's answer is not the shape of a flag: {error}"})


def _seen(raw: Raw, here: Raw) -> Raw:
    off = _index(here.get("offVariation"))
    return {
        "on": _truth(here, "on"),
        "version": _whole(here, "version"),
        "flag_version": _whole(raw, "_version"),
        "modified": moment(here.get("lastModified")),
        "archived": raw.get("archived") is True or here.get("archived") is True,
        "off_variation": off,
        "off_served": "" if off is None else served(raw.get("variations"), off),
        "fallthrough": json.dumps(here.get("fallthrough"), sort_keys=True)[:200],
        "rollout": _rollout(here),
        "targets": _count(here.get("targets")) + _count(here.get("contextTargets")),
        "rules": _count(here.get("rules")),
        "prerequisites": _keys(here.get("prerequisites")),
        "site": _site(here),
    }


def served(variations: Any, index: int) -> str:
    """\"'old' (false)\": the variation's name and value; a variation without a name is its value."""
    found = variations[index] if isinstance(variations, list) and index < len(variations) else None
    if not isinstance(found, dict):
        return f"variation {index}"
    value = clean(json.dumps(found.get("value"), ensure_ascii=False), 41)
    shown = value if len(value) <= 40 else f"{value[:40]}…"
    name = found.get("name")
    return f"{quoted(name, 60)} ({shown})" if isinstance(name, str) and name else shown


def changes(raw: Raw) -> tuple[Change, ...]:
    """The scheduled changes, soonest first."""
    items = raw.get("items")
    found = [
        Change(at=moment(one.get("executionDate")), kinds=_kinds(one.get("instructions")))
        for one in (items if isinstance(items, list) else [])
        if isinstance(one, dict)
    ]
    return tuple(sorted(found, key=lambda one: one.at or datetime.max.replace(tzinfo=UTC)))


def dependents(raw: Raw) -> tuple[str, ...]:
    """The keys of the flags that depend on it."""
    return _keys(raw.get("items"))


def moment(value: Any) -> datetime | None:
    """Milliseconds since 1970, as LaunchDarkly writes times."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**14:
        return None
    return datetime.fromtimestamp(value / 1000, UTC)


def _truth(raw: Raw, key: str) -> bool:
    value = raw.get(key)
    if not isinstance(value, bool):
        raise NotAFlag(f"{key} is {type(value).__name__}")
    return value


def _whole(raw: Raw, key: str) -> int:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise NotAFlag(f"{key} is {type(value).__name__}, wanted a number that counts")
    return value


def _index(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotAFlag(f"offVariation is {type(value).__name__}")
    return value


def _rollout(here: Raw) -> str:
    """An automated (guarded, progressive) rollout or an experiment on the default rule says so here."""
    rollout = _dict(_dict(here.get("fallthrough")).get("rollout"))
    allocation = _dict(rollout.get("experimentAllocation"))
    return clean(str(allocation.get("type") or "experiment"), 60) if allocation else ""


def _dict(value: Any) -> Raw:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _keys(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(clean(str(one["key"]), 100) for one in listed if isinstance(one, dict) and "key" in one)


def _kinds(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(clean(str(one.get("kind")), 100) for one in listed if isinstance(one, dict))


def _site(here: Raw) -> str:
    return clean(str(_dict(here.get("_site")).get("href") or ""), 300)

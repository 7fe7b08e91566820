"""What all triggers share: headers by name, JSON from strangers, ids that are kept whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from server.core.text import clean
from server.errors import Rejected

Json = dict[str, Any]
_DEEPEST = 64


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header, whatever the case of its name."""
    found = headers.get(name)
    if found is not None:
        return found
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def sha256(raw: bytes) -> str:
    """Hex."""
    return hashlib.sha256(raw).hexdigest()


def read_object(raw: bytes) -> Json:
    """The body as a JSON object. Raises Rejected, and nothing else."""
    try:
        value = json.loads(raw, parse_constant=_refuse, parse_int=_whole)
    except RecursionError as error:
        raise Rejected("the body is nested too deep: this message was not taken", 400) from error
    except ValueError as error:
        raise Rejected("the body is not JSON: this message was not taken", 400) from error
    if not isinstance(value, dict):
        raise Rejected("the body is not a JSON object: this message was not taken", 400)
    if not _shallow(value):
        raise Rejected("the body is nested too deep: this message was not taken", 400)
    return value


def within(value: object, *path: str | int) -> Any:
    """What lies there, or None: a stranger's JSON is never indexed blindly."""
    for key in path:
        if isinstance(key, str) and isinstance(value, dict):
            value = value.get(key)
        elif isinstance(key, int) and isinstance(value, list) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def whole(value: object, limit: int) -> str | None:
    """An id or a type: kept whole or not at all, because a cut one would name something else."""
    if not isinstance(value, str) or not value or clean(value, limit) != value:
        return None
    return value


def _refuse(name: str) -> None:
    raise ValueError(name)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 40 else digits


def _shallow(value: object) -> bool:
    """At most 64 levels. Counted, not tried: the door and the executing process must agree, however deep their own stacks are."""
    level: list[object] = [value]
    for _ in range(_DEEPEST):
        deeper: list[object] = []
        for one in level:
            inside = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            deeper.extend(child for child in inside if isinstance(child, dict | list))
        if not deeper:
            return True
        level = deeper
    return False

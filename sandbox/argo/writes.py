"""What a room of the controller answers: writes in their order. Patches are JSON merge patches, so they stay data."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.argo.names import Object


@dataclass(frozen=True)
class Write:
    kind: str
    namespace: str
    name: str
    action: Literal["create", "patch", "delete"]
    body: Object = field(default_factory=dict)
    subresource: str = ""


def merge(target: Object, patch: Object) -> None:
    """Apply a JSON merge patch in place (RFC 7386)."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            inner = target.get(key)
            if not isinstance(inner, dict):
                inner = target[key] = {}
            merge(inner, value)
        else:
            target[key] = deepcopy(value)


def difference(old: Object, new: Object) -> Object:
    """The merge patch that turns `old` into `new`."""
    patch: Object = {key: None for key in old if key not in new}
    for key, value in new.items():
        before: Any = old.get(key)
        if value == before and type(value) is type(before):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[key] = difference(before, value)
        else:
            patch[key] = deepcopy(value)
    return patch

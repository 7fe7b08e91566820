"""The patch languages: merge (RFC 7386) and strategic merge here, JSON patch in a file of its own."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from sandbox.kubernetes.json_patch import json_patch

__all__ = ["json_patch", "merge", "strategic_merge"]

Object = dict[str, Any]

# Lists that a strategic merge joins by a key; every other list is replaced.
_MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "conditions": "type",
    "ownerReferences": "uid",
}


def merge(target: Any, patch: Any) -> Any:
    """A new value; null deletes, lists are replaced."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def strategic_merge(target: Any, patch: Any, key: str = "") -> Any:
    """Like `merge`, but named lists are joined by their key, and `$patch: delete` takes one out."""
    if isinstance(patch, list):
        return _joined(target, patch, key)
    if not isinstance(patch, dict):
        return deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {name: deepcopy(value) for name, value in patch.items() if name != "$patch"}
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif not name.startswith("$"):
            merged[name] = strategic_merge(merged.get(name), value, name)
    return merged


def _joined(target: Any, patch: list[Any], key: str) -> list[Any]:
    merge_key = _MERGE_KEYS.get(key)
    if merge_key is None or not isinstance(target, list) or not all(isinstance(one, dict) for one in patch):
        return deepcopy(patch)
    joined = list(target)
    for wanted in patch:
        at = next((i for i, one in enumerate(joined) if one.get(merge_key) == wanted.get(merge_key)), None)
        if wanted.get("$patch") == "delete":
            joined = [one for i, one in enumerate(joined) if i != at]
        elif at is None:
            joined.append(deepcopy(wanted))
        else:
            joined[at] = strategic_merge(joined[at], wanted)
    return joined

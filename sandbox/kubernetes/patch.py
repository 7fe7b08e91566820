"""The patch languages: merge (RFC 7386), JSON patch (RFC 6902, with the server's two exceptions), strategic merge."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

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


class Rejected(Exception):
    """A `test` that fails, a path that is not there, an operation that does not exist."""


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


def json_patch(document: Object, operations: list[Object]) -> Object:
    """All of the operations or none: a new document, or `Rejected`."""
    root: Object = {"": deepcopy(document)}
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise Rejected("an operation has a path")
        apply = _OPERATIONS.get(str(operation.get("op")))
        if apply is None:
            raise Rejected(f"no operation {operation.get('op')!r}")
        apply(root, operation)
    patched: Object = root[""]
    return patched


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


def _tokens(path: str) -> list[str]:
    """The document hangs below an empty name, so that the path "" is a place like every other."""
    if path and not path.startswith("/"):
        raise Rejected(f"a path starts with /: {path}")
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")]


def _parent(root: Object, path: str) -> tuple[Any, str]:
    tokens = _tokens(path)
    place: Any = root
    for token in tokens[:-1]:
        place = _member(place, token)
    if not isinstance(place, dict | list):
        raise Rejected(f"nothing can lie at {path}")
    return place, tokens[-1]


def _member(place: Any, token: str) -> Any:
    if isinstance(place, dict) and token in place:
        return place[token]
    if isinstance(place, list):
        return place[_index(place, token, len(place) - 1)]
    raise Rejected(f"nothing at {token}")


def _index(place: list[Any], token: str, last: int) -> int:
    if not token.isdigit() or int(token) > last:
        raise Rejected(f"no index {token}")
    return int(token)


def _value(operation: Object) -> Any:
    if "value" not in operation:
        raise Rejected("an operation that needs a value has none")
    return deepcopy(operation["value"])


def _insert(root: Object, path: str, value: Any) -> None:
    place, token = _parent(root, path)
    if isinstance(place, dict):
        place[token] = value
    else:
        place.insert(len(place) if token == "-" else _index(place, token, len(place)), value)


def _take(root: Object, path: str) -> Any:
    place, token = _parent(root, path)
    value = _member(place, token)
    if isinstance(place, dict):
        del place[token]
    else:
        del place[_index(place, token, len(place) - 1)]
    return value


def _add(root: Object, operation: Object) -> None:
    _insert(root, operation["path"], _value(operation))


def _remove(root: Object, operation: Object) -> None:
    _take(root, operation["path"])


def _replace(root: Object, operation: Object) -> None:
    """Of an absent member: adds it (recorded; RFC 6902 would refuse). Below an absent parent: rejected."""
    place, token = _parent(root, operation["path"])
    if isinstance(place, dict):
        place[token] = _value(operation)
    else:
        place[_index(place, token, len(place) - 1)] = _value(operation)


def _test(root: Object, operation: Object) -> None:
    """null equals an absent member (recorded; RFC 6902 would refuse)."""
    place, token = _parent(root, operation["path"])
    found = place.get(token) if isinstance(place, dict) else _member(place, token)
    wanted = operation.get("value")
    if found != wanted or json.dumps(found, sort_keys=True) != json.dumps(wanted, sort_keys=True):
        raise Rejected(f"test failed at {operation['path']}")


def _move(root: Object, operation: Object) -> None:
    _insert(root, operation["path"], _take(root, _from(operation)))


def _copy(root: Object, operation: Object) -> None:
    place, token = _parent(root, _from(operation))
    _insert(root, operation["path"], deepcopy(_member(place, token)))


def _from(operation: Object) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        raise Rejected("move and copy need from")
    return source


_OPERATIONS: Final[dict[str, Callable[[Object, Object], None]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "test": _test,
    "move": _move,
    "copy": _copy,
}

"""JSON patch (RFC 6902) as the real server's library plays it, where it leaves the RFC too.

A path's first segment is ignored, null equals an absent member, `replace` adds, a value that was left out is null, an index may
count from the end, and texts are equal where their bytes in the body are what the server itself would write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

from sandbox.kubernetes.decode import Verbatim

Object = dict[str, Any]

_INDEX: Final = re.compile(r"[+-]?[0-9]+")
# What Go's encoder never writes as it is; all else of Unicode stands in its JSON unescaped.
_ESCAPED: Final = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


class Rejected(Exception):
    """A `test` that fails, a path that is not there, an operation that does not exist."""


class Panicked(Exception):
    """Where the real library trips over a value that was left out: the connection ends without an answer."""


def json_patch(document: Object, operations: list[Object | None]) -> Any:
    """All of the operations or none: a new document (an object, or what replaced all of it), or `Rejected`."""
    root: Object = {"": deepcopy(document)}
    for operation in operations:
        wanted = operation or {}
        apply = _OPERATIONS.get(str(wanted.get("op")))
        if apply is None or not isinstance(wanted.get("path"), str):
            raise Rejected("an operation and a path are wanted")
        apply(root, wanted)
    return _stored(root[""])


def _stored(value: Any) -> Any:
    """Members that are null go; texts are only texts again."""
    if isinstance(value, dict):
        return {key: _stored(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_stored(inner) for inner in value]
    return str(value) if isinstance(value, Verbatim) else value


def _parent(root: Object, path: str) -> tuple[Any, str]:
    """The place that holds it, and its name there; the path is never looked at before its first slash."""
    _, *tokens = [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")]
    if not tokens:
        raise Rejected("the whole document lies in nothing")
    place: Any = root[""]
    for token in tokens[:-1]:
        place = _member(place, token)
    if not isinstance(place, dict | list):
        raise Rejected(f"nothing can lie at {path}")
    return place, tokens[-1]


def _member(place: Any, token: str) -> Any:
    if isinstance(place, dict):
        return place.get(token)
    if isinstance(place, list):
        return place[_index(token, len(place))]
    raise Rejected(f"nothing at {token}")


def _index(token: str, length: int) -> int:
    """One of so many places; -1 is the last."""
    if not _INDEX.fullmatch(token) or not -length <= int(token) < length:
        raise Rejected(f"no index {token}")
    return int(token) % length


def _insert(root: Object, path: str, value: Any) -> None:
    place, token = _parent(root, path)
    if isinstance(place, dict):
        place[token] = value
    else:
        place.insert(len(place) if token == "-" else _index(token, len(place) + 1), value)


def _add(root: Object, operation: Object) -> None:
    _insert(root, operation["path"], deepcopy(operation.get("value")))


def _take(root: Object, path: str) -> Any:
    place, token = _parent(root, path)
    if isinstance(place, dict):
        if token not in place:
            raise Rejected(f"nothing at {path}")
        return place.pop(token)
    return place.pop(_index(token, len(place)))


def _remove(root: Object, operation: Object) -> None:
    _take(root, operation["path"])


def _replace(root: Object, operation: Object) -> None:
    """Of an absent member: adds it. Below an absent parent: rejected. At "": all of it is another document."""
    if operation["path"] == "":
        if "value" not in operation:
            raise Panicked
        root[""] = deepcopy(operation["value"])
        return
    place, token = _parent(root, operation["path"])
    where = token if isinstance(place, dict) else _index(token, len(place))
    place[where] = deepcopy(operation.get("value"))


def _test(root: Object, operation: Object) -> None:
    place, token = _parent(root, operation["path"])
    found = _member(place, token)
    absent = isinstance(place, dict) and token not in place
    if "value" not in operation:
        raise Panicked if absent else Rejected("there is something, and nothing is compared with it")
    if not _equal(found, operation["value"]):
        raise Rejected(f"test failed at {operation['path']}")


def _equal(found: Any, wanted: Any) -> bool:
    """Member by member; what is no object and no list is compared as it is written."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_equal(found[key], wanted[key]) for key in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_equal, found, wanted))
    return _written(found) == _written(wanted)


def _written(value: Any) -> str:
    if isinstance(value, Verbatim):
        return value.written
    return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)


def _move(root: Object, operation: Object) -> None:
    value = _take(root, _from(operation))
    _insert(root, operation["path"], value)


def _copy(root: Object, operation: Object) -> None:
    """Of an absent member: null."""
    place, token = _parent(root, _from(operation))
    _insert(root, operation["path"], _written_anew(_member(place, token)))


def _written_anew(value: Any) -> Any:
    """A copy goes through the encoder, which escapes in texts of the body what it never writes as it is."""
    if isinstance(value, dict):
        return {key: _written_anew(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_written_anew(inner) for inner in value]
    if not isinstance(value, Verbatim):
        return value
    anew = Verbatim(value)
    anew.written = value.written.translate(_ESCAPED)
    return anew


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

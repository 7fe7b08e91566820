"""Bodies: JSON with its duplicate keys named, the complaints in the words of Go's decoder, YAML for apply."""

from __future__ import annotations

import io
import json
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_LITERALS = ("true", "false", "null")


class Undecodable(ValueError):
    """The body is no JSON; the text is what Go's decoder would say."""


class _Duplicated(dict[str, Any]):
    """An object of a body that named a key twice; the last one wins."""

    twice: tuple[str, ...] = ()


def decode(body: bytes) -> tuple[Any, list[str]]:
    """The value, and a complaint for each key that an object of it has twice."""
    text = body.decode("utf-8", "replace")  # as Go reads it
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_constant)
    except json.JSONDecodeError as bad:
        raise Undecodable(_as_go_says(text, bad)) from None
    except RecursionError:
        raise Undecodable("exceeded max depth") from None
    return value, [f'duplicate field "{path}"' for path in _duplicates(value, "")]


class Verbatim(str):
    """A text that knows how it was written in the body, quotes and escapes and all."""

    written = ""


class _VerbatimDecoder(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.parse_string = _verbatim
        self.scan_once = py_make_scanner(self)


def decode_verbatim(body: bytes) -> Any:
    """A body that `decode` has taken, its texts (not its keys) as `Verbatim`."""
    return _VerbatimDecoder().decode(body.decode("utf-8", "replace"))


def _verbatim(text: str, begin: int, strict: bool = True) -> tuple[Verbatim, int]:
    value, end = scanstring(text, begin, strict)
    made = Verbatim(value)
    made.written = text[begin - 1 : end]
    return made, end


def decode_yaml(body: bytes) -> tuple[Any, list[str]]:
    """JSON first, since every client sends that; YAML where it is none."""
    try:
        return decode(body)
    except Undecodable:
        pass
    try:
        return YAML(typ="safe", pure=True).load(io.BytesIO(body)), []
    except YAMLError as bad:
        raise Undecodable(f"error converting YAML to JSON: {bad}") from None


def go_type(value: object) -> str:
    """What Go's JSON calls a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    marked = _Duplicated(made)
    marked.twice = tuple(name for name in made if names.count(name) > 1)
    return marked


def _duplicates(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        found = [f"{path}{name}" for name in (value.twice if isinstance(value, _Duplicated) else ())]
        return found + [one for name, inner in value.items() for one in _duplicates(inner, f"{path}{name}.")]
    if isinstance(value, list):
        return [one for index, inner in enumerate(value) for one in _duplicates(inner, f"{path[:-1]}[{index}].")]
    return []


def _no_constant(name: str) -> Any:
    raise json.JSONDecodeError("Expecting value", name, 0)


def _as_go_says(text: str, bad: json.JSONDecodeError) -> str:
    rest = text[bad.pos :].lstrip()
    if not rest or bad.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    for literal in _LITERALS:
        if rest[0] == literal[0]:
            return _broken_literal(literal, rest)
    if bad.msg == "Extra data":
        return f"invalid character {_quoted(rest[0])} after top-level value"
    if "delimiter" in bad.msg:
        return f"invalid character {_quoted(rest[0])} after object key:value pair"
    if "property name" in bad.msg:
        return f"invalid character {_quoted(rest[0])} looking for beginning of object key string"
    return f"invalid character {_quoted(rest[0])} looking for beginning of value"


def _broken_literal(literal: str, rest: str) -> str:
    at = next((index for index, wanted in enumerate(literal) if rest[index : index + 1] != wanted), len(literal) - 1)
    if at >= len(rest):
        return "unexpected end of JSON input"
    return f"invalid character {_quoted(rest[at])} in literal {literal} (expecting {_quoted(literal[at])})"


def _quoted(character: str) -> str:
    return {"'": "'\\''", '"': "'\"'"}.get(character, f"'{character}'")

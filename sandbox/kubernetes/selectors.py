"""labelSelector and fieldSelector: texts of a query turned into a predicate over objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sandbox.kubernetes.errors import bad_request
from sandbox.kubernetes.kinds import Resource

Object = dict[str, Any]
Predicate = Callable[[Object], bool]

_TOKEN: Final = re.compile(r"\s*(==|!=|=|!|\(|\)|,|[A-Za-z0-9][A-Za-z0-9_./-]*|\S)")
_WORD: Final = re.compile(r"[A-Za-z0-9]")

# What each kind can be selected by, beyond name and namespace.
_FIELDS: Final = {
    "pods": ("spec.nodeName", "status.phase", "status.podIP", "spec.restartPolicy"),
    "events": (
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    ),
    "replicasets": ("status.replicas",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
}


def labels(text: str) -> Predicate:
    """`a=b,c in (d,e),!f`. Broken: 400."""
    tokens = _Tokens(text)
    requirements: list[Callable[[dict[str, str]], bool]] = []
    while tokens.left:
        requirements.append(_requirement(tokens))
        if tokens.left:
            tokens.expect(",", "',' or 'end of string'")
    return lambda obj: all(holds((obj.get("metadata") or {}).get("labels") or {}) for holds in requirements)


def fields(resource: Resource, text: str) -> Predicate:
    """`metadata.name=a,metadata.namespace!=b`. A field that the kind cannot be selected by: 400."""
    terms = [_term(resource, term) for term in text.split(",") if term]
    return lambda obj: all(term(obj) for term in terms)


def only_name(text: str) -> str:
    """The one name that a fieldSelector asks for: access by resourceNames looks at it."""
    found = re.fullmatch(r"metadata\.name==?([^,=!]+)", text)
    return found.group(1) if found else ""


class _Tokens:
    def __init__(self, text: str) -> None:
        self.left = [token for token in _TOKEN.findall(text.strip()) if token]

    def next(self) -> str:
        return self.left.pop(0) if self.left else ""

    def peek(self) -> str:
        return self.left[0] if self.left else ""

    def word(self) -> str:
        token = self.next()
        if not _WORD.match(token):
            raise _unparsable(token, "identifier")
        return token

    def expect(self, wanted: str, named: str) -> None:
        token = self.next()
        if token != wanted:
            raise _unparsable(token, named)


def _requirement(tokens: _Tokens) -> Callable[[dict[str, str]], bool]:
    if tokens.peek() == "!":
        tokens.next()
        absent = tokens.word()
        return lambda have: absent not in have
    key = tokens.word()
    match tokens.peek():
        case "" | ",":
            return lambda have: key in have
        case "=" | "==":
            wanted = _value_after(tokens)
            return lambda have: have.get(key) == wanted
        case "!=":
            unwanted = _value_after(tokens)
            return lambda have: have.get(key) != unwanted
        case "in":
            one_of = _set_after(tokens)
            return lambda have: have.get(key) in one_of
        case "notin":
            none_of = _set_after(tokens)
            return lambda have: have.get(key) not in none_of
    raise _unparsable(tokens.peek(), "in, notin, =, ==, !=, gt, lt")


def _value_after(tokens: _Tokens) -> str:
    tokens.next()
    return "" if tokens.peek() in ("", ",") else tokens.word()


def _set_after(tokens: _Tokens) -> set[str]:
    tokens.next()
    tokens.expect("(", "'('")
    values = {tokens.word()}
    while tokens.peek() == ",":
        tokens.next()
        values.add(tokens.word())
    tokens.expect(")", "',' or ')'")
    return values


def _unparsable(token: str, expected: str) -> Exception:
    return bad_request(f"unable to parse requirement: found '{token}', expected: {expected}")


def _term(resource: Resource, term: str) -> Predicate:
    found = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", term)
    if found is None:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    path, operator, wanted = found.groups()
    if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(resource.plural, ())):
        raise bad_request(f"field label not supported: {path}")
    return lambda obj: (_at(obj, path) == wanted) is (operator != "!=")


def _at(obj: Any, path: str) -> str:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)

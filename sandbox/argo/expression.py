"""Success and failure conditions of metrics: the part of the expression language that AnalysisTemplates use.

`result[0] < 0.05`, `len(result) > 0 && result[0] < 0.05`, `result.status == "ok"`, `!isNaN(result[0]) || default(result, 1) > 0`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|([A-Za-z_]\w*)|(&&|\|\||[<>=!]=|[-+*/%<>!()\[\].,?:]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


class CannotTell(Exception):
    """The condition could not be evaluated; the text is what a measurement's message says."""


def holds(condition: str, result: Any) -> bool:
    try:
        value = _Reader(condition, result).whole()
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as problem:
        raise CannotTell(f"invalid operation: {problem}") from problem
    if not isinstance(value, bool):
        raise CannotTell(f"expected bool, but got {type(value).__name__}")
    return value


class _Reader:
    """Recursive descent; both sides of && and || are read, only the needed one is evaluated."""

    def __init__(self, text: str, result: Any) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._result = result
        self._dead = 0  # inside an operand that the other one has already decided

    def whole(self) -> Any:
        value = self._or()
        if self._peek():
            raise CannotTell(f"unexpected token {self._peek()}")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        token = self._peek()
        if token and token in wanted:
            self._at += 1
            return token
        return ""

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise CannotTell(f"expected {token}, found {self._peek() or 'end'}")

    def _or(self) -> Any:
        return self._chain(self._and, ("||", "or"), decided=True)

    def _and(self) -> Any:
        return self._chain(self._not, ("&&", "and"), decided=False)

    def _chain(self, inner: Callable[[], Any], words: tuple[str, ...], *, decided: bool) -> Any:
        value = inner()
        while self._take(*words):
            known = value is decided
            self._dead += known
            other = inner()
            self._dead -= known
            value = value if known else other
        return value

    def _not(self) -> Any:
        if self._take("!", "not"):
            value = self._not()
            return value if self._dead else not value
        return self._comparison()

    def _comparison(self) -> Any:
        value = self._sum()
        while token := self._take("==", "!=", "<", "<=", ">", ">=", "in"):
            other = self._sum()
            if not self._dead:
                value = value in other if token == "in" else _COMPARE[token](value, other)
        return value

    def _sum(self) -> Any:
        value = self._product()
        while token := self._take("+", "-"):
            other = self._product()
            if not self._dead:
                value = value + other if token == "+" else value - other
        return value

    def _product(self) -> Any:
        value = self._unary()
        while token := self._take("*", "/", "%"):
            other = self._unary()
            if not self._dead:
                value = value * other if token == "*" else value / other if token == "/" else value % other
        return value

    def _unary(self) -> Any:
        if self._take("-"):
            value = self._unary()
            return value if self._dead else -value
        return self._member()

    def _member(self) -> Any:
        value = self._atom()
        while token := self._take("[", "."):
            if token == "[":
                index = self._or()
                self._need("]")
            else:
                index = self._peek()
                self._at += 1
            value = None if self._dead else _item(value, index)
        return value

    def _atom(self) -> Any:
        if self._take("("):
            value = self._or()
            self._need(")")
            return value
        token = self._peek()
        self._at += 1
        if not token:
            raise CannotTell("unexpected end")
        if token[0].isdigit():
            return float(token) if "." in token or "e" in token.lower() else int(token)
        if token[0] in "\"'":
            return token[1:-1].replace("\\" + token[0], token[0])
        return self._word(token)

    def _word(self, token: str) -> Any:
        known: dict[str, Any] = {"true": True, "false": False, "nil": None, "null": None, "result": self._result}
        if token in known:
            return known[token]
        if not self._take("("):
            raise CannotTell(f"unknown name {token}")
        args: list[Any] = []
        while not self._take(")"):
            args.append(self._or())
            self._take(",")
        return None if self._dead else _call(token, args)


def _tokens(text: str) -> list[str]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CannotTell(f"unexpected character {text[at]!r}")
        found.append(match.group().strip())
        at = match.end()
    return found


def _item(value: Any, index: Any) -> Any:
    if isinstance(value, list):
        if not isinstance(index, int) or not -len(value) <= index < len(value):
            raise CannotTell("reflect: slice index out of range")
        return value[index]
    if isinstance(value, dict):
        return value.get(index)
    raise CannotTell(f"cannot fetch {index} from {type(value).__name__}")


def _call(name: str, args: list[Any]) -> Any:
    functions: dict[str, Callable[..., Any]] = {
        "len": len,
        "isNaN": lambda value: isinstance(value, float) and math.isnan(value),
        "isInf": lambda value: isinstance(value, float) and math.isinf(value),
        "isNil": lambda value: value is None,
        "default": lambda value, other: other if value is None else value,
        "asInt": int,
        "asFloat": float,
        "float": float,
        "int": int,
        "string": str,
    }
    if name not in functions:
        raise CannotTell(f"unknown function {name}")
    return functions[name](*args)

"""PagerDuty's REST API v2: authentication, the From header, and the table of routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.http import Request, Response, json_response
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.records import Refused, User, invalid, not_found

if TYPE_CHECKING:
    from sandbox.world import World

LIMIT = 960
Handler = Callable[..., Response]


class Call:
    """A request that was let in."""

    def __init__(self, request: Request, account: Account) -> None:
        self.request, self._account = request, account

    def applied(self) -> None:
        self.request.entry.applied = True

    def body(self) -> dict[str, Any]:
        try:
            value = self.request.json()
        except (ValueError, RecursionError):
            raise invalid("The request body is not valid JSON.") from None
        if not isinstance(value, dict):
            raise invalid("The request body must be an object.")
        return value

    def wrapped(self, name: str) -> dict[str, Any]:
        value = self.body().get(name)
        if not isinstance(value, dict):
            raise invalid(f"{name.capitalize()} must be given, as an object.")
        return value

    def writer(self) -> User:
        """Account keys do not say who writes: the From header must, with the address of a real user."""
        given = (self.request.headers.get("From") or "").strip()
        if not given:
            raise Refused(
                400, 2016, 'You must specify a user\'s email address in the "From" header to perform this action'
            )
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", given):
            raise Refused(400, 1028, "Malformed From header")
        user = self._account.by_email(given)
        if user is None:
            raise Refused(400, 1008, "Requester User Not Found")
        return user

    def many(self, name: str) -> list[str]:
        return self.request.query.get(f"{name}[]", []) + self.request.query.get(name, [])


class Rest:
    """Finds the route, lets in or refuses, and adds the rate headers to every answer."""

    def __init__(self, world: World, account: Account) -> None:
        self._world, self._account = world, account
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._minute: tuple[int, int] = (0, 0)

    def route(self, method: str, path: str, handler: Handler) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        self._routes.append((method, re.compile(pattern + "/?"), handler))

    def handle(self, request: Request) -> Response:
        now = self._world.clock.now()
        try:
            self._let_in(request)
            response = self._find(request)
        except Refused as refused:
            response = json_response(refused.status, refused.body())
        response.headers += self._rate_headers(now)
        response.headers.append(("X-Request-Id", self._account.uuid()))
        return response

    def _let_in(self, request: Request) -> None:
        kind, _, credential = (request.headers.get("Authorization") or "").partition(" ")
        good = kind == "Bearer" and credential == self._account.api_key
        good = good or (kind == "Token" and credential == f"token={self._account.api_key}")
        if not good:
            raise Refused(401, 2006, "Authentication failed")

    def _find(self, request: Request) -> Response:
        others = False
        for method, pattern, handler in self._routes:
            if found := pattern.fullmatch(request.path):
                if method == request.method:
                    named = {name: unquote(value) for name, value in found.groupdict().items()}
                    return handler(Call(request, self._account), **named)
                others = True
        raise Refused(405, 2000, "Method Not Allowed") if others else not_found()

    def _rate_headers(self, now: datetime) -> list[tuple[str, str]]:
        minute = int(now.timestamp()) // 60
        used = self._minute[1] + 1 if self._minute[0] == minute else 1
        self._minute = (minute, used)
        reset = 60 - int(now.timestamp()) % 60
        return [
            ("ratelimit-limit", str(LIMIT)),
            ("ratelimit-remaining", str(max(1, LIMIT - used))),
            ("ratelimit-reset", str(reset)),
        ]


def page(call: Call, name: str, items: list[dict[str, Any]]) -> Response:
    """Classic pagination: `total` only where it was asked for."""
    try:
        limit, offset = int(call.request.first("limit", "25")), int(call.request.first("offset", "0"))
    except ValueError:
        raise invalid("Limit and offset must be numbers.") from None
    if not 0 < limit <= 100 or offset < 0:
        limit = 100 if limit > 100 else 25
    if offset + limit > 10_000:
        raise invalid("Offset must be less than 10000.")
    total = len(items) if call.request.first("total") == "true" else None
    shown = items[offset : offset + limit]
    more = offset + limit < len(items)
    return json_response(200, {name: shown, "limit": limit, "offset": offset, "more": more, "total": total})

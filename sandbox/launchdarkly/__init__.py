"""LaunchDarkly's REST API, as far as turning one flag off and on needs it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.http import Request, Response, json_response
from sandbox.launchdarkly.flags import Flag, Stale, apply_json_patch, apply_semantic_patch

if TYPE_CHECKING:
    from sandbox.world import World

_FLAG = re.compile(r"/api/v2/flags/([^/]+)/([^/]+)/?")
_LETTERS = "0123456789abcdef"


class Refusal(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class LaunchDarkly:
    """One project, `default`, with the flag `new-checkout`, on in production."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.token = "api-" + "".join(world.rng.choices(_LETTERS, k=32))
        now = _milliseconds(world.clock.now())
        identity = "".join(world.rng.choices(_LETTERS, k=24))
        self.flags = {("default", "new-checkout"): Flag("new-checkout", "New checkout", identity, now)}

    def handle(self, request: Request) -> Response:
        try:
            return self._route(request)
        except Refusal as refused:
            key = "".join(self._world.rng.choices(_LETTERS, k=24))
            body = {"code": refused.code, "message": refused.message, "id": key}
            return json_response(refused.status, body, self._rate_headers())

    def tick(self, now: datetime) -> None:
        """Flags change by requests alone."""

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        if settings:
            raise ValueError("LaunchDarkly has no settings of its own: use its API")
        return {"ok": True}

    def state(self) -> dict[str, Any]:
        return {"flags": {f"{project}/{key}": flag.shape(None) for (project, key), flag in self.flags.items()}}

    def _route(self, request: Request) -> Response:
        if request.headers.get("Authorization") != self.token:
            raise Refusal(401, "unauthorized", "Invalid access token")
        if request.path.rstrip("/") == "/api/v2/caller-identity" and request.method == "GET":
            return self._answer({"tokenName": "ripcord", "tokenKind": "auth", "serviceToken": True})
        found = _FLAG.fullmatch(request.path)
        flag = self.flags.get((unquote(found[1]), unquote(found[2]))) if found else None
        if flag is None:
            raise Refusal(404, "not_found", "Unknown project or flag key")
        if request.method == "GET":
            return self._answer(flag.shape(request.query.get("env")))
        if request.method == "PATCH":
            return self._patch(request, flag)
        raise Refusal(405, "method_not_allowed", "Method not allowed")

    def _patch(self, request: Request, flag: Flag) -> Response:
        semantic = "domain-model=launchdarkly.semanticpatch" in (request.headers.get("Content-Type") or "").lower()
        now = _milliseconds(self._world.clock.now())
        try:
            body = request.json()
            changed = apply_semantic_patch(flag, body, now) if semantic else apply_json_patch(flag, body, now)
        except Stale as stale:
            raise Refusal(409, "conflict", str(stale)) from None
        except (ValueError, TypeError, KeyError, RecursionError) as bad:
            raise Refusal(400, "invalid_request", str(bad)) from None
        if request.first("dryRun") == "true":
            return self._answer(changed.shape(None))
        if changed != flag:
            self.flags[("default", flag.key)] = changed
            request.entry.applied = True
        return self._answer(changed.shape(None))

    def _answer(self, value: dict[str, Any]) -> Response:
        return json_response(200, value, self._rate_headers())

    def _rate_headers(self) -> list[tuple[str, str]]:
        reset = str(_milliseconds(self._world.clock.for_headers()) // 10_000 * 10_000 + 10_000)
        return [
            ("X-Ratelimit-Route-Remaining", "19"),
            ("X-Ratelimit-Global-Remaining", "199"),
            ("X-Ratelimit-Reset", reset),
        ]


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)

"""LaunchDarkly's REST API, as far as flags go: reading and patching them, what waits to change them, who may."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.http import Request, Response, json_response
from sandbox.launchdarkly.account import Account
from sandbox.launchdarkly.errors import Refusal, bad
from sandbox.launchdarkly.flags import Environment, Flag
from sandbox.launchdarkly.limits import Limits
from sandbox.launchdarkly.routes import Call, Routes
from sandbox.launchdarkly.tokens import Tokens

if TYPE_CHECKING:
    from sandbox.world import World

_LETTERS = "0123456789abcdef"


class LaunchDarkly:
    """The scene: one project, `default`, with the flag `new-checkout`, on in production since a while."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tokens = Tokens(self._random_hex)
        self.token = self.tokens.first.secret
        self.account = Account(self._random_hex)
        self._routes, self._limits = Routes(self.account, self.tokens), Limits()
        self.account.add_project("default", ["production", "test"])
        flag = self._scene(world.clock.now())
        self.account.flags[flag.project, flag.key] = flag

    def _scene(self, now: datetime) -> Flag:
        """Turned on two hours before the world began."""
        born, turned = _milliseconds(now - timedelta(days=30)), _milliseconds(now - timedelta(hours=2))
        identity = self._random_hex(24)
        variations: list[dict[str, Any]] = [
            {"_id": f"{identity}-0", "value": True, "name": "new"},
            {"_id": f"{identity}-1", "value": False, "name": "old"},
        ]
        environments = {name: Environment(True, 41, turned) for name in ("production", "test")}
        described = "The seed's flag"
        return Flag(
            "default", "new-checkout", "New checkout", identity, born, environments, variations, description=described
        )

    def _random_hex(self, digits: int) -> str:
        return "".join(self._world.rng.choices(_LETTERS, k=digits))

    def handle(self, request: Request) -> Response:
        headers: list[tuple[str, str]] = []
        try:
            return self._answer(request, headers)
        except Refusal as refused:
            answer = refused
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            answer = bad("the body has another shape")
        body = {"code": answer.code, "message": answer.message, "id": self._random_hex(24)}
        return json_response(answer.status, body, headers)

    def _answer(self, request: Request, headers: list[tuple[str, str]]) -> Response:
        by = self.tokens.of(request.headers.get("Authorization"))
        route, do = self._routes.find(request.method, request.path)
        within, limits = self._limits.count(route, self._world.clock.for_headers())
        headers += limits
        if not within:
            raise Refusal(429, "rate_limited", "You've exceeded the API rate limit. Try again later.")
        status, answer = do(Call(request, by, _milliseconds(self._world.clock.now())))
        return Response(status, headers=headers) if answer is None else json_response(status, answer, headers)

    def tick(self, now: datetime) -> None:
        """Flags change by requests, and at the hour of a scheduled change."""
        self.account.carry_out_what_is_due(self.tokens.first, _milliseconds(now))

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        if settings:
            raise ValueError("LaunchDarkly has no settings of its own: use its API")
        return {"ok": True}

    def state(self) -> dict[str, Any]:
        return {
            "flags": {f"{project}/{key}": flag.shape(None) for (project, key), flag in self.account.flags.items()},
            "scheduled": [one.scheduled_shape() for one in self.account.pending.scheduled],
            "approvals": [one.approval_shape() for one in self.account.pending.approvals],
        }


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)

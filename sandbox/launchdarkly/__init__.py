"""LaunchDarkly's REST API, as far as turning one flag off and on needs it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.http import Request, Response, json_response

if TYPE_CHECKING:
    from sandbox.world import World


class LaunchDarkly:
    def __init__(self, world: World) -> None:
        self._world = world

    def handle(self, request: Request) -> Response:
        return json_response(404, {"code": "not_found", "message": "Not found"})

    def tick(self, now: datetime) -> None: ...

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("LaunchDarkly has no settings")

    def state(self) -> dict[str, Any]:
        return {}

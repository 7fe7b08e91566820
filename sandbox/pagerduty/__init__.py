"""PagerDuty's REST API, Events API v2 and webhook sender."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.http import Request, Response, json_response

if TYPE_CHECKING:
    from sandbox.world import World


class Sender:
    def end(self) -> None: ...


class PagerDuty:
    def __init__(self, world: World, webhook_url: str) -> None:
        self._world = world
        self.webhook_url = webhook_url
        self.sender = Sender()

    def handle(self, request: Request) -> Response:
        return json_response(404, {"error": {"message": "Not Found", "code": 2100}})

    def tick(self, now: datetime) -> None: ...

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {}

    def state(self) -> dict[str, Any]:
        return {}

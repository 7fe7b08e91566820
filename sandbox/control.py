"""The door under /_sandbox: what life does not offer. Nothing here is written to the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.clock import stamp
from sandbox.http import Request, Response, json_response

if TYPE_CHECKING:
    from sandbox.world import World


class Control:
    """Routes of CONTRACTS §9. A wrong key or value is a 400 with one sentence, and changes nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/_sandbox/log"): self._log,
            ("GET", "/_sandbox/state"): self._state,
            ("POST", "/_sandbox/clock"): self._clock,
            ("POST", "/_sandbox/faults"): self._faults,
            ("DELETE", "/_sandbox/faults"): self._clear_faults,
            ("POST", "/_sandbox/release"): self._release,
        }

    def handle(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.full_path))
        try:
            if route is not None:
                return route(request)
            return self._vendor(request)
        except (ValueError, TypeError) as bad:
            return json_response(400, {"error": str(bad)})

    def _vendor(self, request: Request) -> Response:
        vendor = self._world.vendors.get(request.full_path.removeprefix("/_sandbox/"))
        if vendor is None or request.method != "POST":
            return json_response(404, {"error": f"no such control: {request.method} {request.full_path}"})
        settings = _object(request)
        with self._world.lock:
            return json_response(200, vendor.control(settings))

    def _log(self, request: Request) -> Response:
        text = self._world.log.text(int(request.first("after", "0")))
        return Response(200, text.encode("utf-8", "replace"), [("Content-Type", "application/x-ndjson")])

    def _state(self, request: Request) -> Response:
        world = self._world
        with world.lock:
            named = {name: vendor.state() for name, vendor in world.vendors.items()}
        now = stamp(world.clock.now())
        return json_response(200, {"now": now, "faults": world.faults.state(), **named})

    def _clock(self, request: Request) -> Response:
        settings = _object(request)
        if unknown := set(settings) - {"advance", "speed"}:
            raise ValueError(f"unknown key: {', '.join(sorted(unknown))}; the clock takes advance and speed")
        if (factor := settings.get("speed")) is not None:
            self._world.clock.speed(_number("speed", factor))
        if (seconds := settings.get("advance")) is not None:
            self._world.clock.advance(_number("advance", seconds))
        return json_response(200, {"now": stamp(self._world.clock.now())})

    def _faults(self, request: Request) -> Response:
        return json_response(200, {"faults": self._world.faults.append(request.json())})

    def _clear_faults(self, request: Request) -> Response:
        self._world.faults.clear()
        return json_response(200, {"faults": 0})

    def _release(self, request: Request) -> Response:
        return json_response(200, {"released": self._world.faults.release()})


def _object(request: Request) -> dict[str, Any]:
    try:
        value = request.json()
    except ValueError:
        raise ValueError("the body must be JSON") from None
    if not isinstance(value, dict):
        raise TypeError("the body must be a JSON object")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: a number is wanted, not {value!r}")
    return float(value)

"""The engine's verbs without an engine: steps run where they stand, sleeping moves a clock, every result goes through JSON.

`History` records what a workflow asked for; given to a second telling it answers from the record and notices any other question.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from server.errors import Bug

Json = Any
T = TypeVar("T")
START = datetime(2026, 11, 24, 3, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    @property
    def seconds(self) -> float:
        return (self.at - START).total_seconds()


@dataclass
class History:
    """(what was asked, what came of it), in order."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    answers: list[Json] = field(default_factory=list)


class Inline:
    """One workflow. `messages`: what others will have told it, as (second of the clock, topic, message)."""

    def __init__(self, clock: Clock, workflow: str = "r-1", recorded: History | None = None) -> None:
        self.clock, self._workflow, self.recorded = clock, workflow, recorded
        self.history = History()
        self.started: list[tuple[str, str, Json]] = []
        self.told: list[tuple[str, str, Json]] = []
        self.messages: list[tuple[float, str, Json]] = []
        self.before: Callable[[str], None] = lambda name: None

    @property
    def workflow(self) -> str:
        return self._workflow

    def names(self, verb: str = "step") -> list[str]:
        return [name for asked, name in self.history.asked if asked == verb]

    async def step(self, name: str, do: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        assert name not in self.names(), f"the step {name!r} was asked for twice"

        def body() -> Json:
            self.before(name)
            try:
                return {"is": do(*args, **kwargs)}
            except Exception as error:  # noqa: BLE001 - as the engine: whatever a step raises is a bug, as a value
                return {"bug": f"{name}: {type(error).__name__}"}

        result = self._once("step", name, body)
        if "bug" in result:
            raise Bug(result["bug"])
        return result["is"]

    async def sleep(self, seconds: float) -> None:
        self._once("sleep", f"{seconds:.6f}", lambda: self.clock.move(max(seconds, 0.0)))

    async def wait(self, topic: str, seconds: float) -> Json | None:
        return self._once("wait", f"{topic} {seconds:.6f}", lambda: self._message(topic, seconds))

    async def tell(self, workflow: str, topic: str, message: Json) -> None:
        def send() -> None:
            known = [name.split()[-1] for verb, name in self.history.asked if verb == "start"]
            assert workflow in known, f"{workflow} does not exist"
            self.told.append((workflow, topic, message))

        self._once("tell", f"{workflow} {topic}", send)

    async def start(self, story: str, workflow: str, argument: Json) -> None:
        stored = json.loads(json.dumps(argument))
        self._once("start", f"{story} {workflow}", lambda: self.started.append((story, workflow, stored)))

    def _message(self, topic: str, seconds: float) -> Json | None:
        for one in sorted(self.messages, key=lambda message: message[0]):
            if one[1] == topic and one[0] <= self.clock.seconds + seconds:
                self.clock.move(max(one[0] - self.clock.seconds, 0.0))
                self.messages.remove(one)
                return one[2]
        self.clock.move(seconds)
        return None

    def _once(self, verb: str, name: str, do: Callable[[], Json]) -> Json:
        at = len(self.history.asked)
        self.history.asked.append((verb, name))
        if self.recorded is not None and at < len(self.recorded.asked):
            assert self.recorded.asked[at] == (verb, name), "a replay asked for something else"
            answer = self.recorded.answers[at]
        else:
            answer = json.loads(json.dumps(do(), default=_as_stored))
        self.history.answers.append(answer)
        return answer


def _as_stored(value: object) -> Json:
    if isinstance(value, BaseModel):
        raise TypeError(f"a step answered with a {type(value).__name__}, which no checkpoint takes")
    raise TypeError(f"{value!r} is no JSON")


def told(story: Coroutine[Any, Any, T]) -> T:
    """Tells a story to its end."""
    return asyncio.run(story)

"""One watch on an API server of either world, and what it has heard so far."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

from tests.cluster.api import Object
from tests.contract.trouble import headers_of, line_to
from tests.contract.worlds import World
from tests.support.waiting import eventually, never

OPEN, ENDED, TORN = "open", "ended", "torn"


class Watch:
    """Opened when it is made: its code and headers are there, whatever it is told afterwards."""

    def __init__(self, world: World, path: str, **query: object) -> None:
        self._line = line_to(world)
        self._line.request("GET", f"{path}?{urlencode({'watch': '1', **query})}", headers=headers_of(world.user, world))
        self._answer = self._line.getresponse()
        if self._line.sock is not None:
            self._line.sock.settimeout(120)  # silence is nothing wrong
        self.code = self._answer.status
        self.headers: Mapping[str, str] = dict(self._answer.getheaders())
        self.events: list[Object] = []
        self.state = OPEN
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        rest, state = b"", TORN
        with suppress(OSError, ValueError, http.client.HTTPException):
            while piece := self._answer.read1(65536):
                *lines, rest = (rest + piece).split(b"\n")
                self.events.extend(json.loads(line) for line in lines)
            state = ENDED
        self.state = state

    @property
    def heard(self) -> list[tuple[str, str]]:
        """(type, name of the object) of each event."""
        return [(one["type"], one["object"]["metadata"].get("name", "")) for one in self.events]

    @property
    def versions(self) -> list[str]:
        """The resourceVersion of each event."""
        return [one["object"]["metadata"]["resourceVersion"] for one in self.events]

    def until_heard(self, *events: tuple[str, str], within: float = 10) -> None:
        """Exactly these, in this order, and no other so far."""

        def look() -> bool:
            assert self.heard == list(events)
            return True

        eventually(look, within=within, what="that is heard")

    def until_it_is(self, state: str, within: float = 10) -> None:
        eventually(lambda: self.state == state, within=within, what=f"the watch is {state}")

    def hears_nothing(self, for_seconds: float = 0.5) -> None:
        """Nothing more, and it does not end."""
        before = len(self.events)
        never(lambda: self.events[before:] or self.state != OPEN, for_seconds=for_seconds, what="it is silent")

    def close(self) -> None:
        """As a client that has heard enough."""
        if self._line.sock is not None:
            with suppress(OSError):
                self._line.sock.shutdown(socket.SHUT_RDWR)
        self._reading.join(5)
        self._line.close()


@contextmanager
def watching(world: World, path: str, **query: object) -> Iterator[Watch]:
    """Open in the block."""
    watch = Watch(world, path, **query)
    try:
        yield watch
    finally:
        watch.close()

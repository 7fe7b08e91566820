"""How many stories of one kind may be busy at a time: it bounds the processor, because all share one interpreter.

A story that waits for something (a timer, a message) has left; one that has been inside for long is counted no more, so that an
upstream that hangs cannot keep the others out. Stories of several event loops may share a lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable

LONG = 5.0
"""Seconds after which a story inside no longer keeps others out: as long as one outside call may take."""
LOOK = 0.25
"""Seconds between two looks of a story that waits and is not called."""


class Lane:
    """First come, first served. storm: while it says yes, one at a time goes in: taking in and deciding come first."""

    def __init__(
        self,
        size: int,
        storm: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._storm, self._monotonic = size, storm, monotonic
        self._inside: dict[str, float] = {}
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lock = threading.Lock()

    async def enter(self, key: str) -> None:
        """Waits for a place."""
        while not self._try(key):
            loop = asyncio.get_running_loop()
            turn: asyncio.Future[None] = loop.create_future()
            with self._lock:
                self._waiting.append((loop, turn))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(turn, LOOK)

    def leave(self, key: str) -> None:
        """Gives the place up; leaving twice is leaving once."""
        with self._lock:
            if self._inside.pop(key, None) is None:
                return
            while self._waiting:
                loop, turn = self._waiting.popleft()
                if not turn.done():
                    with contextlib.suppress(RuntimeError):  # its loop is closed
                        loop.call_soon_threadsafe(_go, turn)
                    return

    def _try(self, key: str) -> bool:
        now = self._monotonic()
        with self._lock:
            for other in [one for one, since in self._inside.items() if now - since > LONG]:
                del self._inside[other]
            if len(self._inside) >= (1 if self._storm() else self._size):
                return False
            self._inside[key] = now
            return True


def _go(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)

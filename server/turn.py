"""One fair turn among all who write to one SQLite file in this process.

SQLite's own lock is not fair: who waits sleeps with growing pauses, and a writer that comes just then goes first. Here writers line
up, first come, first served, before they ask SQLite; other processes are still met at SQLite's lock. A turn that cannot be had in
time is done without: SQLite decides then, as it would have.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import sqlalchemy as sa

LONGEST = 1.0
"""Seconds to wait for a turn: a request must be answered within two."""
PATIENT = 0.02
"""Seconds after which one who waits goes before those who come later."""
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "BEGIN IMMEDIATE")
_KEY = "ripcord turn"


@dataclass
class _Waiting:
    since: float
    called: threading.Event = field(default_factory=threading.Event)
    handed: bool = False


class Turn:
    """A lock that nobody waits for much longer than `PATIENT`; it may be given back by any thread.

    Whoever comes just as it is free takes it: handing each turn on to the next in line costs a switch of threads, and five of
    six writes (measured). But one who has waited for long is handed it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._waiting: deque[_Waiting] = deque()

    def take(self, seconds: float) -> bool:
        """Whether it could be had in that time."""
        ends = time.monotonic() + seconds
        mine: _Waiting | None = None
        while True:
            with self._lock:
                if mine is not None and mine.handed:
                    return True
                if not self._held:
                    self._held = True
                    self._leave(mine)
                    return True
                if mine is None:
                    mine = _Waiting(time.monotonic())
                    self._waiting.append(mine)
                mine.called.clear()
                left = ends - time.monotonic()
                if left <= 0:
                    self._leave(mine)
                    return False
            mine.called.wait(left)

    def _leave(self, mine: _Waiting | None) -> None:
        if mine is not None:
            self._waiting.remove(mine)

    def give(self) -> None:
        """Free again; the first in line is called, or handed it."""
        with self._lock:
            first = self._waiting[0] if self._waiting else None
            if first is not None and time.monotonic() - first.since > PATIENT:
                self._waiting.popleft()
                first.handed = True
            else:
                self._held = False
            if first is not None:
                first.called.set()


_turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()
_guard = threading.Lock()


def of(path: str) -> Turn:
    """The turn of one file, the same for every engine on it."""
    with _guard:
        key = os.path.realpath(path)
        turn = _turns.get(key)
        if turn is None:
            turn = _turns[key] = Turn()
        return turn


def line_up(engine: sa.Engine, patience: float) -> None:
    """From now on this engine's transactions take the turn with their first write, and keep it until they are over."""
    if not engine.url.database:
        return
    turn, longest = of(engine.url.database), min(patience, LONGEST)

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _before(connection: sa.Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        info = connection.connection.info
        if _KEY not in info and statement.lstrip()[:15].upper().startswith(_WRITES):
            info[_KEY] = turn.take(longest)

    def over(_dbapi: Any, record: Any, *_more: Any) -> None:
        if record.info.pop(_KEY, False):
            turn.give()

    # The connection goes back after its commit or rollback, never before; one that broke does not go back at all.
    sa.event.listen(engine, "checkin", over)
    sa.event.listen(engine, "invalidate", over)

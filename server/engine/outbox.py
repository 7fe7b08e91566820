"""From the committed row to the started story: one thread of the executing process. Knows no domain words.

It takes the oldest deliveries that nobody has started, ends those that start nothing, starts as many of the others as there are
free slots, and marks them, each in one commit. Whatever dies in between leaves a row that the next look finds, and starting an id
that exists does nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from server.core.delivery import StoredDelivery
from server.store import decisions, deliveries
from server.store.tables import ENDED, NEW, STARTED

SLOTS = 4  # stories on the way at a time: it bounds the processor, waiting for a network costs nothing
LOOK = 64  # rows of one look
SWEEP = 2.0  # seconds between two looks that nobody asked for
STALE = timedelta(
    seconds=5
)  # a claim that old belongs to a dead process, or to one so slow that its start will do nothing
CALM = 0.03  # a big commit younger than this is a burst under way
PATIENCE = 0.01  # the longest that a burst may hold back one start

log = logging.getLogger("ripcord.outbox")


class Slots:
    """Who is on the way. A story that waits for long leaves and lets others in; leaving twice is leaving once."""

    def __init__(self, size: int, refill: Callable[[], None]) -> None:
        self._size, self._refill = size, refill
        self._inside: set[str] = set()
        self._lock = threading.Lock()

    def enter(self, key: str) -> None:
        """Takes a slot. Never waits: the dispatcher asks `free` first, and a story that comes back is let in at once."""
        with self._lock:
            self._inside.add(key)

    def leave(self, key: str) -> None:
        """Gives the slot back. The dispatcher is called when half are free, so that it starts several with one commit."""
        with self._lock:
            if key not in self._inside:
                return
            self._inside.discard(key)
            refill = 2 * len(self._inside) <= self._size
        if refill:
            self._refill()

    def free(self) -> int:
        """How many may enter."""
        with self._lock:
            return max(self._size - len(self._inside), 0)


def _never(_delivery_id: str) -> bool:
    return False


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Hooks:
    """What the dispatcher needs to be told.

    start: starts the story of a delivery and returns when that is recorded; calls the second argument when the story no longer
    runs here (at once, if the id existed). Raises when it could not. settle: the reason why nothing starts on this delivery, or
    None when a story must decide; from the stored row alone. exists: whether a story of this delivery was ever recorded.
    last_big_commit: of the inbox in the same process (time.monotonic), for the burst gate.
    """

    start: Callable[[str, Callable[[], None]], None]
    settle: Callable[[StoredDelivery], str | None]
    exists: Callable[[str], bool] = _never
    last_big_commit: Callable[[], float] = lambda: 0.0
    now: Callable[[], datetime] = _now


@dataclass
class Dispatcher:
    """The thread. Set `awake` to make it look; it looks every two seconds anyway."""

    reading: sa.Engine
    writing: sa.Engine
    hooks: Hooks
    me: str
    size: int = SLOTS
    awake: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.slots = Slots(self.size, self.awake.set)
        self._stopping = threading.Event()
        self._beat = time.monotonic()
        self._swept = 0.0
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begins to look, at once."""
        self.awake.set()
        self._thread.start()

    def stop(self) -> None:
        """Starts nothing more."""
        self._stopping.set()
        self.awake.set()
        self._thread.join(5.0)

    def alive(self) -> bool:
        """Whether it still looks."""
        return self._thread.is_alive() and time.monotonic() - self._beat < 60.0

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.awake.wait(SWEEP)
            self.awake.clear()
            self._beat = time.monotonic()
            try:
                self._sweep()
                while self._round():
                    self._beat = time.monotonic()
            except sa.exc.SQLAlchemyError as error:
                log.warning("cannot look for new messages: %s", type(getattr(error, "orig", None) or error).__name__)
                self._stopping.wait(0.5)
            except Exception:
                log.exception("a bug while starting stories")
                self._stopping.wait(0.5)

    def _sweep(self) -> None:
        if self.writing.dialect.name == "sqlite" or time.monotonic() - self._swept < SWEEP:
            return
        self._swept = time.monotonic()
        if found := deliveries.settle_claims(self.writing, self.hooks.now() - STALE, self.hooks.exists):
            log.info("%s messages of a process that died are looked at again", found)

    def _round(self) -> bool:
        """One look. Whether another one is worth it at once."""
        free = self.slots.free()
        if free == 0 or self._stopping.is_set():
            return False
        engine = self.reading if self.writing.dialect.name == "sqlite" else self.writing
        rows = deliveries.take(engine, LOOK, self.me, self.hooks.now())
        over = [(row.id, reason) for row in rows if (reason := self._settled(row)) is not None]
        settled = {one for one, _reason in over}
        todo = [row.id for row in rows if row.id not in settled]
        self._write(over, todo[free:])
        started = {one for one in todo[:free] if self._start(one)}
        if todo[:free]:
            with self.writing.begin() as connection:
                deliveries.mark(connection, sorted(started), STARTED)
                deliveries.mark(connection, [one for one in todo[:free] if one not in started], NEW)
        return bool(over or started)

    def _settled(self, row: StoredDelivery) -> str | None:
        try:
            return self.hooks.settle(row)
        except Exception:
            log.exception("a bug while looking at a message; its story will tell", extra={"delivery": row.id})
            return None

    def _write(self, over: Sequence[tuple[str, str]], later: Sequence[str]) -> None:
        """Ends those that start nothing; those without a slot go back (PostgreSQL: the claim; SQLite never claimed)."""
        give_back = later if self.writing.dialect.name != "sqlite" else ()
        if not over and not give_back:
            return
        with self.writing.begin() as connection:
            decisions.nothing_starts(connection, over, self.hooks.now())
            deliveries.mark(connection, [one for one, _reason in over], ENDED)
            deliveries.mark(connection, give_back, NEW)

    def _start(self, delivery_id: str) -> bool:
        self._gate()
        self.slots.enter(delivery_id)
        try:
            self.hooks.start(delivery_id, lambda: self.slots.leave(delivery_id))
        except Exception as error:  # noqa: BLE001 - the row stays, and is looked at again
            self.slots.leave(delivery_id)
            log.warning("a story could not be started: %s", type(error).__name__, extra={"delivery": delivery_id})
            self._stopping.wait(0.2)
            return False
        return True

    def _gate(self) -> None:
        """During a burst answering comes first: both share one interpreter."""
        ends = time.monotonic() + PATIENCE
        while (now := time.monotonic()) < ends and now - self.hooks.last_big_commit() < CALM:
            self._stopping.wait(0.002)

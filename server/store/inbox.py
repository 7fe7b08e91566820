"""Group commit: request threads hand their rows to one writer thread and wait for its commit.

One transaction for all that has gathered (at most 64 rows): one INSERT … ON CONFLICT DO NOTHING, one commit. There is no
artificial delay: while one commit is under way the next batch gathers.

SQLite's lock is not fair: who waits for it sleeps longer and longer, up to a tenth of a second, while busy stories take turns. So the
writer does not wait inside SQLite; it asks every two milliseconds, and requests do not starve behind runs.

When the database is away the writer holds the door shut: whoever waits is told so, newcomers are told at once, and the writer
tries again by itself until a commit succeeds. So nobody queues up behind a dead database, and PagerDuty repeats what it sent.
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from server.core.delivery import Delivery
from server.errors import RipcordError
from server.store.deliveries import new_id
from server.store.tables import NEW, deliveries

BATCH = 64
BIG = 3  # rows in one commit that make it a burst
SHUT_AFTER = 1.0  # seconds that a batch may wait before newcomers are sent away
BREATH = (
    0.004  # seconds without a write after a big batch: SQLite wakes nobody who waits for its lock, so others need a gap
)
PROBE = 0.25  # seconds between two looks at a database that is away
PATIENCE, ASK = 1.5, 0.002  # seconds that one batch waits for SQLite's lock, and between two tries
CHANNEL = "ripcord_delivery"

T = TypeVar("T")

log = logging.getLogger("ripcord.inbox")


class Busy(RipcordError):
    """The row could not be committed in time; the sender should repeat it. It may have been stored all the same."""


@dataclass(frozen=True)
class Recorded:
    """What a delivery became: its id, or the id of the first one that it repeats."""

    id: str
    duplicate: bool


@dataclass
class Waiting:
    """One row on its way, and the request that waits for it. given_up: nobody waits any more, so it need not be stored."""

    row: dict[str, Any]
    done: threading.Event = field(default_factory=threading.Event)
    recorded: Recorded | None = None
    given_up: bool = False


class Inbox:
    """The writer. `engine` must give up on a lock soon (patience about 1.5 s), because requests wait for it.

    wake: called after each commit that held a new row, with their number. idle: called between two batches and at least once a
    second, for small periodical writes that must not take a second writer.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        wake: Callable[[int], None] = lambda _rows: None,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine, self._wake, self._idle = engine, wake, idle
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _never_wait)
        self.last_big_commit = 0.0
        self.commits = 0
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._batch_since: float | None = None
        self._away: str | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._pause = threading.Event()  # never set: only waited for

    def record(
        self, delivery: Delivery, headers: Mapping[str, str], raw: bytes, received_at: datetime, limit: float = 1.25
    ) -> Recorded:
        """Commits one delivery; returns when it is on disk. Raises Busy after `limit` seconds, or at once while the door is shut."""
        if why := self.shut():
            raise Busy(why)
        self.start()
        waiting = Waiting(_row(delivery, headers, raw, received_at))
        self._queue.put(waiting)
        waiting.done.wait(limit)
        if waiting.recorded is None:
            waiting.given_up = True
            raise Busy(self.shut() or "the database did not answer in time: please repeat")
        return waiting.recorded

    def shut(self) -> str | None:
        """Why nothing is taken in just now, or None."""
        since = self._batch_since
        if self._away is None and since is not None and time.monotonic() - since >= SHUT_AFTER:
            return "the database does not answer just now: please repeat"
        return self._away

    def waiting(self) -> int:
        """How many rows wait for a commit, roughly."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Commits what has gathered and ends the writer."""
        self._stopping.set()
        self._queue.put(None)  # so that the writer looks up
        if self._thread is not None:
            self._thread.join(5.0)

    def start(self) -> None:
        """Starts the writer if it does not run: by the first request and not before, threads do not survive the server's fork."""
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            if self._away is not None:
                self._probe()
            else:
                if batch := self._gather():
                    self._commit(batch)
                self._rest()
                if len(batch) >= BIG:
                    self._pause.wait(BREATH)

    def _gather(self) -> list[Waiting]:
        batch: list[Waiting | None] = []
        try:
            batch.append(self._queue.get(timeout=0.5))
            while len(batch) < BATCH:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        # In one order everywhere: two web processes that insert the same events crosswise would lock each other out.
        wanted = (one for one in batch if one is not None and not one.given_up)
        return sorted(wanted, key=lambda one: str(one.row["event_key"]))

    def _rest(self) -> None:
        self._batch_since = time.monotonic()  # the small write waits for the same lock, and rows gather behind it
        try:
            self._idle()
        except Exception as error:  # noqa: BLE001 - a late count comes with the next one
            if not _is_locked(error):  # then it is tried again after the next batch
                self._failed([], error)
        finally:
            self._batch_since = None

    def _commit(self, batch: Sequence[Waiting]) -> None:
        self._batch_since = time.monotonic()
        try:
            recorded = self._patiently(lambda: insert(self.engine, [one.row for one in batch]))
        except Exception as error:  # noqa: BLE001 - whatever it was, the writer lives on and every request gets its answer
            self._failed(batch, error)
        else:
            self._committed(batch, recorded)
        finally:
            self._batch_since = None

    def _patiently(self, write: Callable[[], T]) -> T:
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return write()
            except sa.exc.OperationalError as error:
                if not _is_locked(error) or time.monotonic() > ends:
                    raise
            self._pause.wait(ASK)

    def _committed(self, batch: Sequence[Waiting], recorded: Sequence[Recorded]) -> None:
        self.commits += 1
        new = sum(not one.duplicate for one in recorded)
        if len(batch) >= BIG:
            self.last_big_commit = time.monotonic()
        for one, result in zip(batch, recorded, strict=True):
            one.recorded = result
            one.done.set()
        if new:
            try:
                self._wake(new)
            except Exception as error:  # noqa: BLE001 - a lost wake-up is found by the sweep
                log.warning("nobody was woken: %s", type(error).__name__)

    def _failed(self, batch: Sequence[Waiting], error: Exception) -> None:
        if is_away(error):
            self._away = "the database cannot take it just now: please repeat"
            log.warning("deliveries are not taken in: %s", type(getattr(error, "orig", None) or error).__name__)
            _release([*batch, *self._drain()])
        elif len(batch) > 1:  # one row that cannot be stored must not take its neighbours with it
            for one in batch:
                self._commit([one])
        else:
            log.error("a row cannot be stored: %s", type(error).__name__)
            _release(batch)

    def _probe(self) -> None:
        """Looks whether the database takes a write again; what comes meanwhile has been sent away already."""
        self._stopping.wait(PROBE)
        _release(self._drain())
        try:
            self._patiently(self._nothing)
        except Exception as error:  # noqa: BLE001 - still away, for whatever reason
            log.debug("still away: %s", type(error).__name__)
            if self._stopping.is_set():
                self._away = None
        else:
            self._away = None
            log.info("deliveries are taken in again")

    def _nothing(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(deliveries).where(deliveries.c.id == "").values(state=NEW))

    def _drain(self) -> list[Waiting]:
        gathered: list[Waiting] = []
        try:
            while True:
                if (one := self._queue.get_nowait()) is not None:
                    gathered.append(one)
        except queue.Empty:
            return gathered


def _never_wait(dbapi: Any, _record: Any) -> None:
    dbapi.execute("PRAGMA busy_timeout=0")


def _is_locked(error: Exception) -> bool:
    return int(getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)) & 0xFF == sqlite3.SQLITE_BUSY


def _release(batch: Sequence[Waiting]) -> None:
    for one in batch:
        one.done.set()


def is_away(error: Exception) -> bool:
    """Whether the database, not the row, is to blame: away, locked, full, read-only, no connection in time."""
    if isinstance(error, sa.exc.TimeoutError | OSError):
        return True
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) or (
        isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    )


def insert(engine: sa.Engine, rows: Sequence[dict[str, Any]]) -> list[Recorded]:
    """Inserts the rows in one commit; of two with one webhook id or one event the first is kept, and the second names it."""
    with engine.begin() as connection:
        on_postgresql = connection.dialect.name == "postgresql"
        statement = (postgresql.insert if on_postgresql else sqlite.insert)(deliveries)
        new = set(connection.execute(statement.on_conflict_do_nothing().returning(deliveries.c.id), rows).scalars())
        first = _first_of(connection, [row for row in rows if row["id"] not in new])
        if new and on_postgresql:
            connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return [Recorded(row["id"], False) if row["id"] in new else Recorded(first[row["id"]], True) for row in rows]


def _first_of(connection: sa.Connection, repeats: Sequence[dict[str, Any]]) -> dict[str, str]:
    """For each repeated row the id of the earliest delivery that it repeats."""
    if not repeats:
        return {}
    table = deliveries.c
    hooks = [row["webhook_id"] for row in repeats if row["webhook_id"] is not None]
    same = sa.or_(table.webhook_id.in_(hooks), table.event_key.in_([row["event_key"] for row in repeats]))
    known = connection.execute(
        sa.select(table.id, table.webhook_id, table.event_key).where(same).order_by(table.id)
    ).all()
    by_hook = {row.webhook_id: row.id for row in reversed(known) if row.webhook_id is not None}
    by_event = {row.event_key: row.id for row in reversed(known)}
    found = {}
    for row in repeats:
        ids = [one for one in (by_hook.get(row["webhook_id"]), by_event.get(row["event_key"])) if one is not None]
        found[row["id"]] = min(ids)
    return found


def _row(delivery: Delivery, headers: Mapping[str, str], raw: bytes, received_at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(received_at),
        "received_at": received_at,
        "trigger": delivery.trigger,
        "webhook_id": delivery.webhook_id,
        "event_key": delivery.event_key,
        "event_type": delivery.event_type,
        "incident": delivery.incident,
        "parsed": delivery.model_dump_json(),
        "headers": json.dumps(dict(headers)),
        "body": raw,
        "state": NEW,
    }

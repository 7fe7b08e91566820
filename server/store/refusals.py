"""What was turned away at the door: counted by minute and source, with one sample, never one row each.

A stranger must not be able to fill the disk or the memory: at most SOURCES sources are told apart in a minute, the others share
one row; a sample is cut; rows older than KEEP days go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from server.store.tables import refusals

SOURCES = 20
SAMPLE = 200
KEEP = timedelta(days=7)
FLUSH = timedelta(seconds=2)
OTHERS = "others"


@dataclass(frozen=True)
class _Key:
    minute: str
    source: str
    reason: str


class Refusals:
    """Counts in memory; `flush` writes what has gathered, and is called by the one writer thread."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._counts: dict[_Key, tuple[int, str]] = {}
        self._flushed_at: datetime | None = None
        self._pruned_at: datetime | None = None

    def note(self, source: str, reason: str, sample: str) -> None:
        """Counts one refusal. reason: one of our own few words, never the stranger's."""
        minute = self._now().strftime("%Y-%m-%dT%H:%MZ")
        with self._lock:
            known = {key.source for key in self._counts if key.minute == minute}
            name = _network(source)
            key = _Key(minute, name if name in known or len(known) < SOURCES else OTHERS, reason)
            count, first = self._counts.get(key, (0, _clean(sample)))
            self._counts[key] = (count + 1, first)

    def flush(self, engine: sa.Engine, *, at_once: bool = False) -> None:
        """Adds the counts to their rows, at most every two seconds unless `at_once`; old rows go once an hour."""
        now = self._now()
        if not at_once and self._flushed_at is not None and timedelta(0) <= now - self._flushed_at < FLUSH:
            return
        with self._lock:
            counts, self._counts = self._counts, {}
            self._flushed_at = now
        prune = self._pruned_at is None or now - self._pruned_at > timedelta(hours=1)
        if not counts and not prune:
            return
        try:
            self._write(engine, counts, now - KEEP if prune else None)
        except Exception:
            self._put_back(counts)
            raise
        self._pruned_at = now if prune else self._pruned_at

    def _write(self, engine: sa.Engine, counts: dict[_Key, tuple[int, str]], before: datetime | None) -> None:
        with engine.begin() as connection:
            on_postgresql = connection.dialect.name == "postgresql"
            added = (postgresql.insert if on_postgresql else sqlite.insert)(refusals)
            upsert = added.on_conflict_do_update(
                index_elements=["minute", "source", "reason"],
                set_={"count": refusals.c.count + added.excluded["count"]},
            )
            rows = [
                {
                    "minute": key.minute,
                    "source": _room(connection, key),
                    "reason": key.reason,
                    "count": count,
                    "sample": sample,
                }
                for key, (count, sample) in counts.items()
            ]
            for row in rows:
                connection.execute(upsert, row)
            if before is not None:
                connection.execute(sa.delete(refusals).where(refusals.c.minute < before.strftime("%Y-%m-%dT%H:%MZ")))

    def _put_back(self, counts: dict[_Key, tuple[int, str]]) -> None:
        with self._lock:
            for key, (count, sample) in list(counts.items())[
                -10 * SOURCES :
            ]:  # an hour without a database must not grow for ever
                already, _ = self._counts.get(key, (0, ""))
                self._counts[key] = (already + count, sample)


def _room(connection: sa.Connection, key: _Key) -> str:
    """The source, or `others` where this minute already holds its share of sources: flushes and processes add up."""
    column = refusals.c
    seen = (
        connection.execute(sa.select(column.source).where(column.minute == key.minute).distinct().limit(SOURCES + 1))
        .scalars()
        .all()
    )
    return key.source if key.source in seen or len(seen) < SOURCES else OTHERS


def _network(source: str) -> str:
    """An IPv4 address, or the /64 that one IPv6 sender can use up on its own."""
    try:
        address = ip_address(source)
    except ValueError:
        return "unknown"
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _clean(sample: str) -> str:
    """Printable, short, one line: it comes from a stranger and is shown on a page."""
    return "".join(char if char.isprintable() and not "\ud800" <= char <= "\udfff" else "�" for char in sample[:SAMPLE])

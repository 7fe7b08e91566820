"""Engines and column types for both databases; the one MetaData that store and audit register their tables on.

SQLite: WAL, synchronous FULL (a 202 must survive power loss), foreign keys on. A writing engine begins with BEGIN IMMEDIATE,
because a transaction that reads first and writes later cannot wait for its turn otherwise; a reading engine begins plainly, so
that an open page never blocks a writer. PostgreSQL: psycopg 3, READ COMMITTED, short statement and lock limits.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from server.turn import line_up

metadata = sa.MetaData()
QUIET: dict[str, Any] = {"hide_parameters": True}
"""An error's text quotes no value: what was to be stored (alerts, pod templates with their env) has no place in a log."""
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


def stamp(at: datetime) -> str:
    """The one text form of a time: UTC, six decimals, Z. It sorts as time does."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unstamp(text: str) -> datetime:
    """The time of a stamp, aware."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Utc(sa.types.TypeDecorator[datetime]):
    """A time, stored as the text of `stamp` on both databases (SQLite would lose the zone of a DateTime)."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Refuses times without a zone."""
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """An aware time."""
        return None if value is None else unstamp(value)


def is_sqlite(url: str) -> bool:
    """Whether the URL names a SQLite file."""
    return url.startswith("sqlite")


def writing(url: str, *, patience: float = 10.0, pool: int = 10) -> sa.Engine:
    """An engine for transactions that write. patience: seconds to wait for the database's lock."""
    if is_sqlite(url):
        engine = _sqlite(url, "BEGIN IMMEDIATE", patience, pool)
        line_up(engine, patience)
        return engine
    return _postgresql(url, patience, pool)


def reading(url: str, *, patience: float = 2.0, pool: int = 10) -> sa.Engine:
    """An engine for pages and looks: it never takes SQLite's write lock."""
    if is_sqlite(url):
        return _sqlite(url, "BEGIN", patience, pool)
    return _postgresql(url, patience, pool)


def embedded(url: str, *, patience: float = 30.0, pool: int = 20) -> sa.Engine:
    """An engine on SQLite for a library that begins its own transactions, IMMEDIATE where they write. It lines up with the others."""
    arguments = {"timeout": patience, "check_same_thread": False, "isolation_level": "IMMEDIATE"}
    engine = sa.create_engine(url, connect_args=arguments, pool_size=pool, **QUIET)

    @sa.event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        for pragma in (f"busy_timeout={int(patience * 1000)}", "synchronous=FULL", "foreign_keys=ON"):
            dbapi.execute(f"PRAGMA {pragma}")

    sa.event.listen(engine, "handle_error", _waited_for)
    line_up(engine, patience)
    return engine


def _waited_for(context: sa.engine.ExceptionContext) -> None:
    """The library waits for a lock or a free connection for as long as it takes, and takes a disk that is full, read-only or broken for
    the end of the workflow. All of these pass; so it is told of each as of the one that it waits for."""
    error = context.original_exception
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _PASSING:
        raise sa.exc.TimeoutError(f"the database cannot take it now ({error.sqlite_errorname})") from error


def _sqlite(url: str, begin: str, patience: float, pool: int) -> sa.Engine:
    arguments = {"timeout": patience, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=arguments, pool_size=pool, **QUIET)

    @sa.event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None
        for pragma in (
            f"busy_timeout={int(patience * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(url: str, patience: float, pool: int) -> sa.Engine:
    limits = f"-c statement_timeout=5000 -c lock_timeout={int(patience * 1000)} -c TimeZone=UTC"
    return sa.create_engine(
        url,
        pool_size=pool,
        pool_pre_ping=True,
        pool_timeout=patience,
        **QUIET,
        # Without these a network that swallows everything holds a connection until TCP gives up by itself.
        connect_args={
            "connect_timeout": 2,
            "options": limits,
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        },
    )


def pragmas(engine: sa.Engine) -> dict[str, Any]:
    """The settings in force, for the bench and the health page."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
        shown = ("fsync", "synchronous_commit", "transaction_isolation", "statement_timeout", "lock_timeout")
        return {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in shown}

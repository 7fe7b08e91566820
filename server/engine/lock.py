"""Exactly one executing process on a database: a file lock beside SQLite's file, an advisory lock on PostgreSQL.

Both are freed by the operating system (or the server) when the process dies, so a restart waits for nobody.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

import sqlalchemy as sa

from server.errors import Misconfigured

_KEY = 0x52697064


class OneExecutor:
    """Held from `take` until `release` or the end of the process."""

    def __init__(self, url: str, wait: Callable[[float], object]) -> None:
        self.url, self.wait = url, wait
        self._file: int | None = None
        self._connection: sa.Connection | None = None

    def take(self, patience: float = 15.0) -> None:
        """Takes the lock, or says after `patience` seconds that another process executes here."""
        deadline = time.monotonic() + patience
        while not (self._take_file() if self.url.startswith("sqlite") else self._take_advisory()):
            if time.monotonic() > deadline:
                raise Misconfigured(
                    "another process already executes runs on this database: stop it first, or start `web` here"
                )
            self.wait(0.2)

    def release(self) -> None:
        """Lets go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take_file(self) -> bool:
        path = str(sa.make_url(self.url).database) + ".lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) if self._file is None else self._file
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _take_advisory(self) -> bool:
        if self._connection is None:
            engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
            self._connection = engine.connect()
        return bool(self._connection.execute(sa.text("SELECT pg_try_advisory_lock(:k)"), {"k": _KEY}).scalar())

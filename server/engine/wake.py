"""How the executing process hears that a message was committed, wherever it was committed. Hints only: the sweep needs none.

SQLite: one byte to a Unix datagram socket beside the file. PostgreSQL: NOTIFY, sent inside the batch's own transaction; the
listener also wakes after every (re)connect, because it may have missed one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server.db import is_sqlite
from server.engine.lock import _KEY as KEY
from server.store.inbox import CHANNEL

LONGEST = 100  # a Unix socket's path may have 107 bytes

log = logging.getLogger("ripcord.wake")


def bell(url: str) -> Callable[[int], None]:
    """What a process that only takes messages in calls after a commit. Never waits, never raises."""
    path = _socket_path(url)
    if path is None:
        return lambda _rows: None

    def ring(_rows: int) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as ringer:
            ringer.sendto(b"!", path)  # refused: nobody listens; would block: it is full of rings already

    return ring


class Listener:
    """One thread of the executing process that sets `awake` when somebody else committed a message."""

    def __init__(self, url: str, awake: threading.Event) -> None:
        self._url, self._awake = url, awake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Ends within about a second."""
        self._stopping.set()
        self._thread.join(3.0)

    def _run(self) -> None:
        once = self._hear_socket if is_sqlite(self._url) else self._hear_notify
        while not self._stopping.is_set():
            try:
                once()
            except Exception as error:  # noqa: BLE001 - deaf for a second; the sweep finds what was missed
                log.warning("cannot listen for new messages: %s", type(error).__name__)
            self._stopping.wait(1.0)

    def _hear_socket(self) -> None:
        path = _socket_path(self._url)
        if path is None:
            self._stopping.wait()
            return
        Path(path).unlink(missing_ok=True)  # left by a dead process: there is one executing process
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
            ear.bind(path)
            ear.settimeout(1.0)
            self._awake.set()
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    ear.recv(1)
                    self._awake.set()
        Path(path).unlink(missing_ok=True)

    def _hear_notify(self) -> None:
        engine = sa.create_engine(
            self._url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2}
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            self._awake.set()
            driver: Any = connection.connection.driver_connection
            while not self._stopping.is_set():
                for _notify in driver.notifies(timeout=1.0, stop_after=1):
                    self._awake.set()


def somebody_executes(url: str, reading: sa.Engine) -> bool:
    """Whether an executing process holds its lock on this database (see `lock.py`)."""
    return _file_is_locked(url) if is_sqlite(url) else _advisory_is_held(reading)


def _file_is_locked(url: str) -> bool:
    try:
        file = os.open(f"{sa.make_url(url).database}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _advisory_is_held(reading: sa.Engine) -> bool:
    query = sa.text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND classid = :high AND objid = :low AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with reading.connect() as connection:
        return bool(connection.execute(query, {"high": KEY >> 32, "low": KEY & 0xFFFFFFFF}).scalar())


def _socket_path(url: str) -> str | None:
    if not is_sqlite(url):
        return None
    path = str(Path(str(sa.make_url(url).database)).absolute()) + ".wake"
    return path if len(os.fsencode(path)) <= LONGEST else None

"""A PostgreSQL of the tests' own: made in a temporary folder, on a free port of loopback, gone at the end.

`python -m tools.test` starts one for the whole run; a bare `pytest` starts one when a test asks for it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.support.processes import free_port
from tests.support.room import new_folder
from tests.support.waiting import eventually

PACKAGE = "postgresql"
VARIABLE = "RIPCORD_TEST_DATABASE_URL"

# Nothing here has to survive a power cut, so nothing waits for the disk.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}


def programs() -> Path | None:
    """The folder of Debian's newest initdb and postgres, or of those on PATH; None when there are none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: a killed test run leaves no server behind


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A server that lives as long as the block; gives its URL (of the database postgres, as superuser)."""
    home = new_folder("pg-")
    # PostgreSQL refuses to run as root; Debian's package brings a user for it.
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    identity: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    password, port = secrets.token_hex(8), free_port()
    (home / "password").write_text(password, encoding="ascii")
    if user is not None:
        for path in (home, home / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    try:
        made = subprocess.run(
            [
                folder / "initdb", "--no-sync", "--no-instructions", "--locale=C.UTF-8", "--encoding=UTF8", "-U", "ripcord",
                "--auth=scram-sha-256", f"--pwfile={home / 'password'}", "-D", home / "data",
            ],
            cwd=home, capture_output=True, text=True, check=False, **identity,
        )  # fmt: skip
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
        options = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(home)}
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [folder / "postgres", "-D", home / "data", *(f"--{name}={value}" for name, value in options.items())],
                cwd=home, stdout=log, stderr=log, start_new_session=True, preexec_fn=_die_with_parent, **identity,
            )  # fmt: skip
        try:
            url = f"postgresql://ripcord:{password}@127.0.0.1:{port}/postgres"
            eventually(lambda: _answers(url, server, home / "log"), within=30, what="PostgreSQL answers")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown: open connections are cut
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(10)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _answers(url: str, server: subprocess.Popen[bytes], log: Path) -> bool:
    if server.poll() is not None:
        raise RuntimeError(f"PostgreSQL ended with {server.returncode}: {log.read_text(errors='replace')}")
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def database(server: str, name: str, template: str = "template1") -> Iterator[str]:
    """A database of its own on that server, dropped at the end whoever is still connected; gives its URL."""
    create(server, name, template)
    try:
        yield address(server, name)
    finally:
        with suppress(psycopg.OperationalError):
            _command(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def create(server: str, name: str, template: str = "template1") -> None:
    """Makes a database from a template that nobody is connected to."""
    _command(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def address(server: str, name: str) -> str:
    """The URL of another database of that server."""
    base, slash, query = server.partition("?")
    return f"{base.rpartition('/')[0]}/{name}{slash}{query}"


def _command(server: str, text: str) -> None:
    plain = server.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
        connection.execute(text.encode())

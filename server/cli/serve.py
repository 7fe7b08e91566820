"""`serve`: migrate, then web and executor in one process. `web` and `worker` are halves of the same."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from server import bootstrap, db, log, migrate
from server.app import Parts, create_app
from server.cli.token import new_link
from server.engine.wake import bell, somebody_executes
from server.errors import Misconfigured
from server.settings import Settings
from server.store.inbox import Inbox
from server.store.refusals import Refusals


class _Web(BaseApplication):  # type: ignore[misc]
    """gunicorn with one gthread worker; everything with threads starts after the fork."""

    def __init__(self, settings: Settings, make: Callable[[], tuple[Flask, Callable[[], None]]]) -> None:
        self.settings, self.make = settings, make
        self.stop: Callable[[], None] = lambda: None
        super().__init__()

    def load_config(self) -> None:
        """The measured settings of the web path."""
        options: dict[str, Any] = {
            "bind": self.settings.listen,
            "workers": 1,
            "threads": 16,
            "worker_class": "server.cli.room.Patient",
            "keepalive": 5,
            "timeout": 30,
            "graceful_timeout": 20,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108 - gunicorn's heartbeat, off the disk
            "loglevel": "warning",
            "accesslog": None,
            "logger_class": "gunicorn.glogging.Logger",
            "proc_name": "ripcord",
            "limit_request_line": 8190,
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "worker_exit": self._worker_exit,
            "post_worker_init": self._post_worker_init,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in the worker, after the fork."""
        app, self.stop = self.make()
        return app

    def _post_worker_init(self, _worker: Any) -> None:
        sys.setswitchinterval(0.0005)  # beside busy stories a hand-over would cost up to 5 ms

    def _worker_exit(self, _arbiter: Any, _worker: Any) -> None:
        self.stop()


def main(argv: list[str], settings: Settings) -> int:
    """Web and executor in one process, the embedded default."""
    argparse.ArgumentParser(prog="ripcord serve").parse_args(argv)
    # What is wrong is said before anything starts.
    bootstrap.check_kubeconfig(settings, bootstrap.shelf(settings).current())
    _port_is_free(settings)
    migrate.upgrade(settings.database_url)
    print(f"Ripcord on {settings.public_url}\nSign in once, within 15 minutes: {new_link(settings)}", flush=True)
    _Web(settings, lambda: _both(settings)).run()
    return 0


def web(argv: list[str], settings: Settings) -> int:
    """The web alone: holds no upstream credential, never executes a run."""
    argparse.ArgumentParser(prog="ripcord web").parse_args(argv)
    bootstrap.shelf(settings).current()
    bootstrap.need_database(settings)
    _Web(settings, lambda: _web_alone(settings)).run()
    return 0


def worker(argv: list[str], settings: Settings) -> int:
    """The executor alone."""
    argparse.ArgumentParser(prog="ripcord worker").parse_args(argv)
    log.start(settings.secrets())
    shelf = bootstrap.shelf(settings)
    bootstrap.check_kubeconfig(settings, shelf.current())
    bootstrap.need_database(settings)
    executor = bootstrap.Executor(settings, shelf)
    over = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        over.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    executor.start()
    print("Ripcord executes runs here", flush=True)
    over.wait()
    executor.stop()
    return 0


def application(settings: Settings) -> Flask:
    """For wsgi.py: the web alone."""
    return _web_alone(settings)[0]


def _both(settings: Settings) -> tuple[Flask, Callable[[], None]]:
    log.start(settings.secrets())
    shelf = bootstrap.shelf(settings)
    reading = db.reading(settings.database_url)
    refusals = Refusals()
    holder: dict[str, bootstrap.Executor] = {}
    inbox = Inbox(
        db.writing(settings.database_url, patience=1.5, pool=2),
        wake=lambda rows: holder["executor"].wake(rows),
        idle=lambda: refusals.flush(inbox.engine),
    )
    executor = holder["executor"] = bootstrap.Executor(settings, shelf, lambda: inbox.last_big_commit)
    executor.start()
    parts = Parts(
        settings=settings,
        inbox=inbox,
        refusals=refusals,
        reading=reading,
        writing=db.writing(settings.database_url, patience=2, pool=2),
        migrations=lambda: bootstrap.missing_migrations(reading),
        executor=executor.alive,
        executes=True,
        warnings=lambda: [*([shelf.problem] if shelf.problem else []), *executor.warnings()],
    )

    def stop() -> None:
        inbox.stop()
        executor.stop()

    return create_app(settings, parts), stop


def _web_alone(settings: Settings) -> tuple[Flask, Callable[[], None]]:
    log.start(settings.secrets())
    shelf = bootstrap.shelf(settings)
    reading = db.reading(settings.database_url)
    refusals = Refusals()
    inbox = Inbox(
        db.writing(settings.database_url, patience=1.5, pool=2),
        wake=bell(settings.database_url),
        idle=lambda: refusals.flush(inbox.engine),
    )
    parts = Parts(
        settings=settings,
        inbox=inbox,
        refusals=refusals,
        reading=reading,
        writing=db.writing(settings.database_url, patience=2, pool=2),
        migrations=lambda: bootstrap.missing_migrations(reading),
        executor=lambda: somebody_executes(settings.database_url, reading),
        warnings=lambda: [shelf.problem] if shelf.problem else [],
    )
    return create_app(settings, parts), inbox.stop


def _port_is_free(settings: Settings) -> None:
    """A taken port is one clear sentence, not five tries of the server's."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Misconfigured(
                f"{settings.listen} cannot be listened on ({error.strerror}): set RIPCORD_LISTEN=host:port to another one"
            ) from error

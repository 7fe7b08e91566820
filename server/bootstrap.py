"""The only place that builds real things and joins them: what an executing process is made of, and what a web is."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from server import actions, checks, db, migrate
from server.clients import Clients
from server.clients.kubernetes import KubernetesApi
from server.clients.launchdarkly import LaunchDarklyApi
from server.clients.pagerduty import PagerDutyApi
from server.clients.upstreams import Upstreams
from server.core import note
from server.core.catalog import RolloutTarget
from server.core.delivery import StoredDelivery
from server.core.library import Library
from server.core.runbook import Known
from server.deciding import DeliveryWorld
from server.engine.durable import Engine, Story
from server.engine.lock import OneExecutor
from server.engine.outbox import SLOTS, Dispatcher, Hooks
from server.engine.wake import Listener
from server.errors import Misconfigured
from server.flow.delivery import tell_delivery
from server.flow.run import carry_out
from server.flow.tell import keep_note
from server.ledger import Ledger
from server.library import Shelf
from server.settings import Settings
from server.watch import Watch
from server.world import NoteWorld, RunWorld

log = logging.getLogger("ripcord.bootstrap")

STORM_SECONDS = 0.25
BUSY_RUNS, BUSY_NOTES = 4, 2
"""How many may be busy at a time in one process: in a storm the decisions about what came last must not wait for all runs."""


def now() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


class World(DeliveryWorld, RunWorld, NoteWorld):
    """All step bodies, over one set of clients and one ledger."""

    def __init__(self, settings: Settings, clients: Clients, ledger: Ledger, shelf: Shelf) -> None:
        RunWorld.__init__(self, clients, ledger, settings.stop_file)
        NoteWorld.__init__(self, clients, ledger, self._words)
        DeliveryWorld.__init__(self, settings, clients, ledger, shelf.current, self.stopped)

    def _words(self, run: str, ended: bool) -> str:
        spec, report, head = self.ledger.report(run)
        if report is None or not ended:
            return note.first(spec, self.settings.public_url, head)
        return note.last(spec, report, self.settings.public_url, head)


@dataclass
class Executor:
    """One executing process: engine, dispatcher, and the lock that says that it is the only one."""

    settings: Settings
    shelf: Shelf
    last_big_commit: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        url = self.settings.database_url
        self._over = threading.Event()
        self._writing = db.writing(url, patience=10)
        self._reading = db.reading(url)
        self._lock = OneExecutor(url, threading.Event().wait)
        lanes = {"run": BUSY_RUNS, "note": BUSY_NOTES}
        self.engine = Engine(url, self._stories(), lanes=lanes, storm=self._storm)
        ledger = Ledger(self._writing, now, self.engine.me, self._reading)
        settings = self.settings
        clients = Clients(
            kubernetes=KubernetesApi(settings.kubeconfig),
            pagerduty=PagerDutyApi(settings.pagerduty_url, settings.pagerduty_api_key, settings.pagerduty_from, now),
            now=now,
            upstreams=Upstreams(now),
            launchdarkly=LaunchDarklyApi(settings.launchdarkly_url, settings.launchdarkly_token),
        )
        self.world = World(settings, clients, ledger, self.shelf)
        hooks = Hooks(start=self._start, settle=self._settle, last_big_commit=self.last_big_commit)
        self.dispatcher = Dispatcher(self._reading, self._writing, hooks, self.engine.me)
        self._listener = Listener(url, self.dispatcher.awake)
        self._watch = Watch(self.shelf.current, clients, ledger)

    def _storm(self) -> bool:
        """Whether many messages arrive just now, or many wait for their decision."""
        arriving = time.monotonic() - self.last_big_commit() < STORM_SECONDS
        return arriving or self.dispatcher.slots.free() < SLOTS // 2

    def _stories(self) -> dict[str, Story]:
        async def delivery(verbs: Any, argument: Any) -> Any:
            return await tell_delivery(verbs, argument, self.world)

        async def run(verbs: Any, argument: Any) -> Any:
            return await carry_out(verbs, argument, self.world)

        async def kept(verbs: Any, argument: Any) -> Any:
            return await keep_note(verbs, argument, self.world)

        return {"delivery": delivery, "run": run, "note": kept}

    def _start(self, delivery: str, ended: Callable[[], None]) -> None:
        self.engine.start("delivery", f"d-{delivery}", {"delivery": delivery}, ended)

    def _settle(self, stored: StoredDelivery) -> str | None:
        return self.world.settle(stored, self._reading)

    def _learn_who_we_are(self) -> None:
        """So that our own notes are known when they come back. A few tries; later the first note tells, or the first echo asks."""
        for pause in (0, 2, 10, 60):
            if self._over.wait(pause) or self.world.learn_who_we_are():
                return

    def start(self) -> None:
        """Begins to execute. What an earlier process left is taken up at once."""
        self._lock.take()
        self.engine.launch()
        self.dispatcher.start()
        self._listener.start()
        threading.Thread(target=self._learn_who_we_are, name="who we are", daemon=True).start()
        self._watch.start()

    def wake(self, _rows: int = 0) -> None:
        """A message was committed in this process."""
        self.dispatcher.awake.set()

    def warnings(self) -> list[str]:
        """What a person should know although it executes."""
        return self.world.clients.upstreams.warnings()

    def alive(self) -> bool:
        """Whether it executes."""
        return self.engine.alive and self.dispatcher.alive()

    def stop(self) -> None:
        """Lets go; runs under way are taken up at the next start."""
        self._over.set()
        with contextlib.suppress(Exception):
            self.dispatcher.stop()
            self._listener.stop()
            self._watch.stop()
            self.engine.stop()
        self._lock.release()


def known() -> Known:
    """Which actions and checks a runbook may name."""
    return Known(
        actions={name: action.Params for name, action in actions.ACTIONS.items()},
        checks=frozenset(checks.CHECKS),
        irreversible=frozenset(name for name, action in actions.ACTIONS.items() if not action.REVERSIBLE),
        kinds={**actions.KINDS, **checks.KINDS},
    )


def shelf(settings: Settings) -> Shelf:
    """The runbooks, strictly: an error is Misconfigured with file and line."""
    return Shelf(settings.runbooks, known())


def check_kubeconfig(settings: Settings, library: Library) -> None:
    """A kubeconfig that is set must lead to every cluster of the catalog; said at the start, not at three in the morning."""
    if not settings.kubeconfig:
        return
    api = KubernetesApi(settings.kubeconfig)
    for cluster in sorted({t.cluster for t in library.catalog.targets.values() if isinstance(t, RolloutTarget)}):
        api.configuration(cluster)


def missing_migrations(reading: sa.Engine) -> str | None:
    """What is missing in the database, or None."""
    try:
        return None if migrate.at_head(reading) else "the database is not at this version: run ./ripcord migrate"
    except sa.exc.DBAPIError as error:
        return f"the database does not answer ({type(error.orig).__name__})"


def need_database(settings: Settings) -> None:
    """For `web` and `worker`, which never migrate."""
    reading = db.reading(settings.database_url)
    try:
        problem = missing_migrations(reading)
    finally:
        reading.dispose()
    if problem:
        raise Misconfigured(problem)


def process_name() -> str:
    """This process, for logs."""
    return f"pid {os.getpid()}"

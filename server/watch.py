"""Looks at every declared rollout once a minute, so that the target history knows who was stable while nothing burned."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import sqlalchemy as sa

from server.clients import Clients
from server.core.argo.look import glance
from server.core.catalog import RolloutTarget
from server.core.library import Library
from server.errors import Misconfigured, Refused, Transient
from server.ledger import Ledger

log = logging.getLogger("ripcord.watch")

EVERY_SECONDS = 60.0


class Watch:
    """Reads alone: three requests for each target and minute, one target after the other, and never from a run's own thread."""

    def __init__(self, library: Callable[[], Library], clients: Clients, ledger: Ledger) -> None:
        self.library, self.clients, self.ledger = library, clients, ledger
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """The first look is at once."""
        self._thread.start()

    def stop(self) -> None:
        """Waits for a look under way, as long as one call may take."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(6)

    def look(self) -> None:
        """At each target once. One that cannot be read now is left out; its next look is in a minute."""
        for name, target in sorted(self.library().catalog.targets.items()):
            if isinstance(target, RolloutTarget) and not self._over.is_set():
                self._one(name, target)

    def _one(self, name: str, target: RolloutTarget) -> None:
        try:
            state = glance(target, self.clients.kubernetes, self.clients.now)
            self.ledger.remembered(name, state)
        except (Transient, Refused, Misconfigured) as error:
            log.info("target %s: not seen this minute: %s", name, error.said)
        except sa.exc.DBAPIError as error:
            log.warning("target %s: what was seen could not be kept (%s)", name, type(error.orig).__name__)
        except Exception:  # one that is strange must not keep the others from being remembered
            log.exception("target %s: a bug while looking at it", name)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
            except Exception:  # the history must go on: an action that needs it refuses without
                log.exception("a look at the targets failed; the next one is in %g s", EVERY_SECONDS)
            self._over.wait(EVERY_SECONDS)

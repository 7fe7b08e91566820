"""The API server as a process: down, told to stop, and the seconds after its start in which it answers, but not yet as it should.

Seen at each start of a real one (its times are rounded): no rights are loaded at first, so that only those who need none get past
the door; then custom resources are no known paths yet; then their lists are not, while single objects are.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sandbox.kubernetes import errors
from sandbox.kubernetes.authorise import Attributes
from sandbox.kubernetes.errors import ApiError
from sandbox.kubernetes.kinds import Resource

# A member of system:masters: no role is looked up.
MASTERS: Final = ("admin",)

LISTENS, RIGHTS, PATHS, READY, LISTS = 0.03, 1.2, 1.8, 2.3, 3.4
"""Seconds of the clock after a start, from which on it does each of these."""

_NOT_READY = "[+]ping ok\n[-]informer-sync failed: reason withheld\nreadyz check failed\n"


class Process:
    """`set` stops and starts it; the rest says what a request meets at this moment."""

    def __init__(self) -> None:
        self.mode = "up"
        self._started: datetime | None = None
        self._told_at: datetime | None = None

    @property
    def stopping(self) -> bool:
        """Told to stop: nobody new is let in, and the watches that are open stay open."""
        return self.mode == "stopping"

    def check(self, value: object) -> None:
        if value not in (None, "up", "down", "stopping"):
            raise ValueError('apiserver: "up", "down" or "stopping" is wanted')

    def set(self, value: object, now: datetime) -> bool:
        """True where it was started by this. None: up, and no start is to be seen."""
        self.check(value)
        before = self.mode
        if value in ("down", "stopping"):
            self.mode, self._started, self._told_at = str(value), None, now
        elif value is None:
            self.mode, self._started = "up", None
        elif before != "up":
            self.mode, self._started = "up", now
        return before != "up" and self.mode == "up"

    def silent_for(self, now: datetime) -> float:
        """Seconds since it was told to stop; 0 where it was not."""
        return (now - self._told_at).total_seconds() if self.stopping and self._told_at is not None else 0.0

    def serves(self, now: datetime) -> bool:
        """Whether controllers can work with it: what they watch is served again."""
        return self.mode == "up" and self._does(LISTS, now)

    def demand_connection(self, now: datetime) -> None:
        """All vendors share one port, so nobody can be refused here: the connection ends without an answer."""
        if self.mode != "up" or not self._does(LISTENS, now):
            raise ConnectionAbortedError("the API server is down")

    def demand_ready(self, now: datetime) -> None:
        if not self._does(READY, now):
            raise ApiError(500, _NOT_READY)

    def demand_rights(self, asked: Attributes, now: datetime) -> None:
        if asked.user not in MASTERS and not self._does(RIGHTS, now):
            raise asked.forbidden()

    def demand_rights_of_path(self, user: str, path: str, now: datetime) -> None:
        if user not in MASTERS and not self._does(RIGHTS, now):
            raise errors.forbidden_path(user, path)

    def demand_paths(self, resource: Resource | None, now: datetime) -> None:
        """What may be a custom resource's path is not known to be one yet."""
        if (resource is None or resource.custom) and not self._does(PATHS, now):
            raise errors.paths_not_installed()

    def demand_lists(self, resource: Resource, now: datetime) -> None:
        if resource.custom and not self._does(LISTS, now):
            raise errors.storage_initializing()

    def _does(self, after: float, now: datetime) -> bool:
        return self._started is None or (now - self._started).total_seconds() >= after

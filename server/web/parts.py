"""What the web is handed when it is put together: everything that a view may touch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from server.settings import Settings
from server.store.inbox import Inbox
from server.store.refusals import Refusals
from server.web.meter import Meter


def _now() -> datetime:
    return datetime.now(UTC)


def _nothing() -> str | None:
    return None


def _no_warnings() -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Parts:
    """The web's surroundings.

    reading: for pages, never takes a write lock. writing: for sign-in. migrations: what is missing, or None.
    executor: whether an executing process is alive, None = this process cannot tell. executes: this process is one itself,
    so that its executor missing makes it unready. warnings: what is wrong without making it unready: a runbook error on reload,
    an upstream that does not answer.
    """

    settings: Settings
    inbox: Inbox
    refusals: Refusals
    reading: sa.Engine
    writing: sa.Engine
    migrations: Callable[[], str | None] = _nothing
    executor: Callable[[], bool | None] = lambda: None
    executes: bool = False
    warnings: Callable[[], Sequence[str]] = _no_warnings
    now: Callable[[], datetime] = _now
    meter: Meter = field(default_factory=Meter)

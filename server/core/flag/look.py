"""One look at a flag. Reads only, through a door handed in; what is missing or forbidden is a value in the state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from server.core.catalog import FlagTarget
from server.core.flag import paths, read, words
from server.core.flag.state import Around, FlagState
from server.errors import Misconfigured, Refused, RipcordError

Json = dict[str, Any]


class Door(Protocol):
    """The read of a LaunchDarkly client."""

    def get(self, path: str, *, beta: bool = False) -> tuple[Json, datetime]:
        """One object and the answer's hour."""
        ...


def look(target: FlagTarget, door: Door, now: Callable[[], datetime], *, around: bool) -> FlagState:
    """Raises Transient where it cannot be read now. around: also what hangs on it, two reads more."""
    bare = FlagState(
        at=now(), project=target.project, environment=target.environment, flag=target.flag, safe=target.safe_state
    )
    if problem := paths.strange(target):
        return bare.model_copy(update={"problem": problem})
    try:
        raw, _ = door.get(paths.one(target))
    except Misconfigured as error:
        return bare.model_copy(update={"problem": error.said})
    except Refused as error:
        passing = error.status in (401, 403)
        return bare.model_copy(update={"problem": words.unreadable(bare, error.status, error.said), "passing": passing})
    state = read.flag(bare, raw)
    if state.problem or not around:
        return state
    return state.model_copy(update={"around": _around(target, door)})


def _around(target: FlagTarget, door: Door) -> Around:
    """None of this may hold the flag up: what cannot be read is named."""
    unread: list[str] = []
    pending = _try(door, paths.scheduled(target), "scheduled changes", unread)
    dependents = _try(door, paths.dependents(target), "dependent flags", unread, beta=True)
    return Around(pending=read.changes(pending), dependents=read.dependents(dependents), unread=tuple(unread))


def _try(door: Door, path: str, what: str, unread: list[str], *, beta: bool = False) -> Json:
    try:
        return door.get(path, beta=beta)[0]
    except RipcordError as error:
        unread.append(f"{what} ({error.status if isinstance(error, Refused) else 'no answer'})")
        return {}

"""Watches: what happened to the objects of one kind, told as it happens to whoever asked, from where he asked.

A stream is played outside of the world's lock, by the thread of its connection: it holds up nobody else, and it ends with its
client, with its time, and with the API server.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.http import Request, Response, dump
from sandbox.kubernetes import errors
from sandbox.kubernetes.answers import streamed, versioned
from sandbox.kubernetes.kinds import Resource
from sandbox.kubernetes.paths import Target
from sandbox.kubernetes.selectors import Predicate
from sandbox.kubernetes.starting import Process
from sandbox.kubernetes.store import Store

Object = dict[str, Any]

FRESH: Final = timedelta(seconds=75)
"""So long what happened is kept at least."""
FEW, MANY = 100, 2000  # fewer are always kept, more never, of each kind

LONGEST: Final = 1800.0
"""Seconds until a watch without a time of its own is ended. (The real server draws it between this and twice as much.)"""
SILENCE: Final = 60.0
"""Seconds for which a server that was told to stop leaves its watches open, without a word."""
BOOKMARKS: Final = timedelta(seconds=60)
BEFORE_THE_END: Final = timedelta(seconds=2)

_GLANCE = 0.1  # seconds of the machine: how often a quiet watch looks at the clock, and for its client
_NOTHING = b""
_MATCH, _NEWER = "resourceVersionMatch", "NotOlderThan"


@dataclass(frozen=True)
class _Event:
    """One write: the object before and after it, None where there was none."""

    revision: int
    at: datetime
    before: Object | None
    after: Object | None

    def told(self, chosen: Predicate) -> tuple[str, Object] | None:
        """What it is to a watch that chooses: an object that leaves the choice counts as deleted, in its last state within it."""
        was = self.before is not None and chosen(self.before)
        if self.after is not None and chosen(self.after):
            return ("MODIFIED" if was else "ADDED"), self.after
        if not was or self.before is None:
            return None
        meta = {**self.before["metadata"], "resourceVersion": str(self.revision)}
        return "DELETED", {**self.before, "metadata": meta}


@dataclass(frozen=True)
class _Asked:
    """One watch: what it wants to hear, from which revision on and until when."""

    resource: Resource
    version: str
    chosen: Predicate
    since: int
    until: datetime
    bookmarks: bool
    start: int  # which life of the API server it belongs to

    def line(self, kind: str, obj: Object) -> bytes:
        return dump({"type": kind, "object": versioned(self.resource, self.version, obj)}) + b"\n"

    def bookmark(self, revision: int, marks: dict[str, str] | None = None) -> bytes:
        """How far it is, and nothing else of an object."""
        meta: Object = {"resourceVersion": str(revision)} | ({"annotations": marks} if marks else {})
        head = {"kind": self.resource.kind, "apiVersion": self.resource.api_version(self.version)}
        return dump({"type": "BOOKMARK", "object": {**head, "metadata": meta}}) + b"\n"


class Watches:
    """Keeps what has happened, and plays it to those who watch."""

    def __init__(self, store: Store, process: Process, now: Callable[[], datetime]) -> None:
        self._store = store
        self._process = process
        self._now = now
        self._news = threading.Condition()
        self._kept: dict[str, deque[_Event]] = {}
        self._gone: dict[str, int] = {}  # up to this revision nothing is known any more
        self._began = store.revision
        self._latest = store.revision
        self._start = 0
        store.observers.append(self._note)

    def forget(self) -> None:
        """The API server was started: what was before it, it has never seen."""
        with self._news:
            self._kept.clear()
            self._gone.clear()
            self._began = self._latest = self._store.revision
            self._start += 1
            self._news.notify_all()

    def open(
        self, target: Target, resource: Resource, request: Request, chosen: Predicate, there: list[Object]
    ) -> Response:
        """`there`: what the watch would list now. The world's lock is held: nothing happens between that and the first event."""
        wanted = request.first("resourceVersion")
        if wanted and not wanted.isdigit():
            raise errors.unparsable_version(wanted)
        _demand_sense(request)
        marks = _flag(request, "allowWatchBookmarks")
        initially = _initially(request, wanted)
        since = self._latest if wanted in ("", "0") or initially else int(wanted)
        asked = _Asked(resource, target.version, chosen, since, self._end(request), marks, self._start)
        if since < (oldest := self._gone.get(resource.plural, self._began)):
            return streamed(iter([_expired(since, oldest)]))
        first = [asked.line("ADDED", one) for one in there] if initially else []
        if _flag(request, "sendInitialEvents") and marks:
            first.append(asked.bookmark(since, {"k8s.io/initial-events-end": "true"}))
        return streamed(self._stream(asked, first))

    def _end(self, request: Request) -> datetime:
        wanted = request.first("timeoutSeconds", "0")
        seconds = float(wanted) if wanted.isdigit() else 0
        return self._now() + timedelta(seconds=seconds or LONGEST)

    def _stream(self, asked: _Asked, first: list[bytes]) -> Iterator[bytes]:
        """A piece of nothing is a moment in which whoever sends may see whether somebody is still there."""
        yield from first
        at, mark_at = asked.since, _next_mark(asked, self._now())
        while not self._over(asked):
            silent = self._process.stopping
            events, latest = ([], at) if silent else self._since(asked.resource.plural, at)
            if events is None:
                return  # too slow: the real server ends it without a word as well
            yield from _lines(asked, events)
            at = max(at, latest)
            if mark_at is not None and self._now() >= mark_at and not silent:
                yield asked.bookmark(at)
                mark_at = _next_mark(asked, self._now())
            yield _NOTHING
            self._wait(at)

    def _over(self, asked: _Asked) -> bool:
        """At its end. A server that is killed tears it; one that is told to stop is silent for a while, and ends it then."""
        if self._start != asked.start or self._process.mode == "down":
            raise ConnectionAbortedError("the API server of this watch is gone")
        return self._process.silent_for(self._now()) >= SILENCE or self._now() >= asked.until

    def _since(self, kind: str, revision: int) -> tuple[list[_Event] | None, int]:
        """What came after that revision, and how far that is; None where some of it is kept no more."""
        with self._news:
            if self._gone.get(kind, self._began) > revision:
                return None, revision
            found: list[_Event] = []
            for event in reversed(self._kept.get(kind, ())):
                if event.revision <= revision:
                    break
                found.append(event)
            return found[::-1], self._latest

    def _wait(self, revision: int) -> None:
        with self._news:
            if self._latest <= revision:
                self._news.wait(_GLANCE)

    def _note(
        self, kind: str, _namespace: str, _name: str, before: Object | None, after: Object | None, _by_client: bool
    ) -> None:
        with self._news:
            self._latest, at = self._store.revision, self._now()
            kept = self._kept.setdefault(kind, deque())
            kept.append(_Event(self._latest, at, before, after))
            while len(kept) > MANY or (len(kept) > FEW and kept[0].at < at - FRESH):
                self._gone[kind] = kept.popleft().revision
            self._news.notify_all()


def _lines(asked: _Asked, events: list[_Event]) -> Iterator[bytes]:
    for event in events:
        told = event.told(asked.chosen)
        if told is not None:
            yield asked.line(*told)


def _expired(since: int, oldest: int) -> bytes:
    """Told in the stream of a 200, never by the code of the answer."""
    error = errors.status(410, "Expired", f"too old resource version: {since} ({oldest})")
    return dump({"type": "ERROR", "object": error.body}) + b"\n"


def _next_mark(asked: _Asked, now: datetime) -> datetime | None:
    """Each minute, and once more shortly before the end; none where the end is that near already."""
    if not asked.bookmarks:
        return None
    last = asked.until - BEFORE_THE_END
    return min(now + BOOKMARKS, last) if now < last else None


def _demand_sense(request: Request) -> None:
    """resourceVersionMatch and sendInitialEvents go together, and mean one thing."""
    match, initial = request.first("resourceVersionMatch"), "sendInitialEvents" in request.query
    refused: list[tuple[str, str]] = []
    if initial and match != _NEWER:
        refused.append(("FieldValueForbidden", f"Forbidden: sendInitialEvents requires setting {_MATCH} to {_NEWER}"))
    if match and not initial:
        words = f"Forbidden: {_MATCH} is forbidden for watch unless sendInitialEvents is provided"
        refused.append(("FieldValueForbidden", words))
    if match and match != _NEWER:
        refused.append(("FieldValueNotSupported", f'Unsupported value: "{match}": supported values: "{_NEWER}"'))
    if refused:
        causes = [errors.Cause(reason, message, _MATCH) for reason, message in refused]
        raise errors.invalid("ListOptions", "meta.k8s.io", "", causes)


def _initially(request: Request, wanted: str) -> bool:
    """Whether what is there is told first, each as if it had just been added."""
    if "sendInitialEvents" in request.query:
        return _flag(request, "sendInitialEvents")
    return wanted in ("", "0")


def _flag(request: Request, name: str) -> bool:
    return request.first(name, "false").lower() not in ("false", "0")

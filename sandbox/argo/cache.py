"""The controller's own picture of the Rollouts: what it does not see does not exist for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.argo.names import Object

Key = tuple[str, str]


class Cache:
    """Normally the stored object. A swallowed write leaves the old one in place until another write changes the object."""

    def __init__(self) -> None:
        self._swallow: set[Key] = set()
        self._old: dict[Key, Object] = {}
        self._late: dict[Key, datetime] = {}

    def swallow_next(self, key: Key | None) -> None:
        if key is None:
            self._swallow.clear()
        else:
            self._swallow.add(key)

    @property
    def waiting(self) -> list[Key]:
        return sorted(self._swallow)

    @property
    def unseen(self) -> list[Key]:
        return sorted(self._old)

    def changed(
        self, key: Key, before: Object | None, *, by_client: bool, slow: timedelta | None, now: datetime
    ) -> None:
        if by_client and slow is not None and key not in self._late:
            self._late[key] = now + slow
        if not by_client or before is None:
            self._old.pop(key, None)
        elif key in self._swallow:
            self._swallow.discard(key)
            self._old.setdefault(key, before)
        else:
            self._old.pop(key, None)

    def seen(self, key: Key, stored: Object) -> Object:
        return self._old.get(key, stored)

    def late(self, key: Key, now: datetime) -> bool:
        """A slow controller has not come to this object yet."""
        until = self._late.get(key)
        if until is None:
            return False
        if now >= until:
            del self._late[key]
            return False
        return True

    def forget_late(self) -> None:
        self._late.clear()

"""The garbage collector: what belonged to an object that is gone goes with it, at the next tick."""

from __future__ import annotations

from typing import Any

from sandbox.kubernetes.store import Store

Object = dict[str, Any]


class Garbage:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._gone: set[str] = set()
        store.observers.append(self._observe)

    def tick(self) -> None:
        """Dependents of dependents follow at once: each deletion here is observed again."""
        while self._gone:
            gone, self._gone = self._gone, set()
            for kind, obj in self._store.everything():
                meta = obj["metadata"]
                owners = {reference.get("uid") for reference in meta.get("ownerReferences") or []}
                if owners and owners <= gone:
                    self._store.delete(kind, meta.get("namespace", ""), meta["name"])

    def _observe(
        self, kind: str, namespace: str, name: str, before: Object | None, after: Object | None, by_client: bool
    ) -> None:
        if before is not None and after is None:
            self._gone.add(str(before["metadata"]["uid"]))

"""The objects of the cluster and the rules of every write: one counter, generation, managedFields, no-ops.

Objects that it hands out are the stored ones and never change afterwards: a write replaces them. Copy before changing.
The world's lock is held by whoever calls.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any

from sandbox.clock import whole_seconds
from sandbox.kubernetes.kinds import BY_PLURAL, Resource
from sandbox.kubernetes.managed_fields import Writer, recorded, timeless

Kind = str  # the plural: "rollouts", "replicasets", …
Object = dict[str, Any]
Objects = list[Object]
Everything = list[tuple[Kind, Object]]
Change = Callable[[Object], None]
Observer = Callable[[Kind, str, str, Object | None, Object | None, bool], None]

_FIXED = ("uid", "name", "namespace", "creationTimestamp", "resourceVersion", "generation", "managedFields")


class Exists(Exception):
    """An object of that name is there already."""


class Missing(Exception):
    """There is no object of that name."""


class Store:
    """Kinds are plurals; cluster-wide objects have the namespace ""."""

    def __init__(self, now: Callable[[], datetime], rng: random.Random) -> None:
        self.revision = rng.randrange(10_000, 90_000)
        self.observers: list[Observer] = []
        self._now = now
        self._rng = rng
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def list(self, kind: Kind, namespace: str | None = None) -> Objects:
        """Sorted by namespace and name, as etcd hands them out."""
        found = sorted(self._objects.get(kind, {}).items())
        return [obj for (place, _), obj in found if namespace is None or place == namespace]

    def everything(self) -> Everything:
        return [(kind, obj) for kind in tuple(self._objects) for obj in self.list(kind)]

    def drafted(self, kind: Kind, obj: Object, *, manager: str) -> Object:
        """The object as `create` would store it, without a resourceVersion."""
        new = deepcopy(obj)
        resource = BY_PLURAL[kind]
        new.setdefault("apiVersion", resource.api_version())
        new.setdefault("kind", resource.kind)
        meta = new.setdefault("metadata", {})
        if "name" not in meta and "generateName" in meta:
            meta["name"] = f"{meta['generateName']}{self._suffix()}"
        if self.get(kind, meta.get("namespace", ""), meta["name"]) is not None:
            raise Exists(meta["name"])
        meta.setdefault("creationTimestamp", whole_seconds(self._now()))
        meta["uid"] = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        if resource.counts_generation:
            meta.setdefault("generation", 1)
        meta["managedFields"] = self._managed(None, new, manager, "", "Update")
        return new

    def create(self, kind: Kind, obj: Object, *, manager: str, by_client: bool = False) -> Object:
        """A creationTimestamp, a generation and a status that stand in `obj` are kept (scenes have a past)."""
        new = self.drafted(kind, obj, manager=manager)
        self._put(kind, None, new, by_client)
        return new

    def prepared(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        *,
        manager: str,
        subresource: str = "",
        operation: str = "Update",
    ) -> Object:
        """The object as `update` would store it, with the old resourceVersion; the stored one itself for a no-op."""
        before = self.get(kind, namespace, name)
        if before is None:
            raise Missing(name)
        wished = deepcopy(before)
        change(wished)
        resource = BY_PLURAL[kind]
        after = _confined(before, wished, subresource, resource)
        # The metadata that …/status drops is written down all the same: whoever sent it owns it from then on (seen on the real one).
        claimed = _with_metadata_of(wished, after) if subresource == "status" else after
        entries = self._managed(before, claimed, manager, subresource, operation)
        if _same(before, after) and _same(timeless(before["metadata"]["managedFields"]), timeless(entries)):
            return before
        if resource.counts_generation and _moves_generation(before, after, resource.has_status):
            after["metadata"]["generation"] = int(before["metadata"].get("generation", 0)) + 1
        after["metadata"]["managedFields"] = entries
        return after

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        *,
        manager: str,
        subresource: str = "",
        operation: str = "Update",
        by_client: bool = False,
    ) -> bool:
        """Change a deep copy and store it. False: nothing was different, so nothing moved. `Missing` where it is gone.

        subresource "status" keeps the change to status and nothing else; "" keeps the old status of every kind that has
        a status subresource (Rollouts, ReplicaSets, Services …; not AnalysisRuns), exactly as the endpoints do.
        """
        before = self.get(kind, namespace, name)
        how = {"manager": manager, "subresource": subresource, "operation": operation}
        after = self.prepared(kind, namespace, name, change, **how)
        if after is before:
            return False
        self._put(kind, before, after, by_client)
        return True

    def delete(self, kind: Kind, namespace: str, name: str, *, by_client: bool = False) -> bool:
        before = self.get(kind, namespace, name)
        if before is None:
            return False
        del self._objects[kind][(namespace, name)]
        self.revision += 1
        self._tell(kind, namespace, name, before, None, by_client)
        return True

    def delete_namespace(self, namespace: str) -> None:
        """Everything that lies in it."""
        for kind, obj in self.everything():
            if obj["metadata"].get("namespace") == namespace:
                self.delete(kind, namespace, obj["metadata"]["name"])

    def random_byte(self) -> int:
        return self._rng.randrange(1, 255)

    def _put(self, kind: Kind, before: Object | None, after: Object, by_client: bool) -> None:
        meta = after["metadata"]
        self.revision += 1
        meta["resourceVersion"] = str(self.revision)
        place, name = meta.get("namespace", ""), meta["name"]
        self._objects.setdefault(kind, {})[(place, name)] = after
        self._tell(kind, place, name, before, after, by_client)

    def _tell(
        self, kind: Kind, namespace: str, name: str, before: Object | None, after: Object | None, by_client: bool
    ) -> None:
        for observer in tuple(self.observers):
            observer(kind, namespace, name, before, after, by_client)

    def _managed(self, before: Object | None, after: Object, manager: str, subresource: str, operation: str) -> Objects:
        writer = Writer(manager, operation, subresource)
        return recorded(before, after, writer, whole_seconds(self._now()))

    def _suffix(self) -> str:
        return "".join(self._rng.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))


def _confined(before: Object, after: Object, subresource: str, resource: Resource) -> Object:
    """What the endpoint may change, and nothing else: its own part of the object, never identity or bookkeeping."""
    kept = dict(after)
    if subresource == "status":
        kept = {key: value for key, value in before.items() if key != "status"}
        kept |= {"status": after["status"]} if after.get("status") is not None else {}
    elif resource.has_status:
        kept.pop("status", None)
        kept |= {"status": before["status"]} if "status" in before else {}
    # Of a custom resource …/status keeps no metadata; of a built-in one it does.
    free = _free_metadata(before if subresource == "status" and resource.custom else after)
    own = {key: before["metadata"][key] for key in _FIXED if key in before["metadata"]}
    return {**kept, "apiVersion": before["apiVersion"], "kind": before["kind"], "metadata": {**free, **own}}


def _free_metadata(obj: Object) -> Object:
    return {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _FIXED}


def _with_metadata_of(wished: Object, after: Object) -> Object:
    fixed = {key: value for key, value in after["metadata"].items() if key in _FIXED}
    return {**after, "metadata": {**_free_metadata(wished), **fixed}}


def _same(one: Any, other: Any) -> bool:
    """Python takes 1 for True; JSON does not."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _moves_generation(before: Object, after: Object, has_status: bool) -> bool:
    ignored = {"metadata", "status"} if has_status else {"metadata"}
    return not _same(_rest(before, ignored), _rest(after, ignored))


def _rest(obj: Object, ignored: set[str]) -> Object:
    return {key: value for key, value in obj.items() if key not in ignored}

"""The node's part: pods come and go as ReplicaSets want them. A pod is available two ticks after it is wanted."""

from __future__ import annotations

from sandbox.argo.names import Object, available, meta, name_of, namespace_of, wanted
from sandbox.argo.writes import Write, difference

TICKS_TO_READY = 2


class Kubelet:
    """Ages of pods in ticks, by ReplicaSet. What is available when it is first seen counts as old."""

    def __init__(self) -> None:
        self._ages: dict[str, list[int]] = {}

    def tick(self, replicasets: list[Object], missing: dict[str, int], *, grow: bool = True) -> list[Write]:
        """`missing`: by uid, how many pods are kept from being available."""
        known = {str(meta(rs)["uid"]) for rs in replicasets}
        self._ages = {uid: ages for uid, ages in self._ages.items() if uid in known}
        return [write for rs in replicasets if (write := self._play(rs, missing, grow)) is not None]

    def _play(self, replicaset: Object, missing: dict[str, int], grow: bool) -> Write | None:
        uid = str(meta(replicaset)["uid"])
        if uid not in self._ages:
            known = int((replicaset.get("status") or {}).get("replicas") or 0)
            self._ages[uid] = [TICKS_TO_READY] * min(known, available(replicaset) + missing.get(uid, 0))
        ages = self._ages[uid]
        if grow:
            ages[:] = [age + 1 for age in ages]
            count = wanted(replicaset)
            ages[:] = sorted(ages, reverse=True)[:count] + [0] * max(0, count - len(ages))
        ready = max(0, sum(age >= TICKS_TO_READY for age in ages) - missing.get(uid, 0))
        old: Object = replicaset.get("status") or {}
        new = {"replicas": len(ages), "observedGeneration": meta(replicaset).get("generation", 1)}
        if ages:
            new["fullyLabeledReplicas"] = len(ages)
        if ready:
            new |= {"readyReplicas": ready, "availableReplicas": ready}
        change = difference(old, new)
        if not change:
            return None
        name, namespace = name_of(replicaset), namespace_of(replicaset)
        return Write("replicasets", namespace, name, "patch", {"status": change}, "status")

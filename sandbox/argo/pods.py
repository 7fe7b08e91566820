"""Pods as objects: each ReplicaSet's own, made and ended as its spec says, ready as its status counts them.

The kubelet's room counts pods for the controller; here they get names and addresses, for whoever looks behind a Service.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, Protocol

from sandbox.argo.names import Object, labels, meta, name_of, namespace_of, rfc3339, status_of, wanted

NODE = "node"
MANAGER = "kube-controller-manager"
GONE_AFTER = timedelta(seconds=1)  # an ended pod stays listed, not ready, until it has stopped


class Objects(Protocol):
    def list(self, kind: str, namespace: str | None = None) -> list[Object]: ...
    def create(self, kind: str, obj: Object, *, manager: str) -> Object: ...
    def update(
        self, kind: str, namespace: str, name: str, change: Any, *, manager: str, subresource: str = ""
    ) -> bool: ...
    def delete(self, kind: str, namespace: str, name: str) -> bool: ...


class Pods:
    def __init__(self, store: Objects) -> None:
        self._store = store
        self._ending: dict[str, datetime] = {}  # by uid, when it will have stopped
        self._addresses = 0

    @property
    def ending(self) -> bool:
        """Somebody must look again although nothing changes."""
        return bool(self._ending)

    def tick(self, now: datetime) -> None:
        mine: dict[str, list[Object]] = {}
        for pod in self._store.list("pods"):
            if "deletionTimestamp" in meta(pod):
                self._stop(pod, now)
            else:
                mine.setdefault(_owner(pod), []).append(pod)
        for replicaset in self._store.list("replicasets"):
            self._follow(replicaset, mine.get(str(meta(replicaset)["uid"]), []), now)

    def _stop(self, pod: Object, now: datetime) -> None:
        uid = str(meta(pod)["uid"])
        if now >= self._ending.setdefault(uid, now + GONE_AFTER):
            del self._ending[uid]
            self._store.delete("pods", namespace_of(pod), name_of(pod))

    def _follow(self, replicaset: Object, pods: list[Object], now: datetime) -> None:
        ready = [pod for pod in pods if is_ready(pod)]
        waiting = [pod for pod in pods if not is_ready(pod)]
        count = wanted(replicaset)
        for pod in [*waiting, *ready][: max(0, len(pods) - count)]:
            self._end(pod, now)
            (ready if pod in ready else waiting).remove(pod)
        fresh = [self._make(replicaset, now) for _ in range(count - len(ready) - len(waiting))]
        missing = int(status_of(replicaset).get("readyReplicas") or 0) - len(ready)
        for pod in ready[: max(0, -missing)]:
            self._turn(pod, now, ready=False)
        for pod in [*waiting, *fresh][: max(0, missing)]:
            self._turn(pod, now, ready=True)

    def _make(self, replicaset: Object, now: datetime) -> Object:
        template = deepcopy(replicaset["spec"]["template"])
        self._addresses += 1
        address = f"10.97.{self._addresses // 250 % 256}.{self._addresses % 250 + 1}"
        owner: Object = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name_of(replicaset)}
        owner |= {"uid": meta(replicaset)["uid"], "controller": True, "blockOwnerDeletion": True}
        body: Object = {
            "metadata": {
                "generateName": f"{name_of(replicaset)}-",
                "namespace": namespace_of(replicaset),
                "labels": labels(template),
                "annotations": meta(template).get("annotations") or {},
                "ownerReferences": [owner],
                "creationTimestamp": rfc3339(now),
            },
            "spec": (template.get("spec") or {}) | {"nodeName": NODE},
            "status": {
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}],
                "startTime": rfc3339(now),
                "conditions": _conditions(now, ready=False),
            },
        }
        return self._store.create("pods", body, manager=MANAGER)

    def _end(self, pod: Object, now: datetime) -> None:
        def change(obj: Object) -> None:
            meta(obj)["deletionTimestamp"] = rfc3339(now)
            meta(obj)["deletionGracePeriodSeconds"] = 30

        self._ending[str(meta(pod)["uid"])] = now + GONE_AFTER
        self._store.update("pods", namespace_of(pod), name_of(pod), change, manager=MANAGER)

    def _turn(self, pod: Object, now: datetime, *, ready: bool) -> None:
        def change(obj: Object) -> None:
            obj["status"]["conditions"] = _conditions(now, ready=ready)

        self._store.update("pods", namespace_of(pod), name_of(pod), change, manager="kubelet", subresource="status")


def is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status_of(pod).get("conditions") or [])


def _owner(pod: Object) -> str:
    return next((str(one["uid"]) for one in meta(pod).get("ownerReferences") or [] if one.get("controller")), "")


def _conditions(now: datetime, *, ready: bool) -> list[Object]:
    truths = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    at = rfc3339(now)
    return [{"type": kind, "status": str(truth), "lastTransitionTime": at} for kind, truth in truths.items()]

"""The node's part, played by us: pods are bound, become ready after a while, can be held back, and go when they must.

What is held back stands in the ConfigMap kube-system/kubelet: `<namespace>.<ReplicaSet>: "<how many of its pods>"` are kept from
being ready, or made unready again. So any client with the admin's kubeconfig can hold pods back, from any process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import urllib3

from tests.cluster.api import JSON, MERGE, NAMESPACES, Api, Object, Refused

NODE = "node"
HOLDS = f"{NAMESPACES}/kube-system/configmaps/kubelet"
READY_AFTER = 0.4
GONE_AFTER = 1.0
_LOOK = 0.05
Take = Callable[[str, Object], None]
_BROKEN = (urllib3.exceptions.HTTPError, Refused, ValueError, KeyError, OSError)


@dataclass
class _Pod:
    body: Object
    seen: float = field(default_factory=time.monotonic)
    ending: float | None = None
    bound: bool = False
    ready: bool | None = None  # what we have last said; None = nothing yet
    address: str = ""


class Kubelet:
    """One node, in a thread of its own, beside two that watch."""

    def __init__(self, api: Api) -> None:
        self._api, self._stop = api, threading.Event()
        self._lock = threading.Lock()
        self._pods: dict[str, _Pod] = {}
        self._holds: dict[str, int] = {}
        self._addresses = 0
        self._threads = [
            threading.Thread(target=self._watch, args=("/api/v1/pods", self._pod), daemon=True),
            threading.Thread(
                target=self._watch, args=(f"{NAMESPACES}/kube-system/configmaps", self._hold), daemon=True
            ),
            threading.Thread(target=self._play, daemon=True),
        ]

    def start(self) -> None:
        """The node and its (empty) list of holds are there when this returns."""
        self._api.ensure("/api/v1/nodes", {"metadata": {"name": NODE}})
        self._api.ensure(HOLDS.rpartition("/")[0], {"metadata": {"name": "kubelet"}, "data": {}})
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Plays no more. A watch may hang on until its server ends; its thread is nobody's concern."""
        self._stop.set()
        self._threads[-1].join(5)

    # ---- what stands there ----

    def _watch(self, path: str, take: Take) -> None:
        while not self._stop.is_set():
            try:
                found = self._api.get(path)
                self._whole(path, found["items"], take)
                for event in self._api.watch(path, found["metadata"]["resourceVersion"], self._stop):
                    if event["type"] == "ERROR":
                        break
                    if event["type"] != "BOOKMARK":
                        take(event["type"], event["object"])
            except _BROKEN:  # the server is away or starting: look again
                self._stop.wait(0.2)

    def _whole(self, path: str, items: list[Object], take: Take) -> None:
        if path.endswith("/pods"):
            with self._lock:
                there = {item["metadata"]["uid"] for item in items}
                self._pods = {uid: pod for uid, pod in self._pods.items() if uid in there}
        for item in items:
            take("ADDED", item)

    def _pod(self, kind: str, body: Object) -> None:
        uid = body["metadata"]["uid"]
        with self._lock:
            if kind == "DELETED":
                self._pods.pop(uid, None)
                return
            pod = self._pods.setdefault(uid, _Pod(body))
            pod.body = body
            pod.bound = pod.bound or bool(body["spec"].get("nodeName"))
            if pod.ready is None and body.get("status", {}).get("phase") == "Running":
                # Somebody who died before us has told it.
                conditions = {one["type"]: one["status"] for one in body["status"].get("conditions", [])}
                pod.ready, pod.address = conditions.get("Ready") == "True", body["status"].get("podIP", "")
            if pod.ending is None and body["metadata"].get("deletionTimestamp"):
                pod.ending = time.monotonic()

    def _hold(self, kind: str, body: Object) -> None:
        if body["metadata"]["name"] != "kubelet":
            return
        data = {} if kind == "DELETED" else body.get("data") or {}
        with self._lock:
            self._holds = {name: int(count) for name, count in data.items() if count.strip().isdigit()}

    # ---- what a node does about it ----

    def _play(self) -> None:
        while not self._stop.wait(_LOOK):
            with self._lock:
                pods, holds = dict(self._pods), dict(self._holds)
            held = _held(pods, holds)
            for uid, pod in pods.items():
                try:
                    self._one(pod, uid in held)
                except _BROKEN:
                    continue  # the server is away, or the pod is gone: the next look tells

    def _one(self, pod: _Pod, held: bool) -> None:
        name, namespace = pod.body["metadata"]["name"], pod.body["metadata"]["namespace"]
        path, now = f"{NAMESPACES}/{namespace}/pods/{name}", time.monotonic()
        if pod.ending is not None:
            if now - pod.ending >= GONE_AFTER:
                self._api.call("DELETE", path, {"gracePeriodSeconds": 0}, JSON)
            return
        if not pod.bound:
            target = {"metadata": {"name": name}, "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}}
            self._api.create(f"{path}/binding", target)
            pod.bound = True
            return
        ready = now - pod.seen >= READY_AFTER and not held
        if ready is not pod.ready and (ready or held or pod.ready):
            if not pod.address:
                self._addresses += 1
                pod.address = f"10.97.{self._addresses // 250 % 256}.{self._addresses % 250 + 1}"
            answer = self._api.call("PATCH", f"{path}/status", {"status": _status(pod, ready)}, MERGE)
            if answer.code < 300:
                pod.ready = ready


def _held(pods: dict[str, _Pod], holds: dict[str, int]) -> set[str]:
    """The pods that must not be ready: of each ReplicaSet the first by name, so that the choice stands."""
    held: set[str] = set()
    for key, count in holds.items():
        namespace, _, name = key.partition(".")
        mine = sorted(
            (pod.body["metadata"]["name"], uid)
            for uid, pod in pods.items()
            if pod.ending is None and pod.body["metadata"]["namespace"] == namespace and _owner(pod.body) == name
        )
        held.update(uid for _, uid in mine[:count])
    return held


def _owner(body: Object) -> str:
    owners = body["metadata"].get("ownerReferences") or []
    return next((str(one["name"]) for one in owners if one.get("controller")), "")


def _status(pod: _Pod, ready: bool) -> Object:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    truths = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    conditions = [
        {"type": kind, "status": str(truth), "lastTransitionTime": at, "lastProbeTime": None}
        for kind, truth in truths.items()
    ]
    containers = [
        {"name": one["name"], "image": one["image"], "imageID": one["image"], "ready": ready, "restartCount": 0}
        | {"started": True, "state": {"running": {"startedAt": at}}}
        for one in pod.body["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        "podIP": pod.address,
        "podIPs": [{"ip": pod.address}],
        "hostIP": "127.0.0.1",
        "startTime": pod.body["metadata"]["creationTimestamp"],
        "conditions": conditions,
        "containerStatuses": containers,
    }

"""Two worlds with one door: the sandbox, and the real control plane. What a scenario does and sees goes through here.

Both speak the Kubernetes API over a real socket, keep a record of every write in its order, and offer the same few verbs that
life does not: hold pods back, stop and start the controller, answer a metric.
"""

from __future__ import annotations

import json
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import urllib3

from sandbox.start import Sandbox, start
from sandbox.world import TICK_SECONDS
from tests.cluster.api import JSON, JSON_PATCH, MERGE, NAMESPACES, Answer, Api, Object
from tests.cluster.kubelet import HOLDS
from tests.cluster.start import ADMIN, LEASE, ControlPlane
from tests.contract.metrics import Metrics
from tests.support.waiting import eventually

RECORDED = {
    "rollouts": "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts",
    "replicasets": "/apis/apps/v1/namespaces/{}/replicasets",
    "services": "/api/v1/namespaces/{}/services",
    "virtualservices": "/apis/networking.istio.io/v1/namespaces/{}/virtualservices",
    "analysisruns": "/apis/argoproj.io/v1alpha1/namespaces/{}/analysisruns",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
}


class World(ABC):
    """What a scenario may do; `rollouts` is the release that this world runs or plays."""

    name: str
    rollouts: str
    user: str  # what error texts call the one who asks
    pace = 1.0  # how many of its own seconds pass in one of ours

    def __init__(self) -> None:
        self._made = 0
        self.metrics = Metrics()

    # ---- the API ----

    @abstractmethod
    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str | None = None,
        *,
        query: Mapping[str, object] | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        """Any request as the admin; `token` None sends none, another text sends that."""

    def get(self, path: str, **query: object) -> Answer:
        """GET."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: object, **query: object) -> Answer:
        """POST."""
        return self.call("POST", path, body, JSON, query=query)

    def put(self, path: str, body: object) -> Answer:
        """PUT."""
        return self.call("PUT", path, body, JSON)

    def merge(self, path: str, body: object, **query: object) -> Answer:
        """A merge patch."""
        return self.call("PATCH", path, body, MERGE, query=query)

    def json_patch(self, path: str, *operations: Object) -> Answer:
        """A JSON patch."""
        return self.call("PATCH", path, list(operations), JSON_PATCH)

    def namespace(self) -> str:
        """A new namespace of one's own."""
        self._made += 1
        name = f"scenario-{self._made}"
        assert self.post(NAMESPACES, {"metadata": {"name": name}}).code == 201
        return name

    def leave(self, namespace: str) -> None:
        """Nothing of it stays: an aborted canary keeps a controller busy."""
        for one in self.get(RECORDED["rollouts"].format(namespace)).json["items"]:
            self.call("DELETE", f"{RECORDED['rollouts'].format(namespace)}/{one['metadata']['name']}")
        self.call("DELETE", f"{NAMESPACES}/{namespace}")

    # ---- the verbs ----

    @abstractmethod
    def hold(self, namespace: str, replicaset: str, pods: int) -> None:
        """So many pods of a ReplicaSet are not ready from now on."""

    @abstractmethod
    def let_go(self) -> None:
        """Nothing is held back any more."""

    @abstractmethod
    def controller_down(self) -> None:
        """Killed: its Lease stands."""

    @abstractmethod
    def controller_up(self, *, handed: bool = False) -> None:
        """Started again; it acts 14 to 20 s later. `handed`: the Lease need not be waited for, where that can be had."""

    @abstractmethod
    @contextmanager
    def standby(self) -> Iterator[None]:
        """A second controller waits in this block, and takes over when the first goes down."""

    @abstractmethod
    @contextmanager
    def stalled(self) -> Iterator[None]:
        """The next PATCH gets no answer in this block; what was asked for is carried out after it."""

    @abstractmethod
    @contextmanager
    def record(self, namespace: str) -> Iterator[Record]:
        """Every write in that namespace from now on."""


class Record:
    """Writes in the order in which the API server took them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes: list[tuple[int, str, Object]] = []
        self._from = 0

    def add(self, kind: str, obj: Object) -> None:
        with self._lock:
            if int(obj["metadata"]["resourceVersion"]) < self._from:
                return
            self._writes.append((int(obj["metadata"]["resourceVersion"]), kind, obj))
            self._writes.sort(key=lambda one: one[0])

    @property
    def writes(self) -> list[tuple[str, Object]]:
        with self._lock:
            return [(kind, obj) for _, kind, obj in self._writes]

    def of(self, kind: str, name: str | None = None) -> list[Object]:
        """The states of one kind (and name), one after the other."""
        return [obj for one, obj in self.writes if one == kind and name in (None, obj["metadata"]["name"])]

    def first(self, kind: str, holds: Callable[[Object], object]) -> int:
        """The place in the record at which something first held of an object of that kind; -1 = never."""
        for place, (one, obj) in enumerate(self.writes):
            if one == kind and holds(obj):
                return place
        return -1

    def version(self, kind: str, holds: Callable[[Object], object]) -> int:
        """The resourceVersion of the first write of that kind of which something holds; -1 = none yet."""
        found = (obj["metadata"]["resourceVersion"] for obj in self.of(kind) if holds(obj))
        return int(next(found, -1))

    def since(self, answer: Answer) -> None:
        """Forgets what was written before that write of ours: a late one of what was before proves nothing."""
        with self._lock:
            self._from = int(answer.json["metadata"]["resourceVersion"])
            self._writes = [one for one in self._writes if one[0] >= self._from]

    def in_order(self, *writes: tuple[str, str, Callable[[Object], object]], within: float = 20) -> None:
        """Each (what, kind, holds) comes, and first comes after the one before it first came."""

        def look() -> list[int]:
            found = [self.version(kind, holds) for _, kind, holds in writes]
            missing = [what for (what, _, _), version in zip(writes, found, strict=True) if version < 0]
            assert not missing, f"not written: {missing}"
            came = sorted(zip(found, (what for what, _, _ in writes), strict=True))
            assert [what for _, what in came] == [what for what, _, _ in writes], f"in another order: {came}"
            assert len(set(found)) == len(found), f"two of them are one write: {came}"
            return found

        # The order too is waited for: each kind is watched by itself, and one watch may lag behind another.
        eventually(look, within=within, what="all writes are there")


# ---- the sandbox ----


class SandboxWorld(World):
    """The sandbox, playing the release that it is told to play."""

    name = "sandbox"
    user = "admin"
    pace = 8.0

    def __init__(self, rollouts: str, *, ticking: bool = True) -> None:
        super().__init__()
        self.rollouts = rollouts
        self.sandbox: Sandbox = start(scene=False, ticking=False, seed=5)
        self._ended = threading.Event()
        self._standby = False
        if ticking:
            threading.Thread(target=self._tick_on, daemon=True).start()
        self._http = urllib3.PoolManager(maxsize=4, retries=False)
        assert self.post(NAMESPACES, {"metadata": {"name": "argo-rollouts"}}).code == 201
        self.control(rollouts=rollouts)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str | None = None,
        *,
        query: Mapping[str, object] | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        who = self.user if token == "" else token
        api = Api(f"{self.sandbox.base_url}/kubernetes", who, pool=self._http)
        return api.call(method, path, body, kind, query=query, headers=headers, timeout=timeout)

    def control(self, **settings: Any) -> None:
        """A call to the door that life does not have."""
        answer = self._http.request(
            "POST", f"{self.sandbox.base_url}/_sandbox/kubernetes", body=json.dumps(settings), timeout=10
        )
        assert answer.status == 200, answer.data

    def hold(self, namespace: str, replicaset: str, pods: int) -> None:
        self.control(unready={f"{namespace}/{replicaset}": pods})

    def let_go(self) -> None:
        self.control(unready=None)

    def controller_down(self) -> None:
        self.control(controller="failing_over" if self._standby else "down")

    def controller_up(self, *, handed: bool = False) -> None:
        del handed  # its clock runs fast: it waits for the Lease in any case
        self.control(controller="up")

    @contextmanager
    def standby(self) -> Iterator[None]:
        """Nobody to be seen until the first is gone: `failing_over` is then what `down` is without one."""
        self._standby = True
        try:
            yield
        finally:
            self._standby = False

    @contextmanager
    def stalled(self) -> Iterator[None]:
        fault = {"match": {"method": "PATCH"}, "do": "hold_before", "seconds": 60, "times": 1}
        self.sandbox.world.faults.append([fault])
        try:
            yield
        finally:
            self.sandbox.world.faults.release()

    @contextmanager
    def record(self, namespace: str) -> Iterator[Record]:
        record, store = Record(), self.sandbox.world.kubernetes.store

        def note(kind: str, where: str, _name: str, _before: object, after: Object | None, _by_client: bool) -> None:
            if where == namespace and kind in RECORDED and after is not None:
                record.add(kind, deepcopy(after))

        with self.sandbox.world.lock:
            store.observers.append(note)
        try:
            yield record
        finally:
            with self.sandbox.world.lock:
                store.observers.remove(note)

    def _tick_on(self) -> None:
        """The sandbox's own ticks at its own distance, only sooner one after the other."""
        while not self._ended.wait(TICK_SECONDS / self.pace):
            self.sandbox.world.clock.advance(TICK_SECONDS)
            self.sandbox.world.tick()

    def end(self) -> None:
        """Gone."""
        self._ended.set()
        self.sandbox.end()
        self.metrics.end()


# ---- the real control plane ----


class ClusterWorld(World):
    """The real control plane."""

    name = "cluster"
    user = ADMIN

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self.plane, self.rollouts = plane, plane.parts.rollouts
        self._api = plane.api()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str | None = None,
        *,
        query: Mapping[str, object] | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        if token == "":
            return self._api.call(method, path, body, kind, query=query, headers=headers, timeout=timeout)
        api = Api(self.plane.url, token, str(self.plane.certificate))
        try:
            return api.call(method, path, body, kind, query=query, headers=headers, timeout=timeout)
        finally:
            api.close()

    def hold(self, namespace: str, replicaset: str, pods: int) -> None:
        self._api.merge(HOLDS, {"data": {f"{namespace}.{replicaset}": str(pods)}})
        path = f"{RECORDED['replicasets'].format(namespace)}/{replicaset}"

        def held() -> bool:
            body = self._api.get(path)
            return int(body["status"].get("readyReplicas") or 0) <= max(0, body["spec"]["replicas"] - pods)

        eventually(held, what=f"{pods} pods of {replicaset} are held back")

    def let_go(self) -> None:
        held = self._api.get(HOLDS).get("data") or {}
        self._api.merge(HOLDS, {"data": dict.fromkeys(held)})

    def controller_down(self) -> None:
        self.plane.stop_controller()

    def controller_up(self, *, handed: bool = False) -> None:
        if handed:
            self._api.merge(LEASE, {"spec": {"holderIdentity": ""}})
        self.plane.start_controller()

    @contextmanager
    def standby(self) -> Iterator[None]:
        self.plane.start_controller("standby")
        try:
            yield
        finally:
            # The one that the others know by its name leads again.
            self.plane.stop_controller("standby")
            self.controller_up(handed=True)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        self.plane.send("kube-apiserver", signal.SIGSTOP)
        try:
            yield
        finally:
            self.plane.send("kube-apiserver", signal.SIGCONT)

    @contextmanager
    def record(self, namespace: str) -> Iterator[Record]:
        record, stop = Record(), threading.Event()
        threads = []
        for kind, pattern in RECORDED.items():
            path = pattern.format(namespace)
            version = self._api.get(path)["metadata"]["resourceVersion"]
            threads.append(threading.Thread(target=self._follow, args=(record, kind, path, version, stop), daemon=True))
            threads[-1].start()
        try:
            yield record
        finally:
            stop.set()

    def _follow(self, record: Record, kind: str, path: str, version: str, stop: threading.Event) -> None:
        api = self.plane.api()
        with suppress(urllib3.exceptions.HTTPError, OSError):
            for event in api.watch(path, version, stop):
                if event["type"] in ("ADDED", "MODIFIED"):
                    record.add(kind, event["object"])
        api.close()


def leads(world: World) -> Callable[[], bool]:
    """Whether the Lease moves: a look to be asked again and again."""
    seen: list[str] = []

    def look() -> bool:
        answer = world.get(LEASE)
        if answer.code == 200:
            seen.append(answer.json["spec"]["renewTime"])
        return len(set(seen)) > 1

    return look

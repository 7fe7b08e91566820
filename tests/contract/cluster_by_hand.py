"""A cluster without sockets and without waiting: the store, the controller, a clock moved by hand, every write noted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.argo.controller import Controller
from sandbox.kubernetes import patch
from sandbox.kubernetes.store import Store

Object = dict[str, Any]
TICK = 0.2
NAMESPACE = "production"


@dataclass(frozen=True)
class Noted:
    """One write, by whomever."""

    kind: str
    name: str
    before: Object | None
    after: Object | None
    by_client: bool


class Cluster:
    def __init__(self, *, now: datetime | None = None, seed: int = 7) -> None:
        self.now = now or datetime(2026, 11, 24, 3, 0, 0, 200_000, tzinfo=UTC)
        rng = random.Random(seed)
        self.store = Store(lambda: self.now, rng)
        self.writes: list[Noted] = []
        self.store.observers.append(self._note)
        self.controller = Controller(self.store, rng)
        for namespace in ("argo-rollouts", NAMESPACE):
            self.store.create("namespaces", {"metadata": {"name": namespace}}, manager="test")

    def _note(
        self, kind: str, _namespace: str, name: str, before: Object | None, after: Object | None, by_client: bool
    ) -> None:
        self.writes.append(Noted(kind, name, before, after, by_client))

    # ---- time ----

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.controller.analyses.join()
            self.now += timedelta(seconds=TICK)
            self.controller.tick(self.now)

    def pass_seconds(self, seconds: float) -> None:
        self.tick(round(seconds / TICK))

    def tick_until(self, holds: Callable[[], bool], *, seconds: float = 20.0) -> None:
        for _ in range(round(seconds / TICK)):
            if holds():
                return
            self.tick()
        raise AssertionError(f"did not come to hold within {seconds} s of the cluster's clock")

    def set(self, **settings: Any) -> None:
        self.controller.set(settings, self.now)

    # ---- what clients do ----

    def create(self, kind: str, obj: Object) -> Object:
        obj.setdefault("metadata", {}).setdefault("namespace", NAMESPACE)
        return self.store.create(kind, obj, manager="client", by_client=True)

    def merge(self, kind: str, name: str, body: Object, subresource: str = "") -> bool:
        return self._change(kind, name, lambda obj: patch.merge(obj, body), subresource)

    def json_patch(self, kind: str, name: str, operations: list[Object], subresource: str = "") -> bool:
        return self._change(kind, name, lambda obj: patch.json_patch(obj, operations), subresource)

    def _change(self, kind: str, name: str, becomes: Callable[[Object], Object], subresource: str) -> bool:
        def change(obj: Object) -> None:
            new = becomes(obj)
            obj.clear()
            obj.update(new)

        return self.store.update(
            kind, NAMESPACE, name, change, manager="client", subresource=subresource, by_client=True
        )

    def abort(self, name: str = "web-frontend", **more: Any) -> bool:
        return self.merge("rollouts", name, {"status": {"abort": True, **more}}, "status")

    # ---- what stands there ----

    def get(self, kind: str, name: str) -> Object:
        found = self.store.get(kind, NAMESPACE, name)
        assert found is not None, f"{kind}/{name} is not there"
        return found

    def rollout(self, name: str = "web-frontend") -> Object:
        return self.get("rollouts", name)

    def status(self, name: str = "web-frontend") -> Object:
        return dict(self.rollout(name).get("status") or {})

    def replicaset(self, pod_hash: str) -> Object:
        return self.get("replicasets", f"web-frontend-{pod_hash}")

    def weights(self, name: str = "web-frontend-vsvc") -> tuple[int, ...]:
        """(stable, canary) as the router has them."""
        return tuple(one["weight"] for one in self.get("virtualservices", name)["spec"]["http"][0]["route"])

    def selects(self, service: str) -> str:
        return str(self.get("services", service)["spec"]["selector"].get("rollouts-pod-template-hash", ""))

    def written(self, *kinds: str, since: int = 0) -> list[str]:
        """`kind/name` of the controller's writes, in order."""
        return [f"{one.kind}/{one.name}" for one in self.writes[since:] if one.kind in kinds and not one.by_client]

    def event_reasons(self) -> list[str]:
        return [str(one["reason"]) for one in self.store.list("events", NAMESPACE)]


# ---- the usual canary ----


def template(version: str) -> Object:
    return {
        "metadata": {"labels": {"app": "web-frontend"}},
        "spec": {"containers": [{"name": "web-frontend", "image": f"registry.example/web-frontend:{version}"}]},
    }


def rollout(
    *, replicas: int = 4, steps: Iterable[Object] | None = None, spec: Object | None = None, **canary: Any
) -> Object:
    chosen = [{"setWeight": 25}, {"pause": {}}] if steps is None else list(steps)
    strategy: Object = {
        "canaryService": "web-frontend-canary",
        "stableService": "web-frontend-stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web-frontend-vsvc", "routes": ["primary"]}}},
        "steps": chosen,
        **canary,
    }
    strategy = {key: value for key, value in strategy.items() if value is not None}
    return {
        "metadata": {"name": "web-frontend", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web-frontend"}},
            "template": template("v1"),
            "strategy": {"canary": strategy},
            **(spec or {}),
        },
    }


def service(name: str, app: str = "web-frontend") -> Object:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80}]},
    }


def router(stable: int = 100, canary: int = 0) -> Object:
    route = [
        {"destination": {"host": "web-frontend-stable"}, "weight": stable},
        {"destination": {"host": "web-frontend-canary"}, "weight": canary},
    ]
    return {
        "metadata": {"name": "web-frontend-vsvc", "namespace": NAMESPACE},
        "spec": {"hosts": ["web-frontend"], "http": [{"name": "primary", "route": route}]},
    }


def deployed(obj: Object | None = None, **kwargs: Any) -> Cluster:
    """v1 is out: the first deploy, as a person makes it, has come to Healthy."""
    cluster = Cluster()
    for name in ("web-frontend-canary", "web-frontend-stable"):
        cluster.create("services", service(name))
    cluster.create("virtualservices", router())
    cluster.create("rollouts", deepcopy(obj) if obj is not None else rollout(**kwargs))
    cluster.tick_until(lambda: cluster.status().get("phase") == "Healthy")
    cluster.tick(5)
    return cluster


def release(cluster: Cluster, version: str = "v2") -> bool:
    return cluster.merge("rollouts", "web-frontend", {"spec": {"template": template(version)}})


def paused_at_25(**kwargs: Any) -> Cluster:
    """v2 is at 25 % and waits in an endless pause."""
    cluster = deployed(**kwargs)
    release(cluster)
    cluster.tick_until(lambda: cluster.status().get("phase") == "Paused")
    cluster.tick(5)
    return cluster


def aborted(**kwargs: Any) -> Cluster:
    """The same, aborted and acknowledged, its canary pod still there."""
    cluster = paused_at_25(**kwargs)
    cluster.abort()
    cluster.tick_until(lambda: "abortedAt" in cluster.status())
    return cluster

"""One canary in one namespace of one world, and what a scenario asks about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.cluster.api import Answer, Object
from tests.contract.worlds import World
from tests.support.waiting import eventually, never

HASH = "rollouts-pod-template-hash"
DEADLINE = "scale-down-deadline"
PAUSED_AT_25: tuple[Object, ...] = ({"setWeight": 25}, {"pause": {}})


AS_PEOPLE_WRITE = ["-c", "<start> --motto 'café' && exit\u2028"]
"""Each of these characters is written in one way only by the API server, and a `test` of a JSON patch compares what is written."""


def template(version: str, app: str = "web") -> Object:
    container = {"name": app, "image": f"registry.example/{app}:{version}", "args": AS_PEOPLE_WRITE}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}}


class Canary:
    """The Rollout `web` with its Services and its router. It speaks as the admin."""

    def __init__(self, world: World) -> None:
        self.world, self.namespace = world, world.namespace()
        self._argo = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}"
        self._core = f"/api/v1/namespaces/{self.namespace}"
        self._apps = f"/apis/apps/v1/namespaces/{self.namespace}"
        self._routers = f"/apis/networking.istio.io/v1/namespaces/{self.namespace}/virtualservices"
        self.rollouts = f"{self._argo}/rollouts"
        self.path = f"{self.rollouts}/web"

    # ---- what people do ----

    def place(
        self, *, replicas: int = 4, steps: Iterable[Object] = PAUSED_AT_25, spec: Object | None = None, **canary: Any
    ) -> Canary:
        """Services, router and the Rollout at v1; nothing is waited for."""
        for name in ("web-canary", "web-stable"):
            body = {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
            self._made(f"{self._core}/services", body)
        route = [{"destination": {"host": f"web-{one}"}, "weight": w} for one, w in (("stable", 100), ("canary", 0))]
        self._made(
            self._routers,
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": "web"},
                "spec": {"hosts": ["web"], "http": [{"name": "primary", "route": route}]},
            },
        )
        strategy = {
            "canaryService": "web-canary",
            "stableService": "web-stable",
            "trafficRouting": {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}},
            "steps": list(steps),
            **canary,
        }
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template("v1"),
                "strategy": {"canary": strategy},
                **(spec or {}),
            },
        }
        self._made(self.rollouts, body)
        return self

    def deployed(self, **more: Any) -> Canary:
        """v1 is out."""
        self.place(**more)
        self.until("Healthy")
        return self

    def paused_at_25(self, **more: Any) -> Canary:
        """v2 is at 25 % and waits."""
        self.deployed(**more)
        self.release("v2")
        self.until("Paused")
        return self

    def release(self, version: str) -> None:
        """A new template."""
        self.spec(template=template(version))

    def release_unready(self, version: str, pods: int = 1) -> str:
        """A new template whose pods are held back from the first; its hash."""
        old = self.status["currentPodHash"]
        self.release(version)
        eventually(
            lambda: self.status["currentPodHash"] != old, within=20, every=0.005, what=f"{version} is taken over"
        )
        new = str(self.status["currentPodHash"])
        self.world.hold(self.namespace, f"web-{new}", pods)
        eventually(lambda: self.replicaset(new)["spec"]["replicas"] > 0, within=20, what="the canary is wanted")
        return new

    def put_back(self, pod_hash: str, change: Callable[[Object], None] = lambda _template: None) -> None:
        """The template of a ReplicaSet into spec, as an undo does it."""
        wanted = self.replicaset(pod_hash)["spec"]["template"]
        change(wanted)
        answer = self.world.json_patch(self.path, {"op": "replace", "path": "/spec/template", "value": wanted})
        assert answer.code == 200, answer.text

    def scale(self, replicas: int) -> None:
        """As an autoscaler does it."""
        answer = self.world.merge(f"{self.path}/scale", {"spec": {"replicas": replicas}})
        assert answer.code == 200, answer.text

    def spec(self, **change: Any) -> None:
        """A merge patch of spec."""
        answer = self.world.merge(self.path, {"spec": change})
        assert answer.code == 200, answer.text

    def patch_status(self, **change: Any) -> Answer:
        """A merge patch of status."""
        answer = self.world.merge(f"{self.path}/status", {"status": change})
        assert answer.code == 200, answer.text
        return answer

    def abort(self, **more: Any) -> Answer:
        """As the official plugin does it."""
        return self.patch_status(abort=True, **more)

    # ---- what is measured ----

    def answers(self, *values: float, status: int = 200) -> None:
        """What the metric says from now on."""
        self.world.metrics.answer(self.namespace, *values, status=status)

    def measured(self, **metric: Any) -> Object:
        """A template with one metric, and how a Rollout names it."""
        prometheus = {"address": self.world.metrics.url(self.namespace), "query": 'rate{service="{{args.service}}"}'}
        chosen = {"name": "error-rate", "interval": "1s", "successCondition": "result[0] < 0.05", **metric}
        chosen.setdefault("provider", {"prometheus": prometheus})
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": "rates"},
            "spec": {"args": [{"name": "service"}], "metrics": [chosen]},
        }
        self._made(f"{self._argo}/analysistemplates", body)
        return {"templates": [{"templateName": "rates"}], "args": [{"name": "service", "value": "web-canary"}]}

    @property
    def runs(self) -> list[Object]:
        """AnalysisRuns, oldest first."""
        found = self.world.get(f"{self._argo}/analysisruns").json["items"]
        return sorted(found, key=lambda one: one["metadata"]["creationTimestamp"])

    def _made(self, path: str, body: Object) -> None:
        answer = self.world.post(path, body)
        assert answer.code == 201, answer.text

    # ---- what stands there ----

    @property
    def rollout(self) -> Object:
        return dict(self.world.get(self.path).json)

    @property
    def status(self) -> Object:
        return dict(self.rollout.get("status") or {})

    @property
    def acknowledged(self) -> bool:
        return bool(self.status.get("abortedAt"))

    @property
    def weights(self) -> tuple[int, int]:
        """(stable, canary) as the router has them."""
        stable, canary = self.world.get(f"{self._routers}/web").json["spec"]["http"][0]["route"]
        return int(stable["weight"]), int(canary["weight"])

    def selects(self, service: str) -> str:
        """The hash that a Service selects."""
        return str(self.world.get(f"{self._core}/services/{service}").json["spec"]["selector"].get(HASH, ""))

    def replicaset(self, pod_hash: str) -> Object:
        return dict(self.world.get(f"{self._apps}/replicasets/web-{pod_hash}").json)

    def versions(self) -> list[str]:
        """The images of all ReplicaSets of it."""
        found = self.world.get(f"{self._apps}/replicasets").json["items"]
        return [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found]

    def deadline(self, pod_hash: str) -> str:
        """When a ReplicaSet is to be scaled down; empty = it is not."""
        return str((self.replicaset(pod_hash)["metadata"].get("annotations") or {}).get(DEADLINE, ""))

    def condition(self, kind: str) -> Object:
        return next((dict(one) for one in self.status.get("conditions", []) if one["type"] == kind), {})

    def events(self, reason: str) -> list[Object]:
        """Events about the Rollout with that reason; they may come late."""
        found = self.world.get(f"{self._core}/events").json["items"]
        return [one for one in found if (one["reason"], one["involvedObject"]["name"]) == (reason, "web")]

    # ---- waiting ----

    def until(self, phase: str, within: float = 40) -> None:
        """That phase, of what is in spec now, with all writes that belong to it done."""

        def there() -> bool:
            rollout = self.rollout
            status = rollout.get("status") or {}
            taken = int(status.get("observedGeneration") or 0) >= rollout["metadata"]["generation"]
            paused = next((one["status"] for one in status.get("conditions", []) if one["type"] == "Paused"), "False")
            whole = phase != "Paused" or (paused == "True" and status.get("controllerPause") is True)
            return taken and status.get("phase") == phase and whole

        eventually(there, within=within, every=0.05, what=f"{phase}")
        self.quiet()

    def quiet(self) -> None:
        """Until nobody has written the Rollout for a while: v1.9.1 overlooks what comes right after a write of its own."""
        seen = [("", time.monotonic())]

        def quiet() -> bool:
            version = str(self.rollout["metadata"]["resourceVersion"])
            if version != seen[-1][0]:
                seen.append((version, time.monotonic()))
            return time.monotonic() - seen[-1][1] > 0.5 / self.world.pace

        eventually(quiet, within=20, every=0.02, what="the controller is done")

    def until_weights(self, stable: int, canary: int, within: float = 20) -> None:
        eventually(lambda: self.weights == (stable, canary), within=within, every=0.05, what=f"{stable}/{canary}")

    def until_acknowledged(self, within: float = 20) -> None:
        eventually(lambda: self.acknowledged, within=within, every=0.05, what="abortedAt")

    def never(self, look: Callable[[], object], *, for_seconds: float, what: str) -> None:
        """It does not happen in so many of the world's own seconds."""
        never(look, for_seconds=for_seconds / self.world.pace, every=0.02, what=what)

    def leave(self) -> None:
        self.world.let_go()
        self.world.leave(self.namespace)

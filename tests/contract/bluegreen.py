"""One blue-green Rollout in one namespace of one world, and what a scenario asks about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.api import Object
from tests.contract.scenario import HASH, Canary, template
from tests.contract.worlds import Record
from tests.support.waiting import eventually

SERVICE_NAME = "kubernetes.io/service-name"
BLUE_GREEN_PAUSE = "BlueGreenPause"
PASSED, FAILED, UNDECIDED = 1, 0, 5


class BlueGreen(Canary):
    """The Rollout `web` behind `web-active` and `web-preview`; its analyses run until the scenario says what they found."""

    # ---- what people do ----

    def place(
        self,
        *,
        replicas: int = 3,
        pre: bool = False,
        post: bool = False,
        metric: Object | None = None,
        spec: Object | None = None,
        **strategy: Any,
    ) -> BlueGreen:
        """Services, analyses and the Rollout at v1; nothing is waited for."""
        self.forget_verdicts()
        for name in ("web-active", "web-preview"):
            self._made(f"{self._core}/services", _service(name))
        for kind, asked in (("pre", pre), ("post", post)):
            if asked:
                self._made(f"{self._argo}/analysistemplates", self._gate(kind, **(metric or {})))
                strategy[f"{kind}PromotionAnalysis"] = {"templates": [{"templateName": kind}]}
        services = {"activeService": "web-active", "previewService": "web-preview"}
        body: Object = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template("v1"),
                "strategy": {"blueGreen": services | strategy},
                **(spec or {}),
            },
        }
        body["spec"] = {key: value for key, value in body["spec"].items() if value is not None}
        self._made(self.rollouts, body)
        return self

    def in_preview(self, version: str = "v2", **more: Any) -> BlueGreen:
        """Case a: v2 waits for somebody behind the preview Service."""
        more.setdefault("autoPromotionEnabled", False)
        self.deployed(**more)
        self.release(version)
        self._through_pre()
        self.until("Paused")
        return self

    def live(self, version: str = "v2", **more: Any) -> BlueGreen:
        """Case b: v2 is behind the active Service, and its last analysis still runs."""
        self.deployed(post=True, **more)
        self.release(version)
        self._to_the_active_service()
        self.until_run("post", "Running")
        self.quiet()
        return self

    def promoted(self, version: str = "v2", **more: Any) -> BlueGreen:
        """Case c: v2 is stable, v1 still runs."""
        self.deployed(**more)
        self.promote(version)
        return self

    def promote(self, version: str) -> None:
        """Released and through all its gates."""
        old = self.status["stableRS"]
        self.release(version)
        self._to_the_active_service()
        if self.strategy.get("postPromotionAnalysis"):
            self.until_run("post", "Running")
            self.says("post", PASSED)
        eventually(lambda: self.status["stableRS"] != old, within=20, what=f"{version} is stable")
        self.until("Healthy")
        self.forget_verdicts()

    def resume(self) -> None:
        """As `kubectl argo rollouts promote`."""
        self.patch_status(pauseConditions=None)

    def says(self, kind: str, value: int) -> None:
        """What the analysis finds from now on."""
        self.world.metrics.answer(self._subject(kind), value)

    def forget_verdicts(self) -> None:
        """The next runs run on until something is said."""
        for kind in ("pre", "post"):
            self.says(kind, UNDECIDED)

    def point(self, service: str, pod_hash: str | None) -> None:
        """A Service turned by hand."""
        answer = self.world.merge(f"{self._core}/services/{service}", {"spec": {"selector": {HASH: pod_hash}}})
        assert answer.code == 200, answer.text

    def hold(self, pod_hash: str, pods: int) -> None:
        """So many pods of that version are not ready, and the controller knows."""
        self.world.hold(self.namespace, f"web-{pod_hash}", pods)

    # ---- what stands there ----

    @property
    def strategy(self) -> Object:
        return dict(self.rollout["spec"]["strategy"]["blueGreen"])

    @property
    def active(self) -> str:
        return self.selects("web-active")

    @property
    def preview(self) -> str:
        return self.selects("web-preview")

    @property
    def new(self) -> str:
        return str(self.status["currentPodHash"])

    @property
    def stable(self) -> str:
        return str(self.status["stableRS"])

    def versions(self) -> list[str]:
        """The hashes of all ReplicaSets of the Rollout."""
        uid = self.rollout["metadata"]["uid"]
        found = self.world.get(f"{self._apps}/replicasets").json["items"]
        mine = [one for one in found if one["metadata"]["ownerReferences"][0]["uid"] == uid]
        return [str(one["metadata"]["labels"][HASH]) for one in mine]

    def wanted(self, pod_hash: str) -> int:
        return int(self.replicaset(pod_hash)["spec"]["replicas"])

    def available(self, pod_hash: str) -> int:
        return int((self.replicaset(pod_hash).get("status") or {}).get("availableReplicas") or 0)

    def pause(self) -> list[str]:
        return [str(one["reason"]) for one in self.status.get("pauseConditions") or []]

    def pointer(self, kind: str) -> Object:
        """What the status says of the analysis before or after the switch."""
        return dict((self.status.get("blueGreen") or {}).get(f"{kind}PromotionAnalysisRunStatus") or {})

    def ready(self, service: str = "web-active") -> dict[str, int]:
        """Ready endpoints behind a Service, by hash."""
        pods = {one["metadata"]["name"]: one for one in self.world.get(f"{self._core}/pods").json["items"]}
        found: dict[str, int] = {}
        for endpoint in [one for part in self._slices(service) for one in part.get("endpoints") or []]:
            pod = pods.get(endpoint["targetRef"]["name"])
            if pod is not None and endpoint["conditions"].get("ready"):
                pod_hash = pod["metadata"]["labels"][HASH]
                found[pod_hash] = found.get(pod_hash, 0) + 1
        return found

    def _slices(self, service: str) -> list[Object]:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        return list(self.world.get(path, labelSelector=f"{SERVICE_NAME}={service}").json["items"])

    # ---- waiting ----

    def until_active(self, pod_hash: str, within: float = 20) -> None:
        eventually(lambda: self.active == pod_hash, within=within, what=f"the active Service selects {pod_hash}")

    def until_run(self, kind: str, phase: str, within: float = 20) -> None:
        eventually(
            lambda: self.pointer(kind).get("status") == phase, within=within, what=f"the {kind} analysis is {phase}"
        )

    def until_stable(self, pod_hash: str, within: float = 20) -> None:
        """It is the stable version, and the controller has said all about it."""
        eventually(lambda: self.stable == pod_hash, within=within, what=f"{pod_hash} is stable")
        self.until("Healthy")

    def until_wanted(self, pod_hash: str, pods: int, within: float = 20) -> None:
        eventually(lambda: self.wanted(pod_hash) == pods, within=within, what=f"{pod_hash} is to have {pods} pods")

    def until_available(self, pod_hash: str, pods: int, within: float = 20) -> None:
        eventually(lambda: self.available(pod_hash) == pods, within=within, what=f"{pod_hash} has {pods} pods")

    @contextmanager
    def never_fewer(self) -> Iterator[None]:
        """From here on the active Service has at no moment fewer ready endpoints than now."""
        before = sum(self.ready().values())
        with self.world.record(self.namespace) as record:
            yield
            eventually(lambda: sum(self.ready().values()) >= before, within=10, what=f"{before} endpoints at the end")
        counts = fewest(record)
        assert all(count >= before for count in counts), f"{before} ready endpoints, and then {counts}"

    # ---- inner ----

    def _through_pre(self) -> None:
        if self.strategy.get("prePromotionAnalysis"):
            self.until_run("pre", "Running")
            self.says("pre", PASSED)

    def _to_the_active_service(self) -> None:
        self._through_pre()
        if self.strategy.get("autoPromotionEnabled") is False:
            self.until("Paused")
            self.resume()
        eventually(lambda: self.active == self._wished(), within=20, what="the new version is active")

    def _wished(self) -> str:
        status = self.status
        taken = int(status["observedGeneration"]) >= self.rollout["metadata"]["generation"]
        return str(status["currentPodHash"]) if taken else "not taken over"

    def _gate(self, kind: str, **metric: Any) -> Object:
        """Until something is said no measurement decides anything, and the run runs on."""
        address = f"{self.world.metrics.url(self._subject(kind))}/ok"
        chosen = {
            "name": "ok",
            "interval": "1s",
            "successCondition": f"result == {PASSED}",
            "failureCondition": f"result == {FAILED}",
            "count": 100000,  # a gate must not run for ever: such a Rollout is invalid
            "consecutiveSuccessLimit": 1,
            "inconclusiveLimit": 1000,
            "provider": {"web": {"url": address, "jsonPath": "{$.data.rate}"}},
            **metric,
        }
        chosen = {key: value for key, value in chosen.items() if value is not None}
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": {"name": kind},
            "spec": {"metrics": [chosen]},
        }

    def _subject(self, kind: str) -> str:
        return f"{self.namespace}-{kind}"


def fewest(record: Record, service: str = "web-active") -> list[int]:
    """Ready endpoints behind a Service, at each write about them."""
    written = [one for one in record.of("endpointslices") if one["metadata"]["labels"][SERVICE_NAME] == service]
    return [sum(bool(each["conditions"].get("ready")) for each in one.get("endpoints") or []) for one in written]


def _service(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}

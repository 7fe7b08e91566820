"""The stage of the lying 200: one town in which every lie has a Rollout (or a flag) of its own, and somebody who plays the rest.

Worlds are made over the vendors' own APIs. Where the controller itself would put things right, its worker is stuck in that Rollout
(the Lease goes on being renewed), and somebody writes into status what the controller is said to have written.
"""

from __future__ import annotations

import concurrent.futures
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server.audit.tables import audit
from tests.story.town import FINAL, Town
from tests.support.waiting import eventually

Json = dict[str, Any]
HASH = "rollouts-pod-template-hash"
PODS = 2
SILENT = "http://prometheus.monitoring:9090"  # nobody answers there: an analysis runs on
PATIENCE = 120.0
SHORTER = {"within: 60s, settle: 5s": "within: 15s, settle: 2s", "within: 30s": "within: 6s"}
CHECKED = {"check_passed", "check_unknown"}
KEYS = {"canary": "c" * 32, "bluegreen": "b" * 32, "flag": "f" * 32}
SERVICES = {"canary": "PCANARY", "bluegreen": "PBLUEGREEN", "flag": "PFLAG"}
DEPLOYMENTS = {"canary": "canary", "bluegreen": "blue-green", "flag": "feature-flag"}


def template(version: str) -> Json:
    container = {"name": "web", "image": f"registry.example/web:{version}"}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def short(pod_hash: str) -> str:
    return pod_hash[:4]


class Place:
    """One lie's own corner: where it is arranged before the alert, and where somebody acts while the run goes on."""

    def __init__(self, stage: Stage, name: str, shape: str, spec: Json, patience: int) -> None:
        self.stage, self.name, self.shape, self.spec, self.patience = stage, name, shape, spec, patience
        self.cur = self.sta = self.uid = ""
        self.bad: Json = {}
        self.written, self.looked, self.passed, self.over, self.judged = (threading.Event() for _ in range(5))
        self.patches: list[Json] = []

    @property
    def family(self) -> str:
        return "flag" if self.shape == "flag" else "canary" if self.shape == "canary" else "bluegreen"

    @property
    def core(self) -> str:
        return f"/api/v1/namespaces/{self.name}"

    @property
    def path(self) -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self.name}/rollouts/web"

    @property
    def router_path(self) -> str:
        return f"/apis/networking.istio.io/v1/namespaces/{self.name}/virtualservices/web"

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Json:
        return self.stage.town.kubernetes(method, path, body, kind)

    def merge(self, path: str, body: Json) -> Json:
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    # How it comes to be ------------------------------------------------------------------------------------------------------

    def place(self) -> None:
        """Everything at v1."""
        if self.shape == "flag":
            self.stage.flags("POST", "/flags/default", {"key": self.name, "name": self.name})
            return self.turn("production", on=self.spec.get("safe_state", "off") == "off")
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.name}})
        for name in ("web-stable", "web-canary") if self.shape == "canary" else ("web-active", "web-preview"):
            service = {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
            self.ask("POST", f"{self.core}/services", service)
        if self.shape == "canary":
            http = [{"name": "primary", "route": self.route(0)}]
            router = {"metadata": {"name": "web"}, "spec": {"hosts": ["web"], "http": http}}
            self.ask("POST", self.router_path.rpartition("/")[0], router)
        if self.shape == "b":
            self._analysis()
        strategy = self._canary() if self.shape == "canary" else {"blueGreen": self._blue_green()}
        spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template("v1"), "strategy": strategy}
        rollout = {"metadata": {"name": "web"}, "spec": {"replicas": PODS, **spec, **self.spec.get("spec", {})}}
        self.ask("POST", self.path.rpartition("/")[0], rollout)
        return None

    def _canary(self) -> Json:
        routing = {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}}
        services = {"canaryService": "web-canary", "stableService": "web-stable", "trafficRouting": routing}
        steps = [{"setWeight": 25}, {"pause": {}}]
        return {"canary": {**services, "steps": steps, **self.spec.get("canary", {})}}

    def _blue_green(self) -> Json:
        services = {"activeService": "web-active", "previewService": "web-preview", "scaleDownDelaySeconds": 600}
        if self.shape == "a":
            services |= {"autoPromotionEnabled": False}
        if self.shape == "b":
            services |= {"postPromotionAnalysis": {"templates": [{"templateName": "after"}]}}
        return {**services, "abortScaleDownDelaySeconds": 600}

    def _analysis(self) -> None:
        provider = {"prometheus": {"address": SILENT, "query": "errors"}}
        metric = {
            "name": "errors",
            "interval": "60s",
            "count": 9,
            "successCondition": "result[0] < 1",
            "provider": provider,
        }
        body = {"metadata": {"name": "after"}, "spec": {"metrics": [metric]}}
        self.ask("POST", f"/apis/argoproj.io/v1alpha1/namespaces/{self.name}/analysistemplates", body)

    def release(self, version: str) -> None:
        self.merge(self.path, {"spec": {"template": template(version)}})

    def released(self, rollout: Json) -> bool:
        """Whether v2 stands where its alert finds it."""
        status = rollout.get("status") or {}
        cur, sta, phase = status.get("currentPodHash"), status.get("stableRS"), status.get("phase")
        if self.shape in ("canary", "a"):
            return bool(cur != sta and phase == "Paused")
        active = (status.get("blueGreen") or {}).get("activeSelector")
        done = cur != self.sta and active == cur
        return bool(done and (sta == cur and phase == "Healthy" if self.shape == "c" else sta != cur))

    def remember(self, rollout: Json) -> None:
        """The bad version's hash, the good one's, and what stands in spec, as they are before the alert."""
        status = rollout["status"]
        self.cur, self.uid, self.bad = status["currentPodHash"], rollout["metadata"]["uid"], rollout["spec"]["template"]

    # What is seen ------------------------------------------------------------------------------------------------------------

    @property
    def rollout(self) -> Json:
        return self.ask("GET", self.path)

    def hash_of(self, version: str) -> str:
        """Of a template that the controller has made a ReplicaSet of."""
        image = template(version)["spec"]["containers"][0]["image"]
        found = [
            one for one in self.replica_sets() if one["spec"]["template"]["spec"]["containers"][0]["image"] == image
        ]
        return str(found[0]["metadata"]["labels"][HASH])

    def replica_sets(self) -> list[Json]:
        return list(self.ask("GET", f"/apis/apps/v1/namespaces/{self.name}/replicasets")["items"])

    def selects(self, service: str) -> str:
        return str(self.ask("GET", f"{self.core}/services/{service}")["spec"]["selector"].get(HASH, ""))

    @property
    def words(self) -> dict[str, str]:
        """What a sentence may name."""
        return {"cur": short(self.cur), "sta": short(self.sta), "name": self.name}

    # What somebody does ------------------------------------------------------------------------------------------------------

    def until_written(self) -> None:
        """Our first write has had its 200."""
        assert self.written.wait(PATIENCE), f"{self.name}: nothing was written"

    def until_looked(self) -> None:
        """A first look has found that it is not proven yet."""
        assert self.looked.wait(PATIENCE), f"{self.name}: nobody looked"

    def until_passed(self) -> None:
        """A first look has found everything well."""
        assert self.passed.wait(PATIENCE), f"{self.name}: no look passed"

    def stuck(self) -> None:
        self.stage.stuck(self.name)

    def status(self, **fields: object) -> None:
        self.merge(f"{self.path}/status", {"status": fields})

    def weights(self, canary: int, **more: object) -> Json:
        """What status says that the router was told."""
        return {
            "weights": {
                "canary": {"podTemplateHash": self.cur, "serviceName": "web-canary", "weight": canary},
                "stable": {"podTemplateHash": self.sta, "serviceName": "web-stable", "weight": 100 - canary},
                **more,
            }
        }

    def acknowledged(self, weight: int = 0, **more: object) -> None:
        """What the controller writes of an abort."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = "RolloutAborted: Rollout aborted update to revision 2"
        canary = {"canary": self.weights(weight, **more)} if self.shape == "canary" else {}
        self.status(abortedAt=at, phase="Degraded", message=message, **canary)

    @staticmethod
    def route(canary: int) -> list[Json]:
        hosts = (("web-stable", 100 - canary), ("web-canary", canary))
        return [{"destination": {"host": host}, "weight": weight} for host, weight in hosts]

    def routes(self, canary: int) -> None:
        self.merge(self.router_path, {"spec": {"http": [{"name": "primary", "route": self.route(canary)}]}})

    def service(self, name: str, pod_hash: str | None) -> None:
        self.merge(f"{self.core}/services/{name}", {"spec": {"selector": {HASH: pod_hash}}})

    def taken_over(self) -> None:
        """The controller says that it has read this spec."""
        self.status(observedGeneration=str(self.rollout["metadata"]["generation"]))

    def turn(self, environment: str, *, on: bool) -> None:
        instruction = {"kind": "turnFlagOn" if on else "turnFlagOff"}
        self.stage.flags(
            "PATCH", f"/flags/default/{self.name}", {"environmentKey": environment, "instructions": [instruction]}
        )

    def flag(self) -> Json:
        return self.stage.flags("GET", f"/flags/default/{self.name}")

    def fault(self, method: str, path: str, body: object, **more: object) -> None:
        """That request is answered 200 with this body, and does nothing."""
        match = {"method": method, "path": path}
        self.stage.town.control(
            "faults", [{"match": match, "do": "status", "status": 200, "body": json.dumps(body), **more}]
        )


class Stage:
    """All places in one town."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder, f"sqlite:///{folder / 'ripcord.db'}")
        self.places: dict[str, Place] = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(160)
        self._lock = threading.Lock()
        self._stuck: list[str] = []
        self._unready: dict[str, int] = {}
        self._over = threading.Event()
        self._from = self._row = 0

    def add(self, name: str, shape: str, spec: Json, patience: int) -> Place:
        self.places[name] = Place(self, name, shape, spec, patience)
        return self.places[name]

    def flags(self, method: str, path: str, body: object = None) -> Json:
        semantic = "application/json; domain-model=launchdarkly.semanticpatch"
        headers = {"Authorization": self.town.exports["RIPCORD_LAUNCHDARKLY_TOKEN"]}
        headers["Content-Type"] = semantic if method == "PATCH" else "application/json"
        encoded = None if body is None else json.dumps(body)
        url = f"{self.town.world}/launchdarkly/api/v2{path}"
        answer = self.town.http.request(method, url, body=encoded, headers=headers, timeout=10)
        assert answer.status < 300, (answer.status, answer.data)
        return dict(answer.json())

    def stuck(self, *names: str, free: bool = False) -> None:
        with self._lock:
            self._stuck = [one for one in self._stuck if one not in names] + ([] if free else list(names))
            self.town.control("kubernetes", {"stuck": [f"{name}/web" for name in self._stuck]})

    def unready(self, name: str, pod_hash: str, pods: int) -> None:
        with self._lock:
            self._unready[f"{name}/web-{pod_hash}"] = pods
            self.town.control("kubernetes", {"unready": dict(self._unready)})

    # Up, and down ------------------------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Every place at its bad version, the server ready."""
        self._declare()
        server = self.pool.submit(self.town.start)
        list(self.pool.map(Place.place, self.places.values()))
        rollouts = [one for one in self.places.values() if one.shape != "flag"]
        self._until(rollouts, lambda _place, rollout: (rollout.get("status") or {}).get("phase") == "Healthy")
        for one in rollouts:
            one.sta = self._rollouts()[one.name]["status"]["stableRS"]
        list(self.pool.map(lambda one: one.release("v2"), rollouts))
        self._until(rollouts, lambda place, rollout: place.released(rollout))
        for one in rollouts:
            one.remember(self._rollouts()[one.name])
        server.result()

    def _until(self, places: list[Place], holds: Any) -> None:
        def all_do() -> bool:
            now = self._rollouts()
            missing = [one.name for one in places if one.name not in now or not holds(one, now[one.name])]
            assert not missing, missing
            return True

        eventually(all_do, within=30, every=0.2, what="every Rollout is where its lie begins")

    def _rollouts(self) -> dict[str, Json]:
        items = self.town.kubernetes("GET", "/apis/argoproj.io/v1alpha1/rollouts")["items"]
        return {one["metadata"]["namespace"]: one for one in items if one["metadata"]["name"] == "web"}

    def _declare(self) -> None:
        """A catalog of all places, and less patience than people have."""
        targets = {name: self._target(place) for name, place in self.places.items()}
        catalog = {"version": 1, "clusters": {"default": {"rollouts_namespace": "argo-rollouts"}}, "targets": targets}
        (self.town.runbooks / "targets.yaml").write_text(json.dumps(catalog))
        for path in self.town.runbooks.glob("*.yaml"):
            text = path.read_text()
            for before, now in SHORTER.items():
                text = text.replace(before, now)
            path.write_text(text)

    @staticmethod
    def _target(place: Place) -> Json:
        common = {"team": "web", "pagerduty_services": [SERVICES[place.family]], "mode": "auto"}
        if place.shape == "flag":
            safe = {"safe_state": place.spec.get("safe_state", "off")}
            where = {"project": "default", "environment": "production", "flag": place.name}
            return {"kind": "flag", **where, **safe, **common, "named_by": {"flag": place.name}}
        strategy = {"strategy": DEPLOYMENTS[place.family], "namespace": place.name, "name": "web"}
        budgets = {"acknowledge": f"{place.patience}s", "traffic": f"{place.patience}s"}
        return {"kind": "rollout", **strategy, **common, "budgets": budgets, "named_by": {"namespace": place.name}}

    def alert(self, place: Place) -> None:
        named = (
            {"flag": place.name, "rollout": None, "namespace": None}
            if place.shape == "flag"
            else {"namespace": place.name, "rollout": "web"}
        )
        details = {"alertname": "Hurts", "deployment_type": DEPLOYMENTS[place.family], **named}
        self.town.alert(place.name, KEYS[place.family], f"{place.name} hurts", **details)

    def watch(self) -> None:
        """Tells each place what became of its run, from the vendors' log and, less often, from the audit."""
        looks = 0
        while not self._over.wait(0.06):
            self._read_log()
            looks += 1
            if looks % 4 == 0:
                self._read_audit()

    def ended(self) -> dict[str, Json]:
        """Each place's run, once all are final."""
        late = [place.name for place in self.places.values() if not place.over.wait(2 * PATIENCE)]
        assert not late, f"their runs did not end: {late}"
        return {run["target"]: run for run in self.town.runs()}

    def _read_log(self) -> None:
        text = self.town.http.request("GET", f"{self.town.world}/_sandbox/log?after={self._from}", timeout=10).data
        rows = [json.loads(line) for line in text.splitlines() if line]
        for row in rows:
            if row["status"] is None:
                break
            self._from = row["seq"]
            ours = row["method"] == "PATCH" and (
                "fieldManager=ripcord" in row["query"] or "Ripcord" in (row["body"] or "")
            )
            parts = row["path"].split("/")
            place = next((self.places[one] for one in parts if one in self.places), None)
            if ours and place is not None:
                place.patches.append(row)
                place.written.set()

    def _read_audit(self) -> None:
        new = sa.select(audit.c.seq, audit.c.tag, audit.c.target).where(audit.c.seq > self._row).order_by(audit.c.seq)
        for row in self.town.rows(new):
            self._row = row["seq"]
            place = self.places.get(row["target"] or "")
            if place is None:
                continue
            if row["tag"] in CHECKED:
                (place.passed if row["tag"] == "check_passed" else place.looked).set()
            if row["tag"].removeprefix("run_") in FINAL:
                place.over.set()

    def notes(self) -> dict[str, str]:
        """Each place's one note, once all have their last word."""
        found: dict[str, str] = {}
        for incident in self.town.pagerduty("GET", "/incidents?limit=100")["incidents"]:
            name = str(incident["title"]).removesuffix(" hurts")
            notes = self.town.pagerduty("GET", f"/incidents/{incident['id']}/notes")["notes"]
            assert len(notes) == 1, (name, notes)
            assert "Proof follows" not in notes[0]["content"], (name, notes)
            found[name] = str(notes[0]["content"])
        return found

    def close(self) -> None:
        self._over.set()
        for one in self.places.values():
            for event in (one.written, one.looked, one.passed, one.over, one.judged):
                event.set()
        self.town.close()
        self.pool.shutdown(wait=False, cancel_futures=True)


# Whether traffic is back, by the objects alone -----------------------------------------------------------------------------------


def judged(place: Place) -> bool:
    """Whether it was back when the run had said its last word; where two write in turn, one look is not enough."""
    assert place.over.wait(PATIENCE * 2), f"{place.name}: its run did not end"
    try:
        return all(is_back(place) for _ in range(10))
    finally:
        place.judged.set()


def is_back(place: Place) -> bool:
    """Everything that must be so (reference: how to act, sections 1 to 3), read once more by somebody who believes no one."""
    try:
        if place.shape == "flag":
            here = place.stage.flags("GET", f"/flags/default/{place.name}")
            wanted = place.spec.get("safe_state", "off") == "on"
            return bool(here["environments"]["production"]["on"] is wanted and not here["archived"])
        rollout = place.rollout
        status, good = rollout.get("status") or {}, place.sta
        if rollout["metadata"]["uid"] != place.uid or status.get("stableRS") != good or not _pods(place, rollout, good):
            return False
        if place.shape == "c":
            return status.get("currentPodHash") == good and status.get("abort") is not True and _behind(place, good)
        aborted = status.get("abort") is True and bool(status.get("abortedAt")) and not status.get("promoteFull")
        same = status.get("currentPodHash") == place.cur and rollout["spec"]["template"] == place.bad
        return bool(aborted and same and (_routed(place, status) if place.shape == "canary" else _behind(place, good)))
    except (AssertionError, KeyError):
        return False  # it cannot even be read, or is not shown


def _pods(place: Place, rollout: Json, good: str) -> bool:
    sets = [one for one in place.replica_sets() if one["metadata"]["labels"].get(HASH) == good]
    return bool(sets) and int(sets[0]["status"].get("availableReplicas") or 0) >= int(rollout["spec"]["replicas"])


def _routed(place: Place, status: Json) -> bool:
    """By status, by the router, by the Service: all of it to stable."""
    weights = status["canary"]["weights"]
    told = (weights["canary"]["weight"], weights["stable"]["weight"], weights["stable"]["podTemplateHash"])
    if told != (0, 100, place.sta) or weights.get("additional") or weights.get("verified") is False:
        return False
    http = place.ask("GET", place.router_path)["spec"]["http"]
    shares = {one["destination"]["host"]: one.get("weight", 0) for route in http for one in route["route"]}
    whole = [route["name"] for route in http] == ["primary"] and shares == {"web-stable": 100, "web-canary": 0}
    return whole and place.selects("web-stable") == place.sta


def _behind(place: Place, good: str) -> bool:
    """The live Service, and only ready pods of the good version behind it."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{place.name}/endpointslices"
    slices = [
        one
        for one in place.ask("GET", path)["items"]
        if one["metadata"]["labels"].get("kubernetes.io/service-name") == "web-active"
    ]
    ready = [end for one in slices for end in one.get("endpoints") or [] if end["conditions"].get("ready") is not False]
    names = [str((end.get("targetRef") or {}).get("name", "")) for end in ready]
    ours = bool(names) and all(name.startswith(f"web-{good}-") for name in names)
    return place.selects("web-active") == good and ours

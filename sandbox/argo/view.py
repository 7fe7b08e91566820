"""What the controller sees of one Rollout in one pass, and the writes that the pass decides on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sandbox.argo import injected
from sandbox.argo.names import HASH, REVISION, V1_9, V1_10, Object, hash_of, meta, name_of, namespace_of, notes
from sandbox.argo.templates import hash_steps, hash_template, same
from sandbox.argo.writes import Write, difference, merge


@dataclass
class View:
    """Copies of the objects; a write changes the copy at once, so that the rest of the pass sees it."""

    now: datetime
    rollout: Object
    replicasets: list[Object]
    services: dict[str, Object]
    virtualservices: dict[str, Object]
    runs: list[Object]
    templates: dict[str, Object]  # AnalysisTemplates by name, ClusterAnalysisTemplates by "cluster/<name>"
    version: str = V1_9
    salt: str = ""
    workload: Object | None = None  # the Deployment of workloadRef
    two_templates: bool = False  # one of its own beside workloadRef
    writes: list[Write] = field(default_factory=list)
    events: int = 0

    @property
    def spec(self) -> Object:
        spec: Object = self.rollout.get("spec") or {}
        return spec

    @property
    def canary(self) -> Object:
        found: Object = (self.spec.get("strategy") or {}).get("canary") or {}
        return found

    @property
    def blue_green(self) -> Object:
        found: Object = (self.spec.get("strategy") or {}).get("blueGreen") or {}
        return found

    @property
    def status(self) -> Object:
        status: Object = self.rollout.setdefault("status", {})
        return status

    @property
    def namespace(self) -> str:
        return namespace_of(self.rollout)

    @property
    def name(self) -> str:
        return name_of(self.rollout)

    @property
    def replicas(self) -> int:
        wished = self.spec.get("replicas")
        return 1 if wished is None else int(wished)

    @property
    def steps(self) -> list[Object]:
        return self.canary.get("steps") or []

    @property
    def is_1_10(self) -> bool:
        return self.version == V1_10

    @property
    def template(self) -> Object:
        template: Object = self.spec.get("template") or {}
        return template

    @property
    def current_hash(self) -> str:
        """The hash of the template in spec: the existing ReplicaSet's, else a computed one."""
        found = self.new
        return hash_of(found) if found is not None else hash_template(self.template, self.salt)

    @property
    def step_hash(self) -> str:
        return hash_steps(self.steps)

    @property
    def new(self) -> Object | None:
        strategy = self.blue_green or self.canary
        equal = [rs for rs in self.replicasets if same(injected.without(rs, strategy), self.template)]
        return min(equal, key=lambda rs: meta(rs).get("creationTimestamp") or "", default=None)

    @property
    def stable(self) -> Object | None:
        sta = self.status.get("stableRS")
        return next((rs for rs in self.replicasets if sta and hash_of(rs) == sta), None)

    @property
    def others(self) -> list[Object]:
        mine = (self.new, self.stable)
        return [rs for rs in self.replicasets if not any(rs is other for other in mine)]

    @property
    def promoted(self) -> bool:
        return bool(self.status.get("stableRS")) and self.status.get("stableRS") == self.status.get("currentPodHash")

    @property
    def template_or_steps_changed(self) -> bool:
        if self.status.get("currentPodHash") != self.current_hash:
            return True
        return bool(self.steps) and self.status.get("currentStepHash") != self.step_hash

    @property
    def workload_generation(self) -> str:
        return "" if self.workload is None else str(meta(self.workload).get("generation", 1))

    @property
    def revision(self) -> str:
        return notes(self.rollout).get(REVISION, "0")

    def patch(self, kind: str, obj: Object, body: Object, subresource: str = "") -> None:
        merge(obj, body)
        self.writes.append(Write(kind, namespace_of(obj), name_of(obj), "patch", body, subresource))

    def create(self, kind: str, obj: Object) -> None:
        self.writes.append(Write(kind, namespace_of(obj), name_of(obj), "create", obj))

    def delete(self, kind: str, obj: Object) -> None:
        self.writes.append(Write(kind, namespace_of(obj), name_of(obj), "delete"))

    def write_status(self, new: Object) -> bool:
        """One status PATCH holding the difference to what the controller believes; nothing when there is none."""
        change = difference(self.status, new)
        if not change:
            return False
        self.patch("rollouts", self.rollout, {"status": change}, "status")
        return True

    def write_status_unseen(self, new: Object) -> bool:
        """A status PATCH after which the rest of the pass still goes by the status before it."""
        change = difference(self.status, new)
        if change:
            self.writes.append(Write("rollouts", self.namespace, self.name, "patch", {"status": change}, "status"))
        return bool(change)

    def selector_hash(self, service: str | None) -> str:
        found = self.services.get(service or "")
        return "" if found is None else str((found.get("spec", {}).get("selector") or {}).get(HASH, ""))

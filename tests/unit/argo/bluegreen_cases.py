"""Raw Kubernetes objects of a blue-green Rollout, to be bent one way or another, and the looks that they make."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from server.core.argo import bluegreen_decide
from server.core.argo.history import History, Seen
from server.core.argo.read import Raw, read
from server.core.argo.state import RolloutState
from server.core.argo.undo_decide import Options
from server.core.outcome import Plan
from tests.unit.argo.cases import CUR, HASH, STA, TEMPLATE, World, at, stamp

Json = dict[str, Any]
OLDER = "3aaa1b2c3"
ACTIVE = "web-frontend-active"


class BlueGreen(World):
    """5 replicas; the new version is whole, and active (promoted, not stable yet): a post-promotion analysis runs."""

    def __init__(self, active: str = CUR) -> None:
        super().__init__()
        self.spec |= {
            "replicas": 5,
            "strategy": {"blueGreen": {"activeService": ACTIVE, "previewService": "web-frontend-preview"}},
        }
        self.available = {CUR: 5, STA: 5}
        self.wanted = {CUR: 5, STA: 5}
        self.deadlines: dict[str, str] = {}
        self.histories: dict[str, str] = {}
        self.templates: dict[str, Json] = {}
        self.active = active
        self.ready: dict[str, int] | None = None
        self.history = History()
        self.status |= {"phase": "Progressing", "message": "waiting for analysis to complete"}

    def weigh(self, router: int, status: int | None = None) -> World:
        """There is no router."""
        return self

    @property
    def blue_green(self) -> Json:
        """spec.strategy.blueGreen."""
        found: Json = self.spec["strategy"]["blueGreen"]
        return found

    def short_by(self, missing: int, pod_hash: str = CUR) -> BlueGreen:
        """So many of its pods are not available."""
        self.available[pod_hash] = self.wanted[pod_hash] - missing
        return self

    def promoted(self, completed: datetime | None = None) -> BlueGreen:
        """Current is stable and active; the old pods still run until their deadline."""
        self.status |= {"stableRS": CUR, "phase": "Healthy", "message": ""}
        self.status["conditions"] = [
            {"type": "Completed", "status": "True", "lastTransitionTime": stamp(completed or at(-60))}
        ]
        self.active = CUR
        self.deadlines[STA] = stamp(at(240))
        self.templates[STA] = _older()
        return self

    def taken_back(self, target: str = STA) -> BlueGreen:
        """The template of that version stands in spec, and the controller has taken it over."""
        self.template = _older()
        self.meta["generation"] += 1
        self.carried = copy.deepcopy(self.template)
        self.status |= {"currentPodHash": target, "observedGeneration": str(self.meta["generation"])}
        return self

    def remembers(self, *seen: Seen, wrote: tuple[str, ...] = ()) -> BlueGreen:
        """What the target history holds."""
        self.history = History(seen=seen, wrote=wrote)
        return self

    def replica_sets(self) -> list[Json]:
        """Its ReplicaSets, with what a blue-green controller writes on them."""
        made = super().replica_sets()
        for one in made:
            pod_hash = one["metadata"]["labels"][HASH]
            one["metadata"]["uid"] = f"rs-{pod_hash}"
            wanted = self.wanted.get(pod_hash, 0)
            notes = {"rollout.argoproj.io/desired-replicas": str(self.spec["replicas"])}
            if pod_hash in self.deadlines:
                notes["scale-down-deadline"] = self.deadlines[pod_hash]
            if pod_hash in self.histories:
                notes["rollout.argoproj.io/revision-history"] = self.histories[pod_hash]
            one["metadata"]["annotations"] = notes
            one["spec"]["replicas"] = wanted
            if pod_hash in self.templates and pod_hash != self.status["currentPodHash"]:
                one["spec"]["template"] = copy.deepcopy(self.templates[pod_hash])
        return made

    def behind(self) -> tuple[list[Json], list[Json]]:
        """EndpointSlices and pods behind the active Service."""
        ready = self.ready if self.ready is not None else {self.active: self.available.get(self.active, 0)}
        waiting = self.wanted.get(self.active, 0) - self.available.get(self.active, 0) if self.ready is None else 0
        endpoints, pods = [], []
        for pod_hash, number in ready.items():
            for index in range(number):
                name = f"web-frontend-{pod_hash}-{index}"
                endpoints.append({"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": name}})
                owner = [{"uid": f"rs-{pod_hash}", "controller": True}]
                pods.append({"metadata": {"name": name, "ownerReferences": owner}})
        endpoints += [
            {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": f"late-{index}"}}
            for index in range(max(waiting, 0))
        ]
        return [{"endpoints": endpoints}], pods

    def raw(self, moment: datetime) -> Raw:
        """Everything, as one look of the action reads it."""
        raw = super().raw(moment)
        raw.active_service = {"metadata": {}, "spec": {"selector": {HASH: self.active}}}
        raw.slices, raw.pods = self.behind()
        raw.templates = True
        return raw

    def look(self, seconds: float = 0.0) -> RolloutState:
        """One look at that second of the story, through JSON as in a checkpoint."""
        state = read(self.raw(at(seconds))).model_copy(update={"history": self.history})
        return RolloutState.model_validate(state.model_dump(mode="json"))


def _older() -> Json:
    made = copy.deepcopy(TEMPLATE)
    made["spec"]["containers"][0]["image"] = "web-frontend:v2.0.0"
    return made


OLD_TEMPLATE = _older()


def planned_switch(world: BlueGreen | None = None, options: Options | None = None) -> tuple[Plan, RolloutState]:
    """The plan that the first look gives, and that look."""
    state = (world or BlueGreen()).look(0)
    plan = bluegreen_decide.plan([state], state.at, options or Options())
    assert isinstance(plan, Plan), plan
    return plan.model_copy(update={"facts": {**plan.facts, "run": "r-1"}}), state

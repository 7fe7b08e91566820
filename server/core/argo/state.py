"""One look at a Rollout and everything around it, as a value: what the decision table, the proof and the page read.

Built by `read.py` from raw objects. Stored as JSON in checkpoints, so it holds what is judged and nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from server.core.argo.history import History
from server.core.outcome import Json, Model


class Place(Protocol):
    """Where a Rollout lives, as the catalog declares it."""

    @property
    def name(self) -> str:
        """The catalog's name for it."""
        ...

    @property
    def strategy(self) -> str:
        """canary or blue-green."""
        ...

    @property
    def cluster(self) -> str:
        """A cluster of the catalog."""
        ...

    @property
    def namespace(self) -> str:
        """The Rollout's namespace."""
        ...

    @property
    def rollout(self) -> str:
        """The Rollout's name."""
        ...


class ReplicaSet(Model):
    """One ReplicaSet that the Rollout owns."""

    name: str
    hash: str
    created: datetime | None
    revision: str = ""
    replicas: int = 0
    ready: int = 0
    available: int = 0
    deadline: str = ""
    desired: str = Field(default="", description="the annotation of how many the controller wants in all")
    history: str = Field(default="", description="revision numbers that it had before: it was current more than once")
    template: Json | None = Field(
        default=None, description="its pod template as a person wrote it, where it is asked for"
    )


class Condition(Model):
    """One condition of the Rollout's status."""

    status: str
    reason: str = ""
    message: str = ""
    at: datetime | None = None


class Weights(Model):
    """`status.canary.weights`: what the controller says that it wrote."""

    canary: int = 0
    canary_hash: str = ""
    stable: int = 0
    stable_hash: str = ""
    additional: int = 0
    verified: bool | None = None


class Route(Model):
    """One managed HTTP route of the VirtualService."""

    name: str
    canary: int
    stable: int
    other: int = 0


class Router(Model):
    """The VirtualService, read independently of the Rollout's status. problem: why it says nothing."""

    path: str = ""
    name: str = ""
    resource_version: str = ""
    routes: tuple[Route, ...] = ()
    pinned: tuple[str, ...] = Field(
        default=(), description="managed header or mirror routes that still reach the canary"
    )
    problem: str = ""

    @property
    def canary(self) -> int | None:
        """The highest canary weight of all managed routes."""
        return max((route.canary for route in self.routes), default=None) if not self.problem else None


class Service(Model):
    """A Service's name and the pod hash that its selector holds. problem: why it says nothing."""

    name: str = ""
    selects: str = ""
    resource_version: str = ""
    problem: str = ""


class Endpoints(Model):
    """Who stands behind the active Service, by its EndpointSlices. problem: why that is not known."""

    ready: int = Field(default=0, description="ready pods of the ReplicaSet that the Service selects")
    others: int = Field(default=0, description="ready ones that are not")
    waiting: int = Field(default=0, description="listed, and not ready")
    problem: str = ""

    @property
    def all_ready(self) -> int:
        """Everybody who gets requests now."""
        return self.ready + self.others


class Lease(Model):
    """The controller's Lease. problem: it could not be read."""

    holder: str = ""
    renewed: datetime | None = None
    problem: str = ""


class Metric(Model):
    """One metric of an AnalysisRun, with its definition beside its result."""

    name: str
    phase: str
    count: int = 0
    failed: int = 0
    errors: int = 0
    inconclusive: int = 0
    consecutive_errors: int = 0
    limit: str = "0"
    value: str = ""
    value_phase: str = ""
    message: str = ""
    finished: str = ""
    required: str = ""
    query: str = ""
    measured: tuple[tuple[str, str, str], ...] = Field(default=(), description="(finished, value, phase), oldest first")


class Analysis(Model):
    """One AnalysisRun of the judged version."""

    name: str
    kind: str = ""
    phase: str = ""
    message: str = ""
    completed: str = ""
    started: str = ""
    metrics: tuple[Metric, ...] = ()


class RolloutState(Model):
    """What one look saw. at: our clock; date: the API server's, from the answer."""

    at: datetime
    date: datetime
    cluster: str
    namespace: str
    name: str
    exists: bool = True
    problem: str = Field(default="", description="why the Rollout itself could not be read")
    unsupported: str = Field(default="", description="why Ripcord cannot act on a Rollout of this shape")
    strategy: Literal["canary", "blue-green", ""] = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    observed_generation: int | None = None
    deleting: bool = False
    changed_at: datetime | None = Field(default=None, description="the last change that managedFields knows of")
    abort_by: str = Field(default="", description="the field manager that owns status.abort; empty = not known")
    replicas: int = 1
    paused: bool = False
    template: Json = Field(default_factory=dict)
    differs: str | None = Field(
        default=None, description="where RS(cur) and spec.template differ; '' = nowhere; None = no such ReplicaSet"
    )
    has_status: bool = False
    cur: str = ""
    sta: str = ""
    abort: bool | None = None
    aborted_at: str = ""
    promote_full: bool = False
    phase: str = ""
    message: str = ""
    conditions: dict[str, Condition] = Field(default_factory=dict)
    weights: Weights | None = None
    max_weight: int = 100
    dynamic_stable_scale: bool = False
    scale_down_delay: int | None = None
    rollback_window: int = 0
    replica_sets: tuple[ReplicaSet, ...] = ()
    stable_service: Service = Service()
    canary_service: Service = Service()
    router: Router = Router()
    lease: Lease = Lease()
    analysis: tuple[Analysis, ...] = ()
    active: Service = Service()
    endpoints: Endpoints = Endpoints()
    auto_promotion: bool = True
    pre_analysis: bool = False
    pauses: tuple[str, ...] = Field(default=(), description="reasons of status.pauseConditions")
    controller_pause: bool = False
    gitops: str = Field(
        default="", description="what writes this Rollout from elsewhere; '' = nothing that is known of"
    )
    history: History = History()

    @property
    def where(self) -> str:
        """'production/web-frontend'."""
        return f"{self.namespace}/{self.name}"

    def replica_set(self, pod_hash: str) -> ReplicaSet | None:
        """The ReplicaSet of a pod hash."""
        return next((one for one in self.replica_sets if one.hash == pod_hash), None)

    @property
    def stable_available(self) -> int:
        """Available pods of the stable ReplicaSet."""
        stable = self.replica_set(self.sta)
        return stable.available if stable else 0

    @property
    def saturated(self) -> bool:
        """Whether the current ReplicaSet is whole in each of the three ways that the controller asks for."""
        current, wanted = self.replica_set(self.cur), self.replicas
        return current is not None and (
            current.replicas == wanted and current.available == wanted and current.desired == str(wanted)
        )

    @property
    def since(self) -> datetime | None:
        """When the current version started: its ReplicaSet's creation, or the later change of `Completed`.

        `Completed` is False while a version is under way, True from its promotion on.
        """
        current = self.replica_set(self.cur)
        completed = self.conditions.get("Completed")
        times = [current.created if current else None]
        if completed is not None and completed.status == ("True" if self.cur == self.sta else "False"):
            times.append(completed.at)
        return max((time for time in times if time is not None), default=None)

    @property
    def invalid(self) -> str:
        """The controller's own words for a spec that it refuses; '' = none."""
        condition = self.conditions.get("InvalidSpec")
        if condition is not None and condition.status == "True":
            return condition.message or condition.reason
        return self.message if self.message.startswith("InvalidSpec") else ""

    @property
    def in_window_rollback(self) -> bool:
        """Whether the controller treats this as a rollback within `rollbackWindow`, where no abort holds."""
        current, stable = self.replica_set(self.cur), self.replica_set(self.sta)
        if (
            not self.rollback_window
            or current is None
            or stable is None
            or current.created is None
            or stable.created is None
        ):
            return False
        if current.created >= stable.created:
            return False
        between = [one for one in self.replica_sets if one.created and current.created < one.created < stable.created]
        return len(between) < self.rollback_window


def short(pod_hash: str, *others: str) -> str:
    """A hash as people read it: its first four characters, more where another one begins the same."""
    length = 4
    while length < len(pod_hash) and any(other != pod_hash and other[:length] == pod_hash[:length] for other in others):
        length += 1
    return pod_hash[:length]


def percent(weight: int, highest: int) -> str:
    """A weight as '25 %'."""
    share = weight * 100 / highest if highest else 0.0
    return f"{share:g} %" if share == int(share) else f"{share:.1f} %"

"""The catalog: everything that Ripcord may touch, declared. An alert can only choose among its targets."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from server.core.durations import Seconds
from server.core.runbook import Mode, Strict


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Cluster(Strict):
    """A context of the kubeconfig. rollouts_namespace: where its controller and the controller's Lease live."""

    rollouts_namespace: str = "argo-rollouts"


class Budgets(Strict):
    """Deadlines of the proof, in seconds from the act's answer."""

    acknowledge: Seconds = 45.0
    traffic: Seconds = 60.0


class _Declared(Strict):
    """What every target has. label: its name in the catalog (the file's key)."""

    label: str = ""
    team: str = Field(min_length=1)
    pagerduty_services: Annotated[tuple[str, ...], BeforeValidator(_tuple), Field(min_length=1)]
    named_by: dict[str, str] = Field(min_length=1)
    mode: Mode = "observe"
    cooldown: Seconds = 1800.0


class RolloutTarget(_Declared):
    """An Argo Rollout. YAML's `name` is the Rollout's; `name` in code is the catalog's."""

    kind: Literal["rollout"]
    strategy: Literal["canary", "blue-green"]
    cluster: str = "default"
    namespace: str = Field(min_length=1, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    rollout: str = Field(min_length=1, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253, alias="name")
    budgets: Budgets = Budgets()
    rollouts_namespace: str = "argo-rollouts"

    @property
    def name(self) -> str:
        """Its name in the catalog."""
        return self.label


class FlagTarget(_Declared):
    """A LaunchDarkly flag in one environment."""

    kind: Literal["flag"]
    project: str = Field(min_length=1)
    environment: str = Field(min_length=1)
    flag: str = Field(min_length=1)
    safe_state: Literal["on", "off"]
    strategy: None = None

    @property
    def name(self) -> str:
        """Its name in the catalog."""
        return self.label


Target = Annotated[RolloutTarget | FlagTarget, Field(discriminator="kind")]


class Catalog(Strict):
    """`targets.yaml`."""

    version: Literal[1]
    clusters: dict[str, Cluster] = Field(default_factory=dict)
    targets: dict[str, Target]

    @field_validator("targets", mode="before")
    @classmethod
    def _labels(cls, value: Any) -> Any:
        """Each target knows its own name; a name is text without '/', control characters or edge spaces, at most 100."""
        if not isinstance(value, dict):
            return value
        for name, target in value.items():
            if not isinstance(name, str) or not good_name(name):
                raise ValueError(f"target {name!r}: a name has no '/', no control characters, no edge spaces, at most 100 characters")
        return {n: {**t, "label": n} if isinstance(t, dict) else t for n, t in value.items()}

    @model_validator(mode="after")
    def _places(self) -> Catalog:
        """Each Rollout knows where its cluster's controller lives."""
        for name, target in self.targets.items():
            if isinstance(target, RolloutTarget) and target.cluster in self.clusters:
                namespace = self.clusters[target.cluster].rollouts_namespace
                self.targets[name] = target.model_copy(update={"rollouts_namespace": namespace})
        return self

    RESERVED: ClassVar[frozenset[str]] = frozenset({"label", "rollouts_namespace"})
    """Filled in from elsewhere: unknown keys in the file."""


def good_name(name: str) -> bool:
    """Whether a text may be a target's name."""
    return 0 < len(name) <= 100 and name == name.strip() and "/" not in name and name.isprintable()

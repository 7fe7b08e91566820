"""The catalog's types (runbooks/targets.yaml): what Ripcord may touch, and which PagerDuty service may name it.

The `…Entry` classes are the file's form, the `…Target` classes ours: there `name` is the catalog's name of the target.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from server.core.durations import Seconds, SomeSeconds
from server.core.outcome import Model

Mode = Literal["off", "observe", "approve", "auto"]
Strategy = Literal["canary", "blue-green"]
Kind = Literal["rollout", "flag", "service", "canary"]

CAREFUL: tuple[Mode, ...] = ("off", "observe", "approve", "auto")
"""From the most careful on."""


def _name(text: str) -> str:
    if text != text.strip() or "/" in text or any(unicodedata.category(char) == "Cc" for char in text):
        raise ValueError("expected a name without '/', control characters or edge spaces")
    return text


def _version(value: Any) -> Any:
    if type(value) is not int:  # True and 1.0 equal 1, and are not it
        raise ValueError("expected 1")
    return value


Version = Annotated[Literal[1], BeforeValidator(_version)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_name)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
KubernetesName = Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
Id = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9]+$")]


class Cluster(Model):
    """Where one cluster's Argo Rollouts controller and its Lease live."""

    rollouts_namespace: KubernetesName = "argo-rollouts"


class Budgets(Model):
    """Seconds from the act's answer: until the controller must have said yes, and until traffic must be back."""

    acknowledge: SomeSeconds = 45.0
    traffic: SomeSeconds = 60.0


class _Common(Model):
    team: Text
    pagerduty_services: tuple[Id, ...] = Field(min_length=1, description="ids: names change")
    named_by: dict[Text, Text] = Field(min_length=1, description="alert details, compared as text")
    mode: Mode = "observe"
    cooldown: Seconds = 1800.0


class _Placed(_Common):
    cluster: Text = "default"
    namespace: KubernetesName


class _Rollout(_Placed):
    kind: Literal["rollout"] = "rollout"
    strategy: Strategy
    budgets: Budgets = Budgets()


class _Flag(_Common):
    kind: Literal["flag"] = "flag"
    project: Text
    environment: Text
    flag: Text
    safe_state: Literal["on", "off"] = "off"


class _Service(_Placed):
    kind: Literal["service"] = "service"


class _Canary(_Placed):
    kind: Literal["canary"] = "canary"


class RolloutTarget(_Rollout):
    """An Argo Rollout. rollout: the object's name; rollouts_namespace: where its cluster's controller lives."""

    name: Name
    rollout: KubernetesName
    rollouts_namespace: KubernetesName = "argo-rollouts"


class FlagTarget(_Flag):
    """A LaunchDarkly flag in one environment."""

    name: Name


class ServiceTarget(_Service):
    """A Kubernetes Service; nothing acts on it yet."""

    name: Name
    service: KubernetesName


class CanaryTarget(_Canary):
    """A Flagger Canary; nothing acts on it yet."""

    name: Name
    canary: KubernetesName


Target = Annotated[RolloutTarget | FlagTarget | ServiceTarget | CanaryTarget, Field(discriminator="kind")]


class RolloutEntry(_Rollout):
    """A rollout as the file declares it."""

    kind: Literal["rollout"]
    name: KubernetesName

    def target(self, name: str) -> RolloutTarget:
        """The target of that catalog name."""
        return RolloutTarget.model_validate({**_fields(self), "name": name, "rollout": self.name})


class FlagEntry(_Flag):
    """A flag as the file declares it."""

    kind: Literal["flag"]

    def target(self, name: str) -> FlagTarget:
        """The target of that catalog name."""
        return FlagTarget.model_validate({**_fields(self), "name": name})


class ServiceEntry(_Service):
    """A Service as the file declares it."""

    kind: Literal["service"]
    name: KubernetesName

    def target(self, name: str) -> ServiceTarget:
        """The target of that catalog name."""
        return ServiceTarget.model_validate({**_fields(self), "name": name, "service": self.name})


class CanaryEntry(_Canary):
    """A Flagger Canary as the file declares it."""

    kind: Literal["canary"]
    name: KubernetesName

    def target(self, name: str) -> CanaryTarget:
        """The target of that catalog name."""
        return CanaryTarget.model_validate({**_fields(self), "name": name, "canary": self.name})


Entry = Annotated[RolloutEntry | FlagEntry | ServiceEntry | CanaryEntry, Field(discriminator="kind")]


def _fields(entry: Model) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in type(entry).model_fields}


class CatalogFile(Model):
    """targets.yaml."""

    version: Version
    clusters: dict[Text, Cluster] = Field(default_factory=dict)
    targets: dict[Name, Entry]

    def catalog(self) -> Catalog:
        """The same, in our own types."""
        made: dict[str, Target] = {name: entry.target(name) for name, entry in self.targets.items()}
        for name, target in made.items():
            if isinstance(target, RolloutTarget) and target.cluster in self.clusters:
                where = self.clusters[target.cluster].rollouts_namespace
                made[name] = target.model_copy(update={"rollouts_namespace": where})
        return Catalog(clusters=dict(self.clusters), targets=made)


class Catalog(Model):
    """Everything that Ripcord may touch, by name."""

    clusters: Mapping[str, Cluster] = Field(default_factory=dict)
    targets: Mapping[str, Target] = Field(default_factory=dict)

"""The resources that this API server knows: names, groups, versions, and which rules a kind lives by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ISTIO_VERSIONS: Final = ("v1", "v1beta1", "v1alpha3")


@dataclass(frozen=True)
class Resource:
    plural: str
    kind: str
    group: str
    versions: tuple[str, ...]
    namespaced: bool = True
    has_status: bool = True  # whether …/status exists; without it status is written through the main endpoint
    has_scale: bool = False
    counts_generation: bool = True

    @property
    def custom(self) -> bool:
        """Defined by a CRD: other content types, other list items, other errors than the built-in ones."""
        return self.group in ("argoproj.io", "networking.istio.io")

    @property
    def qualified(self) -> str:
        """`rollouts.argoproj.io`, as error texts name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str | None = None) -> str:
        chosen = version or self.versions[0]
        return f"{self.group}/{chosen}" if self.group else chosen


def _argo(plural: str, kind: str, *, namespaced: bool = True, status: bool = False, scale: bool = False) -> Resource:
    return Resource(plural, kind, "argoproj.io", ("v1alpha1",), namespaced, status, scale)


_ALL: Final = (
    Resource("namespaces", "Namespace", "", ("v1",), namespaced=False, counts_generation=False),
    Resource("services", "Service", "", ("v1",), counts_generation=False),
    Resource("pods", "Pod", "", ("v1",)),
    Resource("events", "Event", "", ("v1",), has_status=False, counts_generation=False),
    Resource("configmaps", "ConfigMap", "", ("v1",), has_status=False, counts_generation=False),
    Resource("secrets", "Secret", "", ("v1",), has_status=False, counts_generation=False),
    Resource("deployments", "Deployment", "apps", ("v1",), has_scale=True),
    Resource("replicasets", "ReplicaSet", "apps", ("v1",), has_scale=True),
    Resource("leases", "Lease", "coordination.k8s.io", ("v1",), has_status=False, counts_generation=False),
    Resource("endpointslices", "EndpointSlice", "discovery.k8s.io", ("v1",), has_status=False),
    _argo("rollouts", "Rollout", status=True, scale=True),
    _argo("analysisruns", "AnalysisRun"),
    _argo("analysistemplates", "AnalysisTemplate"),
    _argo("clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False),
    _argo("experiments", "Experiment"),
    Resource("virtualservices", "VirtualService", "networking.istio.io", ISTIO_VERSIONS),
    Resource("destinationrules", "DestinationRule", "networking.istio.io", ISTIO_VERSIONS),
)

BY_PLURAL: Final = {resource.plural: resource for resource in _ALL}


def find(group: str, version: str, plural: str) -> Resource | None:
    resource = BY_PLURAL.get(plural)
    return resource if resource and resource.group == group and version in resource.versions else None

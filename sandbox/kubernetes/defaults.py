"""What an API server fills into a new built-in object that a client left open. Custom resources keep what they got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]


def with_defaults(plural: str, obj: Object, random_byte: Callable[[], int]) -> None:
    if plural == "services":
        _service(obj.setdefault("spec", {}), random_byte)
    elif plural == "namespaces":
        obj.setdefault("spec", {"finalizers": ["kubernetes"]})
        obj["status"] = {"phase": "Active"}
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    elif plural == "deployments":
        spec = obj.setdefault("spec", {})
        for key, value in (("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
            spec.setdefault(key, value)
    elif plural == "replicasets":
        obj.setdefault("spec", {}).setdefault("replicas", 1)


def _service(spec: Object, random_byte: Callable[[], int]) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("clusterIP", f"10.96.{random_byte()}.{random_byte()}")
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))

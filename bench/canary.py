"""Canaries to abort, one in each namespace, made alike on any Kubernetes API: 4 pods, Istio, v2 paused at 25 % without end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from bench.planes import MERGE, NAMESPACES, Object, Plane
from bench.processes import ROOT

NAME = "web"
STOOD = 11.0
"""Seconds that a canary stands before its alert: one that changed less than 10 s ago is looked at twice, and the alert must be
younger than the release."""


def rollouts(namespace: str) -> str:
    """Where the Rollout lies."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts"


def routers(namespace: str) -> str:
    """Where its VirtualService lies."""
    return f"/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices"


def prepare(plane: Plane, namespaces: list[str]) -> None:
    """All of them are paused at 25 % and have stood there for a while when this returns."""
    for namespace in namespaces:
        _place(plane, namespace)
    _until(plane, namespaces, _out)
    for namespace in namespaces:
        plane.ask("PATCH", f"{rollouts(namespace)}/{NAME}", {"spec": {"template": _template("v2")}}, MERGE)
    _until(plane, namespaces, _paused)
    time.sleep(STOOD)


def leave(plane: Plane, namespaces: list[str]) -> None:
    """Nothing of them stays: an aborted canary keeps a controller busy."""
    for namespace in namespaces:
        plane.ask("DELETE", f"{rollouts(namespace)}/{NAME}")
        plane.ask("DELETE", f"{NAMESPACES}/{namespace}")


def _place(plane: Plane, namespace: str) -> None:
    plane.ask("POST", NAMESPACES, {"metadata": {"name": namespace}})
    for half in ("canary", "stable"):
        service = {"metadata": {"name": f"{NAME}-{half}"}, "spec": {"selector": {"app": NAME}, "ports": [{"port": 80}]}}
        plane.ask("POST", f"{NAMESPACES}/{namespace}/services", service)
    route = [{"destination": {"host": f"{NAME}-{half}"}, "weight": w} for half, w in (("stable", 100), ("canary", 0))]
    router = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": NAME},
        "spec": {"hosts": [NAME], "http": [{"name": "primary", "route": route}]},
    }
    plane.ask("POST", routers(namespace), router)
    plane.ask("POST", rollouts(namespace), _rollout())


def _rollout() -> Object:
    canary = {
        "canaryService": f"{NAME}-canary",
        "stableService": f"{NAME}-stable",
        "trafficRouting": {"istio": {"virtualService": {"name": NAME, "routes": ["primary"]}}},
        "steps": [{"setWeight": 25}, {"pause": {}}],
        "abortScaleDownDelaySeconds": 1,
    }
    spec = {
        "replicas": 4,
        "selector": {"matchLabels": {"app": NAME}},
        "template": _template("v1"),
        "strategy": {"canary": canary},
    }
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": NAME}, "spec": spec}


def _template(version: str) -> Object:
    container = {"name": NAME, "image": f"registry.example/{NAME}:{version}"}
    return {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [container]}}


def _out(rollout: Object) -> bool:
    status = rollout.get("status") or {}
    return status.get("phase") == "Healthy" and bool(status.get("stableRS"))


def _paused(rollout: Object) -> bool:
    status = rollout.get("status") or {}
    taken = int(status.get("observedGeneration") or 0) >= rollout["metadata"]["generation"]
    return taken and status.get("phase") == "Paused" and status.get("controllerPause") is True


def _until(plane: Plane, namespaces: list[str], holds: Callable[[Object], bool], within: float = 120.0) -> None:
    ends = time.monotonic() + within
    while not all(holds(plane.ask("GET", f"{rollouts(one)}/{NAME}")) for one in namespaces):
        if time.monotonic() > ends:
            raise SystemExit(f"bench: {plane.name}: the canaries are not ready within {within:g} s")
        time.sleep(0.3)


def aborted(rollout: Object) -> bool:
    """The controller has acknowledged the abort."""
    return bool((rollout.get("status") or {}).get("abortedAt"))


def counted(rollout: Object) -> bool:
    """The controller says that the canary gets nothing any more."""
    weights = ((rollout.get("status") or {}).get("canary") or {}).get("weights") or {}
    return aborted(rollout) and int((weights.get("canary") or {}).get("weight") or 0) == 0


def routed(router: Object) -> bool:
    """The router sends nothing to the canary."""
    route = router["spec"]["http"][0]["route"]
    return all(int(one.get("weight") or 0) == 0 for one in route if one["destination"]["host"] == f"{NAME}-canary")


def catalog(folder: Path, namespaces: list[str]) -> Path:
    """The shipped abort-canary, and a catalog of these canaries."""
    folder.mkdir()
    (folder / "abort-canary.yaml").write_text((ROOT / "runbooks" / "abort-canary.yaml").read_text())
    targets = {
        one: {
            "kind": "rollout",
            "strategy": "canary",
            "team": "web",
            "cluster": "default",
            "namespace": one,
            "name": NAME,
            "pagerduty_services": ["PCANARY"],
            "named_by": {"rollout": NAME, "namespace": one},
            "mode": "auto",
        }
        for one in namespaces
    }
    clusters = {"default": {"rollouts_namespace": "argo-rollouts"}}
    (folder / "targets.yaml").write_text(json.dumps({"version": 1, "clusters": clusters, "targets": targets}))
    return folder

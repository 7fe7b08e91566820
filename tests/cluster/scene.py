"""The scene's canary on the real control plane: released as a person does it, and brought to its pause at 25 %.

Smaller than in the sandbox (4 pods), its steps begin at 25 %, and nobody measures: no Prometheus stands on loopback.
"""

from __future__ import annotations

import time
from copy import deepcopy
from typing import Any

from sandbox.scene_templates import SERVICES, VIRTUAL_SERVICE, WEB_FRONTEND
from tests.cluster.api import NAMESPACES, ROLLOUTS_API, Api, Object

NAMESPACE = "production"
NAME = "web-frontend"
ROLLOUTS = f"{ROLLOUTS_API}/namespaces/{NAMESPACE}/rollouts"
ROLLOUT = f"{ROLLOUTS}/{NAME}"
_ROUTERS = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
_REPLICAS = 4


def play_seed(api: Api, replicas: int = _REPLICAS) -> None:
    """web-frontend stands at 25 %, paused without end, when this returns."""
    api.ensure(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    for name in ("web-frontend-canary", "web-frontend-stable"):
        api.ensure(f"{NAMESPACES}/{NAMESPACE}/services", SERVICES[name])
    api.ensure(_ROUTERS, {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", **VIRTUAL_SERVICE})
    api.create(ROLLOUTS, _rollout("v2.0.9", replicas))
    _until(api, "Healthy")
    api.merge(ROLLOUT, {"spec": {"template": _rollout("v2.1.0", replicas)["spec"]["template"]}})
    _until(api, "Paused")


def _rollout(version: str, replicas: int) -> Object:
    made: dict[str, Any] = deepcopy(WEB_FRONTEND)
    canary = made["spec"]["strategy"]["canary"]
    del canary["analysis"]
    canary["steps"] = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
    made["spec"]["replicas"] = replicas
    made["spec"]["template"]["spec"]["containers"][0]["image"] = f"registry.company.com/web-frontend:{version}"
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", **made}


def _until(api: Api, phase: str, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while (status := api.get(ROLLOUT).get("status") or {}).get("phase") != phase or not _observed(api):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{NAME} is not {phase} within {within:g} s: {status}")
        time.sleep(0.1)


def _observed(api: Api) -> bool:
    rollout = api.get(ROLLOUT)
    return int(rollout["status"].get("observedGeneration") or 0) >= int(rollout["metadata"]["generation"])

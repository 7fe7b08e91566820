"""A rich pod template, and what an API server makes of one when it stores it in a ReplicaSet."""

from __future__ import annotations

import copy
from typing import Any

from tests.unit.argo.cases import HASH

Json = dict[str, Any]

SPEC: Json = {
    "metadata": {"labels": {"app": "web", "tier": "front"}, "annotations": {"note": ""}},
    "spec": {
        "serviceAccountName": "web",
        "nodeSelector": {"pool": "a"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "securityContext": {"runAsUser": 0},
        "terminationGracePeriodSeconds": 60,
        "initContainers": [{"name": "migrate", "image": "migrate:1"}, {"name": "warm", "image": "warm:1"}],
        "containers": [
            {
                "name": "web",
                "image": "registry.example:5000/web:v2",
                "args": ["--port", "8080"],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "ports": [{"containerPort": 8080}],
                "resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"port": 8080}, "initialDelaySeconds": 5},
                "volumeMounts": [{"name": "cfg", "mountPath": "/cfg"}, {"name": "cfg", "mountPath": "/again"}],
            },
            {"name": "proxy", "image": "proxy", "imagePullPolicy": "Never"},
        ],
        "volumes": [
            {"name": "cfg", "configMap": {"name": "cfg"}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ],
        "affinity": {
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}, "topologyKey": "z"}]
            }
        },
    },
}


PROBE: Json = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def stored(spec: Json) -> Json:
    """A ReplicaSet with that template as an API server stores it: hash label and defaults filled in."""
    made = copy.deepcopy(spec)
    made["metadata"].setdefault("labels", {})[HASH] = "7d9f"
    pod = made["spec"]
    pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    pod.setdefault("securityContext", {})
    pod.setdefault("terminationGracePeriodSeconds", 30)
    if "serviceAccountName" in pod:
        pod["serviceAccount"] = pod["serviceAccountName"]
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        _store_container(container)
    for volume in pod.get("volumes", []):
        _store_volume(volume)
    return {"metadata": {}, "spec": {"template": made}}


def _store_container(container: Json) -> None:
    container |= {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
    container.setdefault("resources", {})
    tagged = ":" in container["image"].rsplit("/")[-1] and not container["image"].endswith(":latest")
    container.setdefault("imagePullPolicy", "IfNotPresent" if tagged else "Always")
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
    for one in container.get("env", []):
        if "fieldRef" in one.get("valueFrom", {}):
            one["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
    if "readinessProbe" in container:
        container["readinessProbe"] = PROBE | container["readinessProbe"]
        container["readinessProbe"]["httpGet"] = {"path": "/", "scheme": "HTTP"} | container["readinessProbe"][
            "httpGet"
        ]


def _store_volume(volume: Json) -> None:
    for kind in ("configMap", "projected", "secret"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", 420)
    for source in volume.get("projected", {}).get("sources", []):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)

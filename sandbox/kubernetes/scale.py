"""…/scale: a small object of its own kind that shows and sets nothing but replicas."""

from __future__ import annotations

from typing import Any

from sandbox.kubernetes.kinds import Resource

Object = dict[str, Any]


def as_scale(resource: Resource, obj: Object) -> Object:
    meta, status = obj["metadata"], obj.get("status") or {}
    named = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = (obj.get("spec") or {}).get("replicas")
    shown: Object = {"replicas": int(status.get("HPAReplicas" if resource.custom else "replicas") or 0)}
    if selector := _selector(resource, obj):
        shown["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in named if key in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": shown,
    }


def set_scale(obj: Object, scale: Object) -> None:
    obj.setdefault("spec", {})["replicas"] = int((scale.get("spec") or {}).get("replicas") or 0)


def _selector(resource: Resource, obj: Object) -> str:
    if resource.custom:
        return str((obj.get("status") or {}).get("selector", ""))
    wanted = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))

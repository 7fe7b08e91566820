"""Names that Argo Rollouts writes into objects, and small readers of objects that every room here uses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

Object = dict[str, Any]

HASH: Final = "rollouts-pod-template-hash"
REVISION: Final = "rollout.argoproj.io/revision"
REVISION_HISTORY: Final = "rollout.argoproj.io/revision-history"
DESIRED: Final = "rollout.argoproj.io/desired-replicas"
WORKLOAD_GENERATION: Final = "rollout.argoproj.io/workload-generation"
EPHEMERAL: Final = "rollout.argoproj.io/ephemeral-metadata"
DEADLINE: Final = "scale-down-deadline"  # bare: the project's FAQ shows a prefix that the code never had
MANAGED_BY: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"
MANAGER: Final = "rollouts-controller"

V1_9: Final = "v1.9.1"
V1_10: Final = "v1.10.1"


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def meta(obj: Object) -> Object:
    found: Object = obj.setdefault("metadata", {})
    return found


def notes(obj: Object) -> dict[str, str]:
    return meta(obj).get("annotations") or {}


def labels(obj: Object) -> dict[str, str]:
    return meta(obj).get("labels") or {}


def hash_of(obj: Object | None) -> str:
    return "" if obj is None else labels(obj).get(HASH, "")


def name_of(obj: Object) -> str:
    return str(meta(obj)["name"])


def namespace_of(obj: Object) -> str:
    return str(meta(obj).get("namespace", ""))


def owned_by(obj: Object, owner: Object) -> bool:
    return any(
        ref.get("uid") == meta(owner).get("uid") and ref.get("controller")
        for ref in meta(obj).get("ownerReferences", [])
    )


def owner_reference(rollout: Object) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": name_of(rollout),
        "uid": meta(rollout).get("uid"),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def status_of(obj: Object | None) -> Object:
    return {} if obj is None else (obj.get("status") or {})


def available(replicaset: Object | None) -> int:
    return int(status_of(replicaset).get("availableReplicas") or 0)


def wanted(replicaset: Object | None) -> int:
    return 0 if replicaset is None else int((replicaset.get("spec") or {}).get("replicas") or 0)

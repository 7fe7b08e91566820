"""Conditions and phase of a Rollout, computed as the controller computes them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sandbox.argo.names import Object, moment, rfc3339

UNTIMED = ("RolloutPaused", "NewReplicaSetAvailable", "RolloutAborted")  # no progress is expected of these
ENDED = ("Successful", "Failed", "Error", "Inconclusive")  # phases of an AnalysisRun
Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Condition:
    type: str
    status: Truth
    reason: str
    message: str


def get(status: Object, kind: str) -> Object | None:
    return next((one for one in status.get("conditions") or [] if one["type"] == kind), None)


def reason(status: Object, kind: str = "Progressing") -> str:
    found = get(status, kind)
    return "" if found is None else str(found.get("reason", ""))


def put(status: Object, wanted: Condition, now: datetime, *, touch: bool = False) -> bool:
    """Set a condition; `touch` moves lastUpdateTime although nothing else changed (progress was made)."""
    old = get(status, wanted.type)
    alike = old is not None and old["status"] == wanted.status and old["reason"] == wanted.reason
    if alike and old is not None and old.get("message") == wanted.message and not touch:
        return False
    at = rfc3339(now)
    kept_since = old["lastTransitionTime"] if old is not None and old["status"] == wanted.status else at
    new = {
        "lastTransitionTime": kept_since,
        "lastUpdateTime": at,
        "message": wanted.message,
        "reason": wanted.reason,
        "status": wanted.status,
        "type": wanted.type,
    }
    rest = [deepcopy(one) for one in status.get("conditions") or [] if one["type"] != wanted.type]
    status["conditions"] = [*rest, new]
    return not alike


def drop(status: Object, kind: str) -> None:
    if get(status, kind) is not None:
        status["conditions"] = [one for one in status["conditions"] if one["type"] != kind]


def paused(truth: bool) -> Condition:
    return Condition("Paused", "True" if truth else "False", "RolloutPaused", "Rollout is paused")


def progressing(truth: Truth, why: str, message: str) -> Condition:
    return Condition("Progressing", truth, why, message)


def completed(truth: bool) -> Condition:
    return Condition("Completed", "True" if truth else "False", "RolloutCompleted", "RolloutCompleted")


def healthy(truth: bool) -> Condition:
    text = "Rollout is healthy" if truth else "Rollout is not healthy"
    return Condition("Healthy", "True" if truth else "False", "RolloutHealthy", text)


def enough_available(truth: bool) -> Condition:
    text = "Rollout has minimum availability" if truth else "Rollout does not have minimum availability"
    return Condition("Available", "True" if truth else "False", "AvailableReason", text)


def timed_out(status: Object, now: datetime, deadline_seconds: int) -> bool:
    """Progressing stood still longer than allowed. A pause does not count."""
    found = get(status, "Progressing")
    if found is None or found["reason"] in UNTIMED:
        return False
    if found["reason"] == "ProgressDeadlineExceeded":
        return True
    return (now - moment(found["lastUpdateTime"])).total_seconds() > deadline_seconds


def phase(spec: Object, status: Object) -> tuple[str, str]:
    """Phase and message; the first rule that holds wins."""
    invalid = get(status, "InvalidSpec")
    if invalid is not None and invalid["status"] == "True":
        return "Degraded", f"InvalidSpec: {invalid['message']}"
    for one in status.get("conditions") or []:
        if one["reason"] in ("RolloutAborted", "ProgressDeadlineExceeded"):
            return "Degraded", f"{one['reason']}: {one['message']}"
    if spec.get("paused"):
        return "Paused", "manually paused"
    if status.get("pauseConditions"):
        return "Paused", str(status["pauseConditions"][0]["reason"])
    waiting = _progress(spec, status)
    return ("Progressing", waiting) if waiting else ("Healthy", "")


def _progress(spec: Object, status: Object) -> str:
    replicas = int(spec.get("replicas", 1))
    updated = int(status.get("updatedReplicas") or 0)
    blue_green = (spec.get("strategy") or {}).get("blueGreen")
    settled = status.get("stableRS") and status.get("stableRS") == status.get("currentPodHash")
    if updated < replicas:
        return "more replicas need to be updated"
    if int(status.get("availableReplicas") or 0) < updated:
        return "updated replicas are still becoming available"
    if blue_green and (status.get("blueGreen") or {}).get("activeSelector") != status.get("currentPodHash"):
        return "active service cutover pending"
    if blue_green and not settled:
        run = (status.get("blueGreen") or {}).get("postPromotionAnalysisRunStatus") or {}
        waits = blue_green.get("postPromotionAnalysis") and run.get("status") not in ENDED
        return f"waiting for {'analysis' if waits else 'post-promotion verification'} to complete"
    if not settled:
        return "waiting for all steps to complete"
    routed = ((spec.get("strategy") or {}).get("canary") or {}).get("trafficRouting")
    if not blue_green and not routed and int(status.get("replicas") or 0) > updated:
        return "old replicas are pending termination"
    return ""

"""The schema of a Rollout as its CRD has it: unknown fields are pruned and named, wrong types are causes.

Checked down to where this project reads and writes; below a plain "object" or "array" everything passes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sandbox.kubernetes.errors import Cause

Object = dict[str, Any]
Fields = dict[str, "str | Fields"]

_WEIGHT: Final[Fields] = {"weight": "integer", "podTemplateHash": "string", "serviceName": "string"}
_RUN: Final[Fields] = {"name": "string", "status": "string", "message": "string"}
_ANALYSIS_LIMITS: Final[Fields] = {"successfulRunHistoryLimit": "integer", "unsuccessfulRunHistoryLimit": "integer"}

_BLUE_GREEN: Final[Fields] = {
    "abortScaleDownDelaySeconds": "integer",
    "activeMetadata": "object",
    "activeService": "string",
    "antiAffinity": "object",
    "autoPromotionEnabled": "boolean",
    "autoPromotionSeconds": "integer",
    "maxUnavailable": "integer or string",
    "postPromotionAnalysis": "object",
    "prePromotionAnalysis": "object",
    "previewMetadata": "object",
    "previewReplicaCount": "integer",
    "previewService": "string",
    "scaleDownDelayRevisionLimit": "integer",
    "scaleDownDelaySeconds": "integer",
}
_CANARY: Final[Fields] = {
    "abortScaleDownDelaySeconds": "integer",
    "analysis": "object",
    "antiAffinity": "object",
    "canaryMetadata": "object",
    "canaryService": "string",
    "dynamicStableScale": "boolean",
    "maxSurge": "integer or string",
    "maxUnavailable": "integer or string",
    "minPodsPerReplicaSet": "integer",
    "pingPong": "object",
    "replicaProgressThreshold": "object",
    "scaleDownDelayRevisionLimit": "integer",
    "scaleDownDelaySeconds": "integer",
    "stableMetadata": "object",
    "stableService": "string",
    "steps": "array",
    "trafficRouting": "object",
}
_SPEC: Final[Fields] = {
    "analysis": _ANALYSIS_LIMITS,
    "minReadySeconds": "integer",
    "paused": "boolean",
    "progressDeadlineAbort": "boolean",
    "progressDeadlineSeconds": "integer",
    "replicas": "integer",
    "restartAt": "date-time",
    "revisionHistoryLimit": "integer",
    "rollbackWindow": {"revisions": "integer"},
    "selector": "object",
    "strategy": {"blueGreen": _BLUE_GREEN, "canary": _CANARY},
    "template": {"metadata": "object", "spec": "object"},
    "workloadRef": {"apiVersion": "string", "kind": "string", "name": "string", "scaleDown": "string"},
}
_STATUS: Final[Fields] = {
    "HPAReplicas": "integer",
    "abort": "boolean",
    "abortedAt": "date-time",
    "alb": "object",
    "albs": "array",
    "availableReplicas": "integer",
    "blueGreen": {
        "activeSelector": "string",
        "postPromotionAnalysisRunStatus": _RUN,
        "prePromotionAnalysisRunStatus": _RUN,
        "previewSelector": "string",
        "scaleUpPreviewCheckPoint": "boolean",
    },
    "canary": {
        "currentBackgroundAnalysisRunStatus": _RUN,
        "currentExperiment": "string",
        "currentStepAnalysisRunStatus": _RUN,
        "stablePingPong": "string",
        "stepPluginStatuses": "array",
        "weights": {"additional": "array", "canary": _WEIGHT, "stable": _WEIGHT, "verified": "boolean"},
    },
    "collisionCount": "integer",
    "conditions": "array",
    "controllerPause": "boolean",
    "currentPodHash": "string",
    "currentStepHash": "string",
    "currentStepIndex": "integer",
    "message": "string",
    "observedGeneration": "string",
    "pauseConditions": "array",
    "phase": "string",
    "promoteFull": "boolean",
    "readyReplicas": "integer",
    "replicas": "integer",
    "restartedAt": "date-time",
    "selector": "string",
    "stableRS": "string",
    "updatedReplicas": "integer",
    "workloadObservedGeneration": "string",
}
_ROLLOUT: Final[Fields] = {
    "apiVersion": "string",
    "kind": "string",
    "metadata": "object",
    "spec": _SPEC,
    "status": _STATUS,
}


def pruned(kind: str, obj: Object) -> tuple[Object, list[str]]:
    """The object without what its schema does not know, and one complaint for each field that fell out."""
    complaints: list[str] = []
    return (_prune(obj, _ROLLOUT, "", complaints) if kind == "Rollout" else obj), complaints


def violations(kind: str, obj: Object) -> list[Cause]:
    if kind != "Rollout":
        return []
    causes = _check(obj, _ROLLOUT, "")
    if not isinstance(obj.get("spec"), dict) and not any(cause.field == "spec" for cause in causes):
        causes.append(Cause("FieldValueRequired", "Required value", "spec"))
    return causes


def _prune(obj: Object, fields: Fields, path: str, complaints: list[str]) -> Object:
    kept: Object = {}
    for name, value in obj.items():
        field = fields.get(name)
        if field is None:
            complaints.append(f'unknown field "{path}{name}"')
        elif value is None:
            continue  # where null is no value of the schema, it is as good as left out
        elif isinstance(field, dict) and isinstance(value, dict):
            kept[name] = _prune(value, field, f"{path}{name}.", complaints)
        else:
            kept[name] = value
    return kept


def _check(obj: Object, fields: Fields, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, value in obj.items():
        field = fields.get(name, "object")
        if isinstance(field, dict) and isinstance(value, dict):
            causes += _check(value, field, f"{path}{name}.")
        else:
            causes += _check_value(name, value, "object" if isinstance(field, dict) else field, f"{path}{name}")
    return causes


def _check_value(name: str, value: object, wanted: str, path: str) -> list[Cause]:
    found = _type_of(value)
    if wanted == "date-time" and found == "string":
        return [] if _is_time(str(value)) else [_wrong_format(name, str(value), path)]
    if found in _ACCEPTED.get(wanted, {wanted}):
        return []
    expected = {"date-time": "string", "integer or string": "integer,string"}.get(wanted, wanted)
    message = f'Invalid value: "{found}": {name} in body must be of type {expected}: "{found}"'
    return [Cause("FieldValueTypeInvalid", message, path)]


def _wrong_format(name: str, value: str, path: str) -> Cause:
    message = f'Invalid value: "{value}": {name} in body must be of type date-time: "{value}"'
    return Cause("FieldValueInvalid", message, path)


_ACCEPTED: Final = {"integer or string": {"integer", "string"}, "date-time": {"string"}}


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None
    except ValueError:
        return False

"""The scene that every sandbox starts with: `web-frontend` at 25 %, `api-backend` at rest (reference/seed.md).

The canary was released some minutes ago and is hurting; the controller has not given up on it yet. Nobody answers at the
scene's Prometheus, so its AnalysisRun stands still instead of running into errors.
"""

from __future__ import annotations

import random
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.argo.controller import Controller
from sandbox.argo.names import DESIRED, HASH, MANAGED_BY, MANAGER, REVISION, Object, owner_reference, rfc3339
from sandbox.argo.templates import hash_steps, hash_template, with_defaults
from sandbox.scene_templates import ANALYSIS_TEMPLATES, API_BACKEND, PROMETHEUS, SERVICES, VIRTUAL_SERVICE, WEB_FRONTEND

NAMESPACE = "production"
NAMESPACES = ("default", "production", "argo-rollouts", "monitoring", "staging", "kube-system")
PERSON = "kubectl-client-side-apply"
CANARY_WEIGHT = 25
RELEASED = timedelta(minutes=8)  # before the start: the product refuses versions that are younger than the alert
REVISION_NOW = 8


def seed(kubernetes: Any, rng: random.Random) -> None:
    """Fill a cluster that offers `store` and `controller`, and whose clock was not moved yet."""
    seed_store(kubernetes.store, kubernetes.controller, datetime.now(UTC), rng)


def seed_store(store: Any, controller: Controller, now: datetime, rng: random.Random) -> None:
    salt = f"{rng.getrandbits(64):016x}"
    controller.analyses.silent.add(PROMETHEUS)
    for name in NAMESPACES:
        labels = {"kubernetes.io/metadata.name": name}
        body = {"metadata": {"name": name, "labels": labels}, "spec": {"finalizers": ["kubernetes"]}}
        store.create("namespaces", {**body, "status": {"phase": "Active"}}, manager="kube-apiserver")
    for template in ANALYSIS_TEMPLATES:
        store.create("analysistemplates", _placed(template, now - timedelta(days=60)), manager=PERSON)
    _web_frontend(store, now, salt)
    _api_backend(store, now, salt)
    controller.settle(now)


def _web_frontend(store: Any, now: datetime, salt: str) -> None:
    released, paused = now - RELEASED, now
    old, stable = deepcopy(WEB_FRONTEND["spec"]["template"]), deepcopy(WEB_FRONTEND["spec"]["template"])
    old["spec"]["containers"][0]["image"] = "registry.company.com/web-frontend:v2.0.8"
    stable["spec"]["containers"][0]["image"] = "registry.company.com/web-frontend:v2.0.9"
    cur, sta = hash_template(WEB_FRONTEND["spec"]["template"], salt), hash_template(stable, salt)
    rollout = _placed(WEB_FRONTEND, now - timedelta(days=60), generation=2 * REVISION_NOW)
    rollout["metadata"]["annotations"] = {REVISION: str(REVISION_NOW)}
    rollout["status"] = _canary_status(cur, sta, rollout, released, paused)
    rollout["status"]["canary"]["currentBackgroundAnalysisRunStatus"] = {
        "name": f"web-frontend-{cur}-{REVISION_NOW}",
        "status": "Running",
    }
    rollout = store.create("rollouts", rollout, manager=MANAGER)
    _replicaset(store, rollout, old, hash_template(old, salt), REVISION_NOW - 2, 0, now - timedelta(days=9))
    _replicaset(store, rollout, stable, sta, REVISION_NOW - 1, 10, now - timedelta(days=2))
    _replicaset(store, rollout, WEB_FRONTEND["spec"]["template"], cur, REVISION_NOW, 3, released)
    for name, pod_hash in (("web-frontend-canary", cur), ("web-frontend-stable", sta)):
        _service(store, name, "web-frontend", pod_hash, now)
    _virtual_service(store, now)
    store.create("analysisruns", _analysis_run(rollout, cur, now), manager=MANAGER)


def _canary_status(cur: str, sta: str, rollout: Object, released: datetime, paused: datetime) -> Object:
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    index = next(i for i, step in enumerate(steps) if step.get("setWeight") == CANARY_WEIGHT) + 1
    return _counts(13, 3) | {
        "blueGreen": {},
        "canary": {"weights": _weights(cur, sta)},
        "conditions": [
            _condition("Available", "True", "AvailableReason", "Rollout has minimum availability", released),
            _condition("Healthy", "False", "RolloutHealthy", "Rollout is not healthy", released),
            _condition("Completed", "False", "RolloutCompleted", "RolloutCompleted", released),
            _condition("Progressing", "Unknown", "RolloutPaused", "Rollout is paused", paused),
            _condition("Paused", "True", "RolloutPaused", "Rollout is paused", paused),
        ],
        "controllerPause": True,
        "currentPodHash": cur,
        "currentStepHash": hash_steps(steps),
        "currentStepIndex": index,
        "message": "CanaryPauseStep",
        "observedGeneration": str(rollout["metadata"]["generation"]),
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": rfc3339(paused)}],
        "phase": "Paused",
        "selector": "app=web-frontend",
        "stableRS": sta,
    }


def _weights(cur: str, sta: str) -> Object:
    return {
        "canary": {"podTemplateHash": cur, "serviceName": "web-frontend-canary", "weight": CANARY_WEIGHT},
        "stable": {"podTemplateHash": sta, "serviceName": "web-frontend-stable", "weight": 100 - CANARY_WEIGHT},
    }


def _virtual_service(store: Any, now: datetime) -> None:
    router = _placed(VIRTUAL_SERVICE, now - timedelta(days=60), generation=17)
    for destination in router["spec"]["http"][0]["route"]:
        canary = destination["destination"]["host"] == "web-frontend-canary"
        destination["weight"] = CANARY_WEIGHT if canary else 100 - CANARY_WEIGHT
    store.create("virtualservices", router, manager=MANAGER)


def _analysis_run(rollout: Object, cur: str, now: datetime) -> Object:
    """Bad enough to wake somebody, not yet bad enough for the controller: three failures where three are allowed."""
    name = f"web-frontend-{cur}-{REVISION_NOW}"
    template = next(one for one in ANALYSIS_TEMPLATES if one["metadata"]["name"] == "canary-analysis")
    began = now - timedelta(minutes=5, seconds=30)
    values = {
        "error-rate": ("[0.061]", "[0.079]", "[0.083]"),
        "latency-p99": ("[412]", "[437]", "[428]"),
        "success-rate": ("[0.9931]", "[0.9924]", "[0.9912]"),
    }
    results = [_result(metric, values[metric["name"]], now) for metric in template["spec"]["metrics"]]
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "creationTimestamp": rfc3339(began),
            "labels": {"app": "web-frontend", "rollout-type": "Background", HASH: cur},
            "annotations": {REVISION: str(REVISION_NOW)},
            "ownerReferences": [owner_reference(rollout)],
        },
        "spec": {
            "args": [{"name": "service-name", "value": "web-frontend-canary"}],
            "metrics": deepcopy(template["spec"]["metrics"]),
        },
        "status": {
            "phase": "Running",
            "startedAt": rfc3339(began),
            "dryRunSummary": {},
            "runSummary": {"count": len(results)},
            "metricResults": results,
        },
    }


def _result(metric: Object, values: tuple[str, ...], now: datetime) -> Object:
    bad = metric["name"] == "error-rate"
    query = metric["provider"]["prometheus"]["query"].replace("{{args.service-name}}", "web-frontend-canary")
    measurements = []
    for back, value in zip(range(len(values), 0, -1), values, strict=True):
        at = rfc3339(now - timedelta(minutes=back) + timedelta(seconds=30))
        phase = "Failed" if bad else "Successful"
        measurements.append({"phase": phase, "value": value, "startedAt": at, "finishedAt": at})
    counted = {"failed": len(values)} if bad else {"successful": len(values), "consecutiveSuccess": len(values)}
    return {
        "name": metric["name"],
        "phase": "Running",
        "count": len(values),
        "measurements": measurements,
        "metadata": {"ResolvedPrometheusQuery": query},
        **counted,
    }


def _api_backend(store: Any, now: datetime, salt: str) -> None:
    since = now - timedelta(days=3)
    cur = hash_template(API_BACKEND["spec"]["template"], salt)
    rollout = _placed(API_BACKEND, now - timedelta(days=90), generation=6)
    rollout["metadata"]["annotations"] = {REVISION: "3"}
    rollout["status"] = _counts(5, 5) | {
        "blueGreen": {"activeSelector": cur, "previewSelector": cur},
        "canary": {},
        "conditions": [
            _condition("Available", "True", "AvailableReason", "Rollout has minimum availability", since),
            _condition("Healthy", "True", "RolloutHealthy", "Rollout is healthy", since),
            _condition("Completed", "True", "RolloutCompleted", "RolloutCompleted", since),
            _condition(
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                f'ReplicaSet "api-backend-{cur}" has successfully progressed.',
                since,
            ),
        ],
        "currentPodHash": cur,
        "observedGeneration": "6",
        "phase": "Healthy",
        "selector": f"app=api-backend,{HASH}={cur}",
        "stableRS": cur,
    }
    rollout = store.create("rollouts", rollout, manager=MANAGER)
    old = deepcopy(API_BACKEND["spec"]["template"])
    old["spec"]["containers"][0]["image"] = "registry.company.com/api-backend:v2.9.4"
    _replicaset(store, rollout, old, hash_template(old, salt), 2, 0, now - timedelta(days=20))
    _replicaset(store, rollout, API_BACKEND["spec"]["template"], cur, 3, 5, since)
    for name in ("api-backend-active", "api-backend-preview"):
        _service(store, name, "api-backend", cur, now)


def _replicaset(
    store: Any, rollout: Object, template: Object, pod_hash: str, revision: int, pods: int, born: datetime
) -> None:
    name = rollout["metadata"]["name"]
    filled = with_defaults(template)
    filled["metadata"]["labels"] = {**filled["metadata"]["labels"], HASH: pod_hash}
    status: Object = {"replicas": pods, "observedGeneration": 2}
    if pods:
        status |= {"fullyLabeledReplicas": pods, "readyReplicas": pods, "availableReplicas": pods}
    store.create(
        "replicasets",
        {
            "metadata": {
                "name": f"{name}-{pod_hash}",
                "namespace": NAMESPACE,
                "creationTimestamp": rfc3339(born),
                "generation": 2,
                "labels": dict(filled["metadata"]["labels"]),
                "annotations": {REVISION: str(revision), DESIRED: str(rollout["spec"]["replicas"])},
                "ownerReferences": [owner_reference(rollout)],
            },
            "spec": {
                "replicas": pods,
                "selector": {"matchLabels": {"app": name, HASH: pod_hash}},
                "template": filled,
            },
            "status": status,
        },
        manager=MANAGER,
    )


def _service(store: Any, name: str, app: str, pod_hash: str, now: datetime) -> None:
    service = _placed(SERVICES[name], now - timedelta(days=60))
    service["metadata"]["annotations"] = {MANAGED_BY: app}
    service["spec"]["selector"] = {"app": app, HASH: pod_hash}
    store.create("services", service, manager=MANAGER)


def _placed(body: Object, born: datetime, *, generation: int | None = None) -> Object:
    placed = deepcopy(body)
    placed["metadata"] |= {"namespace": NAMESPACE, "creationTimestamp": rfc3339(born)}
    if generation is not None:
        placed["metadata"]["generation"] = generation
    return placed


def _condition(kind: str, truth: str, reason: str, message: str, since: datetime) -> Object:
    at = rfc3339(since)
    stamps = {"lastTransitionTime": at, "lastUpdateTime": at}
    return {**stamps, "message": message, "reason": reason, "status": truth, "type": kind}


def _counts(pods: int, updated: int) -> Object:
    return {
        "replicas": pods,
        "HPAReplicas": pods,
        "readyReplicas": pods,
        "availableReplicas": pods,
        "updatedReplicas": updated,
    }

"""AnalysisRuns from the Rollout's side: made, followed, stopped, and what their end does to the Rollout."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sandbox.argo import assess, counts, events
from sandbox.argo.names import (
    DEADLINE,
    HASH,
    REVISION,
    Object,
    hash_of,
    meta,
    name_of,
    notes,
    owner_reference,
    status_of,
    wanted,
)
from sandbox.argo.passing import Pass, has_pause
from sandbox.argo.view import View

BACKGROUND = "currentBackgroundAnalysisRunStatus"
STEP = "currentStepAnalysisRunStatus"
_CAUSE = {BACKGROUND: "Background analysis", STEP: "Step-based analysis"}
_EVENT = {BACKGROUND: "Background", STEP: "Step"}


def reconcile(now: Pass) -> None:
    view = now.view
    current = {kind: _pointed(view, kind) for kind in (BACKGROUND, STEP)}
    fresh = view.new is not None and notes(view.new).get(DEADLINE) and not now.aborted
    if now.aborted or view.status.get("promoteFull") or fresh or not view.status.get("stableRS"):
        _stop(now, current)
        return
    running = {BACKGROUND: _background(now, current[BACKGROUND]), STEP: _step(now, current[STEP])}
    for kind, run in running.items():
        if run is not None:
            _follow(now, kind, run)
    keep = {name_of(run) for run in running.values() if run is not None}
    for run in view.runs:
        if name_of(run) not in keep:
            terminate(view, run)


def _stop(now: Pass, current: dict[str, Object | None]) -> None:
    """Pointers are told as they were before the stop; a v1.10 drops them."""
    view = now.view
    for kind, run in current.items():
        if run is not None and not (view.is_1_10 and now.aborted):
            now.pointers[kind] = pointer(run)
    for run in view.runs:
        terminate(view, run)


def terminate(view: View, run: Object) -> None:
    if status_of(run).get("phase") in assess.ENDED:
        return
    view.patch("analysisruns", run, {"spec": {"terminate": True}})
    new = assess.terminated(run, view.now)
    view.patch("analysisruns", run, {"status": new})


def _follow(now: Pass, kind: str, run: Object) -> None:
    before = ((now.view.status.get("canary") or {}).get(kind) or {}).get("status")
    status = status_of(run)
    phase = str(status.get("phase") or "")
    now.pointers[kind] = pointer(run)
    if before != phase and phase:
        text = f"{_EVENT[kind]} Analysis Run '{name_of(run)}' Status New: '{phase}' Previous: '{before or 'NoPreviousStatus'}'"
        events.record(now.view, f"AnalysisRun{phase}", text, warning=phase in ("Failed", "Error"))
    if phase in ("Failed", "Error"):
        now.abort_because = f"{_CAUSE[kind]} phase error/failed: {status.get('message', '')}"
    elif phase == "Inconclusive" and not has_pause(now.view.status, "InconclusiveAnalysisRun"):
        now.pauses.append("InconclusiveAnalysisRun")


def _background(now: Pass, current: Object | None) -> Object | None:
    view = now.view
    analysis = view.canary.get("analysis")
    if not analysis or view.promoted or _before(view, analysis) or _without_pods(view):
        return None
    if current is not None and _usable(view, current):
        return current
    return make(view, analysis, "", {"rollout-type": "Background", HASH: str(view.status.get("currentPodHash"))})


def _step(now: Pass, current: Object | None) -> Object | None:
    view = now.view
    step, index = counts.step(view), counts.step_index(view)
    if step is None or "analysis" not in step or view.promoted:
        return None
    if current is not None and _usable(view, current) and meta(current)["labels"].get("step-index") == str(index):
        return current
    labels = {"rollout-type": "Step", HASH: str(view.status.get("currentPodHash")), "step-index": str(index)}
    return make(view, step["analysis"], str(index), labels)


def _without_pods(view: View) -> bool:
    return view.new is None or wanted(view.new) == 0


def _before(view: View, analysis: Object) -> bool:
    start, index = analysis.get("startingStep"), counts.step_index(view)
    return start is not None and index is not None and index < int(start)


def _usable(view: View, run: Object) -> bool:
    """A run of this hash, unless an abort is just left. One that has ended stays the one: v1.9 keeps it over a retry."""
    return hash_of(run) == view.status.get("currentPodHash") and not view.status.get("abortedAt")


def _pointed(view: View, kind: str) -> Object | None:
    named = ((view.status.get("canary") or {}).get(kind) or {}).get("name")
    return next((run for run in view.runs if name_of(run) == named), None)


def pointer(run: Object) -> Object:
    status = status_of(run)
    told: Object = {"name": name_of(run), "status": status.get("phase") or ""}
    if status.get("message"):
        told["message"] = status["message"]
    return told


def make(view: View, analysis: Object, suffix: str, own: dict[str, str]) -> Object | None:
    """A new run with the labels of its kind; None where a template is missing."""
    spec = _spec(view, analysis)
    if spec is None:
        return None
    base = f"{view.name}-{own[HASH]}-{view.revision}" + (f"-{suffix}" if suffix else "")
    taken = {name_of(run) for run in view.runs}
    name = next(n for n in [base, *(f"{base}.{i}" for i in range(1, 1000))] if n not in taken)
    labels = dict(((view.spec.get("selector") or {}).get("matchLabels")) or {}) | own
    run: Object = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {
            "name": name,
            "namespace": view.namespace,
            "labels": labels,
            "annotations": {REVISION: view.revision},
            "ownerReferences": [owner_reference(view.rollout)],
        },
        "spec": spec,
    }
    view.create("analysisruns", run)
    seen = deepcopy(run)
    view.runs.append(seen)
    return seen


def _spec(view: View, analysis: Object) -> Object | None:
    """All templates of the analysis in one run; args by the template's defaults, then the Rollout's values."""
    metrics: list[Any] = []
    args: dict[str, Object] = {}
    for ref in analysis.get("templates") or []:
        found = view.templates.get(("cluster/" if ref.get("clusterScope") else "") + str(ref.get("templateName")))
        if found is None:
            return None
        spec = found.get("spec") or {}
        metrics += deepcopy(spec.get("metrics") or [])
        args |= {arg["name"]: deepcopy(arg) for arg in spec.get("args") or []}
    for arg in analysis.get("args") or []:
        args[arg["name"]] = _value(view, arg)
    return {"metrics": metrics} | ({"args": list(args.values())} if args else {})


def _value(view: View, arg: Object) -> Object:
    source = arg.get("valueFrom") or {}
    if "podTemplateHashValue" in source:
        replicaset = view.new if source["podTemplateHashValue"] == "Latest" else view.stable
        return {"name": arg["name"], "value": hash_of(replicaset)}
    path = (source.get("fieldRef") or {}).get("fieldPath")
    if path:
        value: Any = view.rollout
        for part in str(path).split("."):
            value = value.get(part, {}) if isinstance(value, dict) else {}
        return {"name": arg["name"], "value": value if isinstance(value, str) else ""}
    return deepcopy(arg)

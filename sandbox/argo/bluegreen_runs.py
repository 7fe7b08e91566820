"""The analyses before and after a blue-green switch: made, followed, stopped, and what their end does."""

from __future__ import annotations

from sandbox.argo import bluegreen_gates as gates
from sandbox.argo import events, runs
from sandbox.argo.bluegreen_gates import INCONCLUSIVE, POST, PRE, BluePass
from sandbox.argo.names import HASH, Object, available, hash_of, name_of, status_of, wanted
from sandbox.argo.passing import has_pause
from sandbox.argo.rollout_status import rollback_in_window

_SPEC = {PRE: "prePromotionAnalysis", POST: "postPromotionAnalysis"}
_TYPE = {PRE: "PrePromotion", POST: "PostPromotion"}
_SUFFIX = {PRE: "pre", POST: "post"}
_CAUSE = {PRE: "pre-promotion", POST: "post-promotion"}


def find(now: BluePass) -> None:
    """The runs that the status names, as they are before this pass does anything."""
    for kind in (PRE, POST):
        run = _named(now, kind)
        if run is not None:
            now.analysed[kind] = runs.pointer(run)


def reconcile(now: BluePass) -> None:
    """What is told of a run is what was found: that it was stopped is seen one pass later."""
    found = {kind: _named(now, kind) for kind in (PRE, POST)}
    if _skips_all(now):
        now.pointers |= now.analysed
        for run in now.view.runs:
            runs.terminate(now.view, run)
        return
    for kind in (PRE, POST):
        chosen = _one(now, kind, found[kind])
        if chosen is not None:
            _follow(now, kind, chosen)
    now.analysed = {kind: told for kind, told in now.pointers.items() if told is not None}
    keep = {str(told["name"]) for told in now.analysed.values()}
    for run in now.view.runs:
        if name_of(run) not in keep:
            runs.terminate(now.view, run)


def pre_is_skipped(now: BluePass) -> bool:
    status, new = now.view.status, hash_of(now.view.new)
    active = (status.get("blueGreen") or {}).get("activeSelector") or ""
    if active in ("", new) or status.get("stableRS") == new:
        return True
    return PRE not in now.analysed and not _enough_pods(now)


def post_is_skipped(now: BluePass) -> bool:
    status, new = now.view.status, hash_of(now.view.new)
    active = (status.get("blueGreen") or {}).get("activeSelector") or ""
    if active != new or status.get("stableRS") == new:
        return True
    return POST not in now.analysed and not gates.saturated(now.view, now.view.new)


def _enough_pods(now: BluePass) -> bool:
    view = now.view
    preview = view.blue_green.get("previewReplicaCount")
    if preview is None:
        return gates.saturated(view, view.new)
    return view.new is not None and wanted(view.new) == int(preview) == available(view.new)


def _skips_all(now: BluePass) -> bool:
    view = now.view
    if now.aborted or view.status.get("promoteFull") or not view.status.get("stableRS"):
        return True
    if view.is_1_10:
        return view.promoted or gates.fast_rollback(now)
    return now.had_deadline or rollback_in_window(view)


def _named(now: BluePass, kind: str) -> Object | None:
    named = ((now.view.status.get("blueGreen") or {}).get(kind) or {}).get("name")
    return next((run for run in now.view.runs if name_of(run) == named), None)


def _one(now: BluePass, kind: str, current: Object | None) -> Object | None:
    """The run that counts from now on; None = there is none."""
    view = now.view
    analysis = view.blue_green.get(_SPEC[kind])
    if not analysis or not analysis.get("templates"):
        return None
    if pre_is_skipped(now) if kind == PRE else post_is_skipped(now):
        if current is not None:  # told as it was found: its end is seen one pass later
            _follow(now, kind, current)
            runs.terminate(view, current)
        return None
    if has_pause(view.status, INCONCLUSIVE) is not None or not _needs_another(now, current):
        return current
    labels = {"rollout-type": _TYPE[kind], HASH: hash_of(view.new)}
    return runs.make(view, analysis, _SUFFIX[kind], labels)


def _needs_another(now: BluePass, current: Object | None) -> bool:
    status = now.view.status
    if current is None:
        return True
    if status.get("controllerPause") and has_pause(status, gates.PAUSE) is None:
        return bool(status_of(current).get("phase") == "Inconclusive")
    return bool(status.get("abortedAt"))


def _follow(now: BluePass, kind: str, run: Object) -> None:
    before = (now.view.status.get("blueGreen") or {}).get(kind) or {}
    phase = str(status_of(run).get("phase") or "")
    now.pointers[kind] = runs.pointer(run)
    if phase and (not before or (before.get("name") == name_of(run) and before.get("status") != phase)):
        old = before.get("status") if before else "NoPreviousStatus"
        text = f"{_TYPE[kind]} Analysis Run '{name_of(run)}' Status New: '{phase}' Previous: '{old}'"
        events.record(now.view, f"AnalysisRun{phase}", text, warning=phase in ("Failed", "Error"))
    _judge(now, kind, run, phase)


def _judge(now: BluePass, kind: str, run: Object, phase: str) -> None:
    if phase == "Inconclusive":
        now.pauses.append(INCONCLUSIVE)
    elif phase in ("Failed", "Error"):
        message = status_of(run).get("message")
        cause = f"Blue/green {_CAUSE[kind]} analysis phase error/failed"
        now.abort_because = f"{cause}: {message}" if message else cause

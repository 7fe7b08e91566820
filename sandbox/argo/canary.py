"""One pass of the controller over a canary, in the recorded order of its writes."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import conditions, counts, revisions, rollout_status, runs, scaling, traffic
from sandbox.argo.names import Object, available, meta
from sandbox.argo.passing import Pass, has_pause
from sandbox.argo.view import View


def reconcile(view: View) -> None:
    now = Pass(view)
    if view.status.get("abort") and view.promoted:
        if not _aborts_again(view):
            _drop_abort(view)
    elif view.template_or_steps_changed:
        _take_over(now)
    elif not _told_retry(now):
        check_pauses(now)
        _work(now)


def check_pauses(now: Pass) -> bool:
    """Paused and Progressing follow the pauses in a write of their own, before anything else in the pass."""
    view = now.view
    new, why = deepcopy(view.status), conditions.reason(view.status)
    paused = bool(view.status.get("pauseConditions")) or bool(view.spec.get("paused"))
    if why == "RolloutAborted":
        return False
    if paused and why != "RolloutPaused":
        conditions.put(new, conditions.progressing("Unknown", "RolloutPaused", "Rollout is paused"), view.now)
    if not paused and why == "RolloutPaused":
        conditions.put(new, conditions.progressing("Unknown", "RolloutResumed", "Rollout is resumed"), view.now)
    found = conditions.get(view.status, "Paused")
    if paused != (found is not None and found["status"] == "True"):
        conditions.put(new, conditions.paused(paused), view.now)
    return new != view.status and _write_with_phase(view, new)


def _write_with_phase(view: View, new: Object) -> bool:
    new["observedGeneration"] = str(meta(view.rollout).get("generation", 1))
    rollout_status.put_phase(view, new)
    return view.write_status(new)


def _drop_abort(view: View) -> None:
    """Nothing to abort once the version is stable: the flag goes in silence, and nothing else moves."""
    new = {key: value for key, value in view.status.items() if key not in ("abort", "abortedAt")}
    view.write_status(new)


def _aborts_again(view: View) -> bool:
    """v1.9 lets a deadline abort what is promoted: each pass drops the abort and sets it anew until all pods are there."""
    stuck = conditions.reason(view.status) == "ProgressDeadlineExceeded" and available(view.new) < view.replicas
    return stuck and bool(view.spec.get("progressDeadlineAbort")) and not view.is_1_10


def _take_over(now: Pass) -> None:
    """A new template or new steps. Out of an abort the new hash comes one write after observedGeneration."""
    view = now.view
    made = revisions.sync(view, create=True)
    if made and view.status.get("abort"):
        check_pauses(now)
        return
    rollout_status.sync(now)


def _told_retry(now: Pass) -> bool:
    """Somebody took the abort flag off: the bad version starts again at step 0."""
    view = now.view
    if view.status.get("abort") or conditions.reason(view.status) != "RolloutAborted":
        return False
    new = deepcopy(view.status)
    if view.status.get("promoteFull"):
        return False
    retry = conditions.progressing("Unknown", "RolloutRetry", "Retrying Rollout after abort")
    conditions.put(new, retry, view.now)
    _write_with_phase(view, new)
    return True


def _work(now: Pass) -> None:
    view = now.view
    revisions.sync(view, create=False)
    if scaling.scaling_event(view):
        _only_scale(now)
        return
    revisions.forget_old(view)
    written = len(view.writes)
    traffic.reconcile_services(now)
    if now.aborted and view.status.get("abortedAt") and len(view.writes) > written:
        return  # the flip lasts until the next pass, so that whoever looks can see it
    traffic.reconcile_weights(now)
    runs.reconcile(now)  # may abort: the deadline and the status now, the traffic in the next pass
    if not view.spec.get("paused") and not has_pause(view.status, "InconclusiveAnalysisRun"):
        scaling.reconcile(now)
    _pause(now)
    rollout_status.sync(now)


def _only_scale(now: Pass) -> None:
    """spec.replicas moved: pods only. Under an abort v1.9 never marks the canary as seen and stays in here."""
    view = now.view
    now.pointers = {key: value for key, value in (view.status.get("canary") or {}).items() if key.startswith("current")}
    if view.is_1_10 and now.aborted and view.new is not None:
        revisions.desired_on(view, view.new)
    scaling.reconcile(now)
    rollout_status.sync(now)


def _pause(now: Pass) -> None:
    view = now.view
    step = counts.step(view)
    if now.aborted or step is None or "pause" not in step or view.spec.get("paused") or view.promoted:
        return
    if has_pause(view.status, "CanaryPauseStep") is None and not view.status.get("controllerPause"):
        now.pauses.insert(0, "CanaryPauseStep")

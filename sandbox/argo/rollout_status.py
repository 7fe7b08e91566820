"""The one status write at the end of a pass: steps forward, promotion, abort, conditions, phase."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import conditions, counts, events, runs
from sandbox.argo.names import DEADLINE, Object, available, meta, moment, name_of, notes, rfc3339, status_of, wanted
from sandbox.argo.passing import Pass, has_pause
from sandbox.argo.seconds import duration
from sandbox.argo.view import View


def sync(now: Pass) -> None:
    view = now.view
    new = base(view)
    if view.template_or_steps_changed:
        _reset(now, new)
    elif not _promote(now, new):
        _move(now, new)
    finish(now, new)


def base(view: View) -> Object:
    """Counts and hashes as they are now, everything else as it stood."""
    new = deepcopy(view.status)
    total = sum(int(status_of(rs).get("replicas") or 0) for rs in view.replicasets)
    ready = sum(int(status_of(rs).get("readyReplicas") or 0) for rs in view.replicasets)
    _count(new, "replicas", total)
    _count(new, "HPAReplicas", total)
    _count(new, "updatedReplicas", int(status_of(view.new).get("replicas") or 0))
    _count(new, "readyReplicas", ready)
    _count(new, "availableReplicas", sum(available(rs) for rs in view.replicasets))
    new["currentPodHash"] = view.current_hash
    if view.steps:
        new["currentStepHash"] = view.step_hash
    new["blueGreen"] = new.get("blueGreen") or {}
    matched = ((view.spec.get("selector") or {}).get("matchLabels")) or {}
    new["selector"] = ",".join(f"{key}={value}" for key, value in sorted(matched.items()))
    return new


def finish(now: Pass, new: Object) -> None:
    """Flags, pauses and pointers, then conditions, then the phase that follows from them; then one PATCH."""
    view = now.view
    now.apply_pauses(new)
    if view.canary:
        now.apply_canary(new)
    _conditions(now, new)
    _apply_abort(now, new)
    new["observedGeneration"] = str(meta(view.rollout).get("generation", 1))
    if view.workload_generation:
        new["workloadObservedGeneration"] = view.workload_generation
    put_phase(view, new)
    view.write_status(new)


def put_phase(view: View, new: Object) -> None:
    new["phase"], message = conditions.phase(view.spec, new)
    if message:
        new["message"] = message
    else:
        new.pop("message", None)


def _apply_abort(now: Pass, new: Object) -> None:
    if now.aborted:
        new["abort"] = True
        new.setdefault("abortedAt", rfc3339(now.view.now))
        new.pop("controllerPause", None)
        new.pop("pauseConditions", None)


def _reset(now: Pass, new: Object) -> None:
    """Another template or other steps: the beginning again, or the end when it is the stable template."""
    view = now.view
    # Out of an abort Progressing was written just before, together with observedGeneration.
    now.keep_progressing = now.aborted and conditions.reason(view.status) == "NewReplicaSetCreated"
    now.drop_abort = now.clear_pauses = True
    now.pointers.clear()
    new.pop("promoteFull", None)
    new.pop("abort", None)
    view.status.pop("abort", None) if view.status.get("abort") is False else None
    back = new["currentPodHash"] == new.get("stableRS")
    if not new.get("stableRS"):
        new["stableRS"] = new["currentPodHash"]
        back = True
    if view.steps:
        skips = back or (rollback_in_window(view) and wanted(view.new) > 0)
        new["currentStepIndex"] = len(view.steps) if skips else 0
    if view.new is not None and not back:
        _count(new, "updatedReplicas", int(status_of(view.new).get("replicas") or 0))


def _promote(now: Pass, new: Object) -> bool:
    """Everything is on the new version: it becomes the stable one."""
    view = now.view
    fast = bool(view.status.get("promoteFull")) or rollback_in_window(view)
    if fast:
        now.clear_pauses = now.drop_abort = True
        if view.steps:
            new["currentStepIndex"] = len(view.steps)
    if now.aborted or available(view.new) != view.replicas:
        return False
    index = counts.step_index(view)
    if not (fast or view.promoted or index is None or index >= len(view.steps)):
        return False
    now.clear_pauses = True
    if new.get("promoteFull"):
        new.pop("promoteFull")
    if view.steps:
        new["currentStepIndex"] = len(view.steps)
    if not view.promoted:
        new["stableRS"] = new["currentPodHash"]
        now.pointers.clear()
        text = f"Rollout completed update to revision {view.revision} ({new['currentPodHash']})"
        events.record(view, "RolloutCompleted", text)
    return True


def _move(now: Pass, new: Object) -> None:
    view = now.view
    index = counts.step_index(view)
    if index is None:
        return
    if now.aborted:
        new["currentStepIndex"] = len(view.steps) if view.promoted else 0
    elif index < len(view.steps) and not view.promoted and step_done(now):
        new["currentStepIndex"] = index + 1
        now.pointers.pop(runs.STEP, None)
        now.clear_pauses = True


def step_done(now: Pass) -> bool:
    view = now.view
    step = counts.step(view)
    if step is None or view.spec.get("paused") or has_pause(view.status, "InconclusiveAnalysisRun"):
        return False
    if "pause" in step:
        return _pause_over(view, step["pause"] or {})
    if "analysis" in step:
        return str((now.pointers.get(runs.STEP) or {}).get("status")) == "Successful"
    if "setWeight" in step or "setCanaryScale" in step:
        return counts.at_desired(view, now.weights)
    return True


def rollback_in_window(view: View) -> bool:
    """spec.rollbackWindow covers the way back: the wanted ReplicaSet is older than stable and not too far down."""
    window = (view.spec.get("rollbackWindow") or {}).get("revisions")
    new, stable = view.new, view.stable
    if not window or new is None or stable is None or new is stable:
        return False
    born, until = (str(meta(one).get("creationTimestamp") or "") for one in (new, stable))
    between = [rs for rs in view.others if born < str(meta(rs).get("creationTimestamp") or "") < until]
    return born < until and len(between) < int(window)


def _pause_over(view: View, pause: Object) -> bool:
    held = has_pause(view.status, "CanaryPauseStep")
    if held is None:
        return bool(view.status.get("controllerPause"))
    seconds = duration(pause.get("duration"))
    return seconds is not None and (view.now - moment(held["startTime"])).total_seconds() >= seconds


def _conditions(now: Pass, new: Object) -> None:
    view = now.view
    whole, fell_ill = _healthy(view, new), False
    paused = bool(view.status.get("pauseConditions")) or bool(view.spec.get("paused"))
    if not paused and whole:
        conditions.put(new, conditions.healthy(True), view.now)
    elif conditions.get(new, "Healthy") is not None:
        fell_ill = conditions.put(new, conditions.healthy(False), view.now)
    conditions.drop(new, "InvalidSpec")
    conditions.put(new, conditions.completed(new.get("stableRS") == new["currentPodHash"]), view.now)
    _progressing(now, new, whole, fell_ill)
    enough = int(new.get("availableReplicas") or 0) >= view.replicas
    conditions.put(new, conditions.enough_available(enough), view.now)


def _progressing(now: Pass, new: Object, whole: bool, fell_ill: bool) -> None:
    view = now.view
    if now.aborted:
        _abort_condition(now, new)
        return
    if now.keep_progressing:
        return
    name = name_of(view.new) if view.new is not None else f"{view.name}-{new['currentPodHash']}"
    if whole:
        text = f'ReplicaSet "{name}" has successfully progressed.'
        conditions.put(new, conditions.progressing("True", "NewReplicaSetAvailable", text), view.now)
    elif fell_ill and new.get("stableRS") == new["currentPodHash"]:
        # What is promoted and loses a pod has its whole deadline before it.
        text = "Rollout does not have minimum availability"
        conditions.put(new, conditions.progressing("True", "ReplicaSetNotAvailable", text), view.now, touch=True)
    elif fell_ill or _advanced(view, new):
        text = f'ReplicaSet "{name}" is progressing.'
        conditions.put(new, conditions.progressing("True", "ReplicaSetUpdated", text), view.now, touch=True)
    elif not view.status.get("pauseConditions") and not view.spec.get("paused") and not now.pauses:
        _deadline(now, new, name)


def _deadline(now: Pass, new: Object, name: str) -> None:
    view = now.view
    if any(notes(rs).get(DEADLINE) for rs in view.others):
        return  # no deadline runs while an older version waits to be scaled down
    if not conditions.timed_out(view.status, view.now, int(view.spec.get("progressDeadlineSeconds") or 600)):
        return
    text = f'ReplicaSet "{name}" has timed out progressing.'
    if view.spec.get("progressDeadlineAbort") and not (view.promoted and view.is_1_10):
        now.abort_because = text
        if view.is_1_10:
            _abort_condition(now, new)
            return
        events.record(view, "RolloutAborted", text, warning=True)
    conditions.put(new, conditions.progressing("False", "ProgressDeadlineExceeded", text), view.now)


def _abort_condition(now: Pass, new: Object) -> None:
    """The cause stands in the message only in the pass that found it; it is kept because nothing writes it anew."""
    view = now.view
    text = f"Rollout aborted update to revision {view.revision}"
    if now.abort_because is not None:
        text += f": {now.abort_because}"
    elif conditions.reason(view.status) == "RolloutAborted":
        return
    if conditions.put(new, conditions.progressing("False", "RolloutAborted", text), view.now):
        events.record(view, "RolloutAborted", text, warning=True)


def _advanced(view: View, new: Object) -> bool:
    old = view.status

    def number(status: Object, key: str) -> int:
        return int(status.get(key) or 0)

    fewer_old = number(new, "replicas") - number(new, "updatedReplicas") < (
        number(old, "replicas") - number(old, "updatedReplicas")
    )
    moved = any(
        new.get(key) != old.get(key) for key in ("updatedReplicas", "currentPodHash", "stableRS", "currentStepHash")
    )
    more = any(number(new, key) > number(old, key) for key in ("readyReplicas", "availableReplicas"))
    return fewer_old or moved or more or (new.get("currentStepIndex") != old.get("currentStepIndex"))


def _healthy(view: View, new: Object) -> bool:
    every = all(int(new.get(key) or 0) == view.replicas for key in ("replicas", "updatedReplicas", "availableReplicas"))
    at_end = not view.steps or new.get("currentStepIndex") == len(view.steps)
    stable = bool(new.get("stableRS")) and new.get("stableRS") == new["currentPodHash"]
    seen = view.status.get("observedGeneration") == str(meta(view.rollout).get("generation", 1))
    return every and at_end and stable and seen


def _count(status: Object, key: str, value: int) -> None:
    if value:
        status[key] = value
    else:
        status.pop(key, None)

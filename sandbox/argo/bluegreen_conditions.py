"""Conditions of a blue-green Rollout, as the controller computes them."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import bluegreen_gates as gates
from sandbox.argo import conditions, events, rollout_status
from sandbox.argo.bluegreen_gates import BluePass
from sandbox.argo.conditions import Condition
from sandbox.argo.names import DEADLINE, Object, meta, name_of, notes
from sandbox.argo.view import View


def check_pauses(now: BluePass) -> bool:
    """Paused, Resumed and Retry in a write of their own. v1.9 goes on with its older copy of the status, v1.10 ends the pass."""
    view = now.view
    why = conditions.reason(view.status)
    paused = bool(view.status.get("pauseConditions") or view.spec.get("paused"))
    aborted = why == "RolloutAborted"
    new, moved = deepcopy(view.status), []
    if paused != (why == "RolloutPaused") and not aborted and not view.promoted:
        words = ("RolloutPaused", "Rollout is paused") if paused else ("RolloutResumed", "Rollout is resumed")
        moved.append(conditions.progressing("Unknown", *words))
    if aborted and not view.status.get("abort"):
        moved.append(conditions.progressing("Unknown", "RolloutRetry", "Retrying Rollout after abort"))
    told = conditions.get(view.status, "Paused")
    if paused != (told is not None and told["status"] == "True") and not aborted:
        moved.append(conditions.paused(paused))
    if not moved:
        return False
    for one in moved:
        _put(view, new, one)
    new["observedGeneration"] = str(meta(view.rollout).get("generation", 1))
    rollout_status.put_phase(view, new)
    return view.write_status_unseen(new)


def put_all(now: BluePass, new: Object, *, paused: bool) -> None:
    view = now.view
    whole = _healthy(view, new)
    fell = False
    if whole and not (paused or view.spec.get("paused")):
        _put(view, new, conditions.healthy(True))
    elif conditions.get(view.status, "Healthy") is not None:
        fell = _put(view, new, conditions.healthy(False))
    if now.aborted:
        _put_aborted(now, new)
    else:
        _put_progress(now, new, whole=whole, fell=fell)
    active = gates.by_hash(view, str((new.get("blueGreen") or {}).get("activeSelector") or ""))
    _put(view, new, conditions.enough_available(gates.saturated(view, active)))
    conditions.drop(new, "InvalidSpec")
    _put(view, new, conditions.completed(_completed(new)))


def deadline_abort(now: BluePass, new: Object) -> None:
    """v1.10: the deadline's abort is decided first, so that one write tells it with its cause."""
    view = now.view
    if not view.spec.get("progressDeadlineAbort") or now.aborted or _completed(new):
        return
    if not _advanced(view, new) and not _excused(view) and _timed_out(view, view.status):
        now.abort_because = _timeout_text(view)


def _put_aborted(now: BluePass, new: Object) -> None:
    view = now.view
    text = f"Rollout aborted update to revision {view.revision}"
    if now.abort_because is not None:
        text += f": {now.abort_because}"
    if _put(view, new, conditions.progressing("False", "RolloutAborted", text)):
        events.record(view, "RolloutAborted", text, warning=True)


def _put_progress(now: BluePass, new: Object, *, whole: bool, fell: bool) -> None:
    view = now.view
    name = name_of(view.new) if view.new is not None else view.name
    if whole:
        text = f'ReplicaSet "{name}" has successfully progressed.'
        _put(view, new, conditions.progressing("True", "NewReplicaSetAvailable", text))
    elif _advanced(view, new) or fell:
        words = ("ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        if _completed(new) and fell:
            words = ("ReplicaSetNotAvailable", "Rollout does not have minimum availability")
        conditions.put(new, conditions.progressing("True", *words), view.now, touch=True)
    elif not _excused(view) and _timed_out(view, new):
        changed = _put(view, new, conditions.progressing("False", "ProgressDeadlineExceeded", _timeout_text(view)))
        if view.spec.get("progressDeadlineAbort") and not view.is_1_10:
            now.abort_because = _timeout_text(view)
            if changed:
                events.record(view, "RolloutAborted", _timeout_text(view), warning=True)


def _put(view: View, status: Object, wanted: Condition) -> bool:
    """Nothing moves while truth and reason stay, not even the words."""
    old = conditions.get(status, wanted.type)
    if old is not None and old["status"] == wanted.status and old["reason"] == wanted.reason:
        return False
    conditions.put(status, wanted, view.now)
    return True


def _completed(status: Object) -> bool:
    return bool(status.get("stableRS")) and status.get("stableRS") == status.get("currentPodHash")


def _healthy(view: View, new: Object) -> bool:
    told = new.get("blueGreen") or {}
    current = new.get("currentPodHash")
    switched = told.get("activeSelector") == current
    previewed = not gates.preview_service(view) or told.get("previewSelector") == current
    every = all(int(new.get(key) or 0) == view.replicas for key in ("updatedReplicas", "availableReplicas"))
    seen = view.status.get("observedGeneration") == str(meta(view.rollout).get("generation", 1))
    return every and seen and switched and previewed


def _advanced(view: View, new: Object) -> bool:
    old = view.status

    def number(status: Object, key: str) -> int:
        return int(status.get(key) or 0)

    def older(status: Object) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    before, after = old.get("blueGreen") or {}, new.get("blueGreen") or {}
    turned = any(before.get(key) != after.get(key) for key in ("activeSelector", "previewSelector"))
    more = any(number(new, key) > number(old, key) for key in ("readyReplicas", "availableReplicas"))
    updated = number(new, "updatedReplicas") != number(old, "updatedReplicas")
    return turned or more or updated or older(new) < older(old)


def _excused(view: View) -> bool:
    """A pause, or an old ReplicaSet that waits for its deadline: no progress is expected."""
    told = conditions.get(view.status, "Paused")
    return (told is not None and told["status"] == "True") or any(notes(rs).get(DEADLINE) for rs in view.others)


def _timed_out(view: View, status: Object) -> bool:
    return conditions.timed_out(status, view.now, int(view.spec.get("progressDeadlineSeconds") or 600))


def _timeout_text(view: View) -> str:
    name = name_of(view.new) if view.new is not None else view.name
    return f'ReplicaSet "{name}" has timed out progressing.'

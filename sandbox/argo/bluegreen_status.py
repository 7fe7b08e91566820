"""The status write that ends a blue-green pass: counts, selectors, promotion, conditions, phase."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import bluegreen_conditions, events, rollout_status
from sandbox.argo import bluegreen_gates as gates
from sandbox.argo.bluegreen_gates import POST, PRE, BluePass
from sandbox.argo.names import HASH, Object, available, hash_of, meta, name_of, rfc3339, status_of
from sandbox.argo.view import View

_CARRIED = ("canary", "collisionCount", "conditions", "promoteFull", "restartedAt", "stableRS")


def sync(now: BluePass) -> None:
    view = now.view
    new = _base(view)
    if gates.template_changed(view):
        _begin_anew(now, new)
    if view.status.get("promoteFull") or rollout_status.rollback_in_window(view):
        now.clear_pauses = now.drop_abort = True
    new["blueGreen"] = _blue_green(now)
    reason = _promotes(now, new)
    if reason:
        _promote(now, new, reason)
    elif _checkpoint(now):
        new["blueGreen"]["scaleUpPreviewCheckPoint"] = True
    _count_active(view, new)
    finish(now, new)


def only_counts(now: BluePass) -> None:
    """spec.replicas moved: everything else stays as it stands, but an abort gets its time."""
    view = now.view
    new = deepcopy(view.status)
    active = gates.by_hash(view, str((new.get("blueGreen") or {}).get("activeSelector") or ""))
    pods = [active] if active is not None else view.replicasets
    _count(new, "HPAReplicas", sum(int(status_of(rs).get("replicas") or 0) for rs in pods))
    _count(new, "availableReplicas", sum(available(rs) for rs in pods))
    if now.aborted:
        new |= {"abort": True, "abortedAt": new.get("abortedAt") or rfc3339(view.now)}
    else:
        new.pop("abortedAt", None)
        if new.get("abort"):
            new.pop("abort")
    _write(now, new, judge=view.is_1_10)


def finish(now: BluePass, new: Object) -> None:
    """v1.10 looks at the pauses as they will be, v1.9 at those before the pass."""
    view = now.view
    if view.is_1_10:
        bluegreen_conditions.deadline_abort(now, new)
        now.apply_pauses(new)
        bluegreen_conditions.put_all(now, new, paused=bool(new.get("pauseConditions")))
        _write(now, new)
        return
    bluegreen_conditions.put_all(now, new, paused=bool(view.status.get("pauseConditions")))
    now.apply_pauses(new)
    _write(now, new)


def _write(now: BluePass, new: Object, *, judge: bool = False) -> None:
    view = now.view
    if judge:
        bluegreen_conditions.put_all(now, new, paused=bool(new.get("pauseConditions")))
    new["observedGeneration"] = str(meta(view.rollout).get("generation", 1))
    if view.workload_generation:
        new["workloadObservedGeneration"] = view.workload_generation
    rollout_status.put_phase(view, new)
    view.write_status(new)


def _base(view: View) -> Object:
    """Anew in each pass, but for what is carried over: what no room of the pass tells again is gone."""
    old = view.status
    new = {key: deepcopy(old[key]) for key in _CARRIED if key in old}
    new.setdefault("canary", {})
    for key in ("promoteFull", "controllerPause"):  # a false that somebody stored stays stored
        if old.get(key) is False:
            new[key] = False
    new["currentPodHash"] = view.current_hash
    _count(new, "replicas", sum(int(status_of(rs).get("replicas") or 0) for rs in view.replicasets))
    _count(new, "updatedReplicas", int(status_of(view.new).get("replicas") or 0))
    _count(new, "readyReplicas", sum(int(status_of(rs).get("readyReplicas") or 0) for rs in view.replicasets))
    return new


def _begin_anew(now: BluePass, new: Object) -> None:
    """Another template: whatever was aborted, paused, promoted or analysed belongs to the one before."""
    now.clear_pauses = now.drop_abort = True
    now.pointers.clear()
    new.pop("promoteFull", None)


def _blue_green(now: BluePass) -> Object:
    view = now.view
    told: Object = {kind: run for kind, run in now.pointers.items() if kind in (PRE, POST) and run is not None}
    for key, service in (
        ("activeSelector", gates.active_service(view)),
        ("previewSelector", gates.preview_service(view)),
    ):
        if view.selector_hash(service):
            told[key] = view.selector_hash(service)
    return told


def _promotes(now: BluePass, new: Object) -> str:
    """Why the current version becomes the stable one in this pass; empty = it does not."""
    view = now.view
    active = new["blueGreen"].get("activeSelector")
    if view.stable is None or not active:
        return "Initial deploy"
    if active != new["currentPodHash"]:
        return ""
    if view.status.get("promoteFull") and new.get("promoteFull"):
        return "Full promotion requested"
    if rollout_status.rollback_in_window(view):
        return "Rollback within window"
    if view.is_1_10 and gates.fast_rollback(now):
        return "Fast rollback"
    if now.aborted:
        return ""
    if view.blue_green.get("postPromotionAnalysis"):
        if now.had_deadline and not view.is_1_10:
            return f"Rollback to '{name_of(view.new or {})}' within scaleDownDelay"
        if (now.analysed.get(POST) or {}).get("status") != "Successful":
            return ""
    return "Completed blue-green update"


def _promote(now: BluePass, new: Object, reason: str) -> None:
    view = now.view
    now.clear_pauses = now.drop_abort = True
    new.pop("promoteFull", None)
    if new.get("stableRS") == new["currentPodHash"]:
        return
    new["stableRS"] = new["currentPodHash"]
    text = f"Rollout completed update to revision {view.revision} ({new['currentPodHash']}): {reason}"
    events.record(view, "RolloutCompleted", text)


def _checkpoint(now: BluePass) -> bool:
    view = now.view
    preview = view.blue_green.get("previewReplicaCount")
    if preview is None:
        return False
    if (view.status.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint"):
        return True
    return gates.pre_analysis_passed(now) and gates.pause_over(now) and available(view.new) == int(preview)


def _count_active(view: View, new: Object) -> None:
    """Ready and available are those of the active ReplicaSet, as an autoscaler must see them."""
    active = gates.by_hash(view, str(new["blueGreen"].get("activeSelector") or ""))
    matched = ((view.spec.get("selector") or {}).get("matchLabels")) or {}
    if active is None:
        _count(new, "HPAReplicas", int(new.get("replicas") or 0))
        _count(new, "availableReplicas", sum(available(rs) for rs in view.replicasets))
    else:
        matched = matched | {HASH: hash_of(active)}
        _count(new, "HPAReplicas", int(status_of(active).get("replicas") or 0))
        _count(new, "availableReplicas", available(active))
        _count(new, "readyReplicas", int(status_of(active).get("readyReplicas") or 0))
    new["selector"] = ",".join(f"{key}={value}" for key, value in sorted(matched.items()))


def _count(status: Object, key: str, value: int) -> None:
    if value:
        status[key] = value
    else:
        status.pop(key, None)

"""What a blue-green pass asks before it moves anything: saturated, halted, fast-tracked, paused long enough, analysed.

Pure questions about one view; the recordings that they follow are named in docs/fidelity.md.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta

from sandbox.argo.names import DEADLINE, DESIRED, HASH, Object, available, hash_of, meta, moment, notes, rfc3339, wanted
from sandbox.argo.passing import Pass, has_pause
from sandbox.argo.rollout_status import rollback_in_window
from sandbox.argo.view import View

PAUSE = "BlueGreenPause"
INCONCLUSIVE = "InconclusiveAnalysisRun"
PRE = "prePromotionAnalysisRunStatus"
POST = "postPromotionAnalysisRunStatus"


@dataclass
class BluePass(Pass):
    """A pass over a blue-green Rollout. The deadline counts as it stood when the pass began, although the pass removes it."""

    had_deadline: bool = False
    within_delay: bool = False
    lifted: set[str] = field(default_factory=set)  # pause reasons that this pass takes away
    analysed: dict[str, Object] = field(default_factory=dict)  # PRE, POST: the current runs as they were found

    def __post_init__(self) -> None:
        super().__post_init__()
        until = notes(self.view.new).get(DEADLINE) if self.view.new is not None else None
        self.had_deadline = bool(until)
        self.within_delay = bool(until) and moment(str(until)) > self.view.now

    def apply_pauses(self, new: Object) -> None:
        """Abort flag, its time and the pause conditions, as they will stand after this pass."""
        old = self.view.status
        for key in ("abort", "abortedAt", "controllerPause", "pauseConditions"):
            new.pop(key, None)
        if self.aborted:
            new |= {"abort": True, "abortedAt": old.get("abortedAt") or rfc3339(self.view.now)}
            return
        if old.get("abort") is False:  # a false that somebody stored stays stored
            new["abort"] = False
        before = [] if self.clear_pauses else old.get("pauseConditions") or []
        kept = [deepcopy(one) for one in before if one["reason"] not in self.lifted]
        if self.clear_pauses:
            return
        known = {one["reason"] for one in before}
        added = [why for why in self.pauses if why not in known]
        kept += [{"reason": why, "startTime": rfc3339(self.view.now)} for why in added]
        if kept:
            new["pauseConditions"] = kept
            if added or old.get("controllerPause"):
                new["controllerPause"] = True


def active_service(view: View) -> str:
    return str(view.blue_green.get("activeService") or "")


def preview_service(view: View) -> str:
    return str(view.blue_green.get("previewService") or "")


def by_hash(view: View, pod_hash: str) -> Object | None:
    return next((rs for rs in view.replicasets if pod_hash and hash_of(rs) == pod_hash), None)


def template_changed(view: View) -> bool:
    before = view.status.get("currentPodHash")
    return bool(before) and before != view.current_hash


def halted(view: View) -> bool:
    """A person's spec.paused, or an analysis without a verdict: nothing moves, and nothing else is looked at."""
    return bool(view.spec.get("paused")) or has_pause(view.status, INCONCLUSIVE) is not None


def saturated(view: View, replicaset: Object | None) -> bool:
    if replicaset is None or notes(replicaset).get(DESIRED) != str(view.replicas):
        return False
    return wanted(replicaset) == view.replicas == available(replicaset)


def pods_of_new(view: View) -> int:
    """previewReplicaCount until the new ReplicaSet is active or its pause is over; else all."""
    preview = view.blue_green.get("previewReplicaCount")
    status = view.status
    active = by_hash(view, str((status.get("blueGreen") or {}).get("activeSelector") or ""))
    if preview is None or active is None or active is view.new or status.get("promoteFull"):
        return view.replicas
    if status.get("currentPodHash") != hash_of(view.new):
        return int(preview)
    going_on = not view.spec.get("paused") and not status.get("pauseConditions")
    passed = (status.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint")
    return view.replicas if going_on and passed else int(preview)


def ready_to_pause(view: View) -> bool:
    new = view.new
    return new is not None and wanted(new) == pods_of_new(view) == available(new)


def fast_rollback(now: BluePass) -> bool:
    """v1.10: back to stable, or to something older than stable that still runs or lies within the window."""
    view = now.view
    new, stable = view.new, view.stable
    if new is None or stable is None:
        return False
    if view.status.get("stableRS") == hash_of(new):
        return True
    older = str(meta(new).get("creationTimestamp") or "") < str(meta(stable).get("creationTimestamp") or "")
    return (older and now.within_delay) or rollback_in_window(view)


def fast_tracked(now: BluePass) -> bool:
    """v1.9 takes any deadline for a way back: an aborted version carries one too, and so skips every gate."""
    view = now.view
    if fast_rollback(now) if view.is_1_10 else now.had_deadline:
        return True
    service = view.services.get(active_service(view)) or {}
    selector = (service.get("spec") or {}).get("selector") or {}
    return bool(view.status.get("promoteFull")) or selector.get(HASH, hash_of(view.new)) == hash_of(view.new)


def manual(view: View) -> bool:
    """autoPromotionEnabled: false; unset is true."""
    return view.blue_green.get("autoPromotionEnabled") is False


def auto_seconds(view: View) -> int:
    return int(view.blue_green.get("autoPromotionSeconds") or 0)


def pre_analysis_passed(now: BluePass) -> bool:
    if not now.view.blue_green.get("prePromotionAnalysis"):
        return True
    return str((now.analysed.get(PRE) or {}).get("status")) == "Successful"


def pause_over(now: BluePass) -> bool:
    view = now.view
    held = has_pause(view.status, PAUSE)
    if now.pauses:
        return False
    if (view.status.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint"):
        return True
    if manual(view):
        return bool(view.status.get("controllerPause")) and held is None
    if not auto_seconds(view):
        return True
    return held is not None and view.now > moment(held["startTime"]) + timedelta(seconds=auto_seconds(view))


def decide_pause(now: BluePass) -> None:
    """Begin the pause, end it, or leave it as it is."""
    view = now.view
    if view.status.get("abort") or not ready_to_pause(view) or halted(view):
        return
    passed = (view.status.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint")
    if fast_tracked(now) or passed or not (manual(view) or auto_seconds(view)):
        now.lifted.add(PAUSE)
    elif not pre_analysis_passed(now):
        return
    elif has_pause(view.status, PAUSE) is not None:
        if pause_over(now):
            now.lifted.add(PAUSE)
    elif not view.status.get("controllerPause"):  # set without a condition = a person took the condition away
        now.pauses.append(PAUSE)

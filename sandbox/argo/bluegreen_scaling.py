"""How many pods each ReplicaSet of a blue-green Rollout gets, when an old one goes, and which are forgotten."""

from __future__ import annotations

from sandbox.argo import bluegreen_gates as gates
from sandbox.argo import bluegreen_runs, events, revisions, scaling
from sandbox.argo.bluegreen_gates import BluePass
from sandbox.argo.names import (
    DEADLINE,
    DESIRED,
    REVISION,
    Object,
    available,
    hash_of,
    meta,
    name_of,
    notes,
    status_of,
    wanted,
)
from sandbox.argo.passing import has_pause
from sandbox.argo.view import View


def reconcile(now: BluePass) -> None:
    view = now.view
    if view.new is not None and not _waits_under_abort(now):
        scaling.remove_deadline(view, view.new)
    if view.stable is not None:
        scaling.remove_deadline(view, view.stable)
        _scale(now, view.stable, view.replicas)
    if view.new is not None:
        _reconcile_new(now, view.new)
    _reconcile_others(now)
    _forget(view)


def scaling_event(view: View) -> bool:
    """spec.replicas moved, and a living ReplicaSet of the two that matter does not know it yet."""
    living = [rs for rs in (view.new, view.stable) if rs is not None and wanted(rs)]
    return any(notes(rs).get(DESIRED, str(view.replicas)) != str(view.replicas) for rs in living)


def abort_delay(view: View) -> int | None:
    """Seconds that an aborted version keeps its pods; None = for good (0)."""
    wished = view.blue_green.get("abortScaleDownDelaySeconds")
    seconds = scaling.DEFAULT_DELAY if wished is None else int(wished)
    return seconds or None


def _waits_under_abort(now: BluePass) -> bool:
    return now.aborted and now.view.stable is not None and abort_delay(now.view) is not None


def _scale(now: BluePass, replicaset: Object, count: int) -> None:
    """An aborted ReplicaSet keeps its old deadline at 0, any other loses it in the same write."""
    view, before = now.view, wanted(replicaset)
    gone = count == 0 and not _waits_under_abort(now)
    if scaling.scale(view, replicaset, count, drop_deadline=gone and before != count):
        way, number = ("up" if before < count else "down"), notes(replicaset).get(REVISION)
        text = f"Scaled {way} ReplicaSet {name_of(replicaset)} (revision {number}) from {before} to {count}"
        events.record(view, "ScalingReplicaSet", text)


def _reconcile_new(now: BluePass, new: Object) -> None:
    view = now.view
    if not _waits_under_abort(now):
        _scale(now, new, gates.pods_of_new(view))
        return
    if view.is_1_10 and not (notes(new).get(DEADLINE) and scaling.expired(view, new)):
        revisions.desired_on(view, new)
    if not notes(new).get(DEADLINE):
        whole = available(view.stable) >= view.replicas if view.is_1_10 else available(view.stable) == view.replicas
        if whole:
            scaling.delay(view, new, abort_delay(view) or 0)
    elif scaling.expired(view, new):
        _scale(now, new, 0)


def _reconcile_others(now: BluePass) -> None:
    view = now.view
    if has_pause(view.status, gates.INCONCLUSIVE) is not None or _waits_for_analysis(now):
        return
    limit = view.blue_green.get("scaleDownDelayRevisionLimit")
    waiting = 0
    for replicaset in sorted(view.others, key=lambda rs: -int(notes(rs).get(REVISION, "0"))):
        if wanted(replicaset) and not _referenced(view, replicaset):
            waiting += 1
            _scale_other(now, replicaset, beyond=limit is not None and waiting > int(limit))


def _scale_other(now: BluePass, replicaset: Object, *, beyond: bool) -> None:
    view = now.view
    if beyond:
        _scale(now, replicaset, 0)
    elif not notes(replicaset).get(DEADLINE):
        wished = view.blue_green.get("scaleDownDelaySeconds")
        seconds = scaling.DEFAULT_DELAY if wished is None else int(wished)
        if seconds:
            scaling.delay(view, replicaset, seconds)
    else:
        _scale(now, replicaset, 0 if scaling.expired(view, replicaset) else view.replicas)


def _waits_for_analysis(now: BluePass) -> bool:
    """Without a scaleDownDelaySeconds of its own, the old version stays until the post-promotion run is through."""
    strategy = now.view.blue_green
    if not strategy.get("postPromotionAnalysis") or strategy.get("scaleDownDelaySeconds") is not None:
        return False
    if bluegreen_runs.post_is_skipped(now):
        return False
    return (now.analysed.get(gates.POST) or {}).get("status") != "Successful"


def _referenced(view: View, replicaset: Object) -> bool:
    told = view.status.get("blueGreen") or {}
    names = {view.status.get("stableRS"), view.status.get("currentPodHash")}
    names |= {told.get("activeSelector"), told.get("previewSelector")}
    names |= {view.selector_hash(gates.active_service(view)), view.selector_hash(gates.preview_service(view))}
    return hash_of(replicaset) in names


def _forget(view: View) -> None:
    """revisionHistoryLimit: of the oldest too many, those without pods."""
    limit = view.spec.get("revisionHistoryLimit")
    others = sorted(view.others, key=lambda rs: (str(meta(rs).get("creationTimestamp") or ""), name_of(rs)))
    for replicaset in others[: max(0, len(others) - (10 if limit is None else int(limit)))]:
        if not wanted(replicaset) and not status_of(replicaset).get("replicas"):
            view.replicasets = [rs for rs in view.replicasets if rs is not replicaset]
            view.delete("replicasets", replicaset)

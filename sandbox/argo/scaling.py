"""How many pods each ReplicaSet of a canary gets, and when an old one goes."""

from __future__ import annotations

from datetime import timedelta

from sandbox.argo import basic, counts
from sandbox.argo.names import DEADLINE, DESIRED, REVISION, Object, available, hash_of, moment, notes, rfc3339, wanted
from sandbox.argo.passing import Pass
from sandbox.argo.view import View

DEFAULT_DELAY = 30


def reconcile(now: Pass) -> None:
    view = now.view
    if not view.canary.get("trafficRouting"):
        _reconcile_basic(now)
        return
    remove_deadlines(now)
    _canary, stable = counts.desired(view, now.weights)
    if view.stable is not None and view.stable is not view.new and scale(view, view.stable, stable):
        return
    if _scale_new(now):
        return
    for replicaset in view.others:
        _scale_other(view, replicaset)


def abort_delay(view: View) -> int | None:
    """Seconds that an aborted canary lives on; None = it goes at once (0), or as traffic leaves it."""
    wished = view.canary.get("abortScaleDownDelaySeconds")
    if wished is None:
        return None if view.canary.get("dynamicStableScale") else DEFAULT_DELAY
    return None if int(wished) == 0 else int(wished)


def remove_deadlines(now: Pass) -> None:
    view = now.view
    new, stable = view.new, view.stable
    if new is not None and not (now.aborted and abort_delay(view) is not None and new is not stable):
        remove_deadline(view, new)
    if stable is not None and stable is not new:
        remove_deadline(view, stable)


def remove_deadline(view: View, replicaset: Object) -> None:
    if notes(replicaset).get(DEADLINE):
        view.patch("replicasets", replicaset, {"metadata": {"annotations": {DEADLINE: None}}})


def scale(view: View, replicaset: Object, count: int, *, drop_deadline: bool = False) -> bool:
    marks: dict[str, str | None] = {}
    if notes(replicaset).get(DESIRED) != str(view.replicas):
        marks[DESIRED] = str(view.replicas)
    if drop_deadline and notes(replicaset).get(DEADLINE):
        marks[DEADLINE] = None
    scaled = wanted(replicaset) != count
    body: Object = {"spec": {"replicas": count}} if scaled else {}
    if marks:
        body["metadata"] = {"annotations": marks}
    if body:
        view.patch("replicasets", replicaset, body)
    return scaled


def delay(view: View, replicaset: Object, seconds: int) -> None:
    at = rfc3339(view.now + timedelta(seconds=seconds))  # whole seconds: it happens up to a second early
    view.patch("replicasets", replicaset, {"metadata": {"annotations": {DEADLINE: at}}})


def expired(view: View, replicaset: Object) -> bool:
    until = notes(replicaset).get(DEADLINE)
    return bool(until) and moment(str(until)) <= view.now


def scaling_event(view: View) -> bool:
    """spec.replicas moved and an active ReplicaSet does not know it yet."""
    return any(
        wanted(rs) and notes(rs).get(DESIRED, str(view.replicas)) != str(view.replicas) for rs in view.replicasets
    )


def _scale_new(now: Pass) -> bool:
    view, new = now.view, now.view.new
    if new is None:
        return False
    count, _stable = counts.desired(view, now.weights)
    after = abort_delay(view)
    if now.aborted and not view.promoted and after is not None:
        if notes(new).get(DEADLINE):
            if not expired(view, new):
                return False
            count = 0
        else:
            if available(view.stable) >= view.replicas:
                delay(view, new, after)
            return False
    return scale(view, new, count)


def _scale_other(view: View, replicaset: Object) -> None:
    if wanted(replicaset) == 0:
        return
    if notes(replicaset).get(DEADLINE):
        _scale_down_later(view, replicaset)
    elif not _referenced(view, replicaset):
        _scale_down_later(view, replicaset) if view.promoted else scale(view, replicaset, 0)


def _scale_down_later(view: View, replicaset: Object) -> None:
    wished = view.canary.get("scaleDownDelaySeconds")
    after = DEFAULT_DELAY if wished is None else int(wished)
    if not notes(replicaset).get(DEADLINE) and after > 0:
        delay(view, replicaset, after)
    elif after == 0 or expired(view, replicaset):
        scale(view, replicaset, 0, drop_deadline=True)


def _referenced(view: View, replicaset: Object) -> bool:
    """The status still says that traffic goes there: a superseded ReplicaSet is left alone until it does not."""
    weights = (view.status.get("canary") or {}).get("weights") or {}
    return any(weights.get(role, {}).get("podTemplateHash") == hash_of(replicaset) for role in ("canary", "stable"))


def _reconcile_basic(now: Pass) -> None:
    """Pods are the traffic: stable first, then the canary, then what is neither; one of them in a pass."""
    view = now.view
    for replicaset in (view.new, view.stable):
        if replicaset is not None:
            remove_deadline(view, replicaset)
    canary, stable = counts.desired_basic(view)
    if view.stable is not None and view.stable is not view.new and scale(view, view.stable, stable):
        return
    if view.new is not None and scale(view, view.new, canary):
        return
    _end_others(view)


def _end_others(view: View) -> None:
    """Pods that are not ready go at once, the others as far as enough stay ready; the newest version first."""
    others = [rs for rs in view.others if wanted(rs)]
    for replicaset in others:
        scale(view, replicaset, min(wanted(replicaset), available(replicaset)))
    spare = sum(available(rs) for rs in view.replicasets) - (view.replicas - basic.unavailable(view))
    for replicaset in sorted(others, key=lambda rs: -int(notes(rs).get(REVISION, "0"))):
        fewer = min(wanted(replicaset), max(0, spare))
        if fewer and scale(view, replicaset, wanted(replicaset) - fewer, drop_deadline=True):
            spare -= fewer

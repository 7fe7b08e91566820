"""How many pods and how much traffic a canary step asks for. Pure arithmetic over one view."""

from __future__ import annotations

from math import ceil

from sandbox.argo import basic
from sandbox.argo.names import Object, available, status_of, wanted
from sandbox.argo.view import View


def max_weight(view: View) -> int:
    return int((view.canary.get("trafficRouting") or {}).get("maxTrafficWeight") or 100)


def step_index(view: View) -> int | None:
    """Absent steps have no index; an absent index means the beginning."""
    if not view.steps:
        return None
    index = view.status.get("currentStepIndex")
    return 0 if index is None else int(index)


def step(view: View) -> Object | None:
    index = step_index(view)
    return None if index is None or index >= len(view.steps) else view.steps[index]


def weight_of_step(view: View, upto: int | None) -> int:
    """The last setWeight at or before a step."""
    for index in range(-1 if upto is None else min(upto, len(view.steps) - 1), -1, -1):
        if "setWeight" in view.steps[index]:
            return int(view.steps[index]["setWeight"])
    return 0


def set_weight(view: View) -> int:
    if view.status.get("abort"):
        return 0
    if step(view) is None:
        return max_weight(view)
    return weight_of_step(view, step_index(view))


def pods_for(view: View, weight: int) -> int:
    return ceil(view.replicas * weight / max_weight(view))


def desired(view: View, weights: Object | None) -> tuple[int, int]:
    """(canary pods, stable pods) under traffic routing."""
    canary, weight = _canary_scale(view)
    if canary is None:
        canary = pods_for(view, weight)
    stable = view.replicas
    if view.canary.get("dynamicStableScale"):
        stable = pods_for(view, max_weight(view) - weight)
    if weights and view.canary.get("dynamicStableScale"):
        stable = max(stable, pods_for(view, int(weights["stable"]["weight"])))
        if view.status.get("abort"):  # no canary pod goes before its traffic has gone
            canary = max(canary, pods_for(view, int(weights["canary"]["weight"])))
    if view.canary.get("dynamicStableScale") and view.status.get("abort") and not view.promoted:
        # Back up within the surge only: the canary must give pods back first, as far as traffic has left it.
        stable = min(stable, max(wanted(view.stable), view.replicas + surge(view) - wanted(view.new)))
    return canary, stable


def surge(view: View) -> int:
    return ceil(view.replicas * 0.25)


def desired_basic(view: View) -> tuple[int, int]:
    """(canary pods, stable pods) without traffic routing, as far as this pass may go."""
    _pods, weight = _canary_scale(view)
    return basic.pods(view, weight, max_weight(view))


def at_desired(view: View, weights: Object | None) -> bool:
    """The pods that this step asks for, no more and no fewer. Under a router older versions may live on."""
    routed = bool(view.canary.get("trafficRouting"))
    canary, stable = desired(view, weights) if routed else desired_basic(view)
    if wanted(view.new) != canary or not _as_many(view, view.new, canary):
        return False
    if not (routed and view.canary.get("dynamicStableScale")) and not _created(view.stable, stable):
        return False
    return routed or not any(available(rs) for rs in view.others)


def stable_carries(view: View, weight: int) -> bool:
    """The gate of each weight: stable has the pods for the rest (or as many as the threshold in spec allows)."""
    top = max_weight(view)
    rest = (top - weight) * view.replicas // top
    return view.stable is not None and (available(view.stable) >= rest or _as_many(view, view.stable, rest))


def _created(replicaset: Object | None, count: int) -> bool:
    return wanted(replicaset) == count and int(status_of(replicaset).get("replicas") or 0) == count


def _as_many(view: View, replicaset: Object | None, count: int) -> bool:
    threshold = view.canary.get("replicaProgressThreshold")
    if not threshold or replicaset is None:
        return available(replicaset) == count
    # Any type but Percent is read as a number of pods: `Percentage: 75` of 4 pods is never reached.
    value = int(threshold.get("value", 0))
    return available(replicaset) >= (ceil(count * value / 100) if threshold.get("type") == "Percent" else value)


def _canary_scale(view: View) -> tuple[int | None, int]:
    """Either a number of pods (setCanaryScale) or a weight that pods must carry."""
    status = view.status
    if status.get("promoteFull") or not status.get("stableRS") or view.promoted:
        return None, max_weight(view)
    scale = None if status.get("abort") else _scale_step(view)
    if scale is not None and "replicas" in scale:
        return int(scale["replicas"]), 0
    if scale is not None and "weight" in scale:
        return ceil(view.replicas * int(scale["weight"]) / 100), 0
    return None, set_weight(view)


def _scale_step(view: View) -> Object | None:
    index = step_index(view)
    if index is None or index >= len(view.steps):
        return None
    for at in range(index, -1, -1):
        scale = view.steps[at].get("setCanaryScale")
        if isinstance(scale, dict):
            return None if scale.get("matchTrafficWeight") else scale
    return None

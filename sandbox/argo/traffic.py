"""Where requests go: the two Services' selectors and the router's weights."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import counts, events
from sandbox.argo.names import HASH, MANAGED_BY, Object, available, hash_of, notes, wanted
from sandbox.argo.passing import Pass
from sandbox.argo.view import View


def reconcile_services(now: Pass) -> None:
    """Stable to stable, canary to the new ReplicaSet while it has an available pod: under an abort this undoes
    what the weights' room does, so the canary Service flips for as long as the aborted canary lives."""
    view = now.view
    point(view, view.canary.get("stableService"), view.stable)
    if now.aborted and not view.canary.get("trafficRouting"):
        point(view, view.canary.get("canaryService"), view.stable)
    elif not _back_to_stable_dynamically(view):
        point(view, view.canary.get("canaryService"), view.new)


def reconcile_weights(now: Pass) -> None:
    view = now.view
    if not view.canary.get("trafficRouting"):
        return
    weight = _desired_weight(now)
    if now.aborted and weight == 0:
        point(view, view.canary.get("canaryService"), view.stable)
    if not counts.stable_carries(view, weight):
        return  # the gate: the router and the status quietly keep their weights
    _write_router(view, weight)
    new = _weights(view, weight)
    if new == now.weights:
        return
    before = int((now.weights or {}).get("canary", {}).get("weight", 0))
    if before != weight:
        events.record(view, "TrafficWeightUpdated", f"Traffic weight updated from {before} to {weight}")
    now.weights = new


def point(view: View, service: str | None, replicaset: Object | None) -> None:
    """Turn a Service to a ReplicaSet, unless nothing there could answer."""
    found = view.services.get(service or "")
    if found is None or replicaset is None or view.selector_hash(service) == hash_of(replicaset):
        return
    if MANAGED_BY not in notes(found) and available(replicaset) < max(1, wanted(replicaset)):
        return  # a Service that is taken over for the first time waits for all pods
    if available(replicaset) < 1:
        return
    body: Object = {"spec": {"selector": {HASH: hash_of(replicaset)}}}
    if notes(found).get(MANAGED_BY) != view.name:
        body["metadata"] = {"annotations": {MANAGED_BY: view.name}}
    view.patch("services", found, body)


def release_unused(view: View, referenced: set[str]) -> None:
    """A Service that spec no longer names loses the hash at once, and so matches stable and canary alike."""
    for name, service in view.services.items():
        if notes(service).get(MANAGED_BY) == view.name and name not in referenced:
            body = {"metadata": {"annotations": {MANAGED_BY: None}}, "spec": {"selector": {HASH: None}}}
            view.patch("services", service, body)


def virtual_services(view: View) -> list[Object]:
    """The router's parts of spec: one VirtualService or several, each {name, routes}."""
    istio = (view.canary.get("trafficRouting") or {}).get("istio") or {}
    several = istio.get("virtualServices") or []
    single = istio.get("virtualService")
    return [*several, *([single] if single else [])]


def routes(service: Object, names: list[str] | None) -> list[Object]:
    http = (service.get("spec") or {}).get("http") or []
    return [route for route in http if not names or route.get("name") in names]


def _desired_weight(now: Pass) -> int:
    view, top = now.view, counts.max_weight(now.view)
    if _back_to_stable_dynamically(view) or (now.aborted and not view.promoted):
        return _walked_down(now)
    if view.promoted or available(view.new) == 0:
        return 0
    if view.status.get("promoteFull"):
        if view.canary.get("dynamicStableScale"):
            return top * available(view.new) // max(1, view.replicas)
        return int((now.weights or {}).get("canary", {}).get("weight", 0))
    index = counts.step_index(view)
    if index is None:
        return top if counts.at_desired(view, now.weights) else 0
    if not counts.at_desired(view, now.weights):
        return counts.weight_of_step(view, index - 1)
    return counts.set_weight(view)


def _walked_down(now: Pass) -> int:
    """After an abort: at once 0, or as far down as the stable pods can carry (dynamicStableScale)."""
    view = now.view
    if not view.canary.get("dynamicStableScale"):
        return 0
    top = counts.max_weight(view)
    carried = top - top * min(available(view.stable), view.replicas) // max(1, view.replicas)
    before = int((now.weights or {}).get("canary", {}).get("weight", 0))
    return min(before, carried)


def _back_to_stable_dynamically(view: View) -> bool:
    """The stable template is back while stable is still scaled down."""
    if not view.canary.get("dynamicStableScale") or not view.promoted or view.new is None:
        return False
    return available(view.new) < view.replicas


def _weights(view: View, weight: int) -> Object:
    sta, cur = hash_of(view.stable), hash_of(view.new) or view.status.get("currentPodHash", "")
    return {
        "canary": {"podTemplateHash": cur, "serviceName": view.canary.get("canaryService", ""), "weight": weight},
        "stable": {
            "podTemplateHash": sta,
            "serviceName": view.canary.get("stableService", ""),
            "weight": counts.max_weight(view) - weight,
        },
    }


def _write_router(view: View, weight: int) -> None:
    for part in virtual_services(view):
        found = view.virtualservices.get(part["name"])
        if found is None:
            continue
        http = deepcopy((found.get("spec") or {}).get("http") or [])
        for route in routes({"spec": {"http": http}}, part.get("routes")):
            _set(view, route, weight)
        if http != (found.get("spec") or {}).get("http"):
            view.patch("virtualservices", found, {"spec": {"http": http}})


def _set(view: View, route: Object, weight: int) -> None:
    for destination in route.get("route") or []:
        host = str((destination.get("destination") or {}).get("host", "")).split(".")[0]
        if host == view.canary.get("canaryService"):
            destination["weight"] = weight
        elif host == view.canary.get("stableService"):
            destination["weight"] = counts.max_weight(view) - weight

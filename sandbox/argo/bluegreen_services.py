"""Which ReplicaSet the two Services of a blue-green Rollout select, and when that changes."""

from __future__ import annotations

from sandbox.argo import bluegreen_gates as gates
from sandbox.argo import events
from sandbox.argo.bluegreen_gates import BluePass
from sandbox.argo.names import HASH, MANAGED_BY, hash_of, notes
from sandbox.argo.view import View


def reconcile_preview(now: BluePass) -> None:
    """At once, whether a pod is there or not."""
    view = now.view
    if not gates.halted(view):
        _switch(view, gates.preview_service(view), hash_of(view.new))


def reconcile_active(now: BluePass) -> None:
    """Only a saturated new ReplicaSet lets anything happen here, and that includes the way back of an abort."""
    view = now.view
    if gates.halted(view) or not gates.ready_to_pause(view) or not gates.saturated(view, view.new):
        return
    target = view.selector_hash(gates.active_service(view))
    if gates.fast_tracked(now) or (gates.pause_over(now) and gates.pre_analysis_passed(now)):
        target = hash_of(view.new)
    if view.status.get("abort"):
        target = str(view.status.get("stableRS") or "")
    _switch(view, gates.active_service(view), target)


def _switch(view: View, name: str, pod_hash: str) -> None:
    service = view.services.get(name)
    if service is None:
        return
    before = view.selector_hash(name)
    managed = MANAGED_BY in notes(service)
    if before == pod_hash and managed:
        return
    body = {"spec": {"selector": {HASH: pod_hash}}}
    if not managed:
        body["metadata"] = {"annotations": {MANAGED_BY: view.name}}
    view.patch("services", service, body)
    events.record(view, "SwitchService", f"Switched selector for service '{name}' from '{before}' to '{pod_hash}'")

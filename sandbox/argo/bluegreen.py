"""One pass of the controller over a blue-green Rollout, in the recorded order of its writes."""

from __future__ import annotations

from sandbox.argo import (
    bluegreen_conditions,
    bluegreen_runs,
    bluegreen_scaling,
    bluegreen_services,
    bluegreen_status,
    injected,
    revisions,
)
from sandbox.argo import bluegreen_gates as gates
from sandbox.argo.bluegreen_gates import BluePass
from sandbox.argo.view import View


def reconcile(view: View) -> None:
    if view.new is None:
        revisions.sync(view, create=True)
    now = BluePass(view)
    now.drop_abort = bool(view.status.get("abort")) and view.promoted  # nothing to abort once it is stable
    bluegreen_runs.find(now)
    told = bluegreen_conditions.check_pauses(now)
    if told and view.is_1_10:
        return
    revisions.sync(view, create=False)
    if bluegreen_scaling.scaling_event(view):
        bluegreen_scaling.reconcile(now)
        bluegreen_status.only_counts(now)
    else:
        _work(now)


def _work(now: BluePass) -> None:
    view = now.view
    bluegreen_services.reconcile_preview(now)
    if not gates.template_changed(view):
        bluegreen_scaling.reconcile(now)
        gates.decide_pause(now)
        bluegreen_services.reconcile_active(now)
        bluegreen_runs.reconcile(now)
        injected.reconcile(view, view.blue_green.get("previewMetadata"), view.blue_green.get("activeMetadata"))
    bluegreen_status.sync(now)

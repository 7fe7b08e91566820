"""A blue-green Rollout as far as it is played today: it comes up, and stays Healthy."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import revisions, rollout_status, scaling, traffic
from sandbox.argo.names import available, hash_of
from sandbox.argo.passing import Pass
from sandbox.argo.view import View


def reconcile(view: View) -> None:
    """First deploy and steady state. A second version waits in preview: its promotion is not played yet."""
    now = Pass(view)
    strategy = (view.spec.get("strategy") or {}).get("blueGreen") or {}
    revisions.sync(view, create=True)
    if view.new is not None:
        scaling.scale(view, view.new, view.replicas)
        if view.stable is None or view.new is view.stable:
            traffic.point(view, strategy.get("activeService"), view.new)
        traffic.point(view, strategy.get("previewService"), view.new)
    new = rollout_status.base(view)
    new["stableRS"] = new.get("stableRS") or new["currentPodHash"]
    active = view.stable if view.stable is not None else view.new
    new["availableReplicas"] = new["readyReplicas"] = available(active)
    new["blueGreen"] = deepcopy(new["blueGreen"]) | {
        "activeSelector": view.selector_hash(strategy.get("activeService")) or hash_of(active),
        "previewSelector": view.selector_hash(strategy.get("previewService")) or hash_of(view.new),
    }
    if view.status.get("abort") and view.promoted:
        now.drop_abort = True
    rollout_status.finish(now, new)

"""Events as the controller records them. They are told, never relied upon."""

from __future__ import annotations

from sandbox.argo.names import Object, meta, name_of, namespace_of, rfc3339
from sandbox.argo.view import View


def record(view: View, reason: str, message: str, *, warning: bool = False, about: Object | None = None) -> None:
    regarding = view.rollout if about is None else about
    kind = "Rollout" if about is None else "AnalysisRun"
    view.events += 1
    at = rfc3339(view.now)
    view.create(
        "events",
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{name_of(regarding)}.{int(view.now.timestamp() * 1_000_000):x}{view.events:02x}",
                "namespace": namespace_of(regarding),
            },
            "involvedObject": {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": kind,
                "name": name_of(regarding),
                "namespace": namespace_of(regarding),
                "uid": meta(regarding).get("uid"),
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": "rollouts-controller"},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        },
    )

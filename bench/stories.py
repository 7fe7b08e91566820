"""The six stories of `bench --runbooks`: what the sandbox's scene is brought to, who alerts about what, and what a proof needs.

All of it is done as people do it: over the vendors' own APIs, with the bench's mark in the query so that nobody takes it for Ripcord's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.planes import MERGE, POLL, Object, SandboxPlane
from bench.scene import Scene

ARGO = "/apis/argoproj.io/v1alpha1/namespaces/production"
API = f"{ARGO}/rollouts/api-backend"
SERVICE = "/api/v1/namespaces/production/services/api-backend-active"
HASH = "rollouts-pod-template-hash"
STOOD = 11.0
"""Seconds that a version stands before its alert: one that changed less than 10 s ago is looked at twice."""
INCIDENT = {"get incident": 2, "get incident/alerts": 2, "post incident/notes": 1, "put incident/notes": 1}
"""Read to decide and right before the write; the note, and its last word."""
BLUE_GREEN = {
    "get rollouts": 5,
    "list replicasets": 3,
    "get services": 5,
    "list endpointslices": 3,
    "list pods": 3,
    **INCIDENT,
}
"""One look to decide. Twice for the proof, each with the Rollout and the active Service once more at its end."""
FLAG = {"get flags": 3, "patch flags": 1, **INCIDENT}


@dataclass
class Stage:
    """One sandbox, and an application that answers its health check."""

    scene: Scene
    application: str

    def __post_init__(self) -> None:
        self.plane = SandboxPlane(self.scene)

    def status(self) -> Object:
        """What the controller says of `api-backend`."""
        return dict(self.plane.ask("GET", API).get("status") or {})

    def looks(self, story: Story) -> Iterator[tuple[float, Object, Object]]:
        """(when, the Rollout, its active Service), again and again, until somebody else has enough."""
        while True:
            rollout = self.plane.ask("GET", f"{ARGO}/rollouts/{story.target}")
            service = self.plane.ask("GET", SERVICE) if story.target == "api-backend" else {}
            yield time.time(), rollout, service
            time.sleep(POLL)

    def until(self, what: str, holds: Callable[[Object], bool], within: float = 60.0) -> Object:
        """Waits for what it says."""
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            if holds(status := self.status()):
                return status
            time.sleep(0.2)
        raise SystemExit(f"bench: api-backend did not come so far that {what}")


Stands = Mapping[str, Callable[[Object, Object], bool]]
"""What the controller has to bring about, by the Rollout and its active Service as anybody reads them."""


@dataclass(frozen=True)
class Story:
    """One runbook on one target. after_proof: what is added to the shipped runbook."""

    name: str
    runbook: str
    target: str
    key: str
    details: Mapping[str, str]
    least: Mapping[str, int]
    prepare: Callable[[Stage], None] = field(default=lambda stage: None)
    stands: Stands = field(default_factory=dict)
    after_proof: str = ""


@contextmanager
def application() -> Iterator[str]:
    """What the analyses of `api-backend` ask; healthy, whatever else is wrong with it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """The page is printed elsewhere."""


def _released(stage: Stage) -> None:
    """A new version of api-backend is active, and its check after the promotion runs on."""
    _test_once(stage, "smoke-test")
    spec = stage.plane.ask("GET", API)["spec"]
    stage.plane.ask("PATCH", API, {"spec": _release(spec, stage.application)}, MERGE)
    stage.until("its smoke test passed", _waits_for_a_person)
    stage.plane.ask("PATCH", f"{API}/status", {"status": {"pauseConditions": None}}, MERGE)
    stage.until("it is active", lambda status: status["blueGreen"].get("activeSelector") == status["currentPodHash"])


def _live(stage: Stage) -> None:
    _released(stage)
    time.sleep(STOOD)


def _live_and_paused(stage: Stage) -> None:
    """A person paused it: after an abort the controller would leave the Service where it is."""
    _released(stage)
    stage.plane.ask("PATCH", API, {"spec": {"paused": True}}, MERGE)
    time.sleep(STOOD)


def _promoted(stage: Stage) -> None:
    """The new version is stable; its old pods still run."""
    _test_once(stage, "post-deploy-check")
    before = stage.status()["stableRS"]
    _released(stage)
    stage.until("it is stable", lambda status: status["stableRS"] == status["currentPodHash"] != before)
    time.sleep(STOOD)


def _test_once(stage: Stage, template: str) -> None:
    """Ten times in five minutes is right in life."""
    path = f"{ARGO}/analysistemplates/{template}"
    metric = stage.plane.ask("GET", path)["spec"]["metrics"][0]
    stage.plane.ask("PATCH", path, {"spec": {"metrics": [{**metric, "count": 1}]}}, MERGE)


def _release(spec: Object, url: str) -> Object:
    containers = [
        {**one, "image": "registry.company.com/api-backend:bench"} for one in spec["template"]["spec"]["containers"]
    ]
    asked = {
        f"{when}PromotionAnalysis": {"args": [{"name": argument, "value": url}]}
        for when, argument in (("pre", "preview-url"), ("post", "active-url"))
    }
    return {"template": {"spec": {"containers": containers}}, "strategy": {"blueGreen": asked}}


def _waits_for_a_person(status: Object) -> bool:
    smoke = status["blueGreen"].get("prePromotionAnalysisRunStatus") or {}
    paused = [one["reason"] for one in status.get("pauseConditions") or ()]
    return smoke.get("status") == "Successful" and paused == ["BlueGreenPause"]


# ---- what the controller has to bring about ----


def _aborted(rollout: Object, _service: Object) -> bool:
    return bool(rollout["status"].get("abortedAt"))


def _weights_gone(rollout: Object, _service: Object) -> bool:
    weights = (rollout["status"].get("canary") or {}).get("weights") or {}
    return int((weights.get("canary") or {}).get("weight") or 0) == 0


def _taken_up(rollout: Object, _service: Object) -> bool:
    """The controller has seen what stands in spec."""
    return int(rollout["status"].get("observedGeneration") or 0) >= int(rollout["metadata"]["generation"])


def _on_stable(rollout: Object, service: Object) -> bool:
    return bool(service["spec"]["selector"].get(HASH) == rollout["status"]["stableRS"])


def _undone(rollout: Object, service: Object) -> bool:
    status = rollout["status"]
    return (
        _taken_up(rollout, service) and status["stableRS"] == status["currentPodHash"] and _on_stable(rollout, service)
    )


_BLUE_GREEN_ALERT = {
    "deployment_type": "blue-green",
    "rollout": "api-backend",
    "namespace": "production",
    "error_rate": "2.4 %",
}
_CANARY_ALERT = {
    "deployment_type": "canary",
    "rollout": "web-frontend",
    "namespace": "production",
    "error_rate": "8.3 %",
}
_FLAG_ALERT = {"deployment_type": "feature-flag", "flag": "new-checkout", "error_rate": "6.1 %"}
_SWITCHED: Stands = {"acknowledged": _aborted, "on stable": _on_stable}

STORIES = (
    Story(
        "abort",
        "abort-canary",
        "web-frontend",
        "c" * 32,
        _CANARY_ALERT,
        {
            "get rollouts": 5,
            "list replicasets": 3,
            "get services": 4,
            "get virtualservices": 3,
            "patch rollouts/status": 1,
            **INCIDENT,
        },
        stands={"acknowledged": _aborted, "on stable": _weights_gone},
    ),
    Story(
        "switch back",
        "switch-blue-green-back",
        "api-backend",
        "b" * 32,
        _BLUE_GREEN_ALERT,
        {**BLUE_GREEN, "patch rollouts/status": 1},
        _live,
        _SWITCHED,
    ),
    Story(
        "disable flag",
        "disable-flag",
        "new-checkout",
        "f" * 32,
        _FLAG_ALERT,
        FLAG,
    ),
    Story(
        "with its Service",
        "switch-blue-green-back",
        "api-backend",
        "b" * 32,
        _BLUE_GREEN_ALERT,
        {**BLUE_GREEN, "patch rollouts/status": 1, "patch services": 1, "patch services (dry)": 1},
        _live_and_paused,
        _SWITCHED,
    ),
    Story(
        "undo",
        "switch-blue-green-back",
        "api-backend",
        "b" * 32,
        _BLUE_GREEN_ALERT,
        {**BLUE_GREEN, "patch rollouts": 1},
        _promoted,
        {"acknowledged": _taken_up, "on stable": _undone},
    ),
    Story(
        "flag, resolved",
        "disable-flag",
        "new-checkout",
        "f" * 32,
        _FLAG_ALERT,
        {**FLAG, "get incident": 3, "get incident/alerts": 3, "put incident": 1},
        after_proof="resolve_incident",
    ),
)

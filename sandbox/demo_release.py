"""How the bad version of `api-backend` goes live: as people release it, over the Kubernetes API alone.

Its image changes, the smoke test passes at the preview, a person promotes it, and while the check after the promotion runs on,
everybody has it. What the tests ask (`/healthz` of the application) is answered here, because no pod really runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.demo_doors import ARGO, Doors, Json

NAMESPACE, NAME, IMAGE = "production", "api-backend", "registry.company.com/api-backend:v3.0.1"
PATH = f"{ARGO}/{NAMESPACE}/rollouts/{NAME}"
_LONGEST = 30.0


class Application:
    """Answers its health check, whatever else is wrong with it."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="application", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the demo's screen."""


class NotReleased(Exception):
    """What it waited for, in one sentence."""


def release(doors: Doors, application: str) -> str:
    """The new version's hash, once it is behind the active Service and its last analysis runs."""
    _test_once(doors)
    rollout = doors.kubernetes("GET", PATH)
    doors.kubernetes("PATCH", PATH, {"spec": _spec(rollout["spec"], application)})
    _until(doors, "the smoke test passes", _awaits_promotion)
    # As `kubectl argo rollouts promote`.
    doors.kubernetes("PATCH", f"{PATH}/status", {"status": {"pauseConditions": None}})
    new = str(_until(doors, "the new version is active", _live)["currentPodHash"])
    time.sleep(1.1)  # times are whole seconds, and a version of the alert's own second is not its cause
    return new


def promote_wholly(doors: Doors) -> None:
    """As `kubectl argo rollouts promote --full`: the last check is not waited for, and the version is stable."""
    doors.kubernetes("PATCH", f"{PATH}/status", {"status": {"promoteFull": True}})
    _until(doors, "the new version is stable", _stable)
    time.sleep(1.1)  # as above: it is stable since a whole second before the alert


def _test_once(doors: Doors) -> None:
    """Five times in two minutes is right in life, and too long for a spectator."""
    path = f"{ARGO}/{NAMESPACE}/analysistemplates/smoke-test"
    metrics = doors.kubernetes("GET", path)["spec"]["metrics"]
    doors.kubernetes("PATCH", path, {"spec": {"metrics": [{**metrics[0], "count": 1}]}})


def _spec(spec: Json, application: str) -> Json:
    template = spec["template"]
    containers = [{**one, "image": IMAGE} for one in template["spec"]["containers"]]
    asked = {
        f"{when}PromotionAnalysis": {"args": [{"name": argument, "value": application}]}
        for when, argument in (("pre", "preview-url"), ("post", "active-url"))
    }
    return {"template": {"spec": {"containers": containers}}, "strategy": {"blueGreen": asked}}


def _awaits_promotion(status: Json) -> bool:
    smoke = status["blueGreen"].get("prePromotionAnalysisRunStatus") or {}
    paused = [one["reason"] for one in status.get("pauseConditions") or ()]
    return smoke.get("status") == "Successful" and paused == ["BlueGreenPause"]


def _live(status: Json) -> bool:
    new, blue_green = status["currentPodHash"], status["blueGreen"]
    check = blue_green.get("postPromotionAnalysisRunStatus") or {}
    return new != status["stableRS"] and blue_green.get("activeSelector") == new and check.get("status") == "Running"


def _stable(status: Json) -> bool:
    completed = [one["status"] for one in status.get("conditions") or () if one["type"] == "Completed"]
    return status["stableRS"] == status["currentPodHash"] and completed == ["True"]


def _until(doors: Doors, what: str, so: Callable[[Json], bool]) -> Json:
    until = time.monotonic() + _LONGEST
    while time.monotonic() < until:
        status = dict(doors.kubernetes("GET", PATH).get("status") or {})
        if so(status):
            return status
        time.sleep(0.1)
    raise NotReleased(f"the release of {NAME} did not come so far that {what}")

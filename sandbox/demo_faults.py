"""The lies and bad days that the demo can be played under: what is ordered before the alert, and who does what while it goes on.

Each belongs to one incident. Some Ripcord overcomes and proves; of the others it must say that nothing is proven, and why.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sandbox.demo_doors import Doors, Json
from sandbox.demo_incidents import BLUE_GREEN, CANARY, FLAG, Incident
from sandbox.demo_release import NAME, NAMESPACE, PATH, promote_wholly

_WEB, _API = "production/web-frontend", f"{NAMESPACE}/{NAME}"
_ABORT = {"method": "PATCH", "path": "/kubernetes/*/rollouts/web-frontend/status"}
_HASH = "rollouts-pod-template-hash"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Fault:
    """`says`: one clause for people. `during` runs in a thread of its own until the demo ends."""

    says: str
    incident: Incident
    before: Callable[[Doors], object]
    during: Callable[[Doors, threading.Event, Tell], None] | None = None

    def start(self, doors: Doors, over: threading.Event, tell: Tell) -> None:
        self.before(doors)
        if self.during is not None:
            threading.Thread(target=self.during, args=(doors, over, tell), name="somebody", daemon=True).start()


def _kubernetes(**settings: Any) -> Callable[[Doors], object]:
    return lambda doors: doors.control("kubernetes", settings)


def _wire(match: Json, do: str, **more: Any) -> Callable[[Doors], object]:
    return lambda doors: doors.control("faults", [{"match": match, "do": do, **more}])


def _nothing(_doors: Doors) -> None:
    """It begins later."""


def _approval(doors: Doors) -> None:
    """As an administrator of LaunchDarkly sets it."""
    wanted = [{"op": "replace", "path": "/approvalSettings/required", "value": True}]
    doors.launchdarkly("/projects/default/environments/production", wanted, "application/json")


def _stays_on(doors: Doors) -> None:
    """200, and the flag in the answer is off, in its next version; nothing was stored."""
    shown = doors.state()["launchdarkly"]["flags"][f"default/{FLAG.target}"]
    here = shown["environments"]["production"]
    here |= {"on": False, "version": here["version"] + 1}
    path = f"/launchdarkly/api/v2/flags/default/{FLAG.target}"
    _wire({"method": "PATCH", "path": path}, "status", status=200, body=json.dumps(shown))(doors)


def _put_back(doors: Doors, over: threading.Event, tell: Tell) -> None:
    """A GitOps tool owns the Service. The controller, which would answer, hangs in this Rollout from then on."""
    service = f"/api/v1/namespaces/{NAMESPACE}/services/{NAME}-active"
    bad = doors.kubernetes("GET", PATH)["status"]["currentPodHash"]
    while not doors.state()["kubernetes"]["rollouts"][_API].get("abortedAt"):
        if over.wait(0.05):
            return
    doors.control("kubernetes", {"stuck": [_API]})
    tell(f"a GitOps tool puts Service {NAMESPACE}/{NAME}-active back on {bad}, and goes on doing so")
    while not over.wait(0.2):
        with suppress(OSError):  # the sandbox may have ended
            doors.kubernetes("PATCH", service, {"spec": {"selector": {_HASH: bad}}})


FAULTS: Mapping[str, Fault] = {
    "controller-down": Fault("nobody carries the abort out", CANARY, _kubernetes(controller="down")),
    "controller-fails-over": Fault(
        "another controller takes over, which takes 15 to 20 s", CANARY, _kubernetes(controller="failing_over")
    ),
    "swallowed-write": Fault(
        "the abort is stored and the controller (v1.9.1) overlooks it", CANARY, _kubernetes(swallow_next=_WEB)
    ),
    "stuck-weights": Fault(
        "the controller lives and hangs in this one Rollout: the weights stay", CANARY, _kubernetes(stuck=[_WEB])
    ),
    "receiver-hangs": Fault(
        "the router moves, and a notification receiver delays the acknowledgement by 12 s",
        CANARY,
        _kubernetes(hold_status={"object": _WEB, "seconds": 12}),
    ),
    "stable-lacks-pods": Fault(
        "stable lacks a pod, and the controller leaves the weights where they are",
        CANARY,
        _kubernetes(stable_missing_pod=_WEB),
    ),
    "patch-502-after-apply": Fault(
        "the abort takes effect and is answered 502", CANARY, _wire(_ABORT, "status_after_apply", status=502, times=1)
    ),
    "api-hangs": Fault(
        "the API server takes the abort and lets it lie for 30 s",
        CANARY,
        _wire(_ABORT, "hold_before", seconds=30, times=1),
    ),
    "pagerduty-429": Fault(
        "PagerDuty answers four requests with 429",
        CANARY,
        _wire({"path": "/pagerduty/incidents*"}, "status", status=429, times=4),
    ),
    "promoted-already": Fault(
        "the bad version is stable already, an abort would do nothing: the one before is put back (undo)",
        BLUE_GREEN,
        promote_wholly,
    ),
    "service-put-back": Fault(
        "a GitOps tool puts the active Service back on the bad version", BLUE_GREEN, _nothing, _put_back
    ),
    "flag-approval": Fault("LaunchDarkly wants an approval before the flag may change", FLAG, _approval),
    "flag-stays-on": Fault("LaunchDarkly answers that the flag is off, and it is not", FLAG, _stays_on),
}

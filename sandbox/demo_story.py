"""What the demo's spectator sees: the sandbox's own doors, looked at again and again, told in a few lines."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ROLLOUT = "production/web-frontend"
_ROLLOUT_PATH = re.compile(r"/kubernetes/apis/argoproj\.io/[^/]+/namespaces/production/rollouts/web-frontend(/\w+)?")
_NOTES_PATH = re.compile(r"/pagerduty/incidents/[^/]+/notes(/[^/]+)?")
_QUIET = 5.0


@dataclass
class Doors:
    """The outer doors of the demo's sandbox; nothing here looks inside."""

    base_url: str

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.base_url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def post(self, path: str, body: object) -> Any:
        asked = urllib.request.Request(self.base_url + path, json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read())

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.get("/_sandbox/state")))

    def log(self, after: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.get(f"/_sandbox/log?after={after}").splitlines()]


ALERT = {
    "routing_key": "c" * 32,
    "event_action": "trigger",
    "dedup_key": "rollout/web-frontend",
    "client": "Prometheus",
    "payload": {
        "summary": "CanaryHighErrorRate: web-frontend answers 8.3 % of requests with 5xx",
        "source": "prometheus.monitoring",
        "severity": "critical",
        "component": "web-frontend",
        "group": "progressive-delivery",
        "class": "deployment",
        "custom_details": {
            "alertname": "CanaryHighErrorRate",
            "deployment_type": "canary",
            "rollout": "web-frontend",
            "namespace": "production",
            "error_rate": "8.3 %",
            "limit": "5 %",
        },
    },
}


@dataclass
class Story:
    """Follows one incident from its alert to the last version of the note."""

    doors: Doors
    say: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    seen: int = 0
    note: str = ""
    weight: int | None = None
    told: set[str] = field(default_factory=set)
    spoke: float = 0.0

    def begin(self) -> None:
        self.weight = _weight(self.doors.state())
        self.began = time.monotonic()
        self.doors.post("/pagerduty/v2/enqueue", ALERT)
        self._tell(f"alert: CanaryHighErrorRate on {ROLLOUT}, error rate 8.3 % (limit 5 %), canary at {self.weight} %")

    def follow(self, within: float, ended: Callable[[], bool]) -> bool:
        """True once the note is final; False where the time is over or the server is gone."""
        while time.monotonic() - self.began < within and not ended():
            state = self.doors.state()
            self._incident(state)
            self._requests()
            self._traffic(state)
            if self._noted(state):
                return True
            if self.elapsed - self.spoke > _QUIET:
                self._tell(self._waiting())
            time.sleep(0.1)
        return False

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def proven(self) -> bool:
        first = self.note.splitlines()[0] if self.note else ""
        return "PROVEN" in first and "NOT PROVEN" not in first

    @property
    def run_url(self) -> str:
        found = re.search(r"https?://\S+/runs/r-[0-9a-f]+", self.note)
        return found[0] if found else ""

    def _waiting(self) -> str:
        if "acted" in self.told:
            return "still looking: what cannot be seen is not called proven"
        return "still waiting for Ripcord to act"

    def _tell(self, words: str) -> None:
        self.spoke = self.elapsed
        self.say(f"  {self.spoke:5.1f} s  {words}")

    def _once(self, what: str, words: str) -> None:
        if what not in self.told:
            self.told.add(what)
            self._tell(words)

    def _incident(self, state: dict[str, Any]) -> None:
        for one in state["pagerduty"]["incidents"]:
            self._once("incident", f"PagerDuty: incident #{one['number']} {one['id']} on {one['service']['id']}")
        for webhook in state["pagerduty"]["sender"]["webhooks"]:
            if webhook["event_type"] == "incident.triggered" and webhook["state"] == "delivered":
                self._once("delivered", "PagerDuty: signed webhook delivered to Ripcord")

    def _requests(self) -> None:
        for row in self.doors.log(self.seen):
            if row["status"] is None:
                return
            self.seen = row["seq"]
            if row["method"] == "GET" and row["path"].endswith("/alerts"):
                self._once("reread", "Ripcord: re-read the incident and its alerts")
            elif _ROLLOUT_PATH.fullmatch(row["path"]):
                self._rollout(row)
            elif _NOTES_PATH.fullmatch(row["path"]) and row["method"] == "POST" and row["applied"]:
                self._once("note", "Ripcord: wrote its note into the incident")

    def _rollout(self, row: dict[str, Any]) -> None:
        if row["method"] == "GET":
            self._once("look", f"Ripcord: looked at {ROLLOUT}")
        elif row["applied"]:
            self.told.add("acted")
            self._tell(f"Ripcord: aborted {ROLLOUT} ({row['method']} answered {row['status']})")
        elif row["status"] >= 400:
            self._tell(f"Kubernetes: refused with {row['status']}")

    def _traffic(self, state: dict[str, Any]) -> None:
        weight = _weight(state)
        if weight != self.weight:
            self._tell(f"Argo Rollouts: canary {self.weight} % -> {weight} %")
            self.weight = weight

    def _noted(self, state: dict[str, Any]) -> bool:
        notes = [note["content"] for one in state["pagerduty"]["incidents"] for note in one["notes"]]
        if not notes:
            return False
        self.note = notes[-1]
        return "Proof follows" not in self.note.splitlines()[0]


def _weight(state: dict[str, Any]) -> int | None:
    weights = state["kubernetes"]["rollouts"].get(ROLLOUT, {}).get("canary", {}).get("weights") or {}
    weight = (weights.get("canary") or {}).get("weight")
    return int(weight) if weight is not None else None

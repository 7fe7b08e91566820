"""What the demo's spectator sees: the sandbox's own doors, looked at again and again, told in a few lines for each incident."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.demo_doors import Doors, Json
from sandbox.demo_incidents import BUTTON, FLAG, Incident

_ROLLOUT = re.compile(r"/kubernetes/apis/argoproj\.io/[^/]+/namespaces/production/rollouts/([^/]+)(/status)?")
_SERVICE = re.compile(r"/kubernetes/api/v1/namespaces/production/services/(([^/]+)-active)")
_FLAG = re.compile(r"/launchdarkly/api/v2/flags/default/([^/]+)")
_INCIDENT = re.compile(r"/pagerduty/incidents/([^/]+)(/alerts|/notes(?:/[^/]+)?)")
_QUIET, _PATIENCE = 5.0, 2.0


@dataclass
class Part:
    """What is known of one incident so far."""

    incident: Incident
    id: str = ""
    note: str = ""
    told: set[str] = field(default_factory=set)
    place: str = ""

    @property
    def final(self) -> bool:
        return bool(self.note) and "Proof follows" not in self.first_line

    @property
    def proven(self) -> bool:
        return self.final and "PROVEN" in self.first_line and "NOT PROVEN" not in self.first_line

    @property
    def first_line(self) -> str:
        return self.note.splitlines()[0] if self.note else ""

    @property
    def run_url(self) -> str:
        found = re.search(r"https?://\S+/runs/r-[0-9a-f]+", self.note)
        return found[0] if found else ""


@dataclass
class Story:
    """Follows incidents from their alerts to the last version of their notes."""

    doors: Doors
    say: Callable[[str], None]
    wanted: int
    parts: dict[str, Part] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    seen: int = 0
    held: dict[int, float] = field(default_factory=dict)
    spoke: float = 0.0

    def open(self, *incidents: Incident) -> None:
        """The clock starts here, and what was asked of the vendors before is no part of the story."""
        self.began = time.monotonic()
        self.seen = max((row["seq"] for row in self.doors.log(0)), default=0)
        for one in incidents:
            self.alert(one)

    def alert(self, incident: Incident) -> None:
        part = self.parts[incident.label] = Part(incident)
        part.place = _place(part, self.doors.state())
        self.doors.alert(incident.alert)
        self.tell(incident, f"alert: {incident.hurts}; {part.place}")

    def follow(self, within: float, ended: Callable[[], bool], then: Iterator[None] | None = None) -> bool:
        """True once every note is final and nobody has more to do; False where the time is over or the server is gone."""
        while time.monotonic() - self.began < within and not ended():
            self._look()
            if _has_no_more(then) and all(part.final for part in self.parts.values()):
                return True
            if self.elapsed - self.spoke > _QUIET:
                self._waiting()
            time.sleep(0.1)
        return False

    @property
    def proven(self) -> bool:
        return sum(part.proven for part in self.parts.values()) == self.wanted

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def tell(self, incident: Incident, words: str) -> None:
        self.spoke = self.elapsed
        self.say(f"  {self.spoke:5.1f} s  {incident.label:<12}  {words}")

    def _look(self) -> None:
        state = self.doors.state()
        self._incidents(state)
        self._requests()
        for part in self.parts.values():
            self._place(part, state)

    def _waiting(self) -> None:
        for part in self.parts.values():
            if not part.final:
                looking = "still looking: what cannot be seen is not called proven"
                self.tell(part.incident, looking if "acted" in part.told else "still waiting for Ripcord to act")

    def _once(self, part: Part, what: str, words: str) -> None:
        if what not in part.told:
            part.told.add(what)
            self.tell(part.incident, words)

    # PagerDuty ---------------------------------------------------------------------------------------------------------

    def _incidents(self, state: Json) -> None:
        for one in state["pagerduty"]["incidents"]:
            for part in self.parts.values():
                if part.incident.summary == one["title"]:
                    self._incident(part, one, state["pagerduty"]["sender"]["webhooks"])

    def _incident(self, part: Part, one: Json, webhooks: Sequence[Json]) -> None:
        part.id = one["id"]
        self._once(part, "incident", f"PagerDuty: incident #{one['number']} {one['id']} on {one['service']['id']}")
        notes = [note["content"] for note in one["notes"]]
        part.note = notes[-1] if notes else ""
        if any(row["state"] == "delivered" and row["resource"] == part.id for row in webhooks):
            self._once(part, "delivered", "PagerDuty: signed webhook delivered to Ripcord")

    # What Ripcord asked ------------------------------------------------------------------------------------------------

    def _requests(self) -> None:
        """A row is told when it is answered, and when it is not for a while; one that is held keeps no other from being told."""
        after = min(self.held, default=self.seen + 1) - 1
        for row in self.doors.log(after):
            seq, known = row["seq"], row["seq"] in self.held
            if seq <= self.seen and not known:
                continue
            self.seen = max(self.seen, seq)
            if row["status"] is not None:
                self.held.pop(seq, None)
                self._request(row)
            elif not known:
                self.held[seq] = self.elapsed
            elif self.held[seq] < self.elapsed - _PATIENCE:
                self.held[seq] = self.elapsed + 3600  # told once
                self._request(row)

    def _request(self, row: Json) -> None:
        if found := _INCIDENT.fullmatch(row["path"]):
            self._pagerduty(row, found[1], found[2])
        elif (
            found := _ROLLOUT.fullmatch(row["path"]) or _SERVICE.fullmatch(row["path"]) or _FLAG.fullmatch(row["path"])
        ):
            self._target(row, found)

    def _pagerduty(self, row: Json, incident: str, what: str) -> None:
        part = next((one for one in self.parts.values() if one.id == incident), None)
        if part is None or row["status"] is None:
            return
        if row["status"] >= 400:
            self.tell(part.incident, f"PagerDuty: refused with {row['status']}")
        elif row["method"] == "GET" and what == "/alerts":
            self._once(part, "reread", "Ripcord: re-read the incident and its alerts")
        elif row["method"] == "POST" and what == "/notes" and row["applied"]:
            self._once(part, "note", "Ripcord: wrote its note into the incident")

    def _target(self, row: Json, found: re.Match[str]) -> None:
        part = self._of(found)
        if part is None or "reread" not in part.told or part.final:
            return
        if row["method"] == "GET":
            self._once(part, "look", f"Ripcord: looked at {_named(found)}")
        elif _ours(row) and "dryRun" not in row["query"]:
            self._wrote(part, row, found)

    def _wrote(self, part: Part, row: Json, found: re.Match[str]) -> None:
        done, wish = _verbs(row, found)
        if row["status"] is None or row["status"] < 400 or row["applied"]:
            part.told.add("acted")
        if row["status"] is None:
            self.tell(part.incident, f"Ripcord: asked to {wish}, and has no answer yet")
        elif row["applied"]:
            self.tell(part.incident, f"Ripcord: {done} ({row['method']} answered {row['status']})")
        elif row["status"] < 400:
            self.tell(part.incident, f"Ripcord: asked to {wish}, answered {row['status']}, and nothing changed")
        else:
            vendor = "LaunchDarkly" if found.re is _FLAG else "Kubernetes"
            self.tell(part.incident, f"{vendor}: refused to {wish} with {row['status']}")

    def _of(self, found: re.Match[str]) -> Part | None:
        if found.re is _FLAG:
            return self.parts.get(BUTTON.label) or self.parts.get(FLAG.label)
        return self.parts.get(found[2] if found.re is _SERVICE else found[1])

    # Where everybody is sent -------------------------------------------------------------------------------------------

    def _place(self, part: Part, state: Json) -> None:
        place = _place(part, state)
        if place != part.place and not part.final:
            by = "LaunchDarkly" if part.incident.target == FLAG.target else "Argo Rollouts"
            self.tell(part.incident, f"{by}: {place}, before: {part.place}")
        part.place = place


def _has_no_more(steps: Iterator[None] | None) -> bool:
    """Takes one step, where there is one left."""
    return next((False for _ in steps or ()), True)


def _ours(row: Json) -> bool:
    """Ripcord writes JSON patches alone; the people and tools of the demo write merge patches and instructions."""
    try:
        body = json.loads(row["body"])
    except ValueError:
        return False
    return isinstance(body, list) or (isinstance(body, dict) and "patch" in body)


def _named(found: re.Match[str]) -> str:
    if found.re is _FLAG:
        return f"flag {found[1]}"
    return f"Service production/{found[1]}" if found.re is _SERVICE else f"production/{found[1]}"


def _verbs(row: Json, found: re.Match[str]) -> tuple[str, str]:
    """What a write of Ripcord's has done, and what it wanted."""
    named = _named(found)
    if found.re is _FLAG:
        return f"turned off {named}", f"turn off {named}"
    if found.re is _SERVICE:
        return f"switched {named} back", f"switch {named} back"
    done, wish = _VERBS.get(json.loads(row["body"])[-1]["path"], ("changed", "change"))
    return f"{done} {named}", f"{wish} {named}"


_VERBS = {
    "/status/message": ("woke the controller for", "wake the controller for"),
    "/metadata/annotations/ripcord~1wake": ("woke the controller for", "wake the controller for"),
    "/status/abort": ("aborted", "abort"),
    "/spec/template": ("undid the release of", "undo the release of"),
    "/status/pauseConditions": ("ended the pause of", "end the pause of"),
    "/status/promoteFull": ("skipped the gates of", "skip the gates of"),
}
"""By the last operation of its JSON patch: those before it are tests."""


def _place(part: Part, state: Json) -> str:
    """Where requests go, or what is served, as the vendors' world has it."""
    target = part.incident.target
    if target == FLAG.target:
        flag = state["launchdarkly"]["flags"].get(f"default/{target}") or {}
        on = flag.get("environments", {}).get("production", {}).get("on")
        return f"{target} is {'on' if on else 'off'}"
    status: dict[str, Any] = state["kubernetes"]["rollouts"].get(f"production/{target}") or {}
    if active := (status.get("blueGreen") or {}).get("activeSelector"):
        return f"everybody is on {active}"
    weights = (status.get("canary") or {}).get("weights") or {}
    return f"canary at {(weights.get('canary') or {}).get('weight')} %"

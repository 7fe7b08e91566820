"""A bad day of each upstream, one table: what goes wrong with which call, what the run ends as, and how often its effect is there.

All days in one town at once. What is promised of a single call (half a body, a name that does not resolve, drips) stands in
tests/contract: test_clients.py, test_launchdarkly_client.py, test_deadlines.py.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.story.lying import Place, Stage, is_back
from tests.support.waiting import eventually

Json = dict[str, Any]
HTML: Json = {"do": "status", "status": 200, "body": "<html>Sign in to the proxy</html>"}
RESET: Json = {"do": "reset_before"}
RESET_AFTER: Json = {"do": "reset_after_apply"}
LATE: Json = {"do": "hold_before", "seconds": 8}
LATE_AFTER: Json = {"do": "hold_after_apply", "seconds": 8}


def status(code: int, **headers: str) -> Json:
    return {"do": "status", "status": code, **({"headers": headers} if headers else {})}


def after(code: int) -> Json:
    return {"do": "status_after_apply", "status": code}


@dataclass(frozen=True)
class Day:
    """call: look (before the plan), write, proof (after the write), note. times: how often; 0 = until the end."""

    upstream: str
    call: str
    what: str
    fault: Json
    times: int = 1
    ends: str = "proven"
    effects: int = 1
    says: str = ""

    @property
    def name(self) -> str:
        return f"{self.upstream}-{self.call}-{self.what}".replace(" ", "-")


K8S, LD, PD = "kubernetes", "launchdarkly", "pagerduty"
OPEN: Json = {"ends": "unproven", "effects": 0, "says": "tried to abort (no clear answer)"}
"""A PATCH behind a 5xx or a page that is no answer is never sent again to an API server: it was seen to be applied later."""
NO: Json = {"ends": "refused", "effects": 0}
DAYS: tuple[Day, ...] = (
    *(
        Day(upstream, "look", what, fault, times)
        for upstream in (K8S, LD, PD)
        for what, fault, times in (
            ("reset", RESET, 3),
            ("answered late", LATE, 1),
            ("429", status(429), 3),
            ("500", status(500), 3),
            ("502", status(502), 3),
            ("html", HTML, 3),
        )
    ),
    Day(K8S, "look", "401", status(401), 0, **NO, says="401"),
    Day(LD, "look", "401", status(401), 0, **NO, says="401"),
    Day(PD, "look", "401", status(401), 3),
    Day(PD, "look", "403", status(403), 3),
    *(
        Day(upstream, "write", what, fault, times)
        for upstream in (K8S, LD)
        for what, fault, times in (
            ("reset", RESET, 1),
            ("reset after", RESET_AFTER, 1),
            ("taken late", LATE, 1),
            ("answered late", LATE_AFTER, 1),
            ("429", status(429), 2),
            ("503 with an hour", status(503, **{"Retry-After": "1"}), 2),
            ("500 after", after(500), 1),
            ("502 after", after(502), 1),
        )
    ),
    *(Day(K8S, "write", str(code), status(code), 1, **OPEN) for code in (500, 502, 504)),
    *(Day(LD, "write", str(code), status(code), 1) for code in (500, 502, 504)),
    Day(K8S, "write", "html", HTML, 1, **OPEN),
    Day(LD, "write", "html", HTML, 1),
    *(Day(upstream, "write", "401", status(401), 0, **NO, says="401") for upstream in (K8S, LD)),
    *(
        Day(upstream, "proof", what, fault, times)
        for upstream in (K8S, LD)
        for what, fault, times in (("reset", RESET, 3), ("500", status(500), 3), ("html", HTML, 3))
    ),
    *(Day(upstream, "proof", "401", status(401), 0, ends="unproven", says="401") for upstream in (K8S, LD)),
    *(
        Day(PD, "note", what, fault, times)
        for what, fault, times in (
            ("reset", RESET, 1),
            ("reset after", RESET_AFTER, 1),
            ("answered late", LATE_AFTER, 1),
            ("429", status(429), 2),
            ("401", status(401), 2),
            ("500", status(500), 1),
            ("502 after", after(502), 1),
            ("html", HTML, 1),
        )
    ),
)
PATHS = {
    K8S: "/kubernetes/apis/argoproj.io/v1alpha1/namespaces/{name}/rollouts/web{status}",
    LD: "/launchdarkly/api/v2/flags/default/{name}",
}


def order(stage: Stage, day: Day, incident: str = "") -> None:
    """The fault, for this day's calls alone."""
    if day.upstream == PD:
        method, path = ("POST", "/notes") if day.call == "note" else ("GET", "*")
        match = {"method": method, "path": f"/pagerduty/incidents/{incident}{path}"}
    else:
        write = day.call == "write"
        path = PATHS[day.upstream].format(name=day.name, status="/status" if write else "")
        match = {"method": "PATCH" if write else "GET", "path": path}
    stage.town.control("faults", [{"match": match, **day.fault, **({"times": day.times} if day.times else {})}])


def ordered_later(stage: Stage, over: threading.Event) -> None:
    """Each fault of the proof as soon as that day's write has come."""
    waiting, seen = {day.name: day for day in DAYS if day.call == "proof"}, 0
    while waiting and not over.wait(0.1):
        text = stage.town.http.request("GET", f"{stage.town.world}/_sandbox/log?after={seen}", timeout=10).data
        for row in [json.loads(line) for line in text.splitlines() if line]:
            seen = max(seen, row["seq"])
            for name in [part for part in row["path"].split("/") if part in waiting and is_ours(row)]:
                order(stage, waiting.pop(name))


def is_ours(row: Json) -> bool:
    """A write of the product."""
    return row["method"] == "PATCH" and ("fieldManager=ripcord" in row["query"] or "Ripcord" in (row["body"] or ""))


def lived(stage: Stage) -> dict[str, Json]:
    """Every day from its alert to its end; the runs."""
    for day in DAYS:
        if day.upstream != PD and day.call != "proof":
            order(stage, day)
    stage.town.control("pagerduty", {"webhook": {"pause": True}})
    for place in stage.places.values():
        stage.alert(place)
    listed = stage.town.pagerduty("GET", "/incidents?limit=100")["incidents"]
    incidents = {str(one["title"]).removesuffix(" hurts"): str(one["id"]) for one in listed}
    for day in DAYS:
        if day.upstream == PD:
            order(stage, day, incidents[day.name])
    over = threading.Event()
    later = stage.pool.submit(ordered_later, stage, over)
    stage.town.control("pagerduty", {"webhook": {"pause": False}})
    stage.town.ended(within=180, count=len(DAYS))
    over.set()
    later.result(10)
    return {run["target"]: run for run in stage.town.runs()}


def effects(stage: Stage) -> Counter[str]:
    """How often each place was changed by the product."""
    found: Counter[str] = Counter()
    for row in stage.town.log():
        if is_ours(row) and row["applied"]:
            found.update(part for part in row["path"].split("/") if part in stage.places)
    return found


def wrong(day: Day, place: Place, run: Json, note: str, changed: int) -> list[str]:
    """What is not as the table says."""
    back = is_back(place)
    must = {
        f"it ends {day.ends}": run["state"] == day.ends,
        f"its effect is there {day.effects} times, not {changed}": changed == day.effects,
        f"traffic is {'back' if day.effects else 'as it was'}": back is bool(day.effects),
        f"the note says {day.says!r}": day.says in note,
    }
    return [f"{day.name}: not so: {what}: {run['state']}: {run['said']}" for what, holds in must.items() if not holds]


def test_on_no_bad_day_of_an_upstream_anything_is_lost_done_twice_or_called_what_it_is_not(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    try:
        for day in DAYS:
            stage.add(day.name, "flag" if day.upstream == LD else "canary", {}, 20)
        stage.build()
        runs = lived(stage)
        notes = eventually(stage.notes, within=60, every=0.5, what="each run's one note has its last word")
        stage.town.control("faults", None, "DELETE")
        changed = effects(stage)
        found = [
            line
            for day in DAYS
            for line in wrong(day, stage.places[day.name], runs[day.name], notes[day.name], changed[day.name])
        ]
        traces = (
            [line for line in stage.town.server.output.splitlines() if "Traceback" in line] if stage.town.server else []
        )
    finally:
        stage.close()
    assert found == [], "\n".join(found)
    assert traces == []
    ends = Counter(f"{day.upstream}: {day.ends}" for day in DAYS)
    print(f"bad days: {len(DAYS)}, none done twice; runs ended {json.dumps(dict(sorted(ends.items())))}")  # noqa: T201 - the figure


def test_each_upstream_has_its_days_and_each_day_is_named_once() -> None:
    assert len({day.name for day in DAYS}) == len(DAYS)
    assert {day.upstream for day in DAYS} == {K8S, LD, PD}
    assert all(len(day.name) <= 63 for day in DAYS), "a name must do as a namespace"

"""Replays a blue-green recording of the real controller on the sandbox's: same way there, same calls, same order of states.

These recordings begin in the middle and name no start, so the way there is played first: v1 comes up, v2 is released, and what
the story's `before` says is waited for. What people did, what pods did and what a metric said are inputs and are taken from the
recording; every write of the controller is compared, as `kind name {fields that changed}`. Never milliseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.argo.names import DEADLINE, DESIRED, EPHEMERAL, HASH, MANAGED_BY, REVISION, REVISION_HISTORY
from tests.contract.cluster_by_hand import NAMESPACE, Cluster, Noted, Object

FOLDER = Path(__file__).parent.parent / "data" / "traces"
NAME = "api-backend"
RECORDED = {"v1": "6558c787fb", "v2": "69487c6b6f"}  # the hashes of the recordings
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_COUNTS = {"replicas", "HPAReplicas", "availableReplicas", "readyReplicas", "updatedReplicas"}
_SILENT = "http://metrics.recorded"
_STATUS = (
    "abort",
    "abortedAt",
    "availableReplicas",
    "blueGreen",
    "controllerPause",
    "currentPodHash",
    "message",
    "observedGeneration",
    "pauseConditions",
    "phase",
    "promoteFull",
    "readyReplicas",
    "replicas",
    "stableRS",
    "updatedReplicas",
)
Do = Callable[["Stage"], None]
Template = Callable[["Stage", str], Object]


def image(version: str, **more: Any) -> Object:
    container = {"name": NAME, "image": f"registry.example/{NAME}:{version}", **more}
    return {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [container]}}


def analysis(name: str = "watch") -> Object:
    return {"templates": [{"templateName": name}]}


class Stage:
    """One blue-green Rollout in a cluster by hand; nobody answers its metrics, so the story says what they said."""

    def __init__(
        self, *, rollouts: str = "v1.9.1", replicas: int = 3, spec: Object | None = None, **strategy: Any
    ) -> None:
        self.cluster = Cluster()
        self.cluster.set(rollouts=rollouts)
        self.cluster.controller.analyses.silent.add(_SILENT)
        provider = {"web": {"url": _SILENT, "jsonPath": "{$.ok}"}}
        metric = {
            "name": "ok",
            "interval": "1s",
            "successCondition": "result == 1",
            "provider": provider,
            "count": 100000,
        }
        self.cluster.create("analysistemplates", {"metadata": {"name": "watch"}, "spec": {"metrics": [metric]}})
        for service in (f"{NAME}-active", f"{NAME}-preview"):
            body = {"metadata": {"name": service}, "spec": {"selector": {"app": NAME}, "ports": [{"port": 80}]}}
            self.cluster.create("services", body)
        services = {"activeService": f"{NAME}-active", "previewService": f"{NAME}-preview"}
        body = {
            "metadata": {"name": NAME},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": NAME}},
                "template": image("v1"),
                "strategy": {"blueGreen": services | strategy},
                **(spec or {}),
            },
        }
        self.cluster.create("rollouts", body)
        self.until(lambda: self.status.get("phase") == "Healthy")

    # ---- the way there ----

    def until(self, holds: Callable[[], object], *, seconds: float = 20.0) -> None:
        """Then all is quiet."""
        self.cluster.tick_until(lambda: bool(holds()), seconds=seconds)
        self.cluster.tick(6)

    def template(self, version: str, **more: Any) -> None:
        new = image(version, **more)
        self.cluster.json_patch("rollouts", NAME, [{"op": "replace", "path": "/spec/template", "value": new}])

    def in_preview(self, version: str = "v2") -> None:
        """Released, and all its pods are there."""
        self.template(version)
        count = self.rollout["spec"]["replicas"]
        self.until(lambda: self.status["currentPodHash"] == self.hash(version) and self.pods(version) == count)

    def active(self, version: str = "v2") -> None:
        """Released, through its gates, and behind the active Service."""
        self.in_preview(version)
        self._passes("pre")
        if self.status.get("pauseConditions"):
            self.cluster.merge("rollouts", NAME, {"status": {"pauseConditions": None}}, "status")
        self.until(lambda: self.selects("active") == self.hash(version))

    def stable(self, version: str = "v2") -> None:
        """Released, its analyses passed, and the stable version."""
        self.active(version)
        self._passes("post")
        self.until(lambda: self.status.get("stableRS") == self.hash(version))

    def _passes(self, kind: str) -> None:
        if self.rollout["spec"]["strategy"]["blueGreen"].get(f"{kind}PromotionAnalysis"):
            self.until(lambda: self.run(kind) is not None)
            self.says(kind, "Successful")
            self.cluster.tick(6)

    def says(self, kind: str, phase: str, **more: Any) -> None:
        """What the current analysis comes to."""
        run = self.run(kind)
        assert run is not None
        self.ends(run["metadata"]["name"], phase, **more)

    def ends(self, name: str, phase: str, **more: Any) -> None:
        self.cluster.merge("analysisruns", name, {"status": {"phase": phase, **more}})

    def abort(self) -> None:
        self.cluster.abort(NAME)

    def unready(self, version: str, pods: int) -> None:
        self.cluster.set(unready={f"{NAMESPACE}/{NAME}-{self.hash(version)}": pods} if pods else None)

    # ---- what stands there ----

    @property
    def rollout(self) -> Object:
        return self.cluster.rollout(NAME)

    @property
    def status(self) -> Object:
        return self.cluster.status(NAME)

    def replicaset(self, version: str) -> Object | None:
        for one in self.cluster.store.list("replicasets", NAMESPACE):
            if one["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{version}"):
                return one
        return None

    def hash(self, version: str) -> str:
        found = self.replicaset(version)
        return "" if found is None else str(found["metadata"]["labels"][HASH])

    def pods(self, version: str) -> int:
        found = self.replicaset(version)
        return 0 if found is None else int((found.get("status") or {}).get("availableReplicas") or 0)

    def selects(self, role: str) -> str:
        return self.cluster.selects(f"{NAME}-{role}")

    def run(self, kind: str) -> Object | None:
        """The run that the status names."""
        told = (self.status.get("blueGreen") or {}).get(f"{kind}PromotionAnalysisRunStatus")
        return None if told is None else self.cluster.get("analysisruns", told["name"])


def normalised(_stage: Stage, version: str) -> Object:
    """As it comes out of a ReplicaSet."""
    return image(version, resources={})


@dataclass
class Story:
    """What a recording leaves out: the spec, the way there, what its marks did to pods."""

    trace: str
    before: Do
    strategy: Object = field(default_factory=dict)
    spec: Object | None = None
    marks: dict[str, Do] = field(default_factory=dict)
    at: dict[int, Do] = field(default_factory=dict)
    rollouts: str = "v1.9.1"
    template: Template = normalised
    slower: int = 1  # a pass takes 10 to 30 ms in life and a tick here
    until_ms: int = 10**9
    ends_early: bool = False  # the recording stops before the controller has
    hashes: dict[str, str] = field(default_factory=lambda: dict(RECORDED))
    leave_out: tuple[str, ...] = ()  # kinds, or `kind name`
    coarser: tuple[Callable[[list[str]], list[str]], ...] = ()


def records(trace: str) -> list[Object]:
    [path] = FOLDER.glob(f"{trace}*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines() if line]
    return [row for row in rows if "ms" in row or "from_ms" in row or "trace" in row]


def replay(story: Story) -> tuple[list[str], list[str]]:
    """(recorded lines, played lines)."""
    rows = [row for row in records(story.trace) if row.get("ms", -1) <= story.until_ms and "ms" in row]
    stage = Stage(rollouts=story.rollouts, spec=story.spec, **story.strategy)
    story.before(stage)
    stage.cluster.tick(12)
    first = len(stage.cluster.writes)
    _play(stage, story, rows)
    names = {stage.hash(version): recorded for version, recorded in story.hashes.items() if stage.hash(version)}
    recorded = _tidy([line for row in rows if (line := _recorded(row))], {}, story)
    played = _tidy([line for one in stage.cluster.writes[first:] if (line := _played(one))], names, story)
    if story.ends_early:
        played = played[: len(recorded)]
    for rewrite in story.coarser:
        recorded, played = rewrite(recorded), rewrite(played)
    return recorded, played


# ---- the play ----


def _play(stage: Stage, story: Story, rows: list[Object]) -> None:
    cluster, passed = stage.cluster, min(0, *(int(row["ms"]) for row in rows))
    happenings: list[tuple[int, Object]] = [(int(row["ms"]), row) for row in rows]
    happenings += [(ms, {"do": do}) for ms, do in story.at.items()]
    for ms, row in sorted(happenings, key=lambda one: one[0]):
        while passed < ms * story.slower:
            cluster.tick()
            passed += 200
        _happens(stage, story, row)
    cluster.tick(12)


def _happens(stage: Stage, story: Story, row: Object) -> None:
    if "call" in row and row["code"] < 300:
        _call(stage, story, row)
    elif "do" in row:
        row["do"](stage)
    elif row.get("mark") in story.marks:
        story.marks[row["mark"]](stage)
    elif _is_verdict(row):
        verdict = {"message": row["message"]} if "message" in row else {}
        stage.ends(_ours(stage, row["analysisrun"]), row["phase"], **verdict)


def _is_verdict(row: Object) -> bool:
    return (
        "analysisrun" in row
        and row.get("phase") in ("Successful", "Failed", "Error", "Inconclusive")
        and (row.get("message") != "Run Terminated")
    )


def _ours(stage: Stage, text: str) -> str:
    for version, recorded in RECORDED.items():
        text = text.replace(recorded, stage.hash(version) or recorded)
    return text


def _call(stage: Stage, story: Story, row: Object) -> None:
    plural, name, *rest = row["call"].split()[1].split("/")
    written = story.template if row["type"].startswith("json-patch") else _as_in_git
    body = _meant(stage, written, json.loads(_ours(stage, json.dumps(row["body"]))))
    subresource = rest[0] if rest and rest[0] != "scale" else ""
    if row["type"].startswith("json-patch"):
        stage.cluster.json_patch(plural, name, body, subresource)
    else:
        stage.cluster.merge(plural, name, body, subresource)


def _as_in_git(_stage: Stage, version: str) -> Object:
    return image(version)


def _meant(stage: Stage, template: Template, body: Any) -> Any:
    """Recordings name templates and uids instead of writing them out."""
    if isinstance(body, list):
        return [_meant(stage, template, one) for one in body]
    if isinstance(body, dict) and body.get("path") == "/metadata/uid":
        return body | {"value": stage.rollout["metadata"]["uid"]}
    if isinstance(body, dict):
        return {key: _meant(stage, template, value) for key, value in body.items()}
    found = re.match(r"<template, image \S+:(\w+)", str(body))
    return template(stage, found[1]) if found else body


# ---- both as lines ----


def _recorded(row: Object) -> str:
    for kind in ("rollout", "replicaset", "service", "analysisrun"):
        if kind in row:
            change = row["set"] if "set" in row else {k: v for k, v in row.items() if k not in ("ms", kind)}
            change = {key: value for key, value in change.items() if value != "(unchanged)" and key != "hash"}
            if row.get("saw") == "ADDED":
                change = {key: value for key, value in change.items() if value != 0}
            return f"{kind} {row[kind]} {json.dumps(change, sort_keys=True)}"
    return ""


def _played(one: Noted) -> str:
    if one.after is None:
        return ""
    kind = {"rollouts": "rollout", "replicasets": "replicaset", "services": "service", "analysisruns": "analysisrun"}
    if one.kind not in kind:
        return ""
    before = _projected(one.kind, one.before) if one.before is not None else {}
    change = _changed(before, _projected(one.kind, one.after))
    if one.kind == "replicasets" and one.before is None:
        change = {key: value for key, value in change.items() if value not in (0, None)}
    return f"{kind[one.kind]} {one.name} {json.dumps(change, sort_keys=True)}" if change else ""


def _projected(kind: str, obj: Object) -> Object:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    marks = meta.get("annotations") or {}
    if kind == "rollouts":
        seen = {key: status[key] for key in _STATUS if key in status}
        seen |= {"generation": meta.get("generation"), "revision": marks.get(REVISION), "paused": spec.get("paused")}
        seen["spec_image"] = spec["template"]["spec"]["containers"][0]["image"].rpartition("/")[2]
        seen["conditions"] = {one["type"]: f"{one['status']}/{one['reason']}" for one in status.get("conditions", [])}
    elif kind == "replicasets":
        seen = {
            "generation": meta.get("generation"),
            "spec_replicas": spec.get("replicas"),
            "replicas": status.get("replicas", 0),
            "available": status.get("availableReplicas", 0),
            "revision": marks.get(REVISION),
            "desired": marks.get(DESIRED),
            "deadline": marks.get(DEADLINE),
            "history": marks.get(REVISION_HISTORY),
            "ephemeral": marks.get(EPHEMERAL),
        }
    elif kind == "services":
        seen = {"hash_label": (spec.get("selector") or {}).get(HASH), "managed_by": marks.get(MANAGED_BY)}
    else:
        seen = {"terminate": spec.get("terminate"), "phase": status.get("phase", ""), "message": status.get("message")}
        labels = {key: meta.get("labels", {}).get(key) for key in ("rollout-type", HASH)}
        seen["labels"] = labels
    return {key: deepcopy(value) for key, value in seen.items() if value is not None}


def _changed(before: Object, after: Object) -> Object:
    changed: Object = {key: None for key in before if key not in after}
    for key, value in after.items():
        if before.get(key) != value:
            changed[key] = value
    if before and "conditions" in changed:
        moved = _changed(before.get("conditions") or {}, after["conditions"])
        changed["conditions"] = {kind: told for kind, told in moved.items() if told is not None}  # as recorded
        if not changed["conditions"]:
            del changed["conditions"]
    return changed


def _tidy(lines: list[str], names: dict[str, str], story: Story) -> list[str]:
    kept = []
    for line in lines:
        for pod_hash, name in names.items():
            line = line.replace(pod_hash, name)
        kind, name, change = line.split(" ", 2)
        told = json.loads(change)
        if {kind, f"{kind} {name}"} & set(story.leave_out) or _only_pods(kind, told) or _begins(kind, told):
            continue
        kept.append(_TIME.sub("<time>", line))
    return kept


def _only_pods(kind: str, change: Object) -> bool:
    """Pods of one ReplicaSet become ready together here, one by one in life: writes that tell only this are no states."""
    return (kind == "replicaset" and set(change) <= {"replicas", "available"}) or (
        kind == "rollout" and set(change) <= {"readyReplicas", "availableReplicas"}
    )


def _begins(kind: str, change: Object) -> bool:
    """The AnalysisRun controller works beside the Rollout's: whose write comes first is chance."""
    return kind == "analysisrun" and change == {"phase": "Running"}

"""Replays a recording of the real controller on the sandbox's: same start, same calls, and compares the order of states.

A recording names no spec, so the test gives it. What is compared: every write of every recorded object, in order over all
objects, as `kind name {fields that changed}`; hashes are mapped, moments become <time>, and a canary Service that flips
is folded to its first write and where it ends. Never milliseconds.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.argo.names import DEADLINE, DESIRED, HASH, MANAGED_BY, REVISION, REVISION_HISTORY, owner_reference
from sandbox.argo.templates import hash_steps, normalise, with_defaults
from tests.contract.cluster_by_hand import NAMESPACE, Cluster, Object, rollout, router, service, template

FOLDER = Path(__file__).parent.parent / "data" / "traces"
KINDS = {
    "rollout": "rollouts",
    "replicaset": "replicasets",
    "service": "services",
    "virtualservice": "virtualservices",
    "analysisrun": "analysisruns",
}
COUNTS = ("replicas", "HPAReplicas", "availableReplicas", "readyReplicas", "updatedReplicas")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_STATUS = (
    *COUNTS,
    "abort",
    "abortedAt",
    "blueGreen",
    "canary",
    "conditions",
    "controllerPause",
    "currentPodHash",
    "currentStepIndex",
    "message",
    "observedGeneration",
    "pauseConditions",
    "phase",
    "promoteFull",
    "stableRS",
)


@dataclass
class Story:
    """What a recording leaves out: the spec, what its marks did, and where the sandbox is coarser than life."""

    trace: str
    spec: Object = field(default_factory=rollout)
    versions: dict[str, str] = field(default_factory=lambda: {"8f868cc74": "v1", "94c8779f5": "v2"})
    before: Callable[[Cluster], None] = lambda cluster: None
    marks: dict[str, Callable[[Cluster], None]] = field(default_factory=dict)
    coarser: tuple[Callable[[list[str]], list[str]], ...] = ()  # rewritings of both sides, each with its reason
    at: dict[int, Callable[[Cluster], None]] = field(default_factory=dict)  # what happened to pods, and when
    slower: int = 1  # a pass takes 10 to 30 ms in life and a tick here; a call between two passes needs room
    play_until_ms: int = 10**9
    prometheus: str | None = None  # who answers the AnalysisRun's queries; nobody when absent
    query: str = "up"
    metric: Object = field(default_factory=dict)
    settle: int = 2  # ticks before the story begins
    leave_out_kinds: tuple[str, ...] = ()


def records(trace: str) -> list[Object]:
    [path] = FOLDER.glob(f"{trace}*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def replay(story: Story) -> tuple[list[str], list[str]]:
    """(recorded lines, played lines)."""
    rows = records(story.trace)
    kinds = {row[key] for row in rows for key in ("start", "modified", "added") if key in row}
    kinds -= set(story.leave_out_kinds)
    cluster = _start(story, [row for row in rows if "start" in row])
    first = len(cluster.writes)
    _play(cluster, story, [row for row in rows if "ms" in row])
    recorded, played = _recorded(rows, kinds), _played(cluster, first, kinds)
    for rewrite in story.coarser:
        recorded, played = rewrite(recorded), rewrite(played)
    return recorded, played


def difference_of(recorded: list[str], played: list[str]) -> str:
    return "\n".join(difflib.unified_diff(recorded, played, "recorded", "played", lineterm="", n=2))


# ---- the start ----


def _start(story: Story, rows: list[Object]) -> Cluster:
    times = _TIME.findall(json.dumps([row for row in rows if row["start"] != "replicaset"]))
    latest = max(times, default="2026-11-24T23:32:28Z")
    cluster = Cluster(
        now=datetime.fromisoformat(latest.replace("Z", "+00:00")).astimezone(UTC) + timedelta(seconds=1.5)
    )
    states = {(row["start"], row["name"]): row["state"] for row in rows}
    [status] = [state for (kind, _name), state in states.items() if kind == "rollout"]
    made = _rollout(cluster, story, status)
    known = {state["hash"] for (kind, _name), state in states.items() if kind == "replicaset"}
    for pod_hash in story.versions:
        if pod_hash in known:
            _replicaset(cluster, made, story, pod_hash, states["replicaset", f"web-frontend-{pod_hash}"])
        elif pod_hash in (status["currentPodHash"], status["stableRS"]):
            _replicaset(cluster, made, story, pod_hash, _guessed(status, pod_hash, made))
    selected = {"canary": status["currentPodHash"], "stable": status["stableRS"]}
    for role in ("canary", "stable"):
        _service(cluster, f"web-frontend-{role}", states.get(("service", f"web-frontend-{role}")), selected[role])
    _router(cluster, states.get(("virtualservice", "web-frontend-vsvc")))
    for (kind, name), state in states.items():
        if kind == "analysisrun":
            _run(cluster, made, story, name, state)
    story.before(cluster)
    cluster.tick(story.settle)
    return cluster


def _rollout(cluster: Cluster, story: Story, state: Object) -> Object:
    made = deepcopy(story.spec)
    version = str(state["spec_image"]).rsplit(":", 1)[-1]
    made["spec"]["template"] = normalise(template(version))
    made["metadata"] |= {"generation": state["generation"], "annotations": {REVISION: state["revision"]}}
    made["status"] = _status(made, state, cluster.now)
    return cluster.store.create("rollouts", made, manager="rollouts-controller")


def _status(made: Object, state: Object, now: datetime) -> Object:
    status = {key: value for key, value in state.items() if key in _STATUS and key != "conditions"}
    at = (now - timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    status["conditions"] = [
        {
            "type": kind,
            "status": text.split("/")[0],
            "reason": text.split("/")[1],
            "message": _message(kind, text, status),
            "lastTransitionTime": at,
            "lastUpdateTime": at,
        }
        for kind, text in state["conditions"].items()
    ]
    status["currentStepHash"] = hash_steps(made["spec"]["strategy"]["canary"].get("steps", []))
    status["selector"] = "app=web-frontend"
    return status


def _message(kind: str, text: str, status: Object) -> str:
    if text.endswith("/RolloutAborted"):
        return str(status["message"]).removeprefix("RolloutAborted: ")
    words = {
        "Available": "Rollout has minimum availability"
        if text.startswith("True")
        else "Rollout does not have minimum availability",
        "Paused": "Rollout is paused",
        "Completed": "RolloutCompleted",
        "Healthy": "RolloutHealthy",
    }
    return words.get(kind, "Rollout is paused")


def _guessed(status: Object, pod_hash: str, made: Object) -> Object:
    """A ReplicaSet that the recording left out."""
    canary = status["currentPodHash"] != status["stableRS"] and pod_hash == status["currentPodHash"]
    pods = int(status.get("updatedReplicas") or 0) if canary else made["spec"]["replicas"]
    number = str(status["revision"]) if canary else "1"
    return {
        "hash": pod_hash,
        "generation": 2,
        "spec_replicas": pods,
        "replicas": pods,
        "available": pods,
        "revision": number,
        "desired": str(made["spec"]["replicas"]),
    }


def _replicaset(cluster: Cluster, owner: Object, story: Story, pod_hash: str, state: Object) -> None:
    filled = with_defaults(template(story.versions[pod_hash]))
    filled["metadata"]["labels"][HASH] = pod_hash
    marks = {REVISION: state["revision"], DESIRED: state["desired"]}
    if "deadline" in state:
        marks[DEADLINE] = state["deadline"]
    born = cluster.now - timedelta(minutes=60 - int(state["revision"]))
    pods: Object = {"replicas": state["replicas"]}
    if state["available"]:
        pods |= {"availableReplicas": state["available"], "readyReplicas": state["available"]}
    cluster.store.create(
        "replicasets",
        {
            "metadata": {
                "name": f"web-frontend-{pod_hash}",
                "namespace": NAMESPACE,
                "generation": state["generation"],
                "creationTimestamp": born.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "labels": dict(filled["metadata"]["labels"]),
                "annotations": marks,
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": {"replicas": state["spec_replicas"], "template": filled},
            "status": pods,
        },
        manager="rollouts-controller",
    )


def _service(cluster: Cluster, name: str, state: Object | None, pod_hash: str) -> None:
    made = service(name)
    if state is None:
        state = {"selector": {"app": "web-frontend", HASH: pod_hash}, "managed_by": "web-frontend"}
    made["spec"]["selector"] = state["selector"]
    if state.get("managed_by"):
        made["metadata"]["annotations"] = {MANAGED_BY: state["managed_by"]}
    cluster.store.create("services", made, manager="rollouts-controller")


def _router(cluster: Cluster, state: Object | None) -> None:
    made = router()
    if state is not None:
        made["metadata"]["generation"] = state["generation"]
        weights = {host: weight for host, _subset, weight in state["http"][0]["route"]}
        for one in made["spec"]["http"][0]["route"]:
            one["weight"] = weights[one["destination"]["host"]]
    cluster.store.create("virtualservices", made, manager="rollouts-controller")


def _run(cluster: Cluster, owner: Object, story: Story, name: str, state: Object) -> None:
    metric = {
        "name": "error-rate",
        "interval": "1s",
        "successCondition": "result[0] < 0.05",
        "failureLimit": 2,
        **story.metric,
        "provider": {"prometheus": {"address": story.prometheus or "http://prometheus.recorded", "query": story.query}},
    }
    if story.prometheus is None:
        cluster.controller.analyses.silent.add("http://prometheus.recorded")
    cluster.store.create(
        "analysisruns",
        {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": state["labels"],
                "annotations": {REVISION: state["revision"]},
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": {"metrics": [metric]},
            "status": state["status"],
        },
        manager="rollouts-controller",
    )


# ---- the play ----


def _play(cluster: Cluster, story: Story, rows: list[Object]) -> None:
    began, passed = cluster.now, 0
    happenings = [(int(row["ms"]), row) for row in rows] + [(ms, {"do": do}) for ms, do in story.at.items()]
    happenings = [(ms * story.slower, row) for ms, row in happenings]
    for ms, row in sorted(happenings, key=lambda one: one[0]):
        if ms > story.play_until_ms:
            break
        while passed < ms:
            cluster.tick()
            passed = round((cluster.now - began).total_seconds() * 1000)
        if "call" in row:
            _call(cluster, row)
        elif "do" in row:
            row["do"](cluster)
        elif row.get("mark") in story.marks:
            story.marks[row["mark"]](cluster)
    if story.play_until_ms == 10**9:
        cluster.tick(8)
    while passed < story.play_until_ms < 10**9:
        cluster.tick()
        passed = round((cluster.now - began).total_seconds() * 1000)


def _call(cluster: Cluster, row: Object) -> None:
    _plural, name, *rest = row["path"].split("/")
    subresource = rest[0] if rest and rest[0] != "scale" else ""
    if row["type"].startswith("json-patch"):
        cluster.json_patch("rollouts", name, row["body"], subresource)
    else:
        cluster.merge("rollouts", name, row["body"], subresource)


# ---- both as lines ----


def _recorded(rows: list[Object], kinds: Iterable[str]) -> list[str]:
    names: dict[str, str] = {}
    _name_hashes(names, rows)
    lines = [
        (row.get("modified") or row["added"], row["name"], deepcopy(row["set"]))
        for row in rows
        if (row.get("modified") or row.get("added")) in kinds
    ]
    ends = {
        row["repeated"].split()[1]: row["ends_at"] for row in rows if "selector flips" in str(row.get("repeated", ""))
    }
    return _lines(lines, names, flipping=set(ends), ends=ends)


def _played(cluster: Cluster, first: int, kinds: Iterable[str]) -> list[str]:
    names: dict[str, str] = {}
    lines: list[tuple[str, str, Object]] = []
    rows: list[Object] = []
    plurals = {plural: kind for kind, plural in KINDS.items() if kind in kinds}
    for one in cluster.writes[:first]:
        if one.kind == "replicasets" and one.after is not None:
            rows.append({"start": "replicaset", "state": {"hash": one.after["metadata"]["labels"][HASH]}})
    for one in cluster.writes[first:]:
        kind = plurals.get(one.kind)
        if kind is None or one.after is None:
            continue
        after = project(kind, one.after)
        before = project(kind, one.before) if one.before is not None else {}
        changed = _changed(before, after)
        if changed:
            rows.append({"added" if one.before is None else "modified": kind, "set": changed})
            lines.append((kind, one.name, changed))
    _name_hashes(names, rows)
    flips = [name for kind, name, _set in lines if kind == "service"]
    flipping = {name for name in flips if flips.count(name) > 4}
    ends = {name: cluster.selects(name) for name in flipping}
    return _lines(lines, names, flipping=flipping, ends=ends)


def _name_hashes(names: dict[str, str], rows: list[Object]) -> None:
    """Known ones keep their names, new ones are numbered in the order in which they appear."""
    for row in rows:
        if row.get("start") == "replicaset":
            names[row["state"]["hash"]] = row["state"]["hash"]
            continue
        state = row.get("state") or row.get("set") or {}
        for pod_hash in (state.get("hash"), state.get("currentPodHash"), state.get("stableRS")):
            if pod_hash and pod_hash not in names:
                new = sum(name.startswith("<new") for name in names.values()) + 1
                names[pod_hash] = f"<new {new}>" if "start" not in row else pod_hash


def _lines(
    changes: list[tuple[str, str, Object]], names: dict[str, str], *, flipping: set[str], ends: dict[str, str]
) -> list[str]:
    lines, seen = [], set()
    for kind, name, change in changes:
        if kind == "service" and name in flipping:
            if name in seen:
                continue
            seen.add(name)
        lines.append(f"{kind} {name} {json.dumps(change, sort_keys=True)}")
    lines += [f"service {name} flips, ends at {pod_hash}" for name, pod_hash in sorted(ends.items())]
    return [_readable(line, names) for line in lines]


def _readable(line: str, names: dict[str, str]) -> str:
    for pod_hash, name in names.items():
        line = line.replace(pod_hash, name)
    return _TIME.sub("<time>", line)


def project(kind: str, obj: Object) -> Object:
    """An object as the recordings show it."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    marks = meta.get("annotations") or {}
    if kind == "rollout":
        seen = {"generation": meta.get("generation"), "revision": marks.get(REVISION), "paused": spec.get("paused")}
        seen["spec_image"] = spec["template"]["spec"]["containers"][0]["image"]
        seen |= {key: status[key] for key in _STATUS if key in status}
        if "conditions" in status:
            seen["conditions"] = {one["type"]: f"{one['status']}/{one['reason']}" for one in status["conditions"]}
    elif kind == "replicaset":
        seen = {
            "hash": meta["labels"][HASH],
            "generation": meta.get("generation"),
            "spec_replicas": spec.get("replicas"),
            "replicas": status.get("replicas", 0),
            "available": status.get("availableReplicas", 0),
            "revision": marks.get(REVISION),
            "desired": marks.get(DESIRED),
            "deadline": marks.get(DEADLINE),
            "history": marks.get(REVISION_HISTORY),
        }
    elif kind == "service":
        seen = {"selector": spec.get("selector"), "managed_by": marks.get(MANAGED_BY)}
    elif kind == "virtualservice":
        routes = [{"name": r["name"], "route": [_destination(d) for d in r["route"]]} for r in spec["http"]]
        seen = {"generation": meta.get("generation"), "http": routes}
    else:
        seen = {"terminate": spec.get("terminate"), "status": status}
    return {key: value for key, value in seen.items() if value is not None}


def _destination(route: Object) -> list[Any]:
    return [route["destination"]["host"], route["destination"].get("subset"), route.get("weight")]


def _changed(before: Object, after: Object) -> Object:
    changed: Object = {key: None for key in before if key not in after}
    for key, value in after.items():
        if before.get(key) == value:
            continue
        changed[key] = value
        if key == "conditions" and before:
            old = before.get("conditions", {})
            changed[key] = {one: text for one, text in value.items() if old.get(one) != text}
            changed[key] |= {one: None for one in old if one not in value}
    return changed

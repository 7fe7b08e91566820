"""The recordings of a real kube-apiserver, sent to the sandbox again, call by call: same codes, same words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire import ROLLOUTS, Answer, Cluster, rollout

Object = dict[str, Any]

RECORDINGS = Path(__file__).parent.parent / "data" / "wire"
LABELS = {"l0": "x", "l1": "x", "l2": "x", "l3": "y", "l4": "y"}

# Where the sandbox is coarser than the recording. Each with its reason; nothing else is left out.
ELSEWHERE = {
    "SelfSubjectReview: who am I": "uid and groups came from the recording's token file",
    "list at compacted/old rv exact": "old states are not kept, so every older revision is a compacted one",
    "Accept protobuf on a custom resource": "no protobuf is spoken here, a refusal in it neither",
    "continue token of a compacted revision": "nothing is ever compacted: a token stays good",
    "LIST NotOlderThan": "objects of another recording",
    "GET at an old resourceVersion": "objects of another recording",
}


class Replay:
    """Keeps which of our resourceVersions stands for which recorded one, and what each recorded call answered."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.sandbox.world.clock.speed(50)  # some answers come after 3 s
        self.versions: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.answers: dict[str, Any] = {}
        self.differences: list[str] = []

    def play(self, step: Object) -> None:
        wanted = step.get("answer")
        if isinstance(wanted, str) and wanted.startswith("= the answer of: "):
            wanted = self.answers[wanted.removeprefix("= the answer of: ")]
        self.answers[step["n"]] = wanted
        if step["n"] in ELSEWHERE:
            return
        self.prepare(step, wanted)
        self.compare(step, wanted, self.send(step))

    def prepare(self, step: Object, wanted: Any) -> None:
        """Rights, as the recording's users had them; and one write between two calls that it does not show."""
        answer = wanted if isinstance(wanted, dict) else {}
        refused = answer.get("reason") == "Forbidden" or (answer.get("status") == {"allowed": False})
        # A user without rights may still ask what it may do.
        few = [{"user": step.get("user"), "verb": verb} for verb in ("patch", "get")]
        denied = few if answer.get("kind") == "SelfSubjectAccessReview" else [{"user": step.get("user")}]
        self.cluster.control({"deny": denied if refused and "user" in step else []})
        if step["n"] == "test matches":
            self.cluster.merge(f"{ROLLOUTS}/web/status", {"status": {"abort": False}})

    def send(self, step: Object) -> Answer:
        path = step["path"].replace("{R}", ROLLOUTS)
        body = self.ours(step.get("body"))
        if body == "<a Rollout>":
            body = rollout()
        if step["call"] == "PUT":
            body = self.wanted_by_put(step["n"])
        raw = body.encode() if isinstance(body, str) else body
        auth = step.get("auth")
        headers = dict(step.get("headers") or {}) | ({"Authorization": auth} if auth not in (None, "none") else {})
        user = None if auth else step.get("user", "admin")
        query = {key: self.tokens.get(str(value), value) for key, value in (step.get("query") or {}).items()}
        return self.cluster.call(step["call"], path, raw, step.get("type"), query=query, user=user, headers=headers)

    def wanted_by_put(self, name: str) -> Object:
        """Their bodies are not in the recording, their names say what was in them."""
        body: Object = self.cluster.get(f"{ROLLOUTS}/web").json
        if name == "PUT without resourceVersion":
            del body["metadata"]["resourceVersion"]
        elif name == "PUT stale resourceVersion":
            body["metadata"]["resourceVersion"] = "1"
        else:
            body["spec"]["replicas"] += 1
            body["status"] = {"phase": "Healthy"}
        return body

    def ours(self, body: Any) -> Any:
        """The recorded resourceVersions in a body, as ours."""
        if isinstance(body, dict):
            return {key: self.ours(value) for key, value in body.items()}
        if isinstance(body, list):
            return [self.ours(value) for value in body]
        return self.versions.get(body, body) if isinstance(body, str) else body

    def compare(self, step: Object, wanted: Any, got: Answer) -> None:
        self.differ(step, "code", step["code"], got.code)
        if step["code"] != got.code:
            return
        for name, value in (step.get("answer_headers") or {}).items():
            self.differ(step, name, value, got.warnings[0] if name == "Warning" else got.headers.get(name))
        if isinstance(wanted, str):
            self.differ(step, "text", wanted, got.text)
        elif step["code"] >= 400:
            self.differ(step, "body", _faceless(wanted), _faceless(got.json))
        elif "items" in (wanted or {}):
            self.compare_list(step, wanted, got.json)
        elif "image" in (wanted or {}):
            self.compare_object(step, wanted, got.json)
        elif "spec" in (wanted or {}):
            self.differ(step, "body", wanted, got.json)

    def compare_list(self, step: Object, wanted: Object, got: Object) -> None:
        head = ("kind", "apiVersion")
        self.differ(step, "head", [wanted[key] for key in head], [got[key] for key in head])
        # The recording shows the first five names and how many there were.
        self.differ(step, "items", wanted["items"], [item["metadata"]["name"] for item in got["items"]][:5])
        self.differ(step, "count", wanted["n_items"], len(got["items"]))
        counted = [wanted["metadata"].get("remainingItemCount"), got["metadata"].get("remainingItemCount")]
        self.differ(step, "remaining", *counted)
        self.differ(step, "more to come", *(bool(one["metadata"]["continue"]) for one in (wanted, got)))
        if wanted["metadata"]["continue"]:
            self.tokens[wanted["metadata"]["continue"]] = got["metadata"]["continue"]

    def compare_object(self, step: Object, wanted: Object, got: Object) -> None:
        self.differ(step, "status", wanted["status"], got.get("status"))
        self.differ(step, "generation", wanted["metadata"]["generation"], got["metadata"]["generation"])
        self.differ(step, "image", wanted["image"], got["spec"]["template"]["spec"]["containers"][0]["image"])
        theirs, ours = wanted["metadata"]["resourceVersion"], got["metadata"]["resourceVersion"]
        known = self.versions.setdefault(theirs, ours)
        self.differ(step, f"resourceVersion recorded as {theirs}", known, ours)
        if list(self.versions.values()).count(ours) > 1:
            self.differences.append(f"{step['n']}: moved the resourceVersion in the recording, not here")

    def differ(self, step: Object, what: str, wanted: object, got: object) -> None:
        if wanted != got:
            self.differences.append(f"{step['n']}: {what}\n  recorded {wanted!r}\n  sandbox  {got!r}")


def test_patches_are_answered_as_recorded(cluster: Cluster) -> None:
    _demand_none(_played(cluster, "13-wire.jsonl"))


def test_missing_places_and_missing_rights_are_answered_as_recorded(cluster: Cluster, web: str) -> None:
    _demand_none(_played(cluster, "13b-wire-errors.jsonl"))


def test_options_pruning_reviews_and_puts_are_answered_as_recorded(cluster: Cluster, web: str) -> None:
    """The recording starts where the one of patches ended."""
    cluster.merge(f"{web}/status", {"status": {"abort": True, "promoteFull": True}})
    _demand_none(_played(cluster, "13c-wire-options.jsonl"))


def test_lists_are_answered_as_recorded(cluster: Cluster, web: str) -> None:
    for name, app in LABELS.items():
        tier = "a"
        assert cluster.post(web.removesuffix("/web"), rollout(name, app=app, tier=tier)).code == 201
    _demand_none(_played(cluster, "13d-wire-lists.jsonl"))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_left_out_of_a_replay_is_still_in_the_recordings(name: str) -> None:
    assert any(f'"n":"{name}"' in path.read_text() for path in RECORDINGS.iterdir())


def _played(cluster: Cluster, recording: str) -> list[str]:
    replay = Replay(cluster)
    for line in (RECORDINGS / recording).read_text().splitlines():
        step = json.loads(line)
        if "call" in step:
            replay.play(step)
    return replay.differences


def _demand_none(differences: list[str]) -> None:
    assert not differences, "\n".join(differences)


def _faceless(body: Any) -> Any:
    """Without what differs from one run to the next: counters, and the object that a strict refusal quotes."""
    text = json.dumps(body)
    text = re.sub(r"current: \d+", "current: N", text)
    text = re.sub(r'Invalid value: \\"\{.*?\}\\": strict', 'Invalid value: "{…}": strict', text)
    return json.loads(text.replace('"{…}"', "{…}"))

"""The targets that the deaths are played on: canaries, blue-green Rollouts in the middle of their switch or after it, flags; each is
taken back once.

The blue-green ones in the middle are paused by hand while the new version is behind the active Service: an abort alone would leave
the Service on it, so taking them back needs two writes, the abort and the Service. Those after it need an undo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.story.test_races import MERGE, build_canaries
from tests.story.test_races import declare as declare_canaries
from tests.story.town import CANARY_KEY, ROLLOUTS, Town
from tests.support.waiting import eventually

Json = dict[str, Any]
BLUE = "blue"
HASH = "rollouts-pod-template-hash"
SILENT = "http://prometheus.monitoring:9090"
"""Nobody answers there in the vendors' world: the analysis after the switch goes on and on."""
SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"
RESOLVES = "flag-and-resolve"
"""The deployment type of the alerts that the runbook with `resolve_incident` answers to."""


def build(town: Town, named: dict[str, list[str]]) -> None:
    """All of them, by kind, stand there, older than any alert to come, and the catalog knows them."""
    middle, after, flags = named["blue-green"], named["undo"], [*named["flag"], *named["resolve"]]
    _runbooks(town)
    declare_canaries(town, named["canary"])
    _declare(town, [*middle, *after], flags)
    for name in flags:
        _flag(town, name)
    _place_blue_greens(town, middle, after)
    build_canaries(town, named["canary"])  # waits until an alert is younger than all of them
    _in_the_middle(town, middle)
    for name in after:
        eventually(partial(_promoted, town, name), within=40, what=f"{name} is promoted")


def alert(town: Town, kind: str, name: str) -> str:
    """An alert that names the target; the id of its incident."""
    if kind == "canary":
        town.alert(name, rollout=name, namespace="races", summary=name, key=CANARY_KEY)
    elif kind in ("blue-green", "undo"):
        town.alert(
            name,
            rollout=name,
            namespace=BLUE,
            summary=name,
            key="b" * 32,
            alertname="BlueGreenPostDeployError",
            deployment_type="blue-green",
        )
    else:
        kinds = {"flag": "feature-flag", "resolve": RESOLVES}
        named = {"alertname": "CheckoutErrors", "deployment_type": kinds[kind], "flag": name}
        town.alert(name, summary=name, key="f" * 32, **named)
    found = town.pagerduty("GET", "/incidents?limit=100&sort_by=created_at:desc")["incidents"]
    return str(next(one["id"] for one in found if one["title"] == name))


# ---- the library ----


def _runbooks(town: Town) -> None:
    """The shipped ones with a short settle time, and one more that resolves the incident after the proof."""
    for book in town.runbooks.glob("*.yaml"):
        text = book.read_text()
        book.write_text(text.replace("settle: 5s", "settle: 700ms").replace("settle: 2s", "settle: 700ms"))
    text = (town.runbooks / "disable-flag.yaml").read_text()
    assert "{deployment_type: feature-flag}" in text
    text = text.replace("{deployment_type: feature-flag}", f"{{deployment_type: {RESOLVES}}}")
    (town.runbooks / "disable-flag-and-resolve.yaml").write_text(f"{text}after_proof: [{{action: resolve_incident}}]\n")


def _declare(town: Town, blue_greens: Sequence[str], flags: Sequence[str]) -> None:
    text = (town.runbooks / "targets.yaml").read_text()
    for name in blue_greens:
        text += f"""
  {name}:
    kind: rollout
    strategy: blue-green
    team: api
    namespace: {BLUE}
    name: {name}
    pagerduty_services: [PBLUEGREEN]
    named_by: {{rollout: {name}, namespace: {BLUE}}}
    mode: auto
"""
    for name in flags:
        text += f"""
  {name}:
    {{kind: flag, team: web, project: default, environment: production, flag: {name}, safe_state: off,
     pagerduty_services: [PFLAG], named_by: {{flag: {name}}}, mode: auto}}
"""
    text = text.replace("acknowledge: 10s, traffic: 12s", "acknowledge: 45s, traffic: 60s")
    (town.runbooks / "targets.yaml").write_text(text)


# ---- the vendors' world ----


def _flag(town: Town, name: str) -> None:
    turn_on = {"environmentKey": "production", "instructions": [{"kind": "turnFlagOn"}]}
    asked = [
        ("POST", "/api/v2/flags/default", {"key": name, "name": name}, "application/json"),
        ("PATCH", f"/api/v2/flags/default/{name}", turn_on, SEMANTIC),
    ]
    for method, path, body, kind in asked:
        headers = {"Authorization": town.exports["RIPCORD_LAUNCHDARKLY_TOKEN"], "Content-Type": kind}
        url = f"{town.world}/launchdarkly{path}"
        answer = town.http.request(method, url, body=json.dumps(body), headers=headers, timeout=10)
        assert answer.status < 300, (answer.status, answer.data)


def _place_blue_greens(town: Town, middle: Sequence[str], after: Sequence[str]) -> None:
    """v1 is healthy, v2 is released."""
    names = [*middle, *after]
    town.kubernetes("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BLUE}})
    town.kubernetes("POST", f"{ROLLOUTS}/{BLUE}/analysistemplates", _analysis())
    for name in names:
        town.kubernetes("POST", f"/api/v1/namespaces/{BLUE}/services", _service(name))
        town.kubernetes("POST", f"{ROLLOUTS}/{BLUE}/rollouts", _blue_green(name, analysed=name in middle))
    for name in names:
        eventually(partial(_healthy, town, name), within=40, what=f"{name} is Healthy")
    for name in names:
        image = {"spec": {"template": _template(name, "example/app:v2")}}
        town.kubernetes("PATCH", f"{ROLLOUTS}/{BLUE}/rollouts/{name}", image, MERGE)


def _in_the_middle(town: Town, names: Sequence[str]) -> None:
    """The new version is behind the active Service, its last analysis runs, and somebody paused the Rollout."""
    for name in names:
        eventually(partial(_switched, town, name), within=40, what=f"{name} has switched")
        town.kubernetes("PATCH", f"{ROLLOUTS}/{BLUE}/rollouts/{name}", {"spec": {"paused": True}}, MERGE)


def _status(town: Town, name: str) -> Json:
    return dict(town.rollout(name, BLUE).get("status") or {})


def _healthy(town: Town, name: str) -> bool:
    return bool(_status(town, name).get("phase") == "Healthy")


def _switched(town: Town, name: str) -> bool:
    status = _status(town, name)
    service = town.kubernetes("GET", f"/api/v1/namespaces/{BLUE}/services/{name}")
    run = (status.get("blueGreen") or {}).get("postPromotionAnalysisRunStatus") or {}
    new = status["currentPodHash"]
    return new != status["stableRS"] and service["spec"]["selector"].get(HASH) == new and run.get("status") == "Running"


def _promoted(town: Town, name: str) -> bool:
    """The new version is stable, the one before still runs."""
    status = _status(town, name)
    template = town.rollout(name, BLUE)["spec"]["template"]
    new = template["spec"]["containers"][0]["image"] == "example/app:v2" and status.get("phase") == "Healthy"
    run = town.kubernetes("GET", f"/apis/apps/v1/namespaces/{BLUE}/replicasets/{name}-{status['currentPodHash']}")
    image = run["spec"]["template"]["spec"]["containers"][0]["image"]
    return bool(new and image == "example/app:v2" and status["stableRS"] == status["currentPodHash"])


def _analysis() -> Json:
    metric = {
        "name": "errors",
        "interval": "60s",
        "count": 9,
        "successCondition": "result[0] < 0.05",
        "provider": {"prometheus": {"address": SILENT, "query": "errors"}},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "after"},
        "spec": {"metrics": [metric]},
    }


def _service(name: str) -> Json:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": BLUE}, "spec": spec}


def _template(name: str, image: str) -> Json:
    container = {"name": "app", "image": image, "ports": [{"containerPort": 8080}]}
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


def _blue_green(name: str, analysed: bool) -> Json:
    strategy: Json = {"activeService": name, "scaleDownDelaySeconds": 3600}
    if analysed:
        strategy["postPromotionAnalysis"] = {"templates": [{"templateName": "after"}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": BLUE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": _template(name, "example/app:v1"),
            "strategy": {"blueGreen": strategy},
        },
    }

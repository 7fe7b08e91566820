"""AnalysisRuns: made from templates, measured over HTTP as in life, and what their end does to the Rollout."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sandbox.argo.expression import CannotTell, holds
from tests.contract.cluster_by_hand import NAMESPACE, Cluster, Object, deployed, release, rollout


@dataclass
class Answering:
    """A server that says what the test tells it to, and remembers what it was asked."""

    status: int = 200
    body: object = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Answering]:
    answering = Answering()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            answering.asked.append((self.command, self.path, body))
            self.send_response(answering.status)
            self.end_headers()
            self.wfile.write(json.dumps(answering.body).encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    answering.url = f"http://127.0.0.1:{http.server_port}"
    yield answering
    http.shutdown()
    http.server_close()


def _web(url: str, **metric: Any) -> Object:
    provider = {"web": {"url": f"{url}/{{{{args.service-name}}}}", "jsonPath": "{$.data.rate}"}}
    chosen = {"name": "error-rate", "interval": "1s", "successCondition": "result < 0.05", **metric}
    return {
        "metadata": {"name": "canary-analysis", "namespace": NAMESPACE},
        "spec": {"args": [{"name": "service-name"}], "metrics": [{**chosen, "provider": provider}]},
    }


ANALYSIS = {
    "templates": [{"templateName": "canary-analysis"}],
    "args": [{"name": "service-name", "value": "web-frontend-canary"}],
}


def _released(template: Object, *, steps: list[Object] | None = None, **canary: Any) -> Cluster:
    """v2 is on its way, with this template in the cluster."""
    cluster = deployed(steps=steps)
    cluster.create("analysistemplates", template)
    strategy = {"canary": canary} if canary else {}
    cluster.merge("rollouts", "web-frontend", {"spec": {"strategy": strategy}})
    cluster.tick(3)
    release(cluster)
    return cluster


def _background(server: Answering, **metric: Any) -> Cluster:
    cluster = _released(_web(server.url, **metric), analysis=ANALYSIS)
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
    return cluster


def _run(cluster: Cluster) -> Object:
    [run] = cluster.store.list("analysisruns", NAMESPACE)
    return run


def test_a_background_run_is_named_labelled_and_pointed_at_as_recorded(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    cluster = _background(server)
    cluster.pass_seconds(3)

    run, pod_hash = _run(cluster), cluster.status()["currentPodHash"]
    assert run["metadata"]["name"] == f"web-frontend-{pod_hash}-2"
    assert run["metadata"]["labels"] == {
        "app": "web-frontend",
        "rollout-type": "Background",
        "rollouts-pod-template-hash": pod_hash,
    }
    assert run["metadata"]["annotations"] == {"rollout.argoproj.io/revision": "2"}
    assert run["metadata"]["ownerReferences"][0]["uid"] == cluster.rollout()["metadata"]["uid"]
    assert cluster.status()["canary"]["currentBackgroundAnalysisRunStatus"] == {
        "name": run["metadata"]["name"],
        "status": "Running",
    }


def test_a_web_metric_is_asked_with_its_arguments_and_its_value_is_kept(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    cluster = _background(server)
    cluster.pass_seconds(3)

    [result] = _run(cluster)["status"]["metricResults"]
    assert server.asked[0][:2] == ("GET", "/web-frontend-canary")
    assert {one["value"] for one in result["measurements"]} == {"0.01"}
    assert result["successful"] == result["count"] == result["consecutiveSuccess"]
    assert "failed" not in result, "counters of zero are left out"


def test_measuring_is_paced_by_the_clock_of_the_world(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    cluster = _background(server, interval="10s")
    cluster.pass_seconds(1)
    before = len(server.asked)

    cluster.pass_seconds(30)

    assert len(server.asked) - before == 3


def test_a_failing_metric_aborts_with_its_cause_status_first_and_traffic_one_pass_later(server: Answering) -> None:
    server.body = {"data": {"rate": 0.12}}
    cluster = _background(server, failureLimit=2)

    cluster.tick_until(lambda: "abortedAt" in cluster.status())

    status, run = cluster.status(), _run(cluster)
    cause = 'Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2)'
    assert run["status"]["message"] == cause
    assert run["status"]["runSummary"] == {"count": 1, "failed": 1}
    assert status["message"] == (
        f"RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: {cause}"
    )
    assert cluster.weights() == (75, 25), "the router still has the old weights"
    aborted = cluster.replicaset(status["currentPodHash"])
    assert "scale-down-deadline" in aborted["metadata"]["annotations"], "and yet the canary's delay has begun"
    cluster.tick()
    assert cluster.weights() == (100, 0)
    assert cluster.status()["message"] == status["message"], "the cause stays"
    pointer = cluster.status()["canary"]["currentBackgroundAnalysisRunStatus"]
    assert (pointer["status"], pointer["message"]) == ("Failed", cause)


def test_on_1_10_the_pointer_goes_one_pass_after_an_automatic_abort(server: Answering) -> None:
    server.body = {"data": {"rate": 0.12}}
    cluster = _background(server, failureLimit=2)
    cluster.set(rollouts="v1.10.1")
    cluster.tick_until(lambda: "abortedAt" in cluster.status())
    assert cluster.status()["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Failed"

    cluster.tick(2)

    assert "currentBackgroundAnalysisRunStatus" not in cluster.status()["canary"]


def test_a_manual_abort_stops_the_run_which_then_counts_as_successful(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    cluster = _background(server)
    cluster.pass_seconds(2)

    cluster.abort()
    cluster.tick()

    run = _run(cluster)
    assert run["spec"]["terminate"] is True
    assert (run["status"]["phase"], run["status"]["message"]) == ("Successful", "Run Terminated")
    assert cluster.status()["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Running"
    cluster.tick(2)
    assert cluster.status()["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Successful"


def test_a_run_begins_at_its_starting_step(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    steps: list[Object] = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 25}, {"pause": {}}]
    cluster = _released(_web(server.url), steps=steps, analysis={**ANALYSIS, "startingStep": 2})
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")
    cluster.tick(3)
    assert cluster.store.list("analysisruns", NAMESPACE) == []

    cluster.merge("rollouts", "web-frontend", {"status": {"pauseConditions": None}}, "status")
    cluster.tick_until(lambda: len(cluster.store.list("analysisruns", NAMESPACE)) == 1)


def test_an_analysis_step_waits_for_its_run_and_then_goes_on(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    steps: list[Object] = [{"setWeight": 25}, {"analysis": ANALYSIS}, {"pause": {}}]
    cluster = _released(_web(server.url, count=3), steps=[{"setWeight": 25}, {"pause": {}}])
    cluster.merge("rollouts", "web-frontend", {"spec": {"strategy": {"canary": {"steps": steps}}}})

    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")

    run = _run(cluster)
    assert run["metadata"]["name"].endswith("-2-1")
    assert (run["metadata"]["labels"]["rollout-type"], run["metadata"]["labels"]["step-index"]) == ("Step", "1")
    assert run["status"]["phase"] == "Successful"
    assert cluster.status()["currentStepIndex"] == 2


@pytest.mark.parametrize(("rollouts", "expected"), [("v1.9.1", ["2"]), ("v1.10.1", ["2", "2.1"])])
def test_a_retry_gets_a_run_of_its_own_from_1_10_on(server: Answering, rollouts: str, expected: list[str]) -> None:
    server.body = {"data": {"rate": 0.01}}
    cluster = _background(server)
    cluster.set(rollouts=rollouts)
    cluster.abort()
    cluster.tick(3)

    cluster.merge("rollouts", "web-frontend", {"status": {"abort": False}}, "status")
    cluster.tick_until(lambda: cluster.status()["phase"] == "Paused")

    names = sorted(run["metadata"]["name"].rsplit("-", 1)[-1] for run in cluster.store.list("analysisruns", NAMESPACE))
    assert names == expected


def test_an_error_is_tried_again_after_ten_seconds_and_five_in_a_row_abort(server: Answering) -> None:
    server.status = 500
    cluster = _background(server)
    cluster.pass_seconds(35)
    assert "abortedAt" not in cluster.status()
    [result] = _run(cluster)["status"]["metricResults"]
    assert result["measurements"][-1]["message"] == "received non 2xx response code: 500"

    cluster.pass_seconds(10)

    assert cluster.status()["message"].endswith(
        "assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): "
        '"Error Message: received non 2xx response code: 500"'
    )


def test_prometheus_is_asked_by_post_and_by_get_where_that_is_refused(server: Answering) -> None:
    server.status = 405
    template = _web(server.url, successCondition="result[0] < 0.05")
    template["spec"]["metrics"][0]["provider"] = {"prometheus": {"address": server.url, "query": "up{a='b'}"}}
    cluster = _released(template, analysis=ANALYSIS)
    cluster.tick_until(lambda: len(server.asked) >= 2)

    assert server.asked[0] == ("POST", "/api/v1/query", "query=up%7Ba%3D%27b%27%7D")
    assert server.asked[1] == ("GET", "/api/v1/query?query=up%7Ba%3D%27b%27%7D", "")


def test_a_template_that_is_not_there_makes_the_spec_invalid() -> None:
    cluster = deployed()
    cluster.merge("rollouts", "web-frontend", {"spec": {"strategy": {"canary": {"analysis": ANALYSIS}}}})

    cluster.tick()

    assert "AnalysisTemplate 'canary-analysis' not found" in cluster.status()["message"]


def test_a_run_that_nobody_owns_is_measured_as_well(server: Answering) -> None:
    server.body = {"data": {"rate": 0.01}}
    cluster = deployed(rollout())
    spec = _web(f"{server.url}/x", count=1)["spec"]
    spec["args"] = [{"name": "service-name", "value": "mine"}]
    cluster.create("analysisruns", {"metadata": {"name": "by-hand"}, "spec": spec})

    cluster.tick_until(lambda: (_run(cluster).get("status") or {}).get("phase") == "Successful")


@pytest.mark.parametrize(
    ("condition", "result", "expected"),
    [
        ("result[0] < 0.05", [0.04], True),
        ("result[0] < 0.05", [0.05], False),
        ("len(result) > 0 && result[0] < 0.05", [], False),
        ("len(result) == 0 || result[0] < 0.05", [], True),
        ('result == "ok"', "ok", True),
        ("result.status == 'ok' and result.code in [200, 201]", {"status": "ok", "code": 200}, None),
        ("!(result >= 1.5e2)", 149, True),
        ("not isNaN(result[0])", [float("nan")], False),
        ("default(result.rate, 0) * 100 <= 5", {}, True),
        ("asFloat(result) - -1 > 2", "1.5", True),
        ("result[0].rate % 2 == 1", [{"rate": 3}], True),
    ],
)
def test_conditions_are_read_as_their_language_says(condition: str, result: object, expected: bool | None) -> None:
    if expected is None:  # list literals are not played: that must be said, not guessed
        with pytest.raises(CannotTell):
            holds(condition, result)
    else:
        assert holds(condition, result) is expected


@pytest.mark.parametrize("condition", ["result[0] < 0.05", "result.rate < 1 &&", "nothing > 1", "1 + 1", "result ~ 2"])
def test_a_condition_that_cannot_be_read_is_an_error_and_no_verdict(condition: str) -> None:
    with pytest.raises(CannotTell):
        holds(condition, [])

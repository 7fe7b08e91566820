"""AnalysisRuns and the aborts around them, in both worlds by the same words: measured over HTTP, told over the Kubernetes API."""

from __future__ import annotations

from typing import Any

from tests.cluster.api import Object
from tests.contract.scenario import HASH, Canary
from tests.contract.writes import both, conditioned, delayed, has, routed, says, told, turned_to
from tests.support.waiting import eventually

GOOD, BAD, NEITHER = 0.01, 0.12, 0.07
FAILED = 'Metric "error-rate" assessed Failed due to failed (3) > failureLimit (2)'
ABORTED = "RolloutAborted: Rollout aborted update to revision 2"
BACKGROUND, STEP = "currentBackgroundAnalysisRunStatus", "currentStepAnalysisRunStatus"


def _is_1_10(canary: Canary) -> bool:
    return canary.world.rollouts.startswith("v1.10.")


def _pointer(rollout: Object, kind: str = BACKGROUND) -> Object:
    return dict(((rollout.get("status") or {}).get("canary") or {}).get(kind) or {})


def _results(run: Object) -> Object:
    found = (run.get("status") or {}).get("metricResults") or [{}]
    return dict(found[0])


def _with_a_background_run(canary: Canary, *, limit: int = 2, delay: int = 30, **metric: Any) -> Object:
    """At 25 %, paused, and a run has measured well; the run."""
    canary.answers(GOOD)
    analysis = canary.measured(failureLimit=limit, **metric)
    canary.paused_at_25(analysis=analysis, abortScaleDownDelaySeconds=delay)
    eventually(lambda: _results(canary.runs[0]).get("successful", 0) >= 2, within=20, what="it measures")
    canary.quiet()
    return canary.runs[0]


def _ended(canary: Canary, phase: str, within: float = 30) -> Object:
    eventually(
        lambda: canary.runs[0]["status"]["phase"] == phase, within=within, every=0.05, what=f"the run is {phase}"
    )
    return canary.runs[0]


# ---- what a run looks like ----


def test_a_background_run_is_named_after_version_and_revision_pointed_at_and_counts_what_it_measures_as_text(
    canary: Canary,
) -> None:
    run = _with_a_background_run(canary)
    rollout = canary.rollout
    new = rollout["status"]["currentPodHash"]

    assert run["metadata"]["name"] == f"web-{new}-2"
    assert run["metadata"]["labels"] == {"app": "web", "rollout-type": "Background", HASH: new}
    assert run["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "2"
    assert run["metadata"]["ownerReferences"][0]["uid"] == rollout["metadata"]["uid"]
    assert _pointer(rollout) == {"name": run["metadata"]["name"], "status": "Running"}

    result = _results(run)
    assert {one["value"] for one in result["measurements"]} == {"[0.01]"}
    assert result["count"] == result["successful"] == result["consecutiveSuccess"] >= 2
    assert not {"failed", "error", "inconclusive", "message"} & set(result)
    assert result["metadata"] == {"ResolvedPrometheusQuery": 'rate{service="web-canary"}'}


def test_a_web_metric_is_read_at_its_path(canary: Canary) -> None:
    web = {
        "web": {
            "url": f"{canary.world.metrics.url(canary.namespace)}/{{{{args.service}}}}",
            "jsonPath": "{$.data.rate}",
        }
    }
    run = _with_a_background_run(canary, provider=web, successCondition="result < 0.05")
    assert {one["value"] for one in _results(run)["measurements"]} == {"0.01"}


# ---- a failed run aborts ----


def test_a_failed_background_run_aborts_in_the_status_first_and_in_the_traffic_one_pass_later(canary: Canary) -> None:
    _with_a_background_run(canary, delay=2)
    new, stable = canary.status["currentPodHash"], canary.status["stableRS"]

    with canary.world.record(canary.namespace) as record:
        canary.answers(BAD)
        record.in_order(
            ("the run fails", "analysisruns", lambda one: one.get("status", {}).get("phase") == "Failed"),
            ("the delay begins", "replicasets", delayed(new)),
            ("the status says so", "rollouts", both(says(abort=True, phase="Degraded"), has("abortedAt"))),
            ("the canary Service", "services", turned_to(stable)),
            ("the router", "virtualservices", routed(0)),
            ("the weights are told", "rollouts", told(0, new)),
        )
        first = next(one for one in record.of("rollouts") if one["status"].get("abortedAt"))

    assert told(25, new)(first), "acknowledged while the traffic is still there"
    assert first["status"]["message"] == f"{ABORTED}: Background analysis phase error/failed: {FAILED}"
    assert _pointer(first) == {"name": f"web-{new}-2", "status": "Failed", "message": FAILED}
    assert not {"pauseConditions", "controllerPause"} & set(first["status"])
    assert first["status"]["currentStepIndex"] == 0
    _says_value_limit_and_count(canary.runs[0])
    eventually(lambda: "updatedReplicas" not in canary.status, within=20, what="the last pod is gone")
    canary.quiet()
    kept = {} if _is_1_10(canary) else _pointer(first)
    assert _pointer(canary.rollout) == kept, "1.10 drops the pointer; the message keeps the cause"
    assert canary.status["message"] == first["status"]["message"]
    assert [run["metadata"]["labels"][HASH] for run in canary.runs] == [new], "found by its label in any case"


def _says_value_limit_and_count(run: Object) -> None:
    assert run["status"]["message"] == FAILED
    assert run["status"]["runSummary"] == {"count": 1, "failed": 1}
    result = _results(run)
    assert (result["phase"], result["failed"]) == ("Failed", 3)
    assert not {"message", "consecutiveSuccess"} & set(result)
    assert [(one["phase"], one["value"]) for one in result["measurements"][-3:]] == [("Failed", "[0.12]")] * 3


def test_a_failed_step_run_aborts_with_its_own_words(canary: Canary) -> None:
    canary.answers(GOOD)
    analysis = canary.measured(failureLimit=2, count=60)
    canary.deployed(steps=[{"setWeight": 25}, {"analysis": analysis}, {"pause": {}}])
    canary.release("v2")
    eventually(lambda: canary.runs and _results(canary.runs[0]).get("successful"), within=20, what="it measures")
    new = canary.status["currentPodHash"]
    canary.quiet()
    assert canary.status["phase"] == "Progressing"
    assert _pointer(canary.rollout, STEP) == {"name": f"web-{new}-2-1", "status": "Running"}
    labels = {"app": "web", "rollout-type": "Step", "step-index": "1", HASH: new}
    assert canary.runs[0]["metadata"]["labels"] == labels

    with canary.world.record(canary.namespace) as record:
        canary.answers(BAD)
        record.in_order(
            ("the status says so", "rollouts", both(says(abort=True, phase="Degraded"), has("abortedAt"))),
            ("the router", "virtualservices", routed(0)),
            ("the weights are told", "rollouts", told(0, new)),
        )
        first = next(one for one in record.of("rollouts") if one["status"].get("abortedAt"))

    assert first["status"]["message"] == f"{ABORTED}: Step-based analysis phase error/failed: {FAILED}"
    assert _pointer(first, STEP) == {"name": f"web-{new}-2-1", "status": "Failed", "message": FAILED}


# ---- a person aborts while a run runs ----


def test_an_abort_by_hand_stops_the_run_which_then_counts_as_successful(canary: Canary) -> None:
    name = _with_a_background_run(canary)["metadata"]["name"]

    with canary.world.record(canary.namespace) as record:
        canary.abort()
        record.in_order(
            ("the router", "virtualservices", routed(0)),
            ("the run is to stop", "analysisruns", lambda one: one["spec"].get("terminate")),
            ("the run has ended", "analysisruns", lambda one: one["status"]["phase"] == "Successful"),
        )
        canary.until_acknowledged()
        canary.quiet()
        aborted = [one for one in record.of("rollouts") if one["status"].get("abortedAt")]

    first, run = aborted[0], canary.runs[0]
    assert run["status"]["message"] == "Run Terminated"
    assert not {"failed", "error"} & set(_results(run))
    assert first["status"]["message"] == ABORTED, "nothing in it tells who it was"
    assert first["status"]["phase"] == "Degraded"
    if _is_1_10(canary):
        assert [_pointer(one) for one in aborted] == [{}] * len(aborted), "gone in the abort's own write"
    else:
        assert _pointer(aborted[-1]) == {"name": name, "status": "Successful", "message": "Run Terminated"}
    canary.answers(BAD)
    canary.never(lambda: canary.status["message"] != ABORTED, for_seconds=1.5, what="another cause afterwards")


def test_a_retry_gets_a_run_of_its_own_from_1_10_on_and_none_before(canary: Canary) -> None:
    """Under v1.9 the stopped run still counts, as Successful: what was aborted comes back with nobody measuring."""
    run = _with_a_background_run(canary)
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)
    eventually(lambda: canary.deadline(canary.status["currentPodHash"]), what="the delay begins")
    canary.quiet()
    canary.answers(BAD)

    canary.patch_status(abort=False)
    canary.until_weights(75, 25)

    first, second = run["metadata"]["name"], f"{run['metadata']['name']}.1"
    if _is_1_10(canary):
        eventually(
            lambda: _named(canary, second).get("status", {}).get("phase") == "Failed", within=30, what="measured"
        )
        eventually(lambda: canary.acknowledged, within=20, what="aborted again")
    else:
        canary.until("Paused")
        canary.never(lambda: len(canary.runs) > 1 or canary.acknowledged, for_seconds=4, what="measured again")
        assert _pointer(canary.rollout) == {"name": first, "status": "Successful", "message": "Run Terminated"}


def test_a_retry_after_a_failed_run_starts_again_from_1_10_on_and_is_aborted_by_the_same_run_before(
    canary: Canary,
) -> None:
    run = _with_a_background_run(canary)
    canary.answers(BAD)
    canary.until_weights(100, 0, within=30)
    eventually(lambda: canary.deadline(canary.status["currentPodHash"]), what="the delay begins")
    canary.quiet()
    canary.answers(GOOD)

    with canary.world.record(canary.namespace) as record:
        canary.patch_status(abort=False)
        if _is_1_10(canary):
            canary.until("Paused")
            eventually(lambda: len(canary.runs) == 2, what="a second run")
            assert _pointer(canary.rollout) == {"name": f"{run['metadata']['name']}.1", "status": "Running"}
        else:
            record.in_order(
                ("it tells", "rollouts", conditioned("Progressing", "Unknown", "RolloutRetry")),
                ("aborted again", "rollouts", both(says(abort=True, phase="Degraded"), has("abortedAt"))),
            )
            canary.until_weights(100, 0)
            assert len(canary.runs) == 1
            assert FAILED in canary.status["message"]


def _named(canary: Canary, name: str) -> Object:
    return next((one for one in canary.runs if one["metadata"]["name"] == name), {})


# ---- neither good nor bad ----


def test_an_inconclusive_run_adds_a_pause_that_the_message_does_not_show_and_an_abort_removes_both_in_its_write(
    canary: Canary,
) -> None:
    _with_a_background_run(canary, failureCondition="result[0] > 0.1")
    canary.answers(NEITHER)
    _ended(canary, "Inconclusive")
    eventually(lambda: len(canary.status["pauseConditions"]) == 2, what="the second pause")
    status = canary.status
    assert [one["reason"] for one in status["pauseConditions"]] == ["CanaryPauseStep", "InconclusiveAnalysisRun"]
    assert (status["phase"], status["message"]) == ("Paused", "CanaryPauseStep")
    assert _pointer(canary.rollout)["status"] == "Inconclusive"
    assert canary.weights == (75, 25)
    canary.quiet()

    with canary.world.record(canary.namespace) as record:
        canary.abort()
        record.in_order(
            ("the router", "virtualservices", routed(0)),
            ("acknowledged", "rollouts", both(has("abortedAt"), says(pauseConditions=None, controllerPause=None))),
        )
        first = next(one for one in record.of("rollouts") if one["status"].get("abortedAt"))

    assert "pauseConditions" not in first["status"]
    assert conditioned("Progressing", "False", "RolloutAborted")(first)
    assert canary.runs[0]["status"]["phase"] == "Inconclusive", "a run that has ended is not stopped"


# ---- nothing to measure ----


def test_errors_in_a_row_beyond_their_limit_abort_with_the_providers_words(canary: Canary) -> None:
    """After an error the next try comes 10 s later, whatever the interval says."""
    _with_a_background_run(canary, consecutiveErrorLimit=1)
    canary.answers(status=500)
    run = _ended(canary, "Error", within=40)
    error = "server_error: server error: 500"
    cause = (
        'Metric "error-rate" assessed Error due to consecutiveErrors (2) > consecutiveErrorLimit (1): '
        f'"Error Message: {error}"'
    )

    canary.until_weights(100, 0)
    assert canary.status["message"] == f"{ABORTED}: Background analysis phase error/failed: {cause}"
    result = _results(run)
    assert (run["status"]["message"], result["message"], result["consecutiveError"]) == (cause, error, 2)
    assert [(one["phase"], one["message"]) for one in result["measurements"][-2:]] == [("Error", error)] * 2
    assert "value" not in result["measurements"][-1]


def test_an_empty_result_is_an_error_in_the_words_of_the_release(canary: Canary) -> None:
    _with_a_background_run(canary, consecutiveErrorLimit=0)
    canary.answers()
    run = _ended(canary, "Error")

    words = {
        True: 'could not evaluate successCondition "result[0] < 0.05": metric result is nil or empty: '
        "no data returned from the metric provider",
        False: "reflect: slice index out of range",
    }[_is_1_10(canary)]
    assert words in _results(run)["measurements"][-1]["message"]
    canary.until_weights(100, 0)
    assert words in canary.status["message"]

"""How measurements become a verdict: limits, the run's message, and what a stop makes of it."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from typing import Any

from sandbox.argo.names import Object, rfc3339

ENDED = ("Successful", "Failed", "Error", "Inconclusive")
_WORSE = ("", "Pending", "Running", "Successful", "Inconclusive", "Error", "Failed")
_KEPT = 10
_COUNTERS = {"Successful": "successful", "Failed": "failed", "Inconclusive": "inconclusive", "Error": "error"}


def started(run: Object, now: datetime) -> Object:
    return {
        "phase": "Running",
        "startedAt": rfc3339(now),
        "runSummary": {"count": len(metrics_of(run))},
        "dryRunSummary": {},
    }


def metrics_of(run: Object) -> list[Object]:
    return (run.get("spec") or {}).get("metrics") or []


def result_of(status: Object, name: str) -> Object | None:
    return next((one for one in status.get("metricResults") or [] if one["name"] == name), None)


def add_measurement(status: Object, metric: Object, measured: Object, metadata: Object) -> None:
    """Count one measurement in, and judge its metric."""
    result = result_of(status, metric["name"])
    if result is None:
        result = {"name": metric["name"], "phase": "Running", "measurements": []}
        status.setdefault("metricResults", []).append(result)
    if metadata:
        result["metadata"] = metadata
    result["measurements"] = [*result["measurements"], measured][-_KEPT:]
    phase = measured["phase"]
    _bump(result, _COUNTERS[phase])
    if phase == "Error":
        _bump(result, "consecutiveError")
    else:
        _bump(result, "count")
        result.pop("consecutiveError", None)
    if phase == "Successful":
        _bump(result, "consecutiveSuccess")
    else:
        result.pop("consecutiveSuccess", None)
    verdict, why = judge(metric, result)
    result["phase"] = verdict
    if verdict == "Error" and measured.get("message"):
        result["message"] = measured["message"]
    if why:
        status["_why"] = f'Metric "{metric["name"]}" assessed {verdict} due to {why}'


def judge(metric: Object, result: Object) -> tuple[str, str]:
    """The metric's phase, and the reason where it is bad. Later rules override earlier ones."""
    bad: list[tuple[str, str]] = []
    for phase, counter, limit, default in (
        ("Failed", "failed", "failureLimit", 0),
        ("Inconclusive", "inconclusive", "inconclusiveLimit", 0),
    ):
        allowed = _number(metric.get(limit), default)
        if allowed >= 0 and result.get(counter, 0) > allowed:
            bad.append((phase, f"{counter} ({result[counter]}) > {limit} ({allowed})"))
    allowed = _number(metric.get("consecutiveErrorLimit"), 4)
    if allowed >= 0 and result.get("consecutiveError", 0) > allowed:
        last = result["measurements"][-1].get("message", "")
        tail = f': "Error Message: {last}"' if last else ""
        bad.append(
            ("Error", f"consecutiveErrors ({result['consecutiveError']}) > consecutiveErrorLimit ({allowed}){tail}")
        )
    if bad:
        return bad[-1]
    wanted = _number(metric.get("consecutiveSuccessLimit"), 0)
    if wanted and result.get("consecutiveSuccess", 0) >= wanted:
        return "Successful", ""
    count = _number(metric.get("count"), 0 if metric.get("interval") else 1)
    if not count or result.get("count", 0) < count:
        return "Running", ""
    if not wanted:
        return "Successful", ""
    return ("Failed" if _number(metric.get("failureLimit"), 0) < 0 else "Inconclusive"), ""


def finish(run: Object, status: Object, now: datetime, *, stopped: bool = False) -> None:
    """End the run when a metric is bad, all are done, or somebody stopped it."""
    why = status.pop("_why", None)
    phases = [str((result_of(status, m["name"]) or {}).get("phase", "Running")) for m in metrics_of(run)]
    worst = max(phases, key=_WORSE.index, default="Successful")
    if not stopped and worst not in ("Failed", "Error", "Inconclusive") and "Running" in phases:
        return
    for result in status.get("metricResults") or []:
        if result["phase"] == "Running":
            result["phase"] = "Successful"
    status["phase"] = worst if worst in ("Failed", "Error", "Inconclusive") else "Successful"
    status["completedAt"] = rfc3339(now)
    if why:
        status["message"] = why
    elif stopped:
        status["message"] = "Run Terminated"
    summary: dict[str, Any] = {"count": len(phases)}
    for metric in metrics_of(run):
        result = result_of(status, metric["name"])
        if result is not None or not stopped:
            _bump(summary, _COUNTERS[result["phase"] if result is not None else "Successful"])
    status["runSummary"] = summary


def terminated(run: Object, now: datetime) -> Object:
    """The status of a run that an abort or a promotion stopped: Successful, which is not the same as passed."""
    status = deepcopy(run.get("status") or started(run, now))
    finish(run, status, now, stopped=True)
    return status


def _bump(counters: Object, name: str) -> None:
    counters[name] = counters.get(name, 0) + 1


def _number(value: Any, default: int) -> int:
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        return default

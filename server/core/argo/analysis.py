"""What an AnalysisRun measured, and the one sentence that a person reads: metric, value, limit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from server.core.argo.dig import part
from server.core.argo.state import Analysis, Metric

Json = dict[str, Any]
_KEPT = 30
_ARGUMENT = re.compile(r"\{\{\s*args\.([A-Za-z0-9_-]+)\s*\}\}")
_BAD = ("Failed", "Error", "Inconclusive")


def read_all(runs: Sequence[Json], revision: str) -> tuple[Analysis, ...]:
    """The runs of this revision, newest verdict first."""
    chosen = [run for run in runs if not revision or _annotation(run) in ("", revision)]
    return tuple(sorted((_read(run) for run in chosen), key=_rank, reverse=True))


def wrong(runs: Sequence[Analysis]) -> str:
    """What the newest run with bad measurements says; '' = no run says anything against the version.

    A query is no sentence for a person who was just woken: the page shows it beside the numbers.
    """
    for run in runs:
        against = [metric for metric in run.metrics if _against(metric)]
        if against:
            said = "; ".join(sentence(metric, stopped=_stopped(run)) for metric in against)
            return f"{said}, as AnalysisRun {run.name} says ({verdict(run)})"
    return ""


def verdict(run: Analysis) -> str:
    """Its phase; a run that an abort ended reads 'Successful' and passed nothing."""
    return "stopped" if _stopped(run) else run.phase.lower() or "pending"


def _stopped(run: Analysis) -> bool:
    return run.message == "Run Terminated"


def sentence(metric: Metric, *, stopped: bool = False) -> str:
    """One metric: how often it failed, its last value, what was required."""
    phase = "stopped" if stopped and metric.phase == "Successful" else metric.phase
    if metric.phase == "Error" or (metric.errors and not metric.failed):
        tail = f": {metric.message}" if metric.message else ""
        return f'metric "{metric.name}" {phase}: {metric.errors} of {metric.count} measurements were errors{tail}'
    bad = metric.failed or metric.inconclusive
    how = "failed" if metric.failed else "inconclusive"
    said = f'metric "{metric.name}" {phase}: {bad} {how}{_over(bad, metric.limit)} of {metric.count}'
    if metric.value:
        said += f"; last value {metric.value} at {metric.finished[11:19]}Z"
        said += f", required {metric.required}" if metric.required else ""
    return said


def _over(bad: int, limit: str) -> str:
    if not limit.lstrip("-").isdigit():
        return f" (limit {limit})"
    return f" > limit {limit}" if 0 <= int(limit) < bad else f" (limit {limit})"


def _against(metric: Metric) -> bool:
    return metric.phase in _BAD or metric.failed > 0 or metric.errors > 0 or metric.inconclusive > 0


def _rank(run: Analysis) -> tuple[bool, str]:
    """Those that ended badly first, then the newest."""
    return run.phase in _BAD, run.completed or max([m.finished for m in run.metrics], default="") or run.started


def _annotation(run: Json) -> str:
    return str(part(run, "metadata", "annotations").get("rollout.argoproj.io/revision") or "")


def _read(run: Json) -> Analysis:
    metadata, spec, status = (_map(run.get(key)) for key in ("metadata", "spec", "status"))
    arguments = {
        str(one.get("name")): str(one["value"])
        for one in _list(spec.get("args"))
        if isinstance(one.get("value"), str | int)
    }
    defined = {str(one.get("name")): one for one in _list(spec.get("metrics"))}
    results = [one for one in _list(status.get("metricResults")) if one.get("dryRun") is not True]
    return Analysis(
        name=str(metadata.get("name") or ""),
        kind=str(_map(metadata.get("labels")).get("rollout-type") or ""),
        phase=str(status.get("phase") or ""),
        message=str(status.get("message") or "")[:500],
        completed=str(status.get("completedAt") or ""),
        started=str(status.get("startedAt") or ""),
        metrics=tuple(_metric(one, _map(defined.get(str(one.get("name")))), arguments) for one in results),
    )


def _metric(result: Json, definition: Json, arguments: Mapping[str, str]) -> Metric:
    measured = [_measurement(one) for one in _list(result.get("measurements"))][-_KEPT:]
    last: Json = (_list(result.get("measurements")) or [{}])[-1]
    condition = str(definition.get("successCondition") or "")
    against = str(definition.get("failureCondition") or "")
    query = str(_map(result.get("metadata")).get("ResolvedPrometheusQuery") or "")
    return Metric(
        name=str(result.get("name") or "")[:100],
        phase=str(result.get("phase") or ""),
        **{key: _count(result.get(key)) for key in ("count", "failed", "inconclusive")},
        errors=_count(result.get("error")),
        consecutive_errors=_count(result.get("consecutiveError")),
        limit=_resolved(str(definition.get("failureLimit", 0) or 0), arguments),
        value=str(last.get("value") or "")[:100],
        value_phase=str(last.get("phase") or ""),
        message=str(last.get("message") or result.get("message") or "")[:300],
        finished=str(last.get("finishedAt") or ""),
        required=_resolved(condition or (f"not {against}" if against else ""), arguments)[:200],
        query=query[:300],
        measured=tuple(measured),
    )


def _measurement(one: Json) -> tuple[str, str, str]:
    return str(one.get("finishedAt") or ""), str(one.get("value") or "")[:100], str(one.get("phase") or "")


def _resolved(text: str, arguments: Mapping[str, str]) -> str:
    """With the run's arguments filled in; a secret argument has no value here and stays a placeholder."""
    return _ARGUMENT.sub(lambda found: arguments.get(found[1], found[0]), text)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _map(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Json]:
    return [dict(one) for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []

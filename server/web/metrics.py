"""What the AnalysisRuns of the judged version measured, for people: the numbers, Argo's own judgement, and a plot against the limit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from server.core.argo import analysis
from server.core.argo.state import Analysis, Metric, RolloutState, percent, short
from server.core.outcome import Json
from server.web.plot import Limit, Plot, draw
from server.web.view import clock, visible
from server.web.words import Mark

_JUDGED = {
    "Successful": Mark("Passed", "proven", "ok"),
    "Failed": Mark("Failed", "failed", "bad"),
    "Error": Mark("Error", "stuck", "wait"),
    "Inconclusive": Mark("Inconclusive", "todo", "wait"),
}
_LIMIT = re.compile(r"(<=|>=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*$")


@dataclass(frozen=True)
class Reading:
    """One measurement."""

    at: datetime | None
    value: str
    judged: Mark


@dataclass(frozen=True)
class Measured:
    """One metric. against: it speaks against the version. plot: None where there is nothing to draw."""

    name: str
    run: str
    said: str
    query: str
    readings: tuple[Reading, ...]
    against: bool
    plot: Plot | None


def measured(before: Json, after: Json, acted: datetime | None = None) -> tuple[Measured, ...]:
    """All metrics of the last look that saw any, those against the version first. An abort ends the AnalysisRuns."""
    state = _state(after) or _state(before)
    if state is None:
        return ()
    found = [_one(run, metric, acted) for run in state.analysis for metric in run.metrics]
    return tuple(sorted(found, key=lambda metric: not metric.against))


def worst(before: Json) -> str:
    """'error-rate 0.083, limit 0.05, while canary 7d9f had 25 % of the traffic'; '' where no metric speaks against it."""
    state = _state(before)
    if state is None:
        return ""
    said = next((_short(run, metric) for run, metric in _pairs(state) if _against(metric) and metric.value), "")
    if said and state.weights is not None and state.weights.canary:
        share = percent(state.weights.canary, state.max_weight)
        said += f", while canary {visible(short(state.cur, state.sta))} had {share} of the traffic"
    return said


def _state(look: Json) -> RolloutState | None:
    if not look.get("analysis"):
        return None
    try:
        return RolloutState.model_validate(look)
    except ValidationError:
        return None


def _pairs(state: RolloutState) -> Iterator[tuple[Analysis, Metric]]:
    return ((run, metric) for run in state.analysis for metric in run.metrics)


def _against(metric: Metric) -> bool:
    return metric.phase in ("Failed", "Error", "Inconclusive") or bool(
        metric.failed or metric.errors or metric.inconclusive
    )


def _short(run: Analysis, metric: Metric) -> str:
    limit, value = limit_of(metric.required), _number(metric.value)
    name = visible(metric.name)
    shown = visible(metric.value) if value is None else f"{value:g}"
    wanted = f"required {visible(metric.required)}" if limit is None else limit.said
    counted = f"{metric.failed} of {metric.count} measurements failed in AnalysisRun {visible(run.name)}"
    return f"{name} {shown}, {wanted} ({counted})"


def _one(run: Analysis, metric: Metric, acted: datetime | None) -> Measured:
    readings = tuple(_reading(*one) for one in metric.measured)
    numbers = [(r.at, value) for r in readings if r.at is not None and (value := _number(r.value)) is not None]
    return Measured(
        name=visible(metric.name),
        run=visible(run.name),
        said=visible(analysis.sentence(metric.model_copy(update={"query": ""})), 500),
        query=visible(metric.query, 500),
        readings=readings,
        against=_against(metric),
        plot=draw(visible(metric.name), numbers, limit_of(metric.required), acted),
    )


def _reading(at: str, value: str, phase: str) -> Reading:
    judged = _JUDGED.get(phase, Mark(visible(phase) or "not judged", "todo", "quiet"))
    return Reading(_time(at), visible(value) or "none", judged)


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        clock(at)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else None


def limit_of(required: str) -> Limit | None:
    """The number at the end of a condition: 'result[0] < 0.05'."""
    found = _LIMIT.search(required)
    return None if found is None else Limit(float(found[2]), found[1].startswith("<"))


def _number(text: str) -> float | None:
    """A measured value as a number: Prometheus gives '[0.083]'."""
    found = re.fullmatch(r"\[?\s*(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)\s*\]?", text)
    return None if found is None else float(found[1])

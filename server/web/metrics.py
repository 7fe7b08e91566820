"""What the AnalysisRuns of the judged version measured, for people: the last look's numbers, each with Argo's own judgement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from server.core.argo import analysis
from server.core.argo.state import Metric, RolloutState
from server.core.outcome import Json
from server.web.view import visible
from server.web.words import Mark

_JUDGED = {
    "Successful": Mark("Passed", "proven", "ok"),
    "Failed": Mark("Failed", "failed", "bad"),
    "Error": Mark("Error", "stuck", "wait"),
    "Inconclusive": Mark("Inconclusive", "todo", "wait"),
}


@dataclass(frozen=True)
class Measured:
    """One metric. measured: (time, value, judgement), oldest first."""

    name: str
    run: str
    said: str
    query: str
    measured: tuple[tuple[str, str, Mark], ...]


def measured(look: Json) -> tuple[Measured, ...]:
    """All metrics of one look; none where the look was of something else."""
    if not look.get("analysis"):
        return ()
    try:
        return tuple(_all(RolloutState.model_validate(look)))
    except ValidationError:
        return ()


def _all(state: RolloutState) -> Iterator[Measured]:
    for run in state.analysis:
        for metric in run.metrics:
            said = analysis.sentence(metric.model_copy(update={"query": ""}))
            rows = tuple(_row(metric, n) for n in range(len(metric.measured)))
            yield Measured(
                visible(metric.name), visible(run.name), visible(said, 500), visible(metric.query, 500), rows
            )


def _row(metric: Metric, n: int) -> tuple[str, str, Mark]:
    at, value, phase = metric.measured[n]
    judged = _JUDGED.get(phase, Mark(visible(phase) or "not judged", "todo", "quiet"))
    return visible(at) or "not finished", visible(value) or "none", judged

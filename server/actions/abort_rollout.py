"""Abort a canary that is under way: one write, bound to what was judged, and woken where the controller overlooks it.

Taking an abort back would ship the bad version again, so nothing is ever put back here: a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from server.clients import Clients
from server.core.argo import decide, patches
from server.core.argo import look as looking
from server.core.argo.proceed import proceed
from server.core.argo.prove import weigh
from server.core.argo.read import part, sole_owner, text
from server.core.argo.remarks import remarks
from server.core.argo.state import RolloutState
from server.core.catalog import RolloutTarget, Target
from server.core.durations import Seconds
from server.core.outcome import Call, Finished, Json, LookAgain, Outcome, Plan, Refusal
from server.core.runbook import Options
from server.errors import Bug, Refused, Unknown

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = False


class Params(Options):
    """when_promoted: what to do where the version is stable already. The rest is for the undo."""

    when_promoted: Literal["refuse", "undo"] = "refuse"
    promoted_within: Seconds = 3600.0
    skip_gates: bool = False


def observe(target: Target, clients: Clients) -> RolloutState:
    """The Rollout, its ReplicaSets, both Services, the router, the controller's Lease, its AnalysisRuns."""
    if not isinstance(target, RolloutTarget):
        raise Bug(f"abort_rollout was given the target {target.name}, which is no rollout")
    return looking.look(target, clients.kubernetes, clients.now)


def state(seen: Json) -> RolloutState:
    """A look that was stored as JSON."""
    return RolloutState.model_validate(seen)


def plan(params: Params, seen: Sequence[RolloutState], now: datetime) -> Plan | Refusal | LookAgain:
    """The decision table."""
    return decide.plan(seen, now, when_promoted=params.when_promoted)


def write(plan: Plan, call: Call, clients: Clients, key: str, n: int) -> Outcome:
    """Sends one bound patch, once."""
    kind, run = patches.kind(call), key.partition("/")[0]
    body = patches.named(call.body, run)
    try:
        answer, date = clients.kubernetes.patch(str(plan.facts["cluster"]), call.path, body, call.content_type)
    except Refused as error:
        return _refused(error, {"kind": kind, "run": run, "status": error.status}, clients.now(), n)
    except Unknown as error:
        cause: Literal["broken", "timeout"] = "broken" if error.broken else "timeout"
        said = f"{call.said}: whether it was taken is not known ({error.said})"
        return Outcome(
            kind="unknown", said=said, n=n, at=clients.now(), evidence={"kind": kind, "run": run}, cause=cause
        )
    status, metadata = part(answer, "status"), part(answer, "metadata")
    evidence: Json = {
        "kind": kind,
        "run": run,
        "date": date.isoformat(),
        "resourceVersion": text(metadata.get("resourceVersion")),
        "abort": status.get("abort"),
        "abortedAt": text(status.get("abortedAt")),
    }
    at = clients.now()
    if kind == "act" and (somebody := _before_us(answer)):
        said = f"it was aborted already, {somebody}; nothing was changed"
        return Outcome(kind="noop", said=said, n=n, at=at, evidence=evidence)
    return Outcome(kind="done", said=call.said, n=n, at=at, evidence=evidence)


def _before_us(answer: Json) -> str:
    """Whose abort stood there before ours: the answer shows it acknowledged, or set by another's hand alone."""
    status = part(answer, "status")
    if status.get("abortedAt"):
        return f"acknowledged at {text(status.get('abortedAt'))[11:19]}Z"
    owner = sole_owner(answer)
    return f"by {owner}" if owner not in ("", "ripcord") else ""


def _refused(error: Refused, evidence: Json, at: datetime, n: int) -> Outcome:
    """409 and 422: a bound test did not hold. 400, 415: no JSON patch there, and nothing is ever sent unbound."""
    if error.status in (409, 422):
        said = "refused by the API server: what was judged no longer stands there"
        return Outcome(kind="refused", said=said, n=n, at=at, evidence=evidence, cause="conflict")
    if error.status in (400, 415):
        said = f"the API server takes no JSON patch, and nothing is sent unbound: {error.said}"
        return Outcome(kind="refused", said=said, n=n, at=at, evidence=evidence)
    return Outcome(kind="refused", said=error.said, n=n, at=at, evidence=evidence)


def put_back(plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], now: datetime) -> Finished:
    """Writes nothing."""
    said = "an abort is not put back, because that would ship the bad version again: a person decides"
    return Finished(outcome=Outcome(kind="refused", said=said, at=now))

"""What the actions on an Argo Rollout share: one look, one bound write, and that nothing is ever put back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from server.clients import Clients
from server.core.argo import look as looking
from server.core.argo import patches
from server.core.argo.dig import part, text
from server.core.argo.read import sole_owner
from server.core.argo.state import RolloutState
from server.core.catalog import RolloutTarget, Target
from server.core.outcome import Call, Finished, Json, Outcome, Plan
from server.errors import Bug, Refused, Unknown


def observe(target: Target, clients: Clients) -> RolloutState:
    """The Rollout, its ReplicaSets and Services, where its traffic goes, the controller's Lease, its AnalysisRuns."""
    if not isinstance(target, RolloutTarget):
        raise Bug(f"an action on rollouts was given the target {target.name}, which is no rollout")
    return looking.look(target, clients.kubernetes, clients.now)


def state(seen: Json) -> RolloutState:
    """A look that was stored as JSON."""
    return RolloutState.model_validate(seen)


def write(plan: Plan, call: Call, clients: Clients, key: str, n: int) -> Outcome:
    """Sends one bound patch, once."""
    kind, run = patches.kind(call), key.partition("/")[0]
    if kind == "act" and (refused := _cannot_switch(plan, clients, n)):
        return refused
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


def _cannot_switch(plan: Plan, clients: Clients, n: int) -> Outcome | None:
    """Where the abort needs the Service beside it, the Service is tried first, dry: an abort alone would be the outage."""
    if not plan.facts.get("pair"):
        return None
    call = next(one for one in plan.calls if patches.kind(one) == "switch")
    cluster = str(plan.facts["cluster"])
    try:
        clients.kubernetes.patch(cluster, call.path, call.body, call.content_type, dry_run=True)
    except Refused as error:
        refused = _refused(error, {"kind": "act", "status": error.status}, clients.now(), n)
        return refused.model_copy(update={"said": f"nothing was sent, because {call.said} would be {refused.said}"})
    except Unknown as error:
        said = f"nothing was sent, because whether Service {plan.facts['service']} can be written is not known"
        evidence = {"kind": "act", "said": error.said}
        return Outcome(kind="refused", said=said, n=n, at=clients.now(), evidence=evidence, cause="conflict")
    return None


def _before_us(answer: Json) -> str:
    """Whose abort stood there before ours: the answer shows it acknowledged, or set by another's hand alone.

    Where the flag is ours alone it was we who set it: the acknowledgement is that of an abort which somebody has just retried.
    """
    status, owner = part(answer, "status"), sole_owner(answer)
    if owner == "ripcord":
        return ""
    if status.get("abortedAt"):
        return f"acknowledged at {text(status.get('abortedAt'))[11:19]}Z"
    return f"by {owner}" if owner else ""


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
    what = "an undo" if plan.undo else "an abort"
    said = f"{what} is not put back, because that would ship the bad version again: a person decides"
    return Finished(outcome=Outcome(kind="refused", said=said, at=now))

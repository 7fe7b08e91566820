"""Resolve the incident in PagerDuty, after the proof: never while it has another open alert than those that the run is about.

PagerDuty takes no condition with it, so it is read right before. Resolving twice is resolving once (error 1001).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from server.clients import Clients
from server.core.outcome import (
    Call,
    Finished,
    Json,
    Judged,
    LookAgain,
    Model,
    Outcome,
    Plan,
    Refusal,
    Remarks,
    Verdict,
    Write,
)
from server.core.run import IncidentTarget
from server.core.runbook import Options
from server.core.text import quoted
from server.errors import Bug, Missing, Refused, Unknown

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = False
LOOKS = timedelta(seconds=5)
"""How long is looked after a write whose fate is open, before it goes out once more."""
GIVE_UP = timedelta(seconds=45)
SENDS, PAUSE = 2, 0.5
RESOLUTION = "Ripcord took the release back and proved it"


class Params(Options):
    """It has none."""


class IncidentState(Model):
    """One look. others: the open alerts that the run is not about, as a person reads them."""

    at: datetime
    incident: str
    gone: bool = False
    status: str = ""
    merged_into: str = ""
    others: tuple[str, ...] = ()


def observe(target: IncidentTarget, clients: Clients) -> IncidentState:
    """The incident with all its alerts."""
    if not isinstance(target, IncidentTarget):
        raise Bug("resolve_incident was given a target that is no incident")
    at = clients.now()
    try:
        found = clients.pagerduty.incident(target.name)
    except Missing:
        return IncidentState(at=at, incident=target.name, gone=True)
    merged = found.id if found.id != target.name else found.merged_into or ""
    open_ones = [one for one in found.alerts if one.status != "resolved" and one.id not in target.alerts]
    others = tuple(quoted(one.summary or one.id, 60) for one in open_ones)
    return IncidentState(at=at, incident=target.name, status=found.status, merged_into=merged, others=others)


def state(seen: Json) -> IncidentState:
    """A look that was stored as JSON."""
    return IncidentState.model_validate(seen)


def plan(params: Params, seen: Sequence[IncidentState], now: datetime) -> Plan | Refusal | LookAgain:
    """Resolve, or why not; resolved already = nothing to write."""
    if not seen:
        return LookAgain(after=0.0)
    last = seen[-1]
    if reason := _keeps(last):
        return Refusal(reason=reason)
    done = last.status == "resolved"
    call = Call(
        method="PUT", path=f"/incidents/{last.incident}", body=_body(), said=f"resolve incident {last.incident}"
    )
    return Plan(
        said="the incident was resolved already" if done else call.said,
        calls=() if done else (call,),
        judged=Judged(revision=last.incident, since=None),
        predicted={"status": "resolved"},
        was={"status": last.status},
        facts={"incident": last.incident},
        somebody="the incident was resolved already" if done else "",
    )


def _body() -> Json:
    return {"incident": {"type": "incident_reference", "status": "resolved", "resolution": RESOLUTION}}


def _keeps(last: IncidentState) -> str:
    """Why it stays as it is."""
    if last.gone:
        return f"incident {last.incident} is gone"
    if last.merged_into:
        return f"incident {last.incident} was merged into {last.merged_into}, which is left to a person"
    if last.others and last.status != "resolved":
        named = ", ".join(last.others[:3]) + (f" and {len(last.others) - 3} more" if len(last.others) > 3 else "")
        return f"it has other open alerts, so it stays open: {named}"
    return ""


def proceed(
    plan: Plan, seen: Sequence[IncidentState], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """Once; where its fate is open, after a look."""
    if not seen:
        return LookAgain(after=0.0)
    if not plan.calls:
        return Finished(outcome=Outcome(kind="noop", said=plan.somebody, at=now))
    if not done:
        if stopped:
            return Finished(outcome=Outcome(kind="refused", said="the stop switch is on", n=1, at=now, cause="stopped"))
        return Write(n=1, call=plan.calls[0], look=False)
    if done[-1].kind != "unknown":
        return Finished(outcome=done[-1])
    return _unclear(plan, seen[-1], done, now, stopped)


def _unclear(
    plan: Plan, last: IncidentState, done: Sequence[Outcome], now: datetime, stopped: bool
) -> Write | LookAgain | Finished:
    """It may have happened: read before anything else."""
    act = done[-1]
    if last.at < act.at:
        return Finished(outcome=act) if now - act.at > GIVE_UP else LookAgain(after=PAUSE)
    if last.status == "resolved" and not last.gone:
        found = f"found by reading: incident {last.incident} is resolved"
        return Finished(outcome=act.model_copy(update={"kind": "done", "cause": "", "at": last.at, "said": found}))
    if _keeps(last):
        return Finished(outcome=act)
    if now - act.at < LOOKS:
        return LookAgain(after=PAUSE, why="whether it was resolved is not known yet")
    if len(done) < SENDS and not stopped:
        return Write(n=act.n, call=plan.calls[0], look=False)
    return Finished(outcome=act)


def write(plan: Plan, call: Call, clients: Clients, key: str, n: int) -> Outcome:
    """Resolves it, once."""
    incident, evidence = str(plan.facts["incident"]), {"kind": "act", "run": key.partition("/")[0]}
    try:
        changed = clients.pagerduty.resolve(incident, RESOLUTION)
    except Refused as error:
        return Outcome(
            kind="refused", said=error.said, n=n, at=clients.now(), evidence={**evidence, "status": error.status}
        )
    except Unknown as error:
        cause: Literal["broken", "timeout"] = "broken" if error.broken else "timeout"
        said = f"{call.said}: whether it was taken is not known ({error.said})"
        return Outcome(kind="unknown", said=said, n=n, at=clients.now(), evidence=evidence, cause=cause)
    said = f"resolved incident {incident}" if changed else "the incident was resolved already"
    return Outcome(kind="done" if changed else "noop", said=said, n=n, at=clients.now(), evidence=evidence)


def put_back(plan: Plan, seen: Sequence[IncidentState], done: Sequence[Outcome], now: datetime) -> Finished:
    """Writes nothing."""
    said = "a resolved incident is not opened again: whoever is hurt triggers a new one"
    return Finished(outcome=Outcome(kind="refused", said=said, at=now))


def weigh(plan: Plan, seen: Sequence[IncidentState], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """Adds nothing: no check is about the incident."""
    return verdict


def remarks(
    plan: Plan | None,
    seen: Sequence[IncidentState],
    done: Sequence[Outcome],
    verdict: Verdict | None,
    stopped: bool = False,
) -> Remarks:
    """What was done stands in the outcome."""
    return Remarks()

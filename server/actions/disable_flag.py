"""Switch a LaunchDarkly flag to its safe state: one JSON patch, bound to the version that was judged.

Rules, targets and percentages stay as they are, so it can be put back: as long as the flag stands as this left it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from server.clients import Clients
from server.core.catalog import FlagTarget, Target
from server.core.flag import decide, read, words
from server.core.flag import look as looking
from server.core.flag.proceed import proceed, put_back
from server.core.flag.prove import weigh
from server.core.flag.remarks import remarks
from server.core.flag.state import FlagState, word
from server.core.outcome import Call, Json, LookAgain, Outcome, Plan, Refusal
from server.core.runbook import Options
from server.errors import Bug, Refused, Unknown

__all__ = ["REVERSIBLE", "Params", "observe", "plan", "proceed", "put_back", "remarks", "state", "weigh", "write"]

REVERSIBLE = True


class Params(Options):
    """comment: what LaunchDarkly's own audit log says; the run's id is added."""

    comment: str = ""


def observe(target: Target, clients: Clients) -> FlagState:
    """The flag in its environment, what is scheduled to change it, and which flags depend on it."""
    if not isinstance(target, FlagTarget) or clients.launchdarkly is None:
        raise Bug(f"disable_flag was given the target {target.name}, which is no flag, or no way to LaunchDarkly")
    return looking.look(target, clients.launchdarkly, clients.now, around=True)


def state(seen: Json) -> FlagState:
    """A look that was stored as JSON."""
    return FlagState.model_validate(seen)


def plan(params: Params, seen: Sequence[FlagState], now: datetime) -> Plan | Refusal | LookAgain:
    """Towards the safe state."""
    return decide.plan(seen, now, comment=params.comment)


def write(plan: Plan, call: Call, clients: Clients, key: str, n: int) -> Outcome:
    """Sends one bound patch, once."""
    if clients.launchdarkly is None:
        raise Bug("there is no way to LaunchDarkly")
    wanted = bool(call.body["patch"][-1]["value"])
    kind = "act" if wanted is (plan.facts["safe"] == "on") else "put_back"
    evidence: Json = {"kind": kind, "run": key.partition("/")[0], "was": plan.facts["version"]}
    try:
        answer, date = clients.launchdarkly.patch(call.path, call.body, call.content_type)
    except Refused as error:
        return _refused(plan, error, evidence, clients.now(), n)
    except Unknown as error:
        cause: Literal["broken", "timeout"] = "broken" if error.broken else "timeout"
        said = f"{call.said}: whether it was taken is not known ({error.said})"
        return Outcome(kind="unknown", said=said, n=n, at=clients.now(), evidence=evidence, cause=cause)
    return _answered(plan, call, wanted, answer, {**evidence, "date": date.isoformat()}, clients.now(), n)


def _answered(plan: Plan, call: Call, wanted: bool, answer: Json, evidence: Json, at: datetime, n: int) -> Outcome:
    """A 200 does not say that every field was applied: what counts is the flag in the answer."""
    facts = plan.facts
    places = {name: facts[name] for name in ("project", "environment", "flag", "safe")}
    seen = read.flag(FlagState(at=at, **places), answer)
    if seen.problem or seen.on is not wanted:
        said = f"{call.said}: LaunchDarkly said 200, and its answer does not show the flag {word(wanted)}"
        return Outcome(kind="unknown", said=said, n=n, at=at, evidence=evidence, cause="timeout")
    evidence |= {"version": seen.version, "flagVersion": seen.flag_version, "on": seen.on}
    return Outcome(kind="done", said=f"{call.said}, now {seen.version}", n=n, at=at, evidence=evidence)


def _refused(plan: Plan, error: Refused, evidence: Json, at: datetime, n: int) -> Outcome:
    """400, 409, 422: the test may not have held, so it is read again. The rest says no, whatever stands there."""
    said = words.refused(plan.facts, error.status, error.said)
    cause: Literal["conflict", ""] = "conflict" if error.status in (400, 409, 422) else ""
    evidence = {**evidence, "status": error.status}
    return Outcome(kind="refused", said=said, n=n, at=at, evidence=evidence, cause=cause)

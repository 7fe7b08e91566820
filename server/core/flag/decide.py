"""From what was seen of a flag: the exact patch, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.flag import patches
from server.core.flag.state import FlagState, clock, word
from server.core.flag.words import consequences, serves
from server.core.outcome import Judged, LookAgain, Plan, Refusal

PATIENCE = timedelta(seconds=10)
"""For so long a token that is not taken may be one that is being changed."""
COMMENT = "switched for a PagerDuty incident"


def plan(seen: Sequence[FlagState], now: datetime, *, comment: str = "") -> Plan | Refusal | LookAgain:
    """Towards the target's safe state; already there = nothing to write."""
    if not seen:
        return LookAgain(after=0.0)
    state = seen[-1]
    if state.passing and now - seen[0].at < PATIENCE:
        return LookAgain(after=1.0, why=state.problem)
    if state.problem:
        return Refusal(reason=state.problem)
    if state.archived:
        said = f"{state.where} is archived: whatever stands there, SDKs serve the default in the caller's code"
        return Refusal(reason=said)
    return _already(state) if state.is_safe else _switch(state, comment)


def _already(state: FlagState) -> Plan:
    since = f" since {clock(state.modified)}" if state.modified else ""
    somebody = f"{state.where} is {state.safe} already, version {state.version}{since}"
    return _planned(state, f"{somebody}; it serves {serves(state)}").model_copy(update={"somebody": somebody})


def _switch(state: FlagState, comment: str) -> Plan:
    call = patches.turn(state, state.safe == "on", f"{comment or COMMENT} (Ripcord {patches.RUN})")
    rest = "".join(f"; {one}" for one in consequences(state, state.at))
    said = f"turn {state.where} {state.safe}, version {state.version}, then it serves {serves(state)}{rest}"
    return _planned(state, said).model_copy(update={"calls": (call,)})


def _planned(state: FlagState, said: str) -> Plan:
    return Plan(
        said=said,
        calls=(),
        judged=Judged(revision=str(state.version), since=state.modified),
        predicted={f"environments.{state.environment}.on": state.safe == "on"},
        was=_was(state),
        facts={
            "project": state.project,
            "environment": state.environment,
            "flag": state.flag,
            "safe": state.safe,
            "version": state.version,
            "on": state.on,
            "at": state.at.isoformat(),
            "site": state.site,
        },
    )


def _was(state: FlagState) -> dict[str, object]:
    """What a person needs to know it by later; rules and targets are counted, since they stay as they are."""
    return {
        "on": word(state.on),
        "version": state.version,
        "flagVersion": state.flag_version,
        "lastModified": state.modified.isoformat() if state.modified else None,
        "offVariation": state.off_variation,
        "fallthrough": state.fallthrough,
        "rules": state.rules,
        "targets": state.targets,
        "prerequisites": list(state.prerequisites),
    }

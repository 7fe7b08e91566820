"""Does the flag stand in its safe state? What is read is LaunchDarkly's own state; when each SDK has it, it does not say."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.flag.state import FlagState, clock, word
from server.core.flag.words import serves
from server.core.outcome import Json, Outcome, Plan, Verdict

REACHED = ("accepted", "acknowledged")
"""LaunchDarkly took it and shows it. `traffic` is not claimed: SDKs that poll, and relays, follow by themselves."""


def judge(state: FlagState) -> Verdict:
    """One look."""
    if state.problem:
        return Verdict(kind="unknown", said=state.problem, at=state.at, state=state.model_dump(mode="json"))
    safe = state.is_safe and not state.archived
    seen = f"{state.where} is {word(state.on)}, version {state.version}"
    said = f"{seen}; it serves {serves(state)}" if safe else f"{seen}{', archived' if state.archived else ''}"
    return Verdict(
        kind="passed" if safe else "unknown",
        said=said,
        at=state.at,
        reached=REACHED if safe else (),
        evidence=evidence(state),
        state=state.model_dump(mode="json"),
    )


def evidence(state: FlagState) -> Json:
    """What was read, for the audit."""
    return {
        "on": state.on,
        "version": state.version,
        "flagVersion": state.flag_version,
        "lastModified": state.modified.isoformat() if state.modified else None,
        "offVariation": state.off_variation,
        "serves": serves(state) if state.is_safe else None,
    }


def weigh(plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """Where it was safe and is not any more, waiting cannot help; where our patch can no longer take effect, neither."""
    last = seen[-1] if seen else None
    if last is None or last.problem or last.is_safe:
        return verdict
    when = f" at {clock(last.modified)}" if last.modified else ""
    if stood(plan, seen, done):
        if last.version == plan.facts.get("version"):
            return verdict.model_copy(update={"said": _never_stored(last)})
        said = f"{last.where} was turned {word(last.on)} again{when}, version {last.version}, not by this run"
        return verdict.model_copy(update={"kind": "failed", "said": said})
    if last.version != plan.facts.get("version"):
        said = f"{last.where} is {word(last.on)} in version {last.version}, which somebody made{when}"
        return verdict.model_copy(update={"said": said, "stop": True})
    return verdict


def _never_stored(last: FlagState) -> str:
    """The answer named a version that nobody can read: late, or never kept. Nobody turned it back."""
    at = f"{last.where} is {word(last.on)} in version {last.version}, as before"
    return f"LaunchDarkly answered that it was turned {last.safe}, and {at}"


def stood(plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome]) -> bool:
    """Whether it stood in its safe state since the plan was made, by an answer or by a look."""
    if not plan.calls or any(one.kind == "done" for one in done):
        return True
    opened = [one.at for one in done if one.kind == "unknown"]
    return any(state.is_safe and not state.problem and state.at >= min(opened) for state in seen if opened)

"""What the note and the page say beside the result."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.flag.prove import stood
from server.core.flag.state import FlagState, clock, word
from server.core.flag.words import consequences, serves
from server.core.outcome import Outcome, Plan, Remarks, Verdict


def remarks(
    plan: Plan | None,
    seen: Sequence[FlagState],
    done: Sequence[Outcome],
    verdict: Verdict | None,
    stopped: bool = False,
) -> Remarks:
    """From all looks. plan None: the run was refused while planning."""
    if not seen or plan is None:
        return Remarks()
    return Remarks(
        mind=_mind(plan, seen, done, stopped),
        proof=_proof(plan, seen),
        done=_done(plan, seen, done),
        back=f"is {plan.facts['safe']}",
    )


def _mind(plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome], stopped: bool) -> tuple[str, ...]:
    read = [state for state in seen if not state.problem]
    if not read:
        return ()
    around = next((state.around for state in reversed(read) if state.around is not None), None)
    last = read[-1].model_copy(update={"around": around})
    lines = list(consequences(last, last.at))
    left = _left(done)
    if left is not None and last.is_safe and last.version != left:
        lines.append(f"somebody changed it after us: version {last.version}, ours was {left}")
    if stopped and any(one.kind == "unknown" for one in done) and not stood(plan, seen, done):
        lines.append("stopped: whether the patch was taken is not known, and it was not sent again")
    return tuple(lines)


def _left(done: Sequence[Outcome]) -> int | None:
    """The version that our switch made."""
    made = [one.evidence.get("version") for one in done if one.kind == "done"]
    return made[-1] if made and isinstance(made[-1], int) else None


def _done(plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome]) -> str:
    """'turned new-checkout in production off, version 41 -> 42, it serves 'old' (false)'."""
    if not plan.calls:
        return plan.somebody
    taken = [one for one in done if one.kind in ("done", "unknown")]
    if not taken:
        return "nothing"
    last, safe, was = seen[-1], plan.facts["safe"], plan.facts["version"]
    if not stood(plan, seen, done):
        return f"tried to turn {last.where} {safe} (no clear answer)"
    left = _left(done)
    if left is not None and not (last.is_safe or last.problem) and last.version == was:
        return f"asked for {last.where} {safe}, answered with version {left}"
    now = f"version {was} -> {left}" if left is not None else f"version {was}"
    rest = f", it serves {serves(last)}" if last.is_safe and not last.problem else ""
    return f"turned {last.where} {safe}, {now}{rest}"


def _proof(plan: Plan, seen: Sequence[FlagState]) -> str:
    """'LaunchDarkly 03:12:34Z: off, version 42, serves 'old' (false)'."""
    last = seen[-1]
    if last.problem:
        return f"none: {last.problem}"
    rest = f", serves {serves(last)}; SDKs follow by themselves" if last.is_safe else ""
    return f"LaunchDarkly {clock(last.at)}: {word(last.on)}, version {last.version}{rest}"

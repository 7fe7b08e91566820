"""The proof: every check looks until it passed twice (the second time after a settle time), failed, or a deadline passed.

Not yet is unknown. While it looks, the action is asked after every look whether it wants to wake the controller or clean up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from server.core.outcome import Finished, LookAgain, Verdict, Write
from server.core.run import CheckSpec, Report, RunSpec, Truth
from server.core.states import State
from server.db import unstamp
from server.engine.durable import Verbs
from server.flow.act import resolved
from server.flow.needs import World
from server.flow.trail import Trail, pure

WriteOnce = Callable[[Verbs, RunSpec, World, Trail, Write], Awaitable[bool]]
PAUSES = (0.15, 0.25, 0.4, 0.6)
"""Seconds between looks: close at first, because most proofs come at once; then every second."""
TRUTHS = (("accepted", None), ("acknowledged", "acknowledge"), ("traffic", "traffic"))
"""What is told apart, and the budget that bounds it."""


async def prove(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, write_once: WriteOnce) -> Report:
    """Proves every check in order. Nothing written and proven all the same = nothing to do."""
    trail.budget_from = trail.budget_from or trail.now
    for number, check in enumerate(spec.verify):
        report = await _one_check(verbs, spec, number, check, world, trail, write_once)
        if report is not None:
            return report
    if trail.unclear and trail.seen:
        await _found(verbs, spec, world, trail, trail.proceed())
    if not trail.acted:
        found = [outcome.said for outcome in trail.done if outcome.kind == "noop"]
        return trail.ended(State.NOTHING_TO_DO, trail.the_plan.somebody or (found or [trail.the_plan.said])[-1])
    return trail.ended(State.PROVEN, trail.verdict.said if trail.verdict else "proven")


async def _one_check(
    verbs: Verbs, spec: RunSpec, number: int, check: CheckSpec, world: World, trail: Trail, write_once: WriteOnce
) -> Report | None:
    looks = passed = 0
    last = ""
    while True:
        verdict = await _look(verbs, spec, number, world, trail)
        if (told := f"{verdict.kind} {verdict.said}") != last:
            last = told
            await verbs.step(f"check {number} told {looks}", world.checked, spec, number, looks, verdict)
            await verbs.step(
                f"check {number} progress {looks}", world.progress, spec, trail.ended(State.PROVING, verdict.said)
            )
        looks += 1
        if verdict.kind == "passed":
            passed += 1
            if passed == 2 or check.settle <= 0:
                return None
            await verbs.sleep(check.settle)
            continue
        passed = 0
        if verdict.kind == "failed":
            return trail.ended(State.FAILED, verdict.said)
        over = _over(check, trail, verdict)
        if over:
            return trail.ended(State.UNPROVEN, over)
        await _between(verbs, spec, world, trail, write_once, looks)
        if trail.guarded is not None:
            return trail.refused(trail.guarded)


async def _look(verbs: Verbs, spec: RunSpec, number: int, world: World, trail: Trail) -> Verdict:
    look = await verbs.step(trail.name(f"check {number} look"), world.check, spec, number, trail.the_plan)
    trail.looked(look)
    if "unread" in look:
        verdict = Verdict(kind="unknown", said=f"cannot be read now: {look['unread']}", at=unstamp(look["at"]))
    else:
        verdict = pure("verdict", lambda: Verdict.model_validate(look["verdict"]))
        if look.get("state") is not None:
            verdict = trail.weigh(verdict)
    _remember(trail, verdict)
    trail.verdict = verdict
    return verdict


def _remember(trail: Trail, verdict: Verdict) -> None:
    """When each truth was first read, and that it no longer holds where a later look says so."""
    for name, _budget in TRUTHS:
        before = trail.truths.get(name)
        if name in verdict.reached:
            if before is None or not before.held:
                trail.truths[name] = Truth(name=name, held=True, at=verdict.at)
        elif not (verdict.evidence == {} and before):
            trail.truths[name] = Truth(
                name=name, held=False if verdict.kind == "failed" else None, at=verdict.at, said=verdict.said
            )


def _over(check: CheckSpec, trail: Trail, verdict: Verdict) -> str | None:
    """Why the proof is over without a result, or None."""
    if verdict.stop:
        return verdict.said
    start: datetime = trail.budget_from or trail.now
    limits = [("", check.within)] + [
        (name, trail.budgets[budget]) for name, budget in TRUTHS if budget in trail.budgets and not trail.reached(name)
    ]
    for name, seconds in sorted(limits, key=lambda limit: limit[1]):
        if trail.now >= start + timedelta(seconds=seconds):
            return f"{f'not {name} ' if name else 'not proven '}within {seconds:g} s: {verdict.said}"
    return None


async def _between(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, write_once: WriteOnce, looks: int) -> None:
    """Between two looks: a wake or a clean-up where the action wants one, else a pause."""
    pause = PAUSES[looks - 1] if looks <= len(PAUSES) else 1.0
    move = trail.proceed() if trail.seen else None
    if isinstance(move, Write):
        await write_once(verbs, spec, world, trail, move)
    elif isinstance(move, LookAgain):
        pause = min(pause, max(move.after, 0.05))
    await _found(verbs, spec, world, trail, move)
    await verbs.sleep(pause)


async def _found(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, move: object) -> None:
    """A write whose answer never came, and whose effect only the proof has read: its row gets its outcome too."""
    if isinstance(move, Finished):
        await resolved(verbs, spec, world, trail, move.outcome)

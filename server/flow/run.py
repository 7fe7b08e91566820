"""The story of one run, interpreted as data: wait for the target, plan, guard, act, prove, close, tell."""

from __future__ import annotations

from typing import Any

from server.core.outcome import Refusal
from server.core.run import Report, RunSpec
from server.core.states import State
from server.engine.durable import Verbs
from server.errors import Bug
from server.flow.act import act, begin_note, guards, settle_a_plan, write_once
from server.flow.afterwards import afterwards
from server.flow.needs import World
from server.flow.prove import prove
from server.flow.trail import BUGS, Trail, as_bug, pure

Json = dict[str, Any]

PLANS = 4
"""How often a run plans afresh after somebody changed the target between plan and write."""


async def carry_out(verbs: Verbs, argument: Json, world: World) -> Json:
    """argument: RunSpec. Ends the run in a final state, whatever happens; then the note has its last word."""
    spec = RunSpec.model_validate(argument)
    trail = Trail(spec)
    try:
        report = await _carry(verbs, spec, world, trail)
    except BUGS as error:
        report = trail.bug(as_bug(error))
    report = await afterwards(verbs, spec, world, trail, report)
    closed = await _close(verbs, spec, world, report)
    await begin_note(verbs, spec, trail, early=False)
    if trail.note_begun:
        await verbs.tell(f"n-{spec.id}", "ended", {"joined": closed["joined"]})
    return {"state": closed["state"]}


async def _close(verbs: Verbs, spec: RunSpec, world: World, report: Report) -> Json:
    """A run that is not closed would hold its target for ever: what cannot be written down whole is written down in short."""
    try:
        closed: Json = await verbs.step("end", world.ended, spec, report)
    except Bug as bug:
        said = f"a bug in Ripcord ({bug.said}): it ended so, and what it saw could not be kept"
        short = Report(state=report.state, said=said, seconds=report.seconds, ended_at=report.ended_at)
        closed = await verbs.step("end in short", world.ended, spec, short)
    return closed


async def _carry(verbs: Verbs, spec: RunSpec, world: World, trail: Trail) -> Report:
    waits = 0
    while await verbs.step(f"take target {waits}", world.take_target, spec):
        waits += 1
        await verbs.sleep(1.0)
    plan = None
    for index in range(len(spec.steps)):
        report = await _one_step(verbs, spec, index, world, trail)
        if report is not None:
            return report
        plan = trail.plan
    if plan is None:
        raise Bug("a runbook without steps")
    return await prove(verbs, spec, world, trail, write_once)


async def _one_step(verbs: Verbs, spec: RunSpec, index: int, world: World, trail: Trail) -> Report | None:
    """Plans and acts until the step wants no further write. None = go on; a report = the run is over."""
    trail.begin_step(
        index, pure("moves", lambda: world.moves(spec, index)), pure("budgets", lambda: world.budgets(spec))
    )
    conflicts = 0
    while conflicts < PLANS:
        plan = await settle_a_plan(verbs, spec, world, trail)
        if isinstance(plan, Refusal):
            return trail.refused(plan.reason)
        await verbs.step(trail.name("planned"), world.planned, spec, index, plan)
        if spec.observed or plan.calls:
            stop = await guards(verbs, spec, world, trail, plan)
            if stop is not None:
                if stop == "":  # PagerDuty could not be read for a while: what was planned may be stale
                    continue
                return trail.refused(stop)
        if spec.observed:
            return trail.ended(State.OBSERVED, plan.said)
        again = await act(verbs, spec, world, trail)
        if not isinstance(again, str):
            return again
        conflicts += 1
    return trail.refused("the target changed each time between plan and write")

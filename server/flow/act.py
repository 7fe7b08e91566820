"""One step of a run, interpreted as data: look until a plan stands, ask the guards, and then intent, one write, its outcome, a look.

What is done next is always asked of the action's pure functions; nothing here knows what a step is about.
"""

from __future__ import annotations

from collections.abc import Callable

from server.core.outcome import Finished, LookAgain, Outcome, Plan, Refusal, Write
from server.core.run import Report, RunSpec
from server.db import unstamp
from server.engine.durable import Verbs
from server.flow.needs import Json, World
from server.flow.trail import Trail

READ_PATIENCE = 60.0
"""Seconds that a step waits for an upstream that cannot be read: then planning refuses, and what was written goes to its proof."""
OWED_PATIENCE = 600.0
"""The same while a write that was intended beside another has not left: an abort without the Service beside it can be the outage."""
UNREAD_AFTER, UNREAD_LONG = 0.5, 2.0
NOT_DONE_AFTER = 1.0

Move = Callable[[], Write | LookAgain | Finished]


async def begin_note(verbs: Verbs, spec: RunSpec, trail: Trail, *, early: bool) -> None:
    """The note has a workflow of its own, so that PagerDuty never delays a write or a look."""
    if trail.note_begun or "pagerduty_note" not in spec.tell:
        return
    trail.note_begun = True
    await verbs.start("note", f"n-{spec.id}", {"run": spec.id, "incident": spec.incident, "early": early})


async def settle_a_plan(verbs: Verbs, spec: RunSpec, world: World, trail: Trail) -> Plan | Refusal:
    """Looks until the pure plan stands."""
    trail.begin_plan()
    while True:
        look = await trail.look(verbs, world)
        if "unread" in look:
            if trail.unread_for > READ_PATIENCE:
                return Refusal(reason=_unread(look))
            await verbs.sleep(1.0)
            continue
        move = trail.planning()
        if isinstance(move, LookAgain):
            await verbs.sleep(move.after)
            continue
        if isinstance(move, Plan):
            move = move.model_copy(update={"facts": {**move.facts, "run": spec.id}})
            trail.plan = move
        return move


async def guards(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, plan: Plan) -> str | None:
    """None = may act; '' = plan afresh; else the reason of the first guard that holds."""
    pauses = [1.0, 2.0, 5.0, 10.0, 30.0]
    waited = False
    while True:
        said = await verbs.step(trail.name("guards"), world.guards, spec, plan)
        if "stop" in said:
            await verbs.step(trail.name("guard stopped"), world.guard_stopped, spec, said["stop"])
            return str(said["stop"])
        if "unread" not in said:
            return "" if waited else None
        waited = True
        await verbs.sleep(pauses.pop(0) if pauses else 60.0)


async def act(
    verbs: Verbs, spec: RunSpec, world: World, trail: Trail, asked: Move | None = None
) -> Report | str | None:
    """Interprets `proceed` (or another such) until it finishes. None = go on; 'again' = plan afresh; a report = over."""
    while True:
        move = (asked or trail.proceed)()
        if isinstance(move, Finished):
            break
        if isinstance(move, LookAgain):
            await verbs.sleep(move.after)
        elif not await write_once(verbs, spec, world, trail, move) or not move.look:
            if trail.guarded is not None:
                return trail.refused(trail.guarded)
            continue
        look = await trail.look(verbs, world)
        if "unread" not in look:
            continue
        # Without a new look the action can only ask for one: somebody must say when that is enough.
        if trail.unread_for > (OWED_PATIENCE if trail.pending else READ_PATIENCE):
            return None if trail.wrote else trail.refused(_unread(look))
        await verbs.sleep(UNREAD_AFTER if trail.unread_for < READ_PATIENCE / 2 else UNREAD_LONG)
    outcome = move.outcome
    if await resolved(verbs, spec, world, trail, outcome):
        return None
    if outcome.kind == "refused" and not trail.wrote:
        return "again" if outcome.cause == "conflict" else trail.refused(outcome.said)
    return None


def _unread(look: Json) -> str:
    return f"it could not be read: {look['unread']}"


async def resolved(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, outcome: Outcome) -> bool:
    """An effect whose answer never came was found by reading: its row gets its outcome."""
    unknown = [o for o in trail.done if o.n == outcome.n and o.kind == "unknown"]
    if outcome.kind != "done" or not unknown or any(o.n == outcome.n and o.kind == "done" for o in trail.done):
        return False
    await verbs.step(trail.name("found"), world.outcome, spec, trail.index, trail.numbered(outcome))
    trail.found(outcome)
    return True


async def write_once(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, move: Write) -> bool:
    """Intent, one write, outcome; a write that was certainly not done is sent again under its number. False = stopped."""
    index, plan = trail.index, trail.the_plan
    if not plan.calls and not trail.wrote and not trail.intended:
        # The first write of a run that found the work done by somebody else (a wake) passes the guards too.
        stop = await guards(verbs, spec, world, trail, plan)
        if stop:
            trail.guarded = stop
            return False
    write = trail.number(move)
    first, not_done = trail.now, None
    while True:
        intent = await verbs.step(trail.name("intend"), world.intend, spec, index, write)
        if "stopped" in intent:
            await _stopped(verbs, spec, world, trail, intent["stopped"], write, not_done)
            trail.stop(intent["stopped"], move.n)
            return False
        if not trail.intend(write, intent["by"]):
            return True
        said = await verbs.step(trail.name("write"), world.write, spec, index, plan, write.call, write.n, intent["by"])
        if "outcome" in said:
            break
        not_done = str(said["at"])
        wait = float(said.get("retry_after") or NOT_DONE_AFTER)
        if trail.over_budget(first, said["at"], wait):
            said = {"outcome": trail.not_done(write.n, said["at"], said["not_done"])}
            break
        await verbs.sleep(wait)
    outcome = Outcome.model_validate(said["outcome"])
    await verbs.step(trail.name("outcome"), world.outcome, spec, index, outcome)
    trail.add(outcome, move.n)
    if outcome.kind in ("done", "noop", "unknown"):
        await begin_note(verbs, spec, trail, early=True)
    return True


async def _stopped(
    verbs: Verbs, spec: RunSpec, world: World, trail: Trail, reason: str, write: Write, not_done: str | None
) -> None:
    """The stop switch came on at the last moment. An intent that stands in the chain gets its outcome: nothing was done."""
    if not_done is not None:
        outcome = Outcome(
            kind="refused", said=f"stop switch: {reason}", n=write.n, at=unstamp(not_done), cause="stopped"
        )
        await verbs.step(trail.name("outcome"), world.outcome, spec, trail.index, outcome)
    elif write.n in trail.pending:
        return  # it gets its outcome when the run is closed
    elif not trail.intended:
        await verbs.step(trail.name("guard stopped"), world.guard_stopped, spec, f"stop switch: {reason}")


async def close_intents(verbs: Verbs, spec: RunSpec, world: World, trail: Trail) -> None:
    """A write that was intended together with another and never sent gets its outcome: nothing was done."""
    for n, (index, _by) in sorted(trail.pending.items()):
        said = "not sent: it was intended only for the case that it would be needed"
        if trail.stopped is not None:
            said = f"not sent: stop switch: {trail.stopped}"
        outcome = Outcome(kind="refused", said=said, n=n, at=trail.now, cause="not_done")
        await verbs.step(f"{index} not sent {n}", world.outcome, spec, index, outcome)
    trail.pending.clear()

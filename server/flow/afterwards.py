"""What follows the result: the runbook's `after_proof` steps, and taking our own steps back where it says so.

Neither changes the state that the run ended in. What came of them stands in the note.
"""

from __future__ import annotations

from server.core.outcome import Finished, Plan, Refusal
from server.core.run import Report, RunSpec
from server.core.states import State
from server.engine.durable import Verbs
from server.flow.act import act, close_intents, settle_a_plan
from server.flow.needs import World
from server.flow.trail import BUGS, Trail, as_bug, pure


async def afterwards(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, report: Report) -> Report:
    """The report, with what was done after it. Only what is proven is followed by anything; only what failed is put back."""
    try:
        await close_intents(verbs, spec, world, trail)
    except BUGS as error:
        report = _minding(report, f"{_bug(error)}: an intent that was not needed has no outcome")
    if report.state in (State.PROVEN, State.NOTHING_TO_DO):
        for index in range(len(spec.steps), len(spec.steps) + len(spec.after_proof)):
            try:
                report = await _after_proof(verbs, spec, index, world, trail, report)
            except BUGS as error:
                report = _minding(report, f"{spec.step(index).action}: {_bug(error)}: look by hand")
    elif report.state is State.FAILED and spec.on_failure == "put_back" and trail.wrote:
        try:
            report = await _put_back(verbs, spec, world, trail, report)
        except BUGS as error:
            report = _minding(report, f"put back: {_bug(error)}: look by hand")
    return report


async def _after_proof(verbs: Verbs, spec: RunSpec, index: int, world: World, trail: Trail, report: Report) -> Report:
    moves = pure("moves", lambda: world.moves(spec, index))
    after = trail.afterwards(index, moves, pure("budgets", lambda: world.budgets(spec)))
    plan = await settle_a_plan(verbs, spec, world, after)
    if isinstance(plan, Refusal):
        return _minding(report, f"{spec.step(index).action}: {plan.reason}")
    await verbs.step(after.name("planned"), world.planned, spec, index, plan)
    await act(verbs, spec, world, after)
    return _after(report, plan, after)


def _after(report: Report, plan: Plan, after: Trail) -> Report:
    """Done = the plan in one clause more; anything else = what a person should know."""
    last = after.done[-1] if after.done else None
    if last is None and plan.calls:
        said = f"stop switch: {after.stopped}" if after.stopped is not None else "not sent"
        return _minding(report, f"{plan.said}: {said}")
    if last is not None and last.kind in ("refused", "unknown"):
        return _minding(report, f"{plan.said}: {last.said}")
    done = "; then ".join(
        part for part in (report.remarks.done, last.said if last else plan.somebody or plan.said) if part
    )
    return report.model_copy(update={"remarks": report.remarks.model_copy(update={"done": done})})


async def _put_back(verbs: Verbs, spec: RunSpec, world: World, trail: Trail, report: Report) -> Report:
    """Our own step is taken back as its action says; where it is not as we left it any more, nothing is."""
    before = len(trail.all_done)
    await trail.look(verbs, world)
    await act(verbs, spec, world, trail, trail.putting_back)
    said = [outcome.said for outcome in trail.all_done[before:]]
    if not said:
        move = trail.putting_back()
        said = [move.outcome.said] if isinstance(move, Finished) else ["it was not put back"]
    return _minding(report, f"put back: {'; '.join(said)}")


def _bug(error: Exception) -> str:
    return f"a bug in Ripcord ({as_bug(error).said})"


def _minding(report: Report, sentence: str) -> Report:
    remarks = report.remarks.model_copy(update={"mind": (*report.remarks.mind, sentence)})
    return report.model_copy(update={"remarks": remarks})

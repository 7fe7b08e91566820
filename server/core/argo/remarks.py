"""What the note says beside the result: what held it up, what to mind, what was wrong, what was done and proven."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.argo import analysis, lease, patches, wake
from server.core.argo.decide import PATIENCE, taken_over
from server.core.argo.state import RolloutState, percent, short
from server.core.argo.story import Story, row
from server.core.outcome import Json, Outcome, Plan, Remarks, Verdict

SLOW = timedelta(seconds=3)
"""An acknowledgement that comes within this needs no explanation."""


def remarks(
    plan: Plan | None,
    seen: Sequence[RolloutState],
    done: Sequence[Outcome],
    verdict: Verdict | None,
    stopped: bool = False,
) -> Remarks:
    """From all looks. plan None: the run was refused while planning."""
    if not seen:
        return Remarks()
    if plan is None:
        return Remarks(mind=_sleeping_spec(seen), wrong=wrong(seen), plot=plot(seen))
    story = Story(plan, seen, done)
    return Remarks(
        held=held(story),
        mind=(*_paused(story), *mind(story, stopped)),
        wrong=wrong(seen),
        proof=_proof(story),
        done=_done(story),
        plot=plot(seen),
    )


def wrong(seen: Sequence[RolloutState]) -> str:
    """The newest look that knows of a measurement against the version, else the one before it."""
    return next((found for state in reversed(seen) if (found := analysis.wrong(state.analysis))), "")


def clock(time: datetime) -> str:
    """'03:12:34Z'."""
    return f"{time:%H:%M:%S}Z"


def without_gate(until: datetime) -> str:
    """While the bad version's pods run, the controller takes it back without asking anybody."""
    return f"until {clock(until)} a retry, or applying the bad version again, makes it live without any gate"


# Held ---------------------------------------------------------------------------------------------------------------------------


def held(story: Story) -> tuple[str, ...]:
    """What kept it from going on."""
    if not story.flag_seen:
        return _nobody(story, only_if_silent=True)
    return (*_acknowledgement(story), *_pods(story), *_deadlock(story))


def _acknowledgement(story: Story) -> tuple[str, ...]:
    """Why the acknowledgement was late, or has not come."""
    began = wake.start(story)
    looks = [state for state in story.after_act if state.at >= began]
    came = next((state for state in looks if row(story.facts, state) == "acknowledged"), None)
    waited = (came.at if came else story.last.at) - began
    unreadable = _unreadable(story)
    if waited < SLOW or (came is None and story.now != "unseen"):
        return unreadable
    moved = next((state for state in looks if wake.router_moved(story.facts, state)), None)
    if moved is not None and (came is None or came.at - moved.at >= SLOW):
        how = f"came {round((came.at - moved.at).total_seconds())} s later" if came else "has not come"
        return (
            f"the router moved at {clock(moved.at)}, the acknowledgement {how}: most likely a notification receiver",
            *unreadable,
        )
    woken = len({one.n for one in story.of_kind("wake") if one.kind in ("done", "unknown")})
    lines = [f"the controller did not see the abort, woken {woken} times"] if woken else []
    if not woken or came is None:
        lines += _nobody(story, only_if_silent=False)
    return (*lines, *unreadable)


def _nobody(story: Story, *, only_if_silent: bool) -> tuple[str, ...]:
    """Which of two sentences is true: no controller for long, or one that is starting."""
    last = story.last
    if last.lease.problem:
        return ()
    silent = lease.silent_since(last)
    if silent is not None:
        return (f"no controller has renewed since {clock(silent)}",)
    if only_if_silent:
        return ()
    holders = {state.lease.holder for state in story.seen if not state.lease.problem}
    stood = any(lease.movement(story.seen[: index + 1]) == "standing" for index in range(len(story.seen)))
    return ("controller failing over",) if len(holders) > 1 or stood or lease.movement(story.seen) == "unclear" else ()


def _unreadable(story: Story) -> tuple[str, ...]:
    return ("the controller's Lease cannot be read",) if story.last.lease.problem else ()


def _pods(story: Story) -> tuple[str, ...]:
    """Stable lacks a pod: the gate that holds the traffic."""
    short_of = [state for state in story.after_act if state.abort is True and state.stable_available < state.replicas]
    if not short_of:
        return ()
    return (f"stable has {short_of[-1].stable_available} of {short_of[-1].replicas} pods",)


def _deadlock(story: Story) -> tuple[str, ...]:
    """A walk back that stops half way (both releases)."""
    state = story.last
    weight = state.router.canary
    if (
        not state.dynamic_stable_scale
        or state.scale_down_delay is None
        or not weight
        or row(story.facts, state) != "acknowledged"
    ):
        return ()
    where = percent(weight, state.max_weight)
    way_out = "remove that field or restore the stable template"
    return (f"dynamicStableScale with abortScaleDownDelaySeconds stops at {where}: {way_out}",)


# Mind ---------------------------------------------------------------------------------------------------------------------------


def _paused(story: Story) -> tuple[str, ...]:
    state = story.last
    return ("the canary's pods stay until somebody unpauses",) if state.paused and state.abort is True else ()


def mind(story: Story, stopped: bool) -> tuple[str, ...]:
    """What may go wrong after us, of any abort."""
    state, facts = story.last, story.facts
    lines = []
    if stopped and story.now == "unseen":
        lines.append(f"stopped: the abort stands unseen by the controller, {patches.wake_command(state)}")
    if state.cur not in ("", facts["cur"], facts["sta"]):
        lines.append(f"{short(state.cur, facts['cur'], facts['sta'])} was released meanwhile")
    if story.now == "hotfix" or (state.exists and state.cur == facts["cur"] and state.differs):
        lines.append(f"a newer version stands in spec and the controller sleeps, {patches.wake_command(state)}")
    return tuple(lines)


def _sleeping_spec(seen: Sequence[RolloutState]) -> tuple[str, ...]:
    """Refused because spec was never taken over."""
    state = seen[-1]
    if not state.has_status or not taken_over(state) or state.at - seen[0].at < PATIENCE:
        return ()
    return (f"a newer version stands in spec and the controller sleeps, {patches.wake_command(state)}",)


# Done and proof -----------------------------------------------------------------------------------------------------------------


def _done(story: Story) -> str:
    """'aborted production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b'."""
    facts, state = story.facts, story.last
    if not story.plan.calls:
        return story.plan.somebody
    act = story.act
    if act is None or act.kind == "refused":
        return "nothing"
    cur, sta = short(facts["cur"], facts["sta"]), short(facts["sta"], facts["cur"])
    before = percent(facts["weight"], state.max_weight)
    after = "not known" if state.router.canary is None else percent(state.router.canary, state.max_weight)
    verb = "aborted" if act.kind == "done" or story.flag_seen else "tried to abort (no clear answer)"
    line = f"{verb} {state.where}, canary {cur} {before} -> {after}, stable {sta}"
    return "; ".join([line, *wakes(story)])


def wakes(story: Story) -> list[str]:
    """The smaller writes, as clauses."""
    clauses = []
    times = len({one.n for one in story.of_kind("wake") if one.kind == "done"})
    if times:
        clauses.append(f"woke the controller {'once' if times == 1 else f'{times} times'}")
    if any(one.kind == "done" for one in story.of_kind("cleanup")):
        clauses.append(f"took the abort off {short(story.last.cur, story.facts['cur'])} again")
    return clauses


def _proof(story: Story) -> str:
    """'controller 03:12:34Z; traffic 0 % canary, 10/10 stable'."""
    state = story.last
    if not state.exists or state.problem:
        return f"none: {state.where} cannot be read"
    controller = f"controller {state.aborted_at[11:19]}Z" if state.aborted_at else "the controller has not acknowledged"
    canary = (
        "not readable" if state.router.canary is None else f"{percent(state.router.canary, state.max_weight)} canary"
    )
    return f"{controller}; traffic {canary}, {state.stable_available}/{state.replicas} stable"


def plot(seen: Sequence[RolloutState]) -> Json:
    """Numbers for the page: weights over time, and the metric against its limit."""
    weights = [
        {
            "at": state.at.isoformat(),
            "router": state.router.canary,
            "status": state.weights.canary if state.weights else None,
        }
        for state in seen[-200:]
    ]
    runs = next((state.analysis for state in reversed(seen) if state.analysis), ())
    metrics = [
        {
            "run": run.name,
            "metric": metric.name,
            "required": metric.required,
            "measured": [list(one) for one in metric.measured],
        }
        for run in runs[:3]
        for metric in run.metrics
    ]
    return {"weights": weights, "max": seen[-1].max_weight, "metrics": metrics}

"""The decision table of `abort_rollout`: what was seen in, a plan, a refusal or "look again" out. Pure and total."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.argo import patches
from server.core.argo.state import RolloutState, percent, short
from server.core.outcome import Judged, LookAgain, Plan, Refusal

SETTLED = timedelta(seconds=10)
"""A Rollout that somebody changed so lately is looked at twice."""
APART = timedelta(seconds=0.3)
PATIENCE = timedelta(seconds=15)
CONTROLLERS = frozenset({"rollouts-controller", "argo-rollouts", "argo-rollouts-controller"})
"""Field managers of the controller itself."""
NOT_TAKEN_OVER = "the controller has not taken over what is in spec"


def plan(seen: Sequence[RolloutState], now: datetime, *, strategy: str = "canary") -> Plan | Refusal | LookAgain:
    """The first row that fits."""
    state = seen[-1]
    if first := unready(seen, strategy):
        return first
    if reason := _nothing_to_abort(state):
        return Refusal(reason=reason)
    if reason := unreadable(state):
        return Refusal(reason=reason)
    return _plan(state)


def unready(seen: Sequence[RolloutState], strategy: str) -> Refusal | LookAgain | None:
    """What comes before every decision: it can be read, it is of that strategy, and what stands there is settled."""
    state = seen[-1]
    if reason := _cannot(state, strategy):
        return Refusal(reason=reason)
    again = unsettled(seen)
    if again is not None and state.at - seen[0].at >= PATIENCE:
        return Refusal(reason=f"{NOT_TAKEN_OVER} ({state.where}: {again.why})")
    return again


def taken_over(state: RolloutState) -> str:
    """Why it is not known that the controller has taken spec over; '' = it has."""
    if not state.has_status:
        return "it has no status yet"
    if state.observed_generation is None or state.observed_generation < state.generation:
        return f"generation {state.generation}, observed {state.observed_generation}"
    if state.differs is None:
        return f"there is no ReplicaSet of {short(state.cur)}"
    return f"the ReplicaSet of {short(state.cur)} differs from spec: {state.differs}" if state.differs else ""


def unsettled(seen: Sequence[RolloutState]) -> LookAgain | None:
    """Not taken over, or changed so lately that one look is not enough."""
    state = seen[-1]
    if why := taken_over(state):
        return LookAgain(after=0.5, why=why)
    if state.changed_at is not None and state.date - state.changed_at > SETTLED:
        return None
    earlier = [one for one in seen[:-1] if state.at - one.at >= APART]
    if earlier and all(_same(one, state) for one in seen[seen.index(earlier[-1]) :]):
        return None
    return LookAgain(after=APART.total_seconds(), why="it changed within the last 10 s")


def _same(one: RolloutState, other: RolloutState) -> bool:
    """The same judgement. Counts, conditions, resourceVersion and generation may move."""
    return _identity(one) == _identity(other)


def _identity(state: RolloutState) -> tuple[object, ...]:
    return state.uid, state.template, state.cur, state.sta, state.abort, state.aborted_at, state.promote_full


def _cannot(state: RolloutState, strategy: str) -> str:
    """Row 0, and what this action leaves out."""
    if state.problem:
        return f"{state.where} cannot be read: {state.problem}"
    if not state.exists:
        return f"there is no Rollout {state.where}"
    if state.deleting:
        return f"{state.where} is being deleted"
    if state.strategy != strategy:
        return f"{state.where} is {state.strategy or 'neither canary nor blue-green'}, the catalog says {strategy}"
    if state.unsupported:
        return state.unsupported
    if state.invalid:
        return f"the controller refuses the spec of {state.where}, so no abort is carried out: {state.invalid[:300]}"
    return ""


def _nothing_to_abort(state: RolloutState) -> str:
    """Rows 2, 3c, 8 and 9: where an abort does nothing, or does not hold."""
    cur, sta = short(state.cur, state.sta), short(state.sta, state.cur)
    if len(state.replica_sets) < 2 or not state.sta:
        return f"{state.where} is a first deploy ({cur}): there is nothing to return to"
    if state.cur == state.sta:
        return f"{cur} is fully promoted: an abort does nothing there (when_promoted: refuse)"
    if state.replica_set(state.sta) is None:
        return f"the ReplicaSet of stable {sta} is gone: there is nothing to return to"
    if state.in_window_rollback and not state.aborted_at:
        return f"a rollback within rollbackWindow to {cur} is running: no abort holds there"
    return ""


def unreadable(state: RolloutState) -> str:
    """What could not be proven is not begun."""
    for what, problem in (
        (f"VirtualService {state.router.name}", state.router.problem),
        (f"Service {state.stable_service.name}", state.stable_service.problem),
        (f"Service {state.canary_service.name}", state.canary_service.problem),
    ):
        if problem:
            return f"no proof would be possible: {what}: {problem}"
    return ""


def _plan(state: RolloutState) -> Plan:
    """Rows 3, 3b, 4 and 5."""
    cur, sta = short(state.cur, state.sta), short(state.sta, state.cur)
    weight = percent(state.router.canary or 0, state.max_weight)
    aborted = state.abort is True
    who = somebody(state) if aborted else ""
    said = f"abort {state.where}, canary {cur} {weight} -> 0 %, stable {sta}"
    return Plan(
        said=f"{state.where}: {who}" if aborted else said,
        calls=() if aborted else (patches.abort(state),),
        judged=Judged(revision=state.cur, since=state.since),
        predicted={
            "abort": True,
            "abortedAt": "set",
            "canary weight": 0,
            "stable weight": state.max_weight,
            "stable hash": state.sta,
            "stable available": state.replicas,
        },
        was={
            "abort": aborted,
            "abortedAt": state.aborted_at,
            "phase": state.phase,
            "canary weight": state.router.canary,
            "status weights": state.weights.model_dump() if state.weights else None,
            "resourceVersion": state.resource_version,
            "router resourceVersion": state.router.resource_version,
            "stable available": state.stable_available,
        },
        facts={
            "cluster": state.cluster,
            "namespace": state.namespace,
            "name": state.name,
            "uid": state.uid,
            "cur": state.cur,
            "sta": state.sta,
            "template": state.template,
            "weight": state.router.canary or 0,
            "at": state.at.isoformat(),
            "strategy": state.strategy,
        },
        somebody=who,
    )


def somebody(state: RolloutState) -> str:
    """'aborted already at 03:12:01Z by …'."""
    when = f" at {state.aborted_at[11:19]}Z" if state.aborted_at else ""
    cause = state.message.partition("update to revision ")[2].partition(": ")[2]
    if cause:
        who = f"by its analysis: {cause[:300]}" if "nalysis" in cause else f"by the controller: {cause[:300]}"
    else:
        # A controller's own abort without a cause is a progress deadline or somebody's flag that it wrote back.
        known = state.abort_by and state.abort_by not in CONTROLLERS
        who = f"by {state.abort_by[:100]}" if known else "by whom is not known"
    return f"aborted already{when}, {who}"

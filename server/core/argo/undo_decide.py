"""The decision about an undo: going back from a version that is fully promoted. A plan or a refusal. Pure and total."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from server.core.argo import decide, patches, template, undo_target
from server.core.argo.bluegreen import capacity
from server.core.argo.state import ReplicaSet, RolloutState, short
from server.core.outcome import Call, Json, Judged, LookAgain, Model, Plan, Refusal

PAUSE = "BlueGreenPause"
PROMOTE, RELEASE = 2, 3
"""Numbers of the two writes that may follow the template."""


class Options(Model):
    """What the runbook says about a version that is stable already."""

    when_promoted: Literal["refuse", "undo"] = "refuse"
    promoted_within: float = 3600.0
    skip_gates: bool = False


REFUSE = Options()


def canary(seen: Sequence[RolloutState], options: Options) -> Plan | Refusal | LookAgain | None:
    """The undo of a promoted canary. None = it is not about one, or the runbook does not ask for it."""
    state = seen[-1]
    if options.when_promoted != "undo" or state.cur != state.sta or not state.cur or len(state.replica_sets) < 2:
        return None
    return decide.unready(seen, "canary") or plan(state, options)


def plan(state: RolloutState, options: Options) -> Plan | Refusal:
    """Where current is stable (and active): back to the version before, if one is certain."""
    cur = short(state.cur)
    if len(state.replica_sets) < 2:
        return Refusal(reason=f"{state.where} is a first deploy ({cur}): there is nothing to return to")
    if options.when_promoted != "undo":
        return Refusal(reason=f"{cur} is fully promoted: an abort does nothing there (when_promoted: refuse)")
    if reason := _cannot(state):
        return Refusal(reason=reason)
    target = undo_target.choose(state)
    if isinstance(target, str):
        return Refusal(reason=target)
    if not target.template or not target.template.get("spec"):
        return Refusal(reason=f"the template of {short(target.hash, state.cur)} cannot be read")
    if reason := _unfit(state, target, target.template, options):
        return Refusal(reason=reason)
    return _plan(state, target, target.template, options)


def restored(state: RolloutState, options: Options) -> Plan | Refusal:
    """The stable template stands in spec again, and the active Service is still on the version that was taken back."""
    bad, good = state.replica_set(state.active.selects), state.replica_set(state.sta)
    act, sta = short(state.active.selects, state.sta), short(state.sta, state.active.selects)
    service = f"Service {state.active.name}"
    by_hand = f"{service} selects {act}, stable is {sta}: somebody pointed it there by hand"
    if bad is None or good is None or not _younger(bad, good) or bad.hash not in state.history.wrote:
        return Refusal(reason=by_hand)
    if reason := _stuck(state) or capacity(state):
        return Refusal(reason=reason)
    if PAUSE in state.pauses:
        return _released(state, bad, patches.release(state), "release")
    if options.skip_gates:
        return _released(state, bad, patches.promote(state), "promote")
    return Refusal(
        reason=f"{service} selects {act}, stable is {sta}, and no pause holds it: only skip_gates would move it on"
    )


def too_long_ago(made: Plan, newest: datetime | None) -> str | None:
    """Whether the version became stable so long before the alert that it is not its cause. None = it did not, or no undo."""
    within, since = made.facts.get("promoted_within"), made.judged.since
    if not made.undo or within is None or since is None or newest is None:
        return None
    if newest - since <= timedelta(seconds=float(within)):
        return None
    name = short(made.judged.revision)
    return (
        f"{name} is stable since {since:%H:%M:%S}Z, more than {float(within):g} s before the alert ({newest:%H:%M:%S}Z)"
    )


def _cannot(state: RolloutState) -> str:
    """What keeps any undo from being one."""
    if reason := _stuck(state):
        return reason
    if state.gitops:
        name = short(state.cur)
        return f"{state.where} is kept by {state.gitops}, which would write {name} back, live without any gate: suspend it first"
    return decide.unreadable(state) if state.strategy == "canary" else ""


def _stuck(state: RolloutState) -> str:
    return f"{state.where} is paused by hand: nothing would move until somebody unpauses it" if state.paused else ""


def _younger(one: ReplicaSet, other: ReplicaSet) -> bool:
    return one.created is not None and other.created is not None and one.created > other.created


def _unfit(state: RolloutState, target: ReplicaSet, to: Json, options: Options) -> str:
    """What is wrong with this way back."""
    name = short(target.hash, state.cur)
    if not template.difference(state.template, to):
        return f"the template of {name} is what stands in spec already"
    held = not state.auto_promotion or state.pre_analysis
    if state.strategy == "blue-green" and held and in_window(state, target) and not options.skip_gates:
        return f"rollbackWindow covers {name}: with a pause or a pre-promotion analysis the controller would hang there"
    return ""


def in_window(state: RolloutState, target: ReplicaSet) -> bool:
    """Whether the controller would treat going back as a rollback within `rollbackWindow`."""
    stable = state.replica_set(state.sta)
    if not state.rollback_window or stable is None or not _younger(stable, target):
        return False
    between = [one for one in state.replica_sets if _younger(one, target) and _younger(stable, one)]
    return len(between) < state.rollback_window


def fast(state: RolloutState, target: ReplicaSet) -> bool:
    """Whether the controller would skip its gates: only where every old pod is ready before."""
    if target.available < state.replicas or target.replicas < state.replicas:
        return False
    if state.strategy == "blue-green":
        return undo_target.runs_until(target, state.date) is not None
    return in_window(state, target)


def _plan(state: RolloutState, target: ReplicaSet, to: Json, options: Options) -> Plan:
    cur, back = short(state.cur, target.hash), short(target.hash, state.cur)
    how = "fast, its pods are all ready" if fast(state, target) else "through all gates"
    if options.skip_gates and not fast(state, target):
        how = "skipping the gates"
    return Plan(
        said=f"undo {state.where}, {cur} -> {back}, {how}",
        calls=(patches.restore(state, to, target.hash),),
        judged=Judged(revision=state.cur, since=state.since),
        predicted=_predicted(state, target.hash),
        was=_was(state),
        facts={
            **_facts(state, target.hash, "undo"),
            "to": to,
            "how": how,
            "skip_gates": options.skip_gates,
            "promoted_within": options.promoted_within,
        },
        undo=True,
    )


def _released(state: RolloutState, bad: ReplicaSet, call: Call, main: str) -> Plan:
    act, sta = short(bad.hash, state.sta), short(state.sta, bad.hash)
    return Plan(
        said=f"{call.said}; Service {state.active.name} {act} -> {sta}",
        calls=(call,),
        judged=Judged(revision=bad.hash, since=bad.created),
        predicted=_predicted(state, state.sta),
        was=_was(state),
        facts={**_facts(state, state.sta, main), "cur": bad.hash, "to": state.template, "how": "", "skip_gates": False},
        undo=True,
    )


def _predicted(state: RolloutState, target: str) -> Json:
    traffic: Json = {"canary weight": 0, "stable weight": state.max_weight}
    if state.strategy == "blue-green":
        traffic = {"active Service": target, "ready endpoints": state.replicas}
    return {"current hash": target, "stable hash": target, "stable available": state.replicas, **traffic}


def _was(state: RolloutState) -> Json:
    return {
        "current hash": state.cur,
        "stable hash": state.sta,
        "active Service": state.active.selects,
        "ready endpoints": state.endpoints.all_ready,
        "phase": state.phase,
        "resourceVersion": state.resource_version,
    }


def _facts(state: RolloutState, target: str, main: str) -> Json:
    return {
        "cluster": state.cluster,
        "namespace": state.namespace,
        "name": state.name,
        "uid": state.uid,
        "cur": state.cur,
        "sta": state.sta,
        "target": target,
        "template": state.template,
        "weight": 0,
        "at": state.at.isoformat(),
        "strategy": state.strategy,
        "service": state.active.name,
        "main": main,
        "numbers": {"1": "undo", str(PROMOTE): "promote", str(RELEASE): "release"},
    }

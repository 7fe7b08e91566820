"""The decision table of `switch_blue_green_back`: what was seen in, a plan, a refusal or "look again" out. Pure and total.

Where the new version is active and not stable yet, an abort alone can be the outage: while it is one pod short (or somebody paused
the Rollout) the controller leaves the active Service on it, and takes its pods away at the deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.core.argo import decide, patches, undo_decide
from server.core.argo.bluegreen import Situation, capacity, delay, hazard, situation, unreadable
from server.core.argo.state import RolloutState, short
from server.core.outcome import Call, Judged, LookAgain, Plan, Refusal

B_WAKES = (1.0, 3.0, 6.0, 12.0)
"""Earlier than for a canary: the deadline runs."""
SWITCH = 2
"""The number of the Service write, also where it is only the fallback."""


def plan(
    seen: Sequence[RolloutState], now: datetime, options: undo_decide.Options = undo_decide.REFUSE
) -> Plan | Refusal | LookAgain:
    """The first row that fits."""
    state = seen[-1]
    if first := decide.unready(seen, "blue-green"):
        return first
    if reason := unreadable(state):
        return Refusal(reason=reason)
    where = situation(state)
    if where == "elsewhere":
        return Refusal(reason=_elsewhere(state))
    if where == "restored":
        return undo_decide.restored(state, options)
    if where == "c":
        return undo_decide.plan(state, options)
    if reason := _nothing_to_abort(state) or (capacity(state) if where == "b" else ""):
        return Refusal(reason=reason)
    return _plan(state, where)


def _elsewhere(state: RolloutState) -> str:
    found = state.active.selects
    names = f"neither current {short(state.cur, state.sta)} nor stable {short(state.sta, state.cur)}"
    if state.cur == state.sta:
        names = f"not stable {short(state.sta, found)}, and no ReplicaSet of this Rollout has that hash"
    selects = short(found, state.cur, state.sta) or "no version"
    return f"Service {state.active.name} selects {selects}, {names}: somebody pointed it there by hand"


def _nothing_to_abort(state: RolloutState) -> str:
    """Where an abort does nothing, or does not hold."""
    cur, sta = short(state.cur, state.sta), short(state.sta, state.cur)
    if not state.sta or len(state.replica_sets) < 2:
        return f"{state.where} is a first deploy ({cur}): there is nothing to return to"
    if state.replica_set(state.sta) is None:
        return f"the ReplicaSet of stable {sta} is gone: there is nothing to return to"
    if state.in_window_rollback and not state.aborted_at:
        return f"a rollback within rollbackWindow to {cur} is running: no abort holds there"
    return ""


def _plan(state: RolloutState, where: Situation) -> Plan:
    """Rows a and b: the abort, and beside it the Service where the controller would leave that."""
    aborted = state.abort is True
    pair = where == "b" and hazard(state)
    who = decide.somebody(state) if aborted else ""
    calls = _calls(state, where, aborted)
    return Plan(
        said=_said(state, where, who, pair),
        calls=calls,
        judged=Judged(revision=state.cur, since=state.since),
        predicted={
            "abort": True,
            "abortedAt": "set",
            "active Service": state.sta,
            "stable hash": state.sta,
            "stable available": state.replicas,
            "ready endpoints": state.replicas,
        },
        was={
            "abort": aborted,
            "abortedAt": state.aborted_at,
            "phase": state.phase,
            "active Service": state.active.selects,
            "ready endpoints": state.endpoints.all_ready,
            "stable available": state.stable_available,
            "saturated": state.saturated,
            "resourceVersion": state.resource_version,
        },
        facts={
            "cluster": state.cluster,
            "namespace": state.namespace,
            "name": state.name,
            "uid": state.uid,
            "cur": state.cur,
            "sta": state.sta,
            "template": state.template,
            "weight": 0,
            "at": state.at.isoformat(),
            "strategy": state.strategy,
            "situation": where,
            "pair": pair and not aborted,
            "service": state.active.name,
            "delay": delay(state),
            "promote_full": state.promote_full,
            "numbers": {"1": "act", str(SWITCH): "switch"},
            **({"wakes": list(B_WAKES)} if where == "b" else {}),
        },
        somebody=who,
    )


def _calls(state: RolloutState, where: Situation, aborted: bool) -> tuple[Call, ...]:
    """What goes out first. Where an abort stands already, the Service alone is left to do."""
    switch = patches.switch(state.namespace, state.active.name, state.cur, state.sta)
    if aborted:
        return (switch,) if where == "b" else ()
    return (patches.abort(state), switch) if where == "b" and hazard(state) else (patches.abort(state),)


def _said(state: RolloutState, where: Situation, who: str, pair: bool) -> str:
    cur, sta = short(state.cur, state.sta), short(state.sta, state.cur)
    service = f"Service {state.active.name}"
    if where == "a":
        return f"{state.where}: {who}" if who else f"abort {state.where}, new version {cur}; {service} stays on {sta}"
    if who:
        return f"switch {service} {cur} -> {sta}, where the controller leaves it: {state.where} was {who}"
    if not pair:
        return f"abort {state.where}, new version {cur}; {service} {cur} -> {sta}"
    why = "paused by hand" if state.paused else "not whole"
    return f"abort {state.where}, new version {cur} ({why}), and switch {service} {cur} -> {sta} in the same breath"

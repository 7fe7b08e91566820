"""Does a blue-green switch back hold? The abort as for a canary, and where the traffic is: the live Service, and who is behind it."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.argo.bluegreen_proceed import abort_part
from server.core.argo.prove import failed, not_as_judged, verdict_of
from server.core.argo.prove import weigh as abort_weighs
from server.core.argo.state import RolloutState, short
from server.core.argo.story import row
from server.core.outcome import Json, Outcome, Plan, Verdict


def judge(plan: Plan, state: RolloutState) -> Verdict:
    """What one look says by itself."""
    facts = plan.facts
    found = elsewhere(state, str(facts["sta"]))
    why = not_as_judged(facts, state)
    reached = _reached(facts, state, back=not found and not why)
    if why or found:
        # Where the requests go is said in every case: an abort that is not seen yet is no news to whoever waits.
        return verdict_of("unknown", "; ".join([*([why] if why else []), *found]), state, reached)
    return verdict_of("passed", on(state, str(facts["sta"])), state, reached)


def weigh(plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """The same verdict in the light of what was seen and written before."""
    weighed = abort_weighs(abort_part(plan), seen, done, verdict)
    if weighed.kind == "failed" and seen[-1].sta == plan.facts["cur"]:
        return failed(weighed, f"{short(seen[-1].sta, plan.facts['sta'])} was promoted meanwhile")
    return weighed


def elsewhere(state: RolloutState, wanted: str) -> list[str]:
    """Everything that does not say "all requests reach that version"; empty = they do."""
    active, behind = state.active, state.endpoints
    if active.problem:
        return [f"Service {active.name} cannot be read: {active.problem}"]
    if active.selects != wanted:
        selects = short(active.selects, wanted) or "no version"
        return [f"Service {active.name} selects {selects}, not {short(wanted, active.selects)}"]
    if behind.problem:
        return [f"who is behind Service {active.name} cannot be read: {behind.problem}"]
    found = []
    if behind.others:
        found.append(
            f"{behind.others} endpoints behind Service {active.name} are no pods of {short(wanted, state.cur)}"
        )
    if behind.ready < max(state.replicas, 1):
        found.append(f"{behind.ready} of {state.replicas} endpoints behind Service {active.name} are ready")
    replica_set = state.replica_set(wanted)
    available = replica_set.available if replica_set else 0
    if available < state.replicas:
        found.append(f"{short(wanted, state.cur)} has {available} of {state.replicas} pods")
    return found


def on(state: RolloutState, wanted: str) -> str:
    """'Service api-backend-active on 6558, 5/5 endpoints ready'."""
    behind = state.endpoints
    hashes = tuple(one.hash for one in state.replica_sets)
    return f"Service {state.active.name} on {short(wanted, *hashes)}, {behind.ready}/{state.replicas} endpoints ready"


def _reached(facts: Json, state: RolloutState, *, back: bool) -> tuple[str, ...]:
    """The truths that hold at this look, in order."""
    now = row(facts, state)
    if now == "unseen":
        return ("accepted",)
    if now != "acknowledged":
        return ()
    return ("accepted", "acknowledged", "traffic") if back else ("accepted", "acknowledged")

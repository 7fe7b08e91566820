"""Does it hold? One look against the plan gives a verdict; the looks and writes before it turn *not yet* into *never*.

Status, phase and `abortedAt` prove no traffic, in either direction; so every one of these is read at every look:
flag, acknowledgement, hashes, template, the controller's weights, the router's own weights, stable's pods, the stable Service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from server.core.argo.proceed import stand_down
from server.core.argo.state import Lease, ReplicaSet, RolloutState, Route, Weights, percent, short
from server.core.argo.story import Story, row
from server.core.outcome import Json, Outcome, Plan, Verdict


def judge(plan: Plan, state: RolloutState) -> Verdict:
    """What one look says by itself."""
    facts = plan.facts
    reached = _reached(facts, state)
    if why := not_as_judged(facts, state):
        return verdict_of("unknown", why, state, reached)
    if elsewhere := traffic(facts, state):
        return verdict_of("unknown", "; ".join(elsewhere), state, reached)
    said = f"traffic {percent(0, state.max_weight)} canary, {state.stable_available}/{state.replicas} stable"
    return verdict_of("passed", said, state, reached)


def weigh(plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """The same verdict in the light of what was seen and written before: where waiting cannot help, it says so."""
    if verdict.kind == "passed" or not seen or (verdict.state is None and verdict.evidence == {}):
        return verdict
    story = Story(plan, seen, done)
    state, now, facts = story.last, story.now, story.facts
    if now in ("gone", "other"):
        return end(verdict, stand_down(facts, state)) if not state.problem else verdict
    if now == "newer aborted":
        return end(verdict, f"{short(state.cur, facts['cur'])} was released meanwhile and is aborted, whoever did it")
    if now == "newer unseen":
        return _newer_unseen(story, verdict)
    if state.sta == facts["cur"]:
        return failed(verdict, f"{short(state.sta, facts['sta'])} became stable meanwhile")
    if now == "no flag" and state.cur != facts["cur"] and state.cur:
        return end(verdict, _took_over(state, facts))
    if now == "no flag" and story.flag_seen:
        return failed(verdict, _cleared(story))
    if state.sta and state.sta != facts["sta"]:
        return end(verdict, stand_down(facts, state))
    return verdict


def _took_over(state: RolloutState, facts: Json) -> str:
    if state.cur == facts["sta"]:
        return f"the template of stable {short(state.cur, facts['cur'])} was put back into spec meanwhile"
    return f"{short(state.cur, facts['cur'], facts['sta'])} was released meanwhile and took over"


def _newer_unseen(story: Story, verdict: Verdict) -> Verdict:
    """The flag lies on a newer version and the controller has not seen it."""
    name = short(story.last.cur, story.facts["cur"])
    if not story.ours:
        return end(
            verdict, f"{name} was released meanwhile; an abort that is not ours stands on it, unseen by the controller"
        )
    return verdict.model_copy(
        update={"said": f"{name} was released meanwhile; our abort, unseen by the controller, is being taken off it"}
    )


def _cleared(story: Story) -> str:
    """Who took the abort away, as far as the live state tells."""
    state = story.last
    cur = short(state.cur, state.sta)
    if state.promote_full:
        return f"the abort of {cur} was dropped: a full promotion (promoteFull) is under way"
    if state.in_window_rollback:
        return f"the abort of {cur} was dropped: it is a rollback within rollbackWindow"
    if state.abort is None and not any(one.abort is True for one in story.after_act):
        return f"the abort of {cur} was accepted and is not there: somebody took it back at once, or it was never kept"
    return f"the abort of {cur} was taken back: somebody retried it"


def not_as_judged(facts: Json, state: RolloutState) -> str:
    """Why the Rollout is not (or not yet) the aborted version that was judged; '' = it is."""
    if reason := stand_down(facts, state):
        return reason
    now = row(facts, state)
    if now == "no flag":
        return "the abort does not stand in status (yet)"
    if now == "hotfix":
        return "a newer version stands in spec and the controller has not taken it over"
    if now == "unseen":
        return "; ".join(["the controller has not acknowledged the abort", *_where_traffic_is(state)])
    if state.promote_full:
        return "promoteFull stands beside the abort"
    return ""


def _where_traffic_is(state: RolloutState) -> list[str]:
    canary = state.router.canary
    return [] if canary is None else [f"the router sends {percent(canary, state.max_weight)} to the canary"]


def traffic(facts: Json, state: RolloutState) -> list[str]:
    """Everything that does not say "all traffic is on stable"; empty = it is."""
    return [
        *_weights(state.weights, state, str(facts["cur"]), str(facts["sta"])),
        *_routes(state),
        *_stable(state, str(facts["sta"])),
    ]


def _weights(weights: Weights | None, state: RolloutState, cur: str, sta: str) -> list[str]:
    """What the controller says that it wrote."""
    if weights is None:
        return ["status holds no weights"]
    found = []
    if weights.canary != 0 or weights.additional != 0:
        found.append(f"status says {percent(weights.canary + weights.additional, state.max_weight)} canary")
    if weights.stable != state.max_weight:
        found.append(f"status says {percent(weights.stable, state.max_weight)} stable")
    if weights.stable_hash != sta:
        found.append(
            f"status names {_name(weights.stable_hash, sta)} as stable, judged was {_name(sta, weights.stable_hash)}"
        )
    if weights.canary_hash not in (cur, sta):
        found.append(
            f"status names {_name(weights.canary_hash, cur)} as canary, judged was {_name(cur, weights.canary_hash)}"
        )
    if weights.verified is False:
        found.append("the weights are not verified")
    return found


def _routes(state: RolloutState) -> list[str]:
    """What the router itself says."""
    router = state.router
    if router.problem:
        return [f"the router cannot be read: {router.problem}"]
    found = []
    for route in router.routes:
        if route.canary or route.other or route.stable != state.max_weight:
            found.append(f"route {route.name or 'without a name'} of {router.name} {_astray(route, state.max_weight)}")
    if router.pinned:
        found.append(f"route {', '.join(router.pinned)} of {router.name} still reaches the canary")
    return found


def _astray(route: Route, highest: int) -> str:
    """How much does not go to stable, and where it goes."""
    ways = ((route.canary, "to the canary"), (route.other, "elsewhere"))
    sent = " and ".join(f"{percent(weight, highest)} {where}" for weight, where in ways if weight)
    return f"sends {sent or f'only {percent(route.stable, highest)} to stable'}"


def _name(pod_hash: str, other: str) -> str:
    return short(pod_hash, other) or "nothing"


def _stable(state: RolloutState, sta: str) -> list[str]:
    """Where the traffic should go: enough pods, and the Service that selects them."""
    found = []
    if state.stable_available < state.replicas:
        found.append(f"stable has {state.stable_available} of {state.replicas} pods")
    service = state.stable_service
    if service.problem:
        found.append(f"Service {service.name} cannot be read: {service.problem}")
    elif service.selects != sta:
        found.append(
            f"Service {service.name} selects {_name(service.selects, sta)}, not stable {_name(sta, service.selects)}"
        )
    return found


def _reached(facts: Json, state: RolloutState) -> tuple[str, ...]:
    """The truths that hold at this look, in order."""
    now = row(facts, state)
    if now not in ("unseen", "acknowledged"):
        return ()
    steps = ["accepted"]
    if now == "acknowledged":
        steps.append("acknowledged")
        if not state.promote_full and not stand_down(facts, state) and not traffic(facts, state):
            steps.append("traffic")
    return tuple(steps)


def evidence(state: RolloutState) -> Json:
    """What was read, for the audit and the page."""
    stable = state.replica_set(state.sta)
    lease = state.lease
    if state.strategy == "blue-green":
        return {**_evidence(state, stable, lease), **_active(state)}
    return _evidence(state, stable, lease)


def _active(state: RolloutState) -> Json:
    """Of a blue-green: the live Service, and who is behind it; there is no router."""
    behind = state.endpoints
    return {
        "weights": None,
        "router": None,
        "active": {
            "service": state.active.name,
            "selects": state.active.selects,
            "resourceVersion": state.active.resource_version,
            "problem": state.active.problem or behind.problem,
            "ready": behind.ready,
            "others": behind.others,
            "waiting": behind.waiting,
        },
    }


def _evidence(state: RolloutState, stable: ReplicaSet | None, lease: Lease) -> Json:
    return {
        "date": state.date.isoformat(),
        "rollout": {
            "uid": state.uid,
            "resourceVersion": state.resource_version,
            "generation": state.generation,
            "currentPodHash": state.cur,
            "stableRS": state.sta,
            "abort": state.abort,
            "abortedAt": state.aborted_at,
            "promoteFull": state.promote_full,
            "phase": state.phase,
            "message": state.message[:500],
        },
        "weights": state.weights.model_dump() if state.weights else None,
        "router": {
            "path": state.router.path,
            "resourceVersion": state.router.resource_version,
            "problem": state.router.problem,
            "routes": [route.model_dump() for route in state.router.routes],
        },
        "stable": {
            "replicaSet": stable.name if stable else "",
            "available": state.stable_available,
            "wanted": state.replicas,
            "service": state.stable_service.name,
            "selects": state.stable_service.selects,
            "resourceVersion": state.stable_service.resource_version,
        },
        "lease": {
            "holder": lease.holder,
            "renewed": lease.renewed.isoformat() if lease.renewed else "",
            "problem": lease.problem,
        },
    }


def verdict_of(kind: Literal["passed", "unknown"], said: str, state: RolloutState, reached: tuple[str, ...]) -> Verdict:
    seen = state.model_dump(mode="json")
    return Verdict(kind=kind, said=said, at=state.at, reached=reached, evidence=evidence(state), state=seen)


def end(verdict: Verdict, said: str) -> Verdict:
    return verdict.model_copy(update={"kind": "unknown", "said": said or verdict.said, "stop": True})


def failed(verdict: Verdict, said: str) -> Verdict:
    return verdict.model_copy(update={"kind": "failed", "said": said})

"""Before and after, side by side: what was read when the plan was made, and what the last look saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from server.core.argo.state import RolloutState, percent, short
from server.core.outcome import Json
from server.web.view import visible


@dataclass(frozen=True)
class Pair:
    """One thing, before and after. weights: percent of the traffic, where it is one. good: the change is what was wanted. aside: said below the second value."""

    what: str
    where: str
    before: str
    after: str
    weights: tuple[float, float] | None = None
    good: bool = False
    aside: str = ""

    @property
    def moved(self) -> bool:
        """Whether it changed."""
        return self.before != self.after

    @property
    def tone(self) -> str:
        """Green for what was wanted, grey for what only moved."""
        return "ok" if self.good else "quiet"


def pairs(before: Json, after: Json) -> tuple[Pair, ...]:
    """What both looks saw; nothing where there was no look."""
    if not before:
        return ()
    try:
        return tuple(_rollout(RolloutState.model_validate(before), RolloutState.model_validate(after or before)))
    except ValidationError:
        return tuple(_plain(before, after or before))


def _rollout(was: RolloutState, now: RolloutState) -> Iterator[Pair]:
    if now.exists and was.exists:
        yield _weights(was, now)
        yield _router(was, now)
        yield _phases(was, now)
        yield Pair("Abort", "status.abort", _abort(was), _abort(now), good=bool(now.aborted_at), aside=_aborted_at(now))
        yield _pods("Stable pods available", was.sta, was, now)
        if was.cur != was.sta:
            yield _pods("Canary pods available", was.cur, was, now)
        if was.cur != now.cur:
            yield Pair("Version in spec", "status.currentPodHash", visible(was.cur), visible(now.cur))
    else:
        yield Pair("Rollout", visible(now.where), _there(was), _there(now))


def _there(state: RolloutState) -> str:
    return "exists" if state.exists else visible(state.problem) or "does not exist"


def _weights(was: RolloutState, now: RolloutState) -> Pair:
    what = f"Traffic to canary {visible(short(was.cur, was.sta))}"
    where = "status.canary.weights"
    if now.weights is not None and now.weights.verified is not None:
        where += ", verified" if now.weights.verified else ", not verified"
    weights = (_share(was), _share(now)) if was.weights and now.weights else None
    good = now.weights is not None and now.weights.canary == 0
    return Pair(what, where, _weight(was), _weight(now), weights, good)


def _share(state: RolloutState) -> float:
    weight = state.weights.canary if state.weights else 0
    return min(100.0, max(0.0, weight * 100 / (state.max_weight or 100)))


def _weight(state: RolloutState) -> str:
    return "no weights yet" if state.weights is None else percent(state.weights.canary, state.max_weight)


def _router(was: RolloutState, now: RolloutState) -> Pair:
    where = f"VirtualService {visible(now.router.name)}, stable / canary" if now.router.name else "the router"
    return Pair("Same, at the router", where, _routes(was), _routes(now), good=now.router.canary == 0)


def _routes(state: RolloutState) -> str:
    if state.router.problem:
        return f"could not be read: {visible(state.router.problem)}"
    routes = state.router.routes
    parts = (
        f"{visible(r.name)} {r.stable} / {r.canary}" if len(routes) > 1 else f"{r.stable} / {r.canary}" for r in routes
    )
    return "; ".join(parts) or "no managed route"


def _phases(was: RolloutState, now: RolloutState) -> Pair:
    aside = "as it should be until the release is changed" if now.aborted_at and now.phase == "Degraded" else ""
    before, after = (visible(state.phase) or "none" for state in (was, now))
    return Pair("Phase", f"Rollout {visible(now.where)}", before, after, aside=aside)


def _abort(state: RolloutState) -> str:
    if state.aborted_at:
        return "aborted"
    return "asked for, not acknowledged" if state.abort else "not aborted"


def _aborted_at(state: RolloutState) -> str:
    return f"abortedAt {visible(state.aborted_at)}" if state.aborted_at else ""


def _pods(what: str, pod_hash: str, was: RolloutState, now: RolloutState) -> Pair:
    wanted = f" of {now.replicas}" if pod_hash == was.sta else ""
    before, after = (f"{_available(state, pod_hash)}{wanted}" for state in (was, now))
    return Pair(what, f"ReplicaSet {visible(pod_hash)}", before, after)


def _available(state: RolloutState, pod_hash: str) -> str:
    found = state.replica_set(pod_hash)
    return "none" if found is None else str(found.available)


def _plain(before: Json, after: Json) -> Iterator[Pair]:
    """What no page knows better: every plain value of the first level by its own name."""
    for name, value in before.items():
        if value is None or isinstance(value, str | int | float):
            yield Pair(visible(name).replace("_", " "), "", _text(value), _text(after.get(name)))


def _text(value: object) -> str:
    if value is None:
        return "absent"
    return ("yes" if value else "no") if isinstance(value, bool) else visible(value)

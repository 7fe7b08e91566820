"""Before and after, side by side: what was read when the plan was made, and what the last look saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from server.core.argo.state import RolloutState, percent, short
from server.core.flag.state import FlagState, word
from server.core.flag.words import NO_OFF
from server.core.outcome import Json
from server.web.view import clock, day, visible


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
    after = after or before
    try:
        return tuple(_rollout(RolloutState.model_validate(before), RolloutState.model_validate(after)))
    except ValidationError:
        pass
    try:
        return tuple(_flag(FlagState.model_validate(before), FlagState.model_validate(after)))
    except ValidationError:
        return tuple(_plain(before, after))


def read_at(before: Json, after: Json) -> tuple[datetime | None, datetime | None]:
    """When both looks were made."""
    first, last = (_moment(look.get("at")) for look in (before, after or before))
    return first, last


def _moment(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at if at.tzinfo else None


def _rollout(was: RolloutState, now: RolloutState) -> Iterator[Pair]:
    if not (now.exists and was.exists):
        yield Pair("Rollout", visible(now.where), _there(was), _there(now))
        return
    if now.strategy == "blue-green":
        yield _active(was, now)
        yield _endpoints(was, now)
    else:
        yield _weights(was, now)
        yield _router(was, now)
    yield _phases(was, now)
    if was.cur != was.sta or was.abort or now.abort:
        yield Pair("Abort", "status.abort", _abort(was), _abort(now), good=bool(now.aborted_at), aside=_aborted_at(now))
    if was.sta != now.sta:
        yield Pair("Stable version", "status.stableRS", _hash(was.sta, was, now), _hash(now.sta, was, now))
    yield _pods("Stable pods available", now.sta, was, now)
    if was.cur != now.sta:
        yield _pods(_judged_pods(was), was.cur, was, now)
    if was.cur != now.cur:
        yield Pair("Version in spec", "status.currentPodHash", _hash(was.cur, was, now), _hash(now.cur, was, now))


def _hash(pod_hash: str, *states: RolloutState) -> str:
    """As the sentence above and the note have it; the whole of it stands at its ReplicaSet."""
    known = {one for state in states for one in (state.cur, state.sta, state.active.selects)}
    return visible(short(pod_hash, *known))


def _judged_pods(was: RolloutState) -> str:
    if was.cur == was.sta:
        return "Pods of the version before the undo"
    return "New version’s pods available" if was.strategy == "blue-green" else "Canary pods available"


def _active(was: RolloutState, now: RolloutState) -> Pair:
    good = not now.active.problem and now.active.selects == now.sta
    where = f"Service {visible(now.active.name)} selects" if now.active.name else "the active Service"
    aside = "the stable version" if good else ""
    return Pair("Who gets the requests", where, _selects(was, now), _selects(now, was), good=good, aside=aside)


def _selects(state: RolloutState, other: RolloutState) -> str:
    if state.active.problem:
        return f"could not be read: {visible(state.active.problem)}"
    return _hash(state.active.selects, state, other) or "no version"


def _endpoints(was: RolloutState, now: RolloutState) -> Pair:
    return Pair("Ready endpoints of that version", "EndpointSlices behind the Service", _ready(was), _ready(now))


def _ready(state: RolloutState) -> str:
    if state.endpoints.problem:
        return f"could not be read: {visible(state.endpoints.problem)}"
    others = f", and {state.endpoints.others} of another" if state.endpoints.others else ""
    return f"{state.endpoints.ready} of {state.replicas}{others}"


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
    at = _moment(state.aborted_at)
    if at is None or at.date() != state.at.date():
        return f"abortedAt {visible(state.aborted_at)}" if state.aborted_at else ""
    return f"abortedAt {clock(at)}"


def _pods(what: str, pod_hash: str, was: RolloutState, now: RolloutState) -> Pair:
    wanted = f" of {now.replicas}" if pod_hash == now.sta else ""
    before, after = (f"{_available(state, pod_hash)}{wanted}" for state in (was, now))
    return Pair(what, f"ReplicaSet {visible(pod_hash)}", before, after)


def _available(state: RolloutState, pod_hash: str) -> str:
    found = state.replica_set(pod_hash)
    return "none" if found is None else str(found.available)


def _flag(was: FlagState, now: FlagState) -> Iterator[Pair]:
    where = f"{visible(now.where)}, LaunchDarkly"
    if was.problem or now.problem:
        yield Pair("Flag", where, _seen(was), _seen(now))
        return
    safe = "its safe state" if now.is_safe else f"its safe state is {now.safe}"
    yield Pair("Flag", where, word(was.on), word(now.on), good=now.is_safe, aside=safe)
    yield Pair("What it serves", "to whoever asks an SDK", _serves(was), _serves(now))
    yield Pair("Version", "every change in that environment raises it", str(was.version), str(now.version))
    yield Pair("Changed", "lastModified there", _changed(was), _changed(now))
    yield Pair("Rules and targets", "a switch leaves them as they are", _rules(was), _rules(now))
    if was.rollout or now.rollout:
        yield Pair("Automated rollout", "holds the default rule", _kind(was), _kind(now))
    if was.archived or now.archived:
        yield Pair("Archived", where, _text(was.archived), _text(now.archived))


def _seen(state: FlagState) -> str:
    return f"could not be read: {visible(state.problem)}" if state.problem else word(state.on)


def _serves(state: FlagState) -> str:
    return "what its rules say" if state.on else visible(state.off_served or NO_OFF)


def _changed(state: FlagState) -> str:
    return "not known" if state.modified is None else f"{day(state.modified)}, {clock(state.modified)}"


def _rules(state: FlagState) -> str:
    counted = ((state.rules, "rule"), (state.targets, "target"))
    return ", ".join(f"{count} {one}{'' if count == 1 else 's'}" for count, one in counted)


def _kind(state: FlagState) -> str:
    return visible(state.rollout) or "none"


def _plain(before: Json, after: Json) -> Iterator[Pair]:
    """What no page knows better: every plain value of the first level by its own name."""
    for name, value in before.items():
        if value is None or isinstance(value, str | int | float):
            yield Pair(visible(name).replace("_", " "), "", _text(value), _text(after.get(name)))


def _text(value: object) -> str:
    if value is None:
        return "absent"
    return ("yes" if value else "no") if isinstance(value, bool) else visible(value)

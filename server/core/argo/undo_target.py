"""Which version an undo goes back to: the one that is certain to have been stable before, or none. Never "the second highest".

A revision number tells who was written last, a deadline only that pods still run: both may belong to a version that was aborted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from server.core.argo.dig import time
from server.core.argo.state import ReplicaSet, RolloutState, short

HANDOVER = timedelta(minutes=3)
"""Looks come each minute: where one was last seen stable so shortly before the other first was, nothing came between."""


def choose(state: RolloutState) -> ReplicaSet | str:
    """The ReplicaSet to go back to, or why none is certain."""
    current = state.replica_set(state.cur)
    if current is None or current.created is None:
        return f"the ReplicaSet of {short(state.cur)} cannot be read"
    known = state.history.of(state.cur)
    if current.history or (known is not None and known.returned):
        return f"{short(state.cur)} itself came by going back to it: going further back is a person's choice"
    older = [one for one in state.replica_sets if one.hash != state.cur and _before(one.created, current.created)]
    if not older:
        return (
            f"there is no ReplicaSet older than {short(state.cur)}: its history is gone, release an older image instead"
        )
    good = [one for one in older if not state.history.bad(one.hash)]
    former = [one for one in good if _was_stable(state, one)]
    running = [one for one in good if runs_until(one, state.date)]
    found = _former(state, former) if former else running
    if len(found) == 1 and all(one is found[0] or one in former for one in running):
        return found[0]
    return _why(state, older, [one for one in good if one in found or one in running])


def runs_until(replica_set: ReplicaSet, now: datetime) -> datetime | None:
    """The deadline of pods that still run; None = it has none, or it has passed."""
    deadline = time(replica_set.deadline)
    return deadline if deadline is not None and deadline > now and replica_set.replicas > 0 else None


def _former(state: RolloutState, former: list[ReplicaSet]) -> list[ReplicaSet]:
    """Of several former stables the one before this one, where somebody looked when one took over from the other."""
    if len(former) == 1:
        return former
    last = {one.hash: _last_stable(state, one) for one in former}
    newest = max(former, key=lambda one: last[one.hash])
    known = state.history.of(state.cur)
    began = known.first_stable if known is not None else None
    alone = all(last[one.hash] < last[newest.hash] for one in former if one is not newest)
    if alone and began is not None and began - last[newest.hash] <= HANDOVER:
        return [newest]
    return former


def _last_stable(state: RolloutState, replica_set: ReplicaSet) -> datetime:
    known = state.history.of(replica_set.hash)
    return (known.last_stable if known else None) or datetime.min.replace(tzinfo=state.at.tzinfo)


def _was_stable(state: RolloutState, replica_set: ReplicaSet) -> bool:
    known = state.history.of(replica_set.hash)
    return known is not None and known.first_stable is not None


def _before(one: datetime | None, other: datetime) -> bool:
    return one is not None and one < other


def _why(state: RolloutState, older: list[ReplicaSet], found: list[ReplicaSet]) -> str:
    """What keeps it from being certain, and what a person can do."""
    hashes = tuple(one.hash for one in state.replica_sets)
    bad = [f"{short(one.hash, *hashes)} was {said} before" for one in older if (said := state.history.bad(one.hash))]
    if len(found) > 1:
        names = ", ".join(_name(one, hashes) for one in found)
        return f"which version {state.where} was on before is not certain ({names}): a person chooses, {by_hand(state)}"
    left = f" ({', '.join(bad)})" if bad else ""
    return f"no older version of {state.where} is known to have been stable{left}: a person chooses, {by_hand(state)}"


def _name(replica_set: ReplicaSet, hashes: tuple[str, ...]) -> str:
    revision = f" revision {replica_set.revision}" if replica_set.revision else ""
    return f"{short(replica_set.hash, *hashes)}{revision}"


def by_hand(state: RolloutState) -> str:
    """How a person goes back to the revision of their choice."""
    return f"kubectl argo rollouts undo {state.name} -n {state.namespace} --to-revision=N"

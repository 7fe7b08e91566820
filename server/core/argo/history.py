"""What is remembered of a target's versions: which were stable, which were ever aborted or taken back. Pure; kept by store/.

A deadline on a ReplicaSet only says that its pods still run, a revision number only who was written last. What a version *was* is
known to nobody but whoever looked while it was so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from server.core.outcome import Model

if TYPE_CHECKING:
    from server.core.argo.state import RolloutState

FRESH = timedelta(seconds=20)
"""A last time that is this young is not written anew: an action looks many times a second."""


class Seen(Model):
    """One version of one target. None = never seen so."""

    hash: str
    created: datetime | None = None
    first_current: datetime | None = None
    last_current: datetime | None = None
    first_stable: datetime | None = None
    last_stable: datetime | None = None
    first_active: datetime | None = None
    last_active: datetime | None = None
    aborted: datetime | None = None
    undone: datetime | None = None
    returned: datetime | None = None
    """When it became current again after a younger version: it came by an undo, a restore or a rollback."""


class History(Model):
    """All that is remembered of one target. wrote: the versions that runs of ours judged bad and wrote on."""

    seen: tuple[Seen, ...] = ()
    wrote: tuple[str, ...] = ()

    def of(self, pod_hash: str) -> Seen | None:
        """What is known of one hash."""
        return next((one for one in self.seen if one.hash == pod_hash), None)

    def bad(self, pod_hash: str) -> str:
        """'aborted' or 'undone', where it ever was; '' = not that anybody saw."""
        known = self.of(pod_hash)
        if known is None:
            return ""
        return "aborted" if known.aborted else ("undone" if known.undone else "")


def note(history: History, state: RolloutState) -> tuple[Seen, ...]:
    """What this look adds: the rows that change, whole. Nothing where it shows nothing new."""
    if not state.exists or state.problem or not state.cur:
        return ()
    after = {one.hash: one for one in history.seen}
    roles = {"current": state.cur, "stable": state.sta, "active": state.active.selects}
    for role, pod_hash in roles.items():
        if pod_hash:
            after[pod_hash] = _plays(after.get(pod_hash) or Seen(hash=pod_hash), role, state)
    _mark_aborted(after, state)
    _mark_undone(after, history, state)
    before = {one.hash: one for one in history.seen}
    return tuple(one for pod_hash, one in sorted(after.items()) if before.get(pod_hash) != one)


def _plays(one: Seen, role: str, state: RolloutState) -> Seen:
    """Seen in a role: the first time, or again after a while."""
    replica_set = state.replica_set(one.hash)
    first, last = getattr(one, f"first_{role}"), getattr(one, f"last_{role}")
    changed: dict[str, datetime | None] = {}
    if one.created is None and replica_set is not None:
        changed["created"] = replica_set.created
    if first is None:
        changed[f"first_{role}"] = state.at
    if last is None or state.at - last >= FRESH:
        changed[f"last_{role}"] = state.at
    return one.model_copy(update=changed)


def _mark_aborted(after: dict[str, Seen], state: RolloutState) -> None:
    """The current version while it is not stable: an abort of a stable one is dropped and says nothing."""
    if state.abort is True and state.cur != state.sta and state.sta:
        one = after[state.cur]
        after[state.cur] = one.model_copy(update={"aborted": one.aborted or state.at})


def _mark_undone(after: dict[str, Seen], history: History, state: RolloutState) -> None:
    """Going from one version to an older one takes the younger back, and the older comes again.

    Seen in the making (current is older than stable), or between two looks.
    """
    for left in {state.sta, _current_before(history)} - {"", state.cur}:
        if not _older(after, state, state.cur, left):
            continue
        one = after.get(left) or Seen(hash=left)
        after[left] = one.model_copy(update={"undone": one.undone or state.at})
        again = after[state.cur]
        after[state.cur] = again.model_copy(update={"returned": again.returned or state.at})


def _current_before(history: History) -> str:
    """The version that was current when last somebody looked."""
    seen = [one for one in history.seen if one.last_current is not None]
    return max(seen, key=lambda one: (one.last_current, one.first_current)).hash if seen else ""


def _older(after: Mapping[str, Seen], state: RolloutState, one: str, other: str) -> bool:
    first, second = _created(after, state, one), _created(after, state, other)
    return first is not None and second is not None and first < second


def _created(after: Mapping[str, Seen], state: RolloutState, pod_hash: str) -> datetime | None:
    replica_set, known = state.replica_set(pod_hash), after.get(pod_hash)
    if replica_set is not None and replica_set.created is not None:
        return replica_set.created
    return known.created if known is not None else None

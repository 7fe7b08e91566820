"""Pods of a canary without a router, where pods are the traffic: how many each version is to have, and has to wait for.

More than spec asks for only within maxSurge, fewer only within maxUnavailable: so a weight is come to in several passes.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from sandbox.argo.names import Object, available, wanted
from sandbox.argo.view import View

_QUARTER = "25%"


def surge(view: View) -> int:
    return _limits(view)[0]


def unavailable(view: View) -> int:
    return min(_limits(view)[1], view.replicas)


def pods(view: View, weight: int, top: int) -> tuple[int, int]:
    """(canary pods, stable pods) that this pass may ask for on the way to a weight."""
    new, stable = view.new, view.stable
    apart = stable is not None and stable is not new
    goal, rest = closest(view.replicas, weight, top, surge(view)) if apart else (view.replicas, 0)
    room = view.replicas + surge(view) - sum(wanted(rs) for rs in view.replicasets)
    stays, room = _raised(stable if apart else None, rest, room)
    comes, _room = _raised(new, goal, room)
    if any(wanted(rs) for rs in view.others):
        return comes, stays  # what is neither goes first
    if new is not None and goal < wanted(new):
        return _lowered(view, (new, comes, goal), (stable, stays))
    if not apart:
        return comes, stays
    stays, comes = _lowered(view, (stable, stays, rest), (new, comes))
    return comes, stays


def closest(replicas: int, weight: int, top: int, more: int) -> tuple[int, int]:
    """The two numbers of pods that come nearest to a weight: of a tie the greater, and none only where none (or all) is meant."""
    if not replicas:
        return 0, 0
    none = weight in (0, top) or (replicas == 1 and not more)
    up, down = -(-replicas * weight // top), replicas * weight // top
    found = [(up, replicas)] if up < replicas or none else []
    found += [(down, replicas)] if not _tied(replicas, weight, top) and (down or none) else []
    if more:
        found += [(up, replicas + 1)]
        found += [(down, replicas + 1)] if not _tied(replicas + 1, weight, top) and (down or none) else []
    canary, total = min(found, key=lambda one: abs(one[0] * top / one[1] - weight), default=(0, replicas))
    return canary, total - canary


def _tied(replicas: int, weight: int, top: int) -> bool:
    return 2 * replicas * weight % (2 * top) == top


def _raised(replicaset: Object | None, goal: int, room: int) -> tuple[int, int]:
    """As far up as there is room; and the room that is left."""
    have = wanted(replicaset)
    more = max(0, min(goal - have, room)) if replicaset is not None else 0
    return have + more, room - more


def _lowered(view: View, drained: tuple[Object | None, int, int], kept: tuple[Object | None, int]) -> tuple[int, int]:
    """As far down as the pods of the other allow, whose readiness counts; that of the drained one does not."""
    going, count, goal = drained
    staying, stays = kept
    most, least = view.replicas + surge(view), view.replicas - unavailable(view)
    spare = wanted(going) + _carrying(staying) - least
    if spare <= 0:
        return count, stays
    if wanted(going) > goal:
        count = max(goal, wanted(going) - spare)
    if staying is None:
        return count, stays
    lower = stays - max(0, stays + count - most)
    lost = max(0, available(staying) - lower)
    there = min(available(going), count) + min(available(staying), lower)
    stays = lower + min(lost, max(0, least - there))
    return count - max(0, stays + count - most), stays


def _carrying(replicaset: Object | None) -> int:
    """Ready pods that will stay."""
    return min(wanted(replicaset), available(replicaset))


def _limits(view: View) -> tuple[int, int]:
    """maxSurge rounded up and maxUnavailable rounded down; never both none."""
    more, fewer = view.canary.get("maxSurge"), view.canary.get("maxUnavailable")
    above = ceil(_part(_QUARTER if more is None else more, view.replicas))
    below = int(_part(_QUARTER if fewer is None else fewer, view.replicas))
    return above, (1 if above == below == 0 else below)


def _part(limit: Any, replicas: int) -> float:
    text = str(limit)
    return int(text[:-1]) * replicas / 100 if text.endswith("%") else float(int(text))

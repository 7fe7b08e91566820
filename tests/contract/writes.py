"""What may hold of a write in a record: small questions about one object, to be put together to an order of writes."""

from __future__ import annotations

from collections.abc import Callable

from tests.cluster.api import Object
from tests.contract.scenario import DEADLINE, HASH

REVISION = "rollout.argoproj.io/revision"
Holds = Callable[[Object], object]


def turned_to(pod_hash: str, service: str = "web-canary") -> Holds:
    """A Service selects that hash."""
    return lambda one: one["metadata"]["name"] == service and one["spec"]["selector"].get(HASH) == pod_hash


def routed(weight: int) -> Holds:
    """The router sends that much to the canary."""
    return lambda one: one["spec"]["http"][0]["route"][1].get("weight", 0) == weight


def told(weight: int, pod_hash: str) -> Holds:
    """The status says that this hash has that weight as the canary."""

    def look(one: Object) -> object:
        found = ((_status(one).get("canary") or {}).get("weights") or {}).get("canary") or {}
        return (found.get("weight", 0), found.get("podTemplateHash")) == (weight, pod_hash)

    return look


def scaled(pod_hash: str, replicas: int) -> Holds:
    """That ReplicaSet is to have so many pods."""
    return lambda one: one["metadata"]["labels"][HASH] == pod_hash and one["spec"]["replicas"] == replicas


def delayed(pod_hash: str) -> Holds:
    """That ReplicaSet has a scale-down deadline."""
    return lambda one: one["metadata"]["labels"][HASH] == pod_hash and DEADLINE in one["metadata"]["annotations"]


def undelayed(pod_hash: str) -> Holds:
    """That ReplicaSet has no deadline (any more)."""
    return lambda one: one["metadata"]["labels"][HASH] == pod_hash and DEADLINE not in one["metadata"]["annotations"]


def numbered(pod_hash: str, revision: int) -> Holds:
    """That ReplicaSet has this revision."""

    def look(one: Object) -> object:
        marks = one["metadata"]["annotations"]
        return one["metadata"]["labels"][HASH] == pod_hash and marks.get(REVISION) == str(revision)

    return look


def says(**status: object) -> Holds:
    """The Rollout's status has these values; None = it has no such member."""
    return lambda one: all(_status(one).get(key) == value for key, value in status.items())


def has(*keys: str) -> Holds:
    """The Rollout's status has these members."""
    return lambda one: all(key in _status(one) for key in keys)


def conditioned(kind: str, status: str, reason: str = "") -> Holds:
    """The Rollout has a condition in that state."""

    def look(one: Object) -> object:
        found = next((each for each in _status(one).get("conditions", []) if each["type"] == kind), {})
        return found.get("status") == status and reason in ("", found.get("reason"))

    return look


def both(*holds: Holds) -> Holds:
    """All of them, in one write."""
    return lambda one: all(each(one) for each in holds)


def _status(one: Object) -> Object:
    return one.get("status") or {}

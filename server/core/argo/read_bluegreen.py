"""What a blue-green look reads beside the Rollout: who is behind the active Service, and which gates stand before a version."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.argo.dig import Json, items, owned, part, text
from server.core.argo.state import Endpoints, Service
from server.core.argo.template import HASH_LABEL


def gates(spec: Json) -> Json:
    """The gates of strategy blueGreen, as fields of the state."""
    way = part(spec, "strategy", "blueGreen")
    return {
        "auto_promotion": way.get("autoPromotionEnabled") is not False,
        "pre_analysis": bool(part(way, "prePromotionAnalysis")),
    }


def endpoints(
    slices: Sequence[Json] | str, pods: Sequence[Json] | str, own: Sequence[Json], active: Service
) -> Endpoints:
    """Counted by pod, because a pod stands in one slice for each family of addresses. own: the Rollout's ReplicaSets."""
    problem = next((one or "not read" for one in (slices, pods) if isinstance(one, str)), "")
    if problem or isinstance(slices, str) or isinstance(pods, str):
        return Endpoints(problem=problem)
    selected = next((one for one in own if _hash(one) == active.selects and active.selects), {})
    uid = text(part(selected, "metadata").get("uid"))
    names = {text(part(pod, "metadata").get("name")) for pod in pods if owned(pod, uid)}
    found: dict[str, bool] = {}
    for one in slices:
        for endpoint in items(one.get("endpoints")):
            who = _who(endpoint)
            # Absent means ready (the API's own rule).
            found[who] = found.get(who, True) and part(endpoint, "conditions").get("ready") is not False
    ready = [who for who, is_ready in found.items() if is_ready]
    return Endpoints(
        ready=sum(who in names for who in ready),
        others=sum(who not in names for who in ready),
        waiting=len(found) - len(ready),
    )


def _hash(replica_set: Json) -> str:
    return text(part(replica_set, "metadata", "labels").get(HASH_LABEL))


def _who(endpoint: Json) -> str:
    """The pod's name; an address without one stands for itself."""
    target = part(endpoint, "targetRef")
    if text(target.get("kind")) == "Pod" and (name := text(target.get("name"))):
        return name
    addresses = endpoint.get("addresses")
    return f"address {addresses[0] if isinstance(addresses, list) and addresses else '?'}"

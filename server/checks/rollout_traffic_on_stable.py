"""After an abort: is all traffic on stable? The flag, the acknowledgement, both kinds of weights, stable's pods and Service."""

from __future__ import annotations

from server.clients import Clients
from server.core.argo import look as looking
from server.core.argo.prove import judge
from server.core.catalog import RolloutTarget, Target
from server.core.outcome import Plan, Verdict
from server.errors import Bug


def look(plan: Plan, clients: Clients, target: Target) -> Verdict:
    """One look; where it would prove, the Rollout is read once more at its end."""
    if not isinstance(target, RolloutTarget):
        raise Bug(f"rollout_traffic_on_stable was given the target {target.name}, which is no rollout")
    state = looking.look(target, clients.kubernetes, clients.now, analysis=False)
    verdict = judge(plan, state)
    if verdict.kind != "passed":
        return verdict
    return judge(plan, looking.again(state, target, clients.kubernetes))

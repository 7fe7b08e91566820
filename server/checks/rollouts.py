"""What the checks on an Argo Rollout share: one look, judged by what was planned."""

from __future__ import annotations

from server.clients import Clients
from server.core.argo import look as looking
from server.core.argo.by_plan import judge
from server.core.catalog import RolloutTarget, Target
from server.core.outcome import Plan, Verdict
from server.errors import Bug


def look(plan: Plan, clients: Clients, target: Target) -> Verdict:
    """One look; where it would prove, the Rollout (and its active Service) is read once more at its end."""
    if not isinstance(target, RolloutTarget):
        raise Bug(f"a check of rollouts was given the target {target.name}, which is no rollout")
    state = looking.look(target, clients.kubernetes, clients.now, analysis=False)
    verdict = judge(plan, state)
    if verdict.kind != "passed":
        return verdict
    return judge(plan, looking.again(state, target, clients.kubernetes))

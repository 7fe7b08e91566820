"""Every name that a runbook may use is there from the first day; what is not built refuses aloud and touches nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest

from server.actions import ACTIONS
from server.checks import CHECKS
from server.clients import Clients, Kubernetes, PagerDuty
from server.core.outcome import Judged, Plan, Refusal

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
CLIENTS = Clients(kubernetes=cast("Kubernetes", None), pagerduty=cast("PagerDuty", None), now=lambda: NOW)
NOT_BUILT = ("switch_blue_green_back",)


def test_the_table_holds_every_name_of_the_contracts() -> None:
    assert set(ACTIONS) == {"abort_rollout", "disable_flag", "resolve_incident", "switch_blue_green_back"}
    assert set(CHECKS) == {"rollout_traffic_on_stable", "rollout_promoted_back", "flag_is_off"}


@pytest.mark.parametrize("name", NOT_BUILT)
def test_an_action_that_is_not_built_reads_nothing_and_refuses(name: str) -> None:
    action = ACTIONS[name]
    seen = action.observe(None, CLIENTS)
    stored = action.state(seen.model_dump(mode="json"))
    answer = action.plan(action.Params(), [stored], NOW)
    assert answer == Refusal(reason=f"{name} is not built yet, nothing was touched")


@pytest.mark.parametrize("name", ["rollout_promoted_back"])
def test_a_check_that_is_not_built_never_passes(name: str) -> None:
    plan = Plan(said="x", calls=(), judged=Judged(revision="a", since=None))
    verdict = CHECKS[name].look(plan, CLIENTS, None)
    assert (verdict.kind, verdict.stop) == ("unknown", True)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_options_are_never_a_place(name: str) -> None:
    places = {"namespace", "cluster", "name", "rollout", "service", "project", "environment", "flag"}
    assert not places & set(ACTIONS[name].Params.model_fields)

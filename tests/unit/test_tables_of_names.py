"""Every name that a runbook may use is there from the first day, and an option is never a place."""

from __future__ import annotations

import pytest

from server.actions import ACTIONS
from server.checks import CHECKS


def test_the_table_holds_every_name_of_the_contracts() -> None:
    assert set(ACTIONS) == {"abort_rollout", "disable_flag", "resolve_incident", "switch_blue_green_back"}
    assert set(CHECKS) == {"rollout_traffic_on_stable", "rollout_promoted_back", "flag_is_off"}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_options_are_never_a_place(name: str) -> None:
    places = {"namespace", "cluster", "name", "rollout", "service", "project", "environment", "flag"}
    assert not places & set(ACTIONS[name].Params.model_fields)

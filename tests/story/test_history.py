"""What a target's versions were is remembered without any incident: Ripcord looks at its targets once a minute."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from server.store.tables import target_history
from tests.story.town import Json, Town
from tests.support.waiting import eventually


def known(town: Town, target: str) -> dict[str, Json]:
    """The remembered versions by hash."""
    rows = town.rows(sa.select(target_history).where(target_history.c.target == target))
    return {row["hash"]: row for row in rows}


def test_from_its_start_on_ripcord_knows_who_is_stable(town: Town) -> None:
    status = {name: town.rollout(name)["status"] for name in ("web-frontend", "api-backend")}
    for name, now in status.items():
        seen = eventually(lambda name=name: known(town, name), within=10, what=f"{name} was looked at")
        assert seen[now["stableRS"]]["first_stable"] is not None
        assert seen[now["currentPodHash"]]["first_current"] is not None
    canary = known(town, "web-frontend")[status["web-frontend"]["currentPodHash"]]
    assert (canary["first_stable"], canary["aborted"]) == (None, None)
    assert town.effects("PATCH", "/kubernetes/") == []


def test_a_version_that_was_aborted_is_remembered_as_aborted(town: Town) -> None:
    bad = town.rollout()["status"]["currentPodHash"]
    town.alert()
    assert town.ended()["state"] == "proven"
    assert known(town, "web-frontend")[bad]["aborted"] is not None


def test_a_cluster_that_is_away_at_the_start_stops_nothing(build: Callable[..., Town]) -> None:
    town = build()
    town.control("kubernetes", {"apiserver": "down"})
    town.start()
    eventually(lambda: town.asked("GET", "/rollouts/api-backend"), within=10, what="it was looked at")
    assert known(town, "web-frontend") == {}
    assert town.server is not None
    assert "Traceback" not in town.server.output

"""kill -9 of the whole server: after a restart every run ends proven, each effect and each note happened once.

The chosen moments stand in `deaths.py`; two rounds of each here, more on demand: `./ripcord chaos --rounds 20`. Beside them the
deaths while nothing is written, and those at moments that nobody chose.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.story import deaths
from tests.story.town import Town, assert_every_effect_has_its_rows
from tests.support.waiting import eventually

Build = Callable[..., Town]


def hold(path: str, do: str, method: str = "PATCH", seconds: float = 40) -> dict[str, object]:
    return {"match": {"method": method, "path": path}, "do": do, "seconds": seconds, "times": 1}


def held(town: Town, method: str, path: str) -> bool:
    return any(row["status"] is None for row in town.asked(method, path))


def assert_one_effect_one_note(town: Town) -> None:
    assert len(town.effects("PATCH", "/rollouts/web-frontend/status")) == 1
    assert "PROVEN in" in town.note(within=60)
    assert len(town.effects("POST", "/notes")) == 1
    assert_every_effect_has_its_rows(town)


def test_no_death_at_any_chosen_moment_loses_doubles_or_leaves_anything(tmp_path: Path, sqlite_url: str) -> None:
    game = deaths.play(tmp_path, sqlite_url, 2, random.Random(1))
    counted = deaths.cells(game.plays)
    print("\n".join([*deaths.lines(counted), deaths.unwritten(game.plays)]))  # noqa: T201 - the table
    assert deaths.broken(game.plays) == []
    assert game.audit == ""
    assert [f"{cell.moment} / {cell.story}" for cell in counted if cell.rounds == 0] == []


def test_death_on_postgresql_while_the_abort_is_on_its_way(build: Build, postgresql_url: str) -> None:
    town = build(postgresql_url)
    town.start()
    town.control("faults", [hold("*/status", "hold_after_apply")])
    town.alert()
    eventually(lambda: held(town, "PATCH", "/status"), within=20)
    town.kill()
    town.control("release", {})
    town.start()
    assert town.ended(within=60)["state"] == "proven"
    assert_one_effect_one_note(town)


def test_an_abort_that_arrives_after_everything_has_ended_changes_nothing(build: Build) -> None:
    town = build()
    town.start()
    town.control("faults", [hold("*/status", "hold_before", seconds=60)])
    town.alert()
    eventually(lambda: held(town, "PATCH", "/status"), within=20)
    town.kill()
    town.start()
    assert town.ended(within=60)["state"] == "proven"
    town.control("release", {})
    eventually(lambda: not held(town, "PATCH", "/status"), within=20)
    assert_one_effect_one_note(town)


def test_death_while_it_reads_the_incident(build: Build) -> None:
    town = build()
    town.start()
    town.control("faults", [hold("/pagerduty/incidents/*", "hold_before", "GET")])
    town.alert()
    eventually(lambda: held(town, "GET", "/pagerduty/incidents/"), within=20)
    town.kill()
    town.control("release", {})
    town.start()
    assert town.ended(within=60)["state"] == "proven"
    assert_one_effect_one_note(town)


def test_death_while_it_proves(build: Build) -> None:
    town = build()
    # Slow enough to die before the answer, quick enough to need no wake (the first is due after 3 s).
    town.control("kubernetes", {"controller": {"slow": 2}})
    town.start()
    town.alert()
    eventually(lambda: [row for row in town.audit() if row["tag"] == "check_unknown"], within=20)
    town.kill()
    town.start()
    assert town.ended(within=60)["state"] == "proven"
    assert_one_effect_one_note(town)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_death_at_any_moment_and_again(build: Build, seed: int) -> None:
    """Two deaths at moments that nobody chose."""
    chance = random.Random(seed)
    town = build()
    town.start()
    town.alert()
    for _ in range(2):
        moment = chance.uniform(0.0, 2.5)
        asked = len(town.log()) + int(moment * 20)
        with contextlib.suppress(AssertionError):
            eventually(lambda seen=asked: len(town.log()) >= seen, within=moment + 0.1)
        town.kill()
        town.start()
    assert town.ended(within=90)["state"] == "proven"
    assert_one_effect_one_note(town)

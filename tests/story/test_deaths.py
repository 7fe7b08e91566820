"""kill -9 of the whole server at chosen moments: after a restart the run ends proven, with one effect and one note.

The vendors' world holds a request before or after it took effect; the server dies meanwhile. Judged from its log alone.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

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


@pytest.mark.parametrize(
    ("database", "do"),
    [
        ("sqlite_url", "hold_after_apply"),
        ("postgresql_url", "hold_after_apply"),
        ("sqlite_url", "hold_before"),
    ],
)
def test_death_while_the_abort_is_on_its_way(
    build: Build, database: str, do: str, request: pytest.FixtureRequest
) -> None:
    town = build(request.getfixturevalue(database))
    town.start()
    town.control("faults", [hold("*/status", do)])
    town.alert()
    eventually(lambda: held(town, "PATCH", "/status"), within=20)
    town.kill()
    if do == "hold_after_apply":
        town.control("release", {})
    town.start()
    assert town.ended(within=60)["state"] == "proven"
    town.control("release", {})
    assert_one_effect_one_note(town)


def test_death_while_the_note_is_on_its_way(build: Build) -> None:
    town = build()
    town.start()
    town.control("faults", [hold("*/notes", "hold_after_apply", "POST")])
    town.alert()
    eventually(lambda: held(town, "POST", "/notes"), within=20)
    town.kill()
    town.control("release", {})
    town.start()
    assert town.ended(within=60)["state"] == "proven"
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

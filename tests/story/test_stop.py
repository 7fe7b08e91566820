"""SIGTERM with many runs under way: the server ends soon, and the next one takes every run to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import urllib3

from tests.conftest import ROUNDS
from tests.story.test_races import build_canaries, declare
from tests.story.town import Town, assert_every_effect_has_its_rows
from tests.support.waiting import eventually

FEW = 8


def aborts(town: Town) -> list[dict[str, object]]:
    """The aborts that took effect; a controller that is down may be woken besides."""
    return [row for row in town.effects("PATCH", "/races/rollouts/") if '"/status/abort"' in row["body"]]


def test_a_server_that_is_stopped_ends_soon_and_every_run_under_way_is_resumed(
    build: Callable[..., Town], pytestconfig: pytest.Config
) -> None:
    rounds = int(pytestconfig.getoption("--rounds"))
    names = [f"race-{n}" for n in range(FEW if rounds == ROUNDS else rounds)]
    town = build()
    declare(town, names)
    build_canaries(town, names)
    targets = town.runbooks / "targets.yaml"
    targets.write_text(targets.read_text().replace("acknowledge: 10s, traffic: 12s", "acknowledge: 90s, traffic: 100s"))
    town.control("kubernetes", {"controller": "down"})
    town.start()
    for name in names:
        town.alert(f"alert-{name}", rollout=name, namespace="races")
    eventually(lambda: len(aborts(town)) == len(names), within=90)
    assert town.server is not None
    began = time.monotonic()
    town.server.popen.terminate()
    code = town.server.wait(30)
    seconds = time.monotonic() - began
    town.kill()
    under_way = sum(run["ended_at"] is None for run in town.runs())
    with pytest.raises(urllib3.exceptions.HTTPError):
        town.http.request("GET", f"{town.url}/healthz", timeout=2)
    town.control("kubernetes", {"controller": "up"})
    town.start()
    town.ended(within=120, count=len(names))
    print(f"SIGTERM with {under_way} runs under way: exit {code} after {seconds:.1f} s, all resumed")  # noqa: T201 - the figure
    assert under_way == len(names)
    assert (code, seconds < 25) == (0, True)
    assert {run["state"] for run in town.runs()} == {"proven"}
    assert len(aborts(town)) == len(names)
    assert_every_effect_has_its_rows(town)

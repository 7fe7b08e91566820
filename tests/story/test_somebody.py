"""Somebody first: a person who aborts, retries or promotes by hand, or Argo's own analysis, around the very moment of our abort.

No refusal without a reason that is so, nothing proven that is not so, nothing written where it was done already. A few rounds in
the suite; more on demand: `./ripcord test tests/story/test_somebody.py --rounds 1000`.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from server.db import unstamp
from tests.conftest import ROUNDS
from tests.contract.metrics import Metrics
from tests.story.test_races import MERGE, build_canaries, declare, leave, settled, streets
from tests.story.town import ROLLOUTS, Town

Json = dict[str, Any]
AT_ONCE = 12
HELD = 0.5
"""Seconds that our abort stands on the wire in every second round: half of the moments come before it, half after."""
TEMPLATES = "/apis/argoproj.io/v1alpha1/namespaces/races/analysistemplates"
GOOD, BAD = 1.0, 99.0


def by_hand(town: Town, name: str, **status: Any) -> None:
    """What kubectl's plugin writes."""
    town.kubernetes("PATCH", f"{ROLLOUTS}/races/rollouts/{name}/status", {"status": status}, MERGE)


@dataclass
class Race:
    """One town in which all of them come at once, each to a Rollout of its own."""

    town: Town
    metrics: Metrics
    chance: random.Random
    arrived: dict[str, threading.Event] = field(default_factory=dict)
    seen: int = 0

    # Who comes --------------------------------------------------------------------------------------------------------

    def aborts(self, name: str) -> None:
        by_hand(self.town, name, abort=True)

    def retries(self, name: str) -> None:
        """Aborted, and thought better of."""
        by_hand(self.town, name, abort=True)
        time.sleep(self.chance.uniform(0.0, 1.0))  # the moment is the point
        by_hand(self.town, name, abort=False)

    def promotes(self, name: str) -> None:
        by_hand(self.town, name, pauseConditions=None)

    def promotesinfull(self, name: str) -> None:
        by_hand(self.town, name, promoteFull=True)

    def analysis(self, name: str) -> None:
        self.metrics.answer(name, BAD)

    # The scene --------------------------------------------------------------------------------------------------------

    def more(self, name: str) -> Json:
        """A background analysis where it is Argo's own that comes."""
        if not name.startswith("analysis"):
            return {}
        self.metrics.answer(name, GOOD)
        web = {"url": f"{self.metrics.url(name)}/rate", "jsonPath": "{$.data.rate}"}
        metric = {"name": "errors", "interval": "1s", "successCondition": "result < 5", "provider": {"web": web}}
        self.town.kubernetes("POST", TEMPLATES, {"metadata": {"name": name}, "spec": {"metrics": [metric]}})
        return {"analysis": {"templates": [{"templateName": name}]}}

    def play(self, names: list[str]) -> None:
        """An alert for each, and for each somebody at a moment of chance; until all runs are final."""
        near = [name for name in names if "-near-" in name]
        self.arrived = {name: threading.Event() for name in near}
        faults = [{"match": {"method": "PATCH", "path": f"*/rollouts/{name}/status"}, "times": 1} for name in near]
        self.town.control("faults", [{**one, "do": "hold_before", "seconds": HELD} for one in faults])
        before = len(self.town.runs())
        with self._watched(), ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = []
            for name in names:
                self.town.alert(f"alert-{name}", rollout=name, namespace="races")
                moment = self.chance.uniform(0.0, 2 * HELD if name in near else 3.0)
                waiting.append(pool.submit(self._comes, name, moment))
            for one in waiting:
                one.result()
        self.town.ended(within=120, count=before + len(names))
        self.town.control("faults", None, "DELETE")

    def _comes(self, name: str, moment: float) -> None:
        if name in self.arrived:
            assert self.arrived[name].wait(60), f"no abort of {name} was sent"
        time.sleep(moment)
        getattr(self, name.partition("-")[0])(name)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Which of our aborts are on the wire is known meanwhile."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                for row in self.rows(self.seen):
                    self.seen = max(self.seen, row["seq"])
                    name = row["path"].split("/")[-2]
                    if row["method"] == "PATCH" and name in self.arrived:
                        self.arrived[name].set()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def rows(self, after: int = 0) -> list[Json]:
        """The vendors' own log."""
        url = f"{self.town.world}/_sandbox/log?after={after}"
        return [json.loads(line) for line in self.town.http.request("GET", url, timeout=10).data.splitlines() if line]


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    one = Metrics()
    yield one
    one.end()


FEW = 3 * ROUNDS
"""In the suite: with the hotfixes of test_races.py sixty."""
SOMEBODY = ("aborts", "analysis", "retries", "promotes", "promotesinfull")


def test_whoever_comes_first_no_run_is_refused_without_a_reason_that_is_so_and_nothing_is_proven_that_is_not(
    build: Callable[..., Town], metrics: Metrics, pytestconfig: pytest.Config
) -> None:
    rounds = int(pytestconfig.getoption("--rounds"))
    rounds = FEW if rounds == ROUNDS else rounds
    names = [f"{SOMEBODY[n % 5]}-{('near', 'far')[n // 5 % 2]}-{n}" for n in range(rounds)]
    town = build()
    race = Race(town, metrics, random.Random(rounds))
    declare(town, names, patience="acknowledge: 40s, traffic: 50s")
    shipped = town.runbooks / "abort-canary.yaml"
    shipped.write_text(shipped.read_text().replace("settle: 5s", "settle: 1s"))
    town.start()
    ends: Counter[str] = Counter()
    for street in streets(names):
        first = race.seen
        build_canaries(town, street, race.more)
        for start in range(0, len(street), AT_ONCE):
            race.play(street[start : start + AT_ONCE])
        rows = race.rows(first)
        for run in [run for run in town.runs() if run["target"] in street]:
            judge(town, run, [row for row in rows if _about(row, run["target"])])
            ends[f"{run['target'].partition('-')[0]}: {run['state']}"] += 1
        leave(town, street)
    assert ends.total() == rounds
    print(f"somebody first: {rounds} rounds, all told as they are; runs ended {json.dumps(dict(sorted(ends.items())))}")  # noqa: T201 - the figure of the race


def _about(row: Json, name: str) -> bool:
    return f"{row['path']}/".partition("/races/rollouts/")[2].startswith(f"{name}/")


def judge(town: Town, run: Json, rows: list[Json]) -> None:
    """What the run says against what stands there, and against who wrote what and when."""
    who, state, said = run["target"].partition("-")[0], settled(town, run["target"]), (run["state"], run["said"])
    status = state["status"]
    aborted, promoted = bool(status.get("abort")), status["stableRS"] == status["currentPodHash"]
    ours = [row for row in rows if row["method"] == "PATCH" and "fieldManager=ripcord" in row["query"]]
    aborts = [row for row in ours if row["applied"] and "/status/abort" in row["body"]]
    assert len(aborts) <= 1, (run["target"], said)
    if run["state"] == "nothing_to_do":
        assert aborts == [], (run["target"], said)
        assert "aborted already" in run["said"], (run["target"], said)
    if who in ("aborts", "analysis"):
        assert run["state"] in ("proven", "nothing_to_do"), (run["target"], said)
        assert (aborted, promoted) == (True, False), (run["target"], said)
    elif run["state"] in ("proven", "nothing_to_do"):
        assert aborted or not _in_time(run, rows), (run["target"], said)
    elif run["state"] == "failed":
        assert not aborted, (run["target"], said)
        assert ("somebody retried" if who == "retries" else "promot") in run["said"] or "became stable" in run["said"]
    else:
        assert (run["state"], who != "retries", promoted) == ("refused", True, True), (run["target"], said)
        assert "promoted" in run["said"], (run["target"], said)


def _in_time(run: Json, rows: list[Json]) -> bool:
    """Whether the last of what they wrote was there for the run's last look to see."""
    ended: datetime = run["ended_at"]
    looks = [unstamp(row["at"]) for row in rows if row["method"] == "GET" and unstamp(row["at"]) <= ended]
    theirs = [unstamp(row["at"]) for row in rows if row["method"] == "PATCH" and "ripcord" not in row["query"]]
    return (max(looks) - max(theirs)).total_seconds() > 0.1

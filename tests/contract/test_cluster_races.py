"""Somebody in the same moment, on the real control plane: a hotfix around the abort, an abort at the controller's own write.

A few rounds by default; `./ripcord test --cluster tests/contract/test_cluster_races.py --rounds 1000` for the whole of it.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from statistics import median

import pytest
import urllib3

from tests.cluster.api import Object
from tests.contract.scenario import Canary, template
from tests.contract.stage import Stage
from tests.contract.worlds import ClusterWorld
from tests.story.town import FINAL
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster
BATCH = 20
SHORT_STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 25}, {"pause": {}}]


def _released(version: str, *, more: bool) -> Object:
    """With `more` it carries a variable that a hotfix may take away."""
    made = template(version)
    if more:
        made["spec"]["containers"][0]["env"] = [{"name": "KEPT", "value": "1"}, {"name": "REMOVED", "value": "1"}]
    return made


def _without_variable(version: str) -> Object:
    made = _released(version, more=True)
    del made["spec"]["containers"][0]["env"][1]
    return made


class Races:
    """Rounds in batches: each round has a canary of its own, all under one server."""

    def __init__(self, world: ClusterWorld, folder: Path) -> None:
        self.stage = Stage(world, folder)
        self.world, self.town = world, self.stage.town
        self.delays = [0.05]  # from our seeing that a plan is made to the arrival of the abort
        self._pauses: dict[str, float] = {}
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        """When each canary's second pause was written."""
        api, path = self.world.plane.api(), "/apis/argoproj.io/v1alpha1/rollouts"
        version = api.get(path)["metadata"]["resourceVersion"]
        with suppress(urllib3.exceptions.HTTPError, OSError):
            for event in api.watch(path, version, threading.Event(), seconds=3600):
                status = event["object"].get("status") or {}
                if status.get("currentStepIndex") == 3 and status.get("controllerPause"):
                    self._pauses.setdefault(event["object"]["metadata"]["namespace"], time.time())

    def second_pause(self, canary: Canary) -> float:
        """The moment of that write; far away where it never came."""
        return self._pauses.get(canary.namespace, 0.0)

    def batch(self, count: int, **more: object) -> list[Canary]:
        """Canaries that are older than any alert to come, and a server that knows them."""
        canaries = [Canary(self.world) for _ in range(count)]
        for one in canaries:
            one.place(replicas=2, abortScaleDownDelaySeconds=1, **more)
        for one in canaries:
            one.until("Healthy")
        for one in canaries:
            one.spec(template=_released("v2", more=True))
        for one in canaries:
            one.until("Paused")
        born = time.monotonic()
        self._declare(canaries)
        self.stage.start()
        eventually(lambda: time.monotonic() > born + 2.1, within=5)
        return canaries

    def _declare(self, canaries: list[Canary]) -> None:
        self.stage.set(within=20)
        path = self.town.runbooks / "targets.yaml"
        catalog = json.loads(path.read_text())
        known = catalog["targets"].pop("web")
        for one in canaries:
            named = {"rollout": "web", "namespace": one.namespace}
            catalog["targets"][one.namespace] = {**known, "namespace": one.namespace, "named_by": named}
        path.write_text(json.dumps(catalog))

    def play(self, canary: Canary, offset: float, act: Callable[[], object]) -> None:
        """Alerts, and acts so many seconds after the moment at which the abort is expected to arrive."""
        self.town.alert(f"alert-{canary.namespace}", rollout="web", namespace=canary.namespace)
        eventually(lambda: self._planning(canary) or self._over(canary), within=40, every=0.002, what="a run")
        seen, wall = time.monotonic(), time.time()
        # The moment itself is the point here: nothing is waited for.
        while time.monotonic() < seen + median(self.delays[-5:]) + offset:
            time.sleep(0.001)
        act()
        # Only to aim the next one: where none has come, none will.
        with suppress(AssertionError):
            eventually(lambda: self.patches(canary) or self._over(canary), within=1, every=0.02, what="the abort")
        for one in self.patches(canary)[:1]:
            arrived = datetime.fromisoformat(one["requestReceivedTimestamp"]).timestamp()
            self.delays.append(max(0.0, arrived - wall))

    def ended(self, canaries: list[Canary]) -> list[Object]:
        """All runs of a batch, once they are final."""
        for one in canaries:
            eventually(lambda one=one: self._over(one), within=90, every=0.2, what="the run ends")
        return [self.run(one) for one in canaries]

    def patches(self, canary: Canary) -> list[Object]:
        asked = self.world.plane.asked()
        return [one for one in asked if one["verb"] == "patch" and one["objectRef"]["namespace"] == canary.namespace]

    def run(self, canary: Canary) -> Object:
        found: list[Object] = [one for one in self.town.runs() if one["target"] == canary.namespace]
        return found[0] if found else {}

    def _planning(self, canary: Canary) -> bool:
        # Early enough to act before the abort leaves, too.
        run = self.run(canary)
        return bool(run) and any(row["tag"] == "run_planning" for row in self.town.audit(run["id"]))

    def _over(self, canary: Canary) -> bool:
        return self.run(canary).get("state") in FINAL

    def end(self, canaries: list[Canary]) -> None:
        self.town.kill()
        for one in canaries:
            one.leave()


@pytest.fixture
def races(cluster_world: ClusterWorld, tmp_path: Path) -> Iterator[Races]:
    one = Races(cluster_world, tmp_path)
    yield one
    one.stage.close()


def _rounds(pytestconfig: pytest.Config) -> Iterator[int]:
    left = int(pytestconfig.getoption("--rounds"))
    while left > 0:
        yield min(BATCH, left)
        left -= BATCH


def _awake(canary: Canary, judged: str) -> bool:
    """The newer version was taken over and is on its way."""
    rollout = canary.rollout
    status = rollout["status"]
    taken = int(status["observedGeneration"]) >= rollout["metadata"]["generation"]
    return taken and status["currentPodHash"] != judged and not status.get("abort") and not status.get("abortedAt")


def test_a_hotfix_around_the_abort_is_never_left_aborted_or_asleep(races: Races, pytestconfig: pytest.Config) -> None:
    chance = random.Random(int(pytestconfig.getoption("--rounds")))
    ends: Counter[str] = Counter()
    near = 0
    for count in _rounds(pytestconfig):
        canaries = races.batch(count)
        judged = [one.status["currentPodHash"] for one in canaries]
        sent: list[float] = []
        for number, canary in enumerate(canaries):
            hotfix = _without_variable("v2") if number % 3 == 0 else _released("v3", more=True)

            def change(one: Canary = canary, new: Object = hotfix, sent: list[float] = sent) -> None:
                sent.append(time.time())
                one.spec(template=new)

            races.play(canary, chance.uniform(-0.020, 0.080), change)
        for run in races.ended(canaries):
            assert run["state"] not in ("proven", "nothing_to_do"), run["said"]
            ends[run["state"]] += 1
        for canary, old, at in zip(canaries, judged, sent, strict=True):
            eventually(lambda one=canary, old=old: _awake(one, old), within=20, what="the hotfix is on its way")
            for patch in races.patches(canary)[:1]:
                near += abs(at - datetime.fromisoformat(patch["requestReceivedTimestamp"]).timestamp()) < 0.1
        races.end(canaries)
    print(f"hotfix races: {ends.total()} rounds, {near} within 100 ms of an abort that was sent, ended {dict(ends)}")  # noqa: T201


def test_aborts_at_the_controllers_own_pause_write_are_proven(races: Races, pytestconfig: pytest.Config) -> None:
    chance, rounds, woken, near = random.Random(7), 0, 0, 0
    for count in _rounds(pytestconfig):
        canaries = races.batch(count, steps=SHORT_STEPS)
        for canary in canaries:
            # The resume starts a pass, and the pause write ends it: the abort is to arrive 0 to 60 ms after that.
            races.play(
                canary, chance.uniform(-0.200, -0.050), lambda one=canary: one.patch_status(pauseConditions=None)
            )
        for canary, run in zip(canaries, races.ended(canaries), strict=True):
            assert run["state"] == "proven", run["said"]
            assert canary.weights == (100, 0)
            rounds, woken = rounds + 1, woken + (len(races.patches(canary)) > 1)
            arrived = datetime.fromisoformat(races.patches(canary)[0]["requestReceivedTimestamp"]).timestamp()
            near += 0 <= arrived - races.second_pause(canary) < 0.1
        races.end(canaries)
    said = f"{near} of them within 100 ms after it, {woken} woken"
    print(f"aborts at a pause write: {rounds} rounds, all proven, {said}")  # noqa: T201

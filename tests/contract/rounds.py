"""Many rounds against one server: each canary plays one round after the other, twenty canaries at a time, each as a target.

A canary is used again: what a round leaves is the next one's version. So a round that left something aborted or asleep would
stop its canary, too.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import urllib3

from server import db
from server.store.tables import decisions, deliveries, runs
from tests.cluster.api import Api, Object
from tests.contract.relay import Held
from tests.contract.scenario import Canary, template
from tests.contract.stage import Stage
from tests.contract.worlds import ClusterWorld
from tests.story.town import FINAL
from tests.support.waiting import eventually

CANARIES = 20
SHORT_STEPS: tuple[Object, ...] = ({"setWeight": 20}, {"pause": {}}, {"setWeight": 25}, {"pause": {}})
VARIABLES = ("KEPT", "ONE", "TWO")
Say = Callable[[str], None]
_ROLLOUTS = "/apis/argoproj.io/v1alpha1/rollouts"
_OLDER = timedelta(seconds=2.1)  # whole seconds are compared: older than any alert to come


class Lookout:
    """The newest state of every Rollout, by one watch: twenty canaries that ask again and again would keep everybody busy."""

    def __init__(self, api: Api) -> None:
        self._api, self._stop = api, threading.Event()
        self._latest: dict[str, tuple[float, Object]] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._follow, daemon=True).start()

    def until(
        self, namespace: str, holds: Callable[[Object], object], *, quiet: float = 0, within: float = 60
    ) -> Object:
        """The Rollout there, once something holds of it, and nobody has written it for so long."""
        deadline = time.monotonic() + within
        with self._news:
            while True:
                since, rollout = self._latest.get(namespace, (time.monotonic(), {}))
                calm = time.monotonic() - since
                if rollout and holds(rollout) and calm >= quiet:
                    return rollout
                if time.monotonic() > deadline:
                    raise AssertionError(f"not within {within:g} s in {namespace}; it stands so: {_in_short(rollout)}")
                self._news.wait(max(0.01, quiet - calm) if quiet > calm else 1)

    def close(self) -> None:
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.is_set():
            with suppress(urllib3.exceptions.HTTPError, OSError):
                found = self._api.get(_ROLLOUTS)
                for one in found["items"]:
                    self._take(one)
                for event in self._api.watch(_ROLLOUTS, found["metadata"]["resourceVersion"], self._stop):
                    self._take(event["object"])

    def _take(self, rollout: Object) -> None:
        with self._news:
            self._latest[rollout["metadata"].get("namespace", "")] = (time.monotonic(), rollout)
            self._news.notify_all()


def _in_short(rollout: Object) -> Object:
    meta, spec, status = rollout.get("metadata", {}), rollout.get("spec", {}), rollout.get("status", {})
    told = (
        "phase",
        "message",
        "abort",
        "abortedAt",
        "currentPodHash",
        "stableRS",
        "currentStepIndex",
        "observedGeneration",
    )
    pods = spec.get("template", {}).get("spec", {}).get("containers", [{}])[0]
    return {
        **{name: status[name] for name in told if name in status},
        "generation": meta.get("generation"),
        "template": [pods.get("image"), len(pods.get("env", []))],
        "writers": [
            (one.get("manager"), one.get("subresource"), one.get("time")) for one in meta.get("managedFields", [])
        ],
    }


def version(name: str) -> Object:
    """A template with variables that a later one may lack."""
    made = template(name)
    made["spec"]["containers"][0]["env"] = [{"name": one, "value": "1"} for one in VARIABLES]
    return made


def paused(rollout: Object) -> bool:
    """The version in spec was taken over and waits at its pause, not aborted, all writes that belong to it done."""
    status = rollout.get("status") or {}
    conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
    return (
        int(status.get("observedGeneration") or 0) >= rollout["metadata"]["generation"]
        and (status.get("phase"), conditions.get("Paused"), status.get("controllerPause")) == ("Paused", "True", True)
        and not status.get("abort")
        and not status.get("abortedAt")
    )


@dataclass
class Round:
    """One run against one canary, as the API server and the audit tell it."""

    run: str
    state: str
    said: str
    codes: list[int]  # what the API server answered to the run's patches, oldest first
    woken: int

    def counted(self) -> list[str]:
        """What is counted over many of them."""
        first = {200: "abort accepted", 422: "abort refused"}.get(self.codes[0], f"abort {self.codes[0]}")
        return [first, self.state, *(["woken"] if self.woken else [])]


class Rounds:
    """The canaries, the server that knows them all, and the relay between it and the API server."""

    def __init__(self, world: ClusterWorld, folder: Path, count: int, *, within: int = 20, **canary: object) -> None:
        self._within = within  # seconds for the proof
        self.stage = Stage(world, folder)
        self.relay = self.stage.through_relay()
        self.town, self._plane, self.release = self.stage.town, world.plane, world.rollouts
        self.lookout = Lookout(world.plane.api())
        self._looks = db.reading(self.town.database_url, pool=CANARIES)
        self.canaries = [Canary(world) for _ in range(min(CANARIES, count))]
        self._played: Counter[str] = Counter()  # by canary: its runs so far
        self._patches: Counter[str] = Counter()
        for one in self.canaries:
            one.place(replicas=2, abortScaleDownDelaySeconds=1, **canary)

    def start(self, first: Object) -> None:
        """The first version is at its pause everywhere, and the server knows the canaries."""
        for one in self.canaries:
            self.lookout.until(one.namespace, lambda at: (at.get("status") or {}).get("phase") == "Healthy", quiet=0.5)
        for one in self.canaries:
            one.spec(template=first)
        self.stage.set(within=self._within)
        self.stage.declare({one.namespace: one for one in self.canaries})
        self.stage.start()

    def play(self, count: int, one_round: Callable[[Canary, int], None]) -> None:
        """So many rounds, each canary one after the other. What went wrong is told at the end: it stops its canary alone."""
        numbers, lock = iter(range(count)), threading.Lock()

        def follow(canary: Canary) -> list[str]:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return []
                try:
                    one_round(canary, number)
                except AssertionError as error:
                    return [f"round {number} in {canary.namespace}: {error}"]

        with ThreadPoolExecutor(len(self.canaries)) as pool:
            wrong = [line for lines in pool.map(follow, self.canaries) for line in lines]
        assert wrong == [], "\n".join(wrong)

    # ---- one round ----

    def ready(self, canary: Canary) -> Object:
        """The Rollout at its pause, its version older than any alert to come."""
        rollout = self.lookout.until(canary.namespace, paused, quiet=0.5)
        born = canary.replicaset(rollout["status"]["currentPodHash"])["metadata"]["creationTimestamp"]
        old = datetime.fromisoformat(born) + _OLDER
        eventually(lambda: datetime.now(UTC) > old, within=5, what="the version is older than the alert")
        return rollout

    @contextmanager
    def held(self, canary: Canary, number: int) -> Iterator[Held]:
        """An alert was sent, and the abort that follows stands on the wire."""
        with self.relay.hold(f"{canary.path}/status") as held:
            self.town.alert(f"{canary.namespace}-{number}", rollout="web", namespace=canary.namespace)
            try:
                held.arrives(within=90)
            except AssertionError as error:
                raise AssertionError(f"{error}; {self._lately(canary.namespace)}") from error
            yield held

    def ended(self, canary: Canary) -> Round:
        """The canary's newest run, once it is final."""
        query = sa.select(runs.c.id, runs.c.state, runs.c.said).where(runs.c.target == canary.namespace)

        def final() -> list[Object]:
            with self._looks.connect() as connection:
                found = [dict(row) for row in connection.execute(query.order_by(runs.c.created_at)).mappings()]
            more = found[self._played[canary.namespace] :]
            return more if more and more[-1]["state"] in FINAL else []

        one, *others = eventually(final, within=90, every=0.25, what=f"the run of {canary.namespace} ends")
        assert others == [], "one alert, one run"
        self._played[canary.namespace] += 1
        woken = sum(row["tag"] == "step_woken" for row in self.town.audit(one["id"]))
        return Round(one["id"], one["state"], one["said"], self._codes(canary.namespace), woken)

    def minds(self, run: str) -> list[str]:
        """What the run's note asks people to mind."""
        [row] = self.town.rows(sa.select(runs.c.report).where(runs.c.id == run))
        return list(json.loads(row["report"])["remarks"]["mind"])

    def _codes(self, namespace: str) -> list[int]:
        asked = [one for one in self._plane.asked() if one["verb"] == "patch"]
        mine = [one["responseStatus"]["code"] for one in asked if one["objectRef"]["namespace"] == namespace]
        new = mine[self._patches[namespace] :]
        self._patches[namespace] = len(mine)
        return new

    def _lately(self, namespace: str) -> str:
        """What was decided and run there last, and how many deliveries stand where."""
        decided = sa.select(decisions.c.at, decisions.c.kind, decisions.c.reason).where(decisions.c.target == namespace)
        ran = sa.select(runs.c.created_at, runs.c.id, runs.c.state, runs.c.said).where(runs.c.target == namespace)
        newest = [
            *self.town.rows(decided.order_by(decisions.c.at.desc()).limit(2)),
            *self.town.rows(ran.order_by(runs.c.created_at.desc()).limit(2)),
            *self.town.rows(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)),
        ]
        return f"{datetime.now(UTC)}: {newest}"

    def close(self) -> None:
        self.lookout.close()
        self._looks.dispose()
        self.stage.close()
        for one in self.canaries:
            one.leave()


# ---- an abort at the controller's own write ----


def at_the_pause_write(rounds: Rounds, canary: Canary, number: int) -> tuple[Round, float]:
    """An abort that arrives 0 to 60 ms after the controller's pause write, proven; and how many seconds it was. Then a new version."""
    rounds.ready(canary)
    with rounds.held(canary, number) as held:
        canary.patch_status(pauseConditions=None)
        rounds.lookout.until(canary.namespace, _at_step(3))
        written = time.time()
        held.pass_on_after(random.Random(number).uniform(0, 0.060))
        held.over()
    played = rounds.ended(canary)
    assert (played.state, canary.weights) == ("proven", (100, 0)), played
    rounds.lookout.until(canary.namespace, lambda now: now["status"].get("abortedAt"), quiet=0.5)
    canary.spec(template=version(f"release-{number}"))
    rounds.lookout.until(canary.namespace, _at_step(1))
    return played, held.passed_at - written


def _at_step(index: int) -> Callable[[Object], bool]:
    return lambda rollout: paused(rollout) and rollout["status"]["currentStepIndex"] == index

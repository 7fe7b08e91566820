"""A town with many Rollouts in it, each a target of its own: one server start for a whole file of stories.

A scene is a generator: what it does before its `yield` has happened before the server first looks, what comes after it, later.
What a story claims is judged from the vendors' objects and log, and from the database's audit.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import sqlalchemy as sa
import urllib3

from sandbox.world import TICK_SECONDS
from server.store.tables import target_history
from tests.cluster.api import Answer, Api, Object
from tests.contract.bluegreen import BlueGreen
from tests.contract.scenario import Canary
from tests.contract.worlds import RECORDED, Record, World
from tests.story.town import FINAL, Town
from tests.support.waiting import eventually

Scene = Callable[[BlueGreen], Iterator[None]]
CanaryScene = Callable[[Canary], Iterator[None]]
BLUE_GREEN_KEY = "b" * 32
AT_ONCE = 30
SETTING_UP = 0.1
"""Seconds between the questions of a scene that is being set: thirty of them that ask without pause would keep everybody busy."""


class TownWorld(World):
    """The vendors' cluster of a town, as the contract's scenes speak to any world."""

    name = "town"
    user = "admin"
    rollouts = "v1.9.1"

    def __init__(self, town: Town) -> None:
        super().__init__()
        self._town, self._unready, self._ordering = town, dict[str, int](), threading.Lock()
        self.busy = False
        self._http = urllib3.PoolManager(maxsize=40, retries=False)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str | None = None,
        *,
        query: Mapping[str, object] | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        if self.busy and method == "GET":
            time.sleep(SETTING_UP)
        api = Api(f"{self._town.world}/kubernetes", self.user if token == "" else token, pool=self._http)
        return api.call(method, path, body, kind, query=query, headers=headers, timeout=timeout)

    def hold(self, namespace: str, replicaset: str, pods: int) -> None:
        # The scenes are set side by side: what one orders must not be undone by what another ordered before.
        with self._ordering:
            self._unready[f"{namespace}/{replicaset}"] = pods
            self._town.control("kubernetes", {"unready": self._unready})

        def held() -> bool:
            body = self.get(f"{RECORDED['replicasets'].format(namespace)}/{replicaset}").json
            return int(body["status"].get("readyReplicas") or 0) <= max(0, body["spec"]["replicas"] - pods)

        eventually(held, within=30, what=f"{pods} pods of {replicaset} are held back")

    def let_go(self) -> None:
        with self._ordering:
            self._unready.clear()
            self._town.control("kubernetes", {"unready": None})

    def controller_down(self) -> None:
        self._town.control("kubernetes", {"controller": "down"})

    def controller_up(self, *, handed: bool = False) -> None:
        del handed
        self._town.control("kubernetes", {"controller": "up"})

    @contextmanager
    def standby(self) -> Iterator[None]:
        raise NotImplementedError("no story needs one")
        yield

    @contextmanager
    def stalled(self) -> Iterator[None]:
        raise NotImplementedError("a story orders its own faults")
        yield

    @contextmanager
    def record(self, namespace: str) -> Iterator[Record]:
        """Who is behind the Services, now and from now on; nothing else is asked for in a story."""
        record, stop = Record(), threading.Event()
        self._look(record, namespace)
        thread = threading.Thread(target=self._follow, args=(record, namespace, stop), daemon=True)
        thread.start()
        try:
            yield record
        finally:
            stop.set()
            thread.join(10)
            self._look(record, namespace)

    def _follow(self, record: Record, namespace: str, stop: threading.Event) -> None:
        while not stop.wait(TICK_SECONDS / 4):
            self._look(record, namespace)

    def _look(self, record: Record, namespace: str) -> None:
        """This cluster moves in ticks: whoever asks four times in one misses no state."""
        for one in self.get(RECORDED["endpointslices"].format(namespace)).json["items"]:
            known = record.of("endpointslices", one["metadata"]["name"])
            if not known or known[-1] != one:
                record.add("endpointslices", one)


class Street:
    """All scenes side by side, each in a namespace of its own; a target has its scene's name."""

    def __init__(
        self,
        folder: Path,
        scenes: Mapping[str, Scene | CanaryScene],
        runbooks: Callable[[Street], None],
    ) -> None:
        self.town = Town(folder, f"sqlite:///{folder / 'ripcord.db'}")
        self.world = TownWorld(self.town)
        self.houses: dict[str, BlueGreen] = {}
        self.canaries: dict[str, Canary] = {}
        acts = []
        for name, play in scenes.items():
            if "canary" in name:
                self.canaries[name] = Canary(self.world)
                acts.append(cast("CanaryScene", play)(self.canaries[name]))
            else:
                self.houses[name] = BlueGreen(self.world)
                acts.append(cast("Scene", play)(self.houses[name]))
        self._alerts = self._from = 0
        self._declare()
        runbooks(self)
        self._all(acts)
        self.town.start()
        eventually(self._known, within=30, what="every target was looked at")
        self._all(acts)
        self.older()
        self._from = len(self.town.log())

    def _all(self, acts: list[Iterator[None]]) -> None:
        """Each scene up to its next yield."""
        self.world.busy = True
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda act: next(act, None), acts))
        self.world.busy = False

    def _known(self) -> bool:
        rows = self.town.rows(sa.select(target_history.c.target).where(target_history.c.first_stable.is_not(None)))
        return {row["target"] for row in rows} >= {*self.houses, *self.canaries}

    def older(self) -> None:
        """All that stands there is older than any alert to come (whole seconds are compared)."""
        self.town.control("clock", {"advance": 2})

    def _declare(self) -> None:
        """The catalog: these targets and no other; and the shipped runbooks with less patience."""
        targets = {name: _target(one, "blue-green", "PBLUEGREEN") for name, one in self.houses.items()}
        targets |= {name: _target(one, "canary", "PCANARY") for name, one in self.canaries.items()}
        catalog = {"version": 1, "clusters": {"default": {}}, "targets": targets}
        (self.town.runbooks / "targets.yaml").write_text(json.dumps(catalog))
        (self.town.runbooks / "disable-flag.yaml").unlink()
        for name in ("switch-blue-green-back", "abort-canary"):
            path = self.town.runbooks / f"{name}.yaml"
            path.write_text(path.read_text().replace("settle: 5s", "settle: 1s"))

    def runbook(self, name: str, shipped: str, kind: str, **options: object) -> None:
        """A runbook beside the shipped ones, which answers to its own kind of alert."""
        text = (self.town.runbooks / f"{shipped}.yaml").read_text()
        head, _, rest = text.partition("  any:\n")
        tail = "target:" + rest.partition("target:")[2]
        line = next(one for one in tail.splitlines() if "with:" in one)
        body = f"{head}  any:\n    - alert: {{deployment_type: {kind}}}\n{tail.replace(line, f'    with: {json.dumps(options)}')}"
        (self.town.runbooks / f"{name}.yaml").write_text(body)

    def order(self, match: Object, do: str, **more: object) -> None:
        """A fault for the next such request."""
        self.town.control("faults", [{"match": match, "do": do, "times": 1, **more}])

    def release(self, name: str) -> None:
        """The pods of that target's new version are whole again."""
        house = self.houses[name]
        self.world.hold(house.namespace, f"web-{house.new}", 0)

    # A story ----------------------------------------------------------------------------------------------------------

    def alert(self, name: str, kind: str = "") -> None:
        """A firing alert about that target."""
        self._alerts += 1
        blue_green = name in self.houses
        house = self.houses[name] if blue_green else self.canaries[name]
        self.town.alert(
            f"{name}-{self._alerts}",
            **({"key": BLUE_GREEN_KEY} if blue_green else {}),
            summary=f"{name} fails",
            alertname="BlueGreenPostDeployError" if not kind and blue_green else "Other",
            deployment_type=kind or ("blue-green" if blue_green else "canary"),
            rollout="web",
            namespace=house.namespace,
        )

    def ended(self, name: str, count: int = 1, within: float = 60) -> Object:
        """The newest run of that target, once it is final."""

        def over() -> Object | None:
            found = [run for run in self.town.runs() if run["target"] == name]
            return found[-1] if len(found) >= count and found[-1]["state"] in FINAL else None

        try:
            return eventually(over, within=within, every=0.1, what=f"the run of {name} is final") or {}
        except AssertionError as error:
            said = [f"{row['key']}: {row['said']}" for row in self.town.audit() if row["target"] in (name, None)]
            raise AssertionError("\n".join([str(error), *said, self.town.server.output[-3000:]])) from error  # type: ignore[union-attr]

    def played(self, name: str, kind: str = "") -> Object:
        """An alert, and the run that came of it."""
        self.alert(name, kind)
        return self.ended(name)

    def note(self, run: Object, within: float = 20) -> str:
        """The one note that this run's incident has."""

        def last() -> str | None:
            notes = self.town.pagerduty("GET", f"/incidents/{run['incident']}/notes")["notes"]
            texts = [note["content"] for note in notes]
            return texts[0] if len(texts) == 1 and "Proof follows" not in texts[0] else None

        return eventually(last, within=within, every=0.1, what="one note with its last word") or ""

    def wrote(self, name: str) -> list[str]:
        """The server's patches of that target in the order in which they came: 'rollouts/web/status', with what became of it."""
        return [_short(row) for row in self.asked(name) if row["method"] == "PATCH"]

    def asked(self, name: str) -> list[Object]:
        """All that the server asked of the cluster about that target."""
        house = self.houses.get(name) or self.canaries[name]
        text = self.town.http.request("GET", f"{self.town.world}/_sandbox/log?after={self._from}", timeout=10).data
        rows = [json.loads(line) for line in text.splitlines() if f"/namespaces/{house.namespace}/".encode() in line]
        mine = [row for row in rows if f"/namespaces/{house.namespace}/" in row["path"]]
        return [row for row in mine if row["method"] == "GET" or "fieldManager=ripcord" in row["query"]]

    def rows(self, run: Object, *tags: str) -> list[str]:
        """The run's audit rows of these kinds, without its id: '0/1/step_intended'."""
        return [row["key"].split("/", 1)[1] for row in self.town.audit(run["id"]) if row["tag"] in tags]

    def close(self) -> None:
        """Ends what was started."""
        self.town.close()
        self.world.metrics.end()


def _short(row: Object) -> str:
    what = row["path"].split("/namespaces/")[1].split("/", 1)[1]
    if "dryRun=All" in row["query"]:
        return f"{what} (dry)"
    return what if row["applied"] else f"{what} ({row['status']})"


def _target(house: Canary, strategy: str, service: str) -> Object:
    return {
        "kind": "rollout",
        "strategy": strategy,
        "team": "api",
        "cluster": "default",
        "namespace": house.namespace,
        "name": "web",
        "pagerduty_services": [service],
        "named_by": {"rollout": "web", "namespace": house.namespace},
        "mode": "auto",
    }

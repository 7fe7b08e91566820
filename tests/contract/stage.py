"""The product on the real control plane: `serve` with the sandbox's PagerDuty and this cluster's kubeconfig.

Its user holds exactly the Roles of deploy/kubernetes/. What happened is judged from the API server's objects and its own audit
log, and from Ripcord's audit rows; never from the product's words alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cluster.api import Object
from tests.cluster.start import PRODUCT
from tests.contract.relay import Held, Relay, What
from tests.contract.scenario import Canary
from tests.contract.worlds import ClusterWorld
from tests.story.town import Town
from tests.support.waiting import eventually

_RUNBOOK = "verify:\n  - {{check: rollout_traffic_on_stable, within: {within}s, settle: {settle}s}}\n"


class Stage:
    """One canary, one server, one catalog that knows that canary."""

    def __init__(self, world: ClusterWorld, folder: Path) -> None:
        self.world, self.canary = world, Canary(world)
        self.town = Town(folder, f"sqlite:///{folder / 'ripcord.db'}")
        self.relay: Relay | None = None
        self._before = len(world.plane.asked())

    def set(self, *, within: int = 60, settle: int = 1) -> None:
        """The runbook's check, and the canary as its only target."""
        path = self.town.runbooks / "abort-canary.yaml"
        head, _, rest = path.read_text().partition("verify:\n")
        tail = rest.partition("\n")[2]
        path.write_text(head + _RUNBOOK.format(within=within, settle=settle) + tail)
        self.declare({"web": self.canary})
        for other in ("switch-blue-green-back.yaml", "disable-flag.yaml"):
            (self.town.runbooks / other).unlink()

    def declare(self, canaries: Mapping[str, Canary]) -> None:
        """The catalog: these targets and no other."""
        targets = {name: _target(one.namespace) for name, one in canaries.items()}
        clusters = {"default": {"rollouts_namespace": "argo-rollouts"}}
        catalog = {"version": 1, "clusters": clusters, "targets": targets}
        (self.town.runbooks / "targets.yaml").write_text(json.dumps(catalog))

    def start(self) -> None:
        """`serve`, ready."""
        way = self.relay.kubeconfig if self.relay else self.world.plane.kubeconfig(PRODUCT)
        self.town.exports["RIPCORD_KUBECONFIG"] = str(way)
        self.town.start()

    def through_relay(self) -> Relay:
        """From its next start on, the server reaches the cluster through a relay."""
        self.relay = self.relay or Relay(self.world.plane, self.town.folder)
        return self.relay

    def ready(self, **check: int) -> Stage:
        """Server up, and the canary older than any alert to come (whole seconds)."""
        self.set(**check)
        self.start()
        born = self.canary.replicaset(self.canary.status["currentPodHash"])["metadata"]["creationTimestamp"]
        eventually(lambda: self._now() > born, within=5, what="the canary is older than the alert")
        return self

    def relayed(self, **check: int) -> Stage:
        """The same, with the server behind the relay."""
        self.through_relay()
        return self.ready(**check)

    @contextmanager
    def held(self, what: What = "request") -> Iterator[Held]:
        """An alert was sent, and the abort that follows stands on the wire, or its answer does."""
        with self.through_relay().hold(f"{self.canary.path}/status", what) as held:
            self.alert()
            held.arrives()
            yield held

    def _now(self) -> str:
        return (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def alert(self) -> None:
        """A firing alert about this canary."""
        self.town.alert(rollout="web", namespace=self.canary.namespace)

    def ended(self, within: float = 90) -> Object:
        """The run, once it is final."""
        return self.town.ended(within=within)

    def rows(self, tag: str) -> list[Object]:
        """Ripcord's audit rows of one kind."""
        return [row for row in self.town.audit() if row["tag"] == tag]

    def writes(self) -> list[Object]:
        """What the API server answered to the product's patches of this canary."""
        return [
            one
            for one in self.world.plane.asked()[self._before :]
            if one["verb"] == "patch" and one["objectRef"].get("namespace") == self.canary.namespace
        ]

    def requests(self) -> int:
        """How many requests the product sent about this canary."""
        mine = [one["objectRef"].get("namespace") for one in self.world.plane.asked()[self._before :]]
        return mine.count(self.canary.namespace)

    def applied(self) -> int:
        """Patches of the product's that were taken."""
        return sum(one["responseStatus"]["code"] == 200 for one in self.writes())

    def close(self) -> None:
        """Ends the server and its sandbox; the canary goes."""
        self.town.close()
        if self.relay:
            self.relay.close()
        self.canary.leave()


def _target(namespace: str) -> Object:
    return {
        "kind": "rollout",
        "strategy": "canary",
        "team": "web",
        "cluster": "default",
        "namespace": namespace,
        "name": "web",
        "pagerduty_services": ["PCANARY"],
        "named_by": {"rollout": "web", "namespace": namespace},
        "mode": "auto",
    }


def told(stage: Stage) -> str:
    """The note that people read."""
    return stage.town.note(within=30)

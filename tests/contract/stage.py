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

from tests.cluster.access import grant
from tests.cluster.api import Object
from tests.cluster.start import PRODUCT
from tests.contract.bluegreen import BlueGreen
from tests.contract.relay import Held, Relay, What
from tests.contract.scenario import Canary
from tests.contract.worlds import ClusterWorld
from tests.story.town import Town
from tests.support.waiting import eventually

_VERIFY = "verify:\n  - {{check: {check}, within: {within}s, settle: {settle}s}}\n"


class Stage:
    """One canary, one server, one catalog that knows that canary."""

    runbook, check, strategy, service = "abort-canary", "rollout_traffic_on_stable", "canary", "PCANARY"

    def __init__(self, world: ClusterWorld, folder: Path, canary: Canary | None = None) -> None:
        self.world, self.canary = world, canary or Canary(world)
        self.town = Town(folder, f"sqlite:///{folder / 'ripcord.db'}")
        self.relay: Relay | None = None
        self._before = len(world.plane.asked())

    def set(self, *, within: int = 60, settle: int = 1) -> None:
        """The runbook's check, and the canary as its only target."""
        path = self.town.runbooks / f"{self.runbook}.yaml"
        head, _, rest = path.read_text().partition("verify:\n")
        tail = rest.partition("\n")[2]
        path.write_text(head + _VERIFY.format(check=self.check, within=within, settle=settle) + tail)
        for other in set(self.town.runbooks.iterdir()) - {path}:
            other.unlink()
        self.declare({"web": self.canary})

    def declare(self, canaries: Mapping[str, Canary]) -> None:
        """The catalog: these targets and no other."""
        targets = {name: self._target(one.namespace) for name, one in canaries.items()}
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
        return self.patches(self.canary.namespace)

    def patches(self, namespace: str) -> list[Object]:
        """The same in any namespace."""
        asked = self.world.plane.asked()[self._before :]
        return [one for one in asked if one["verb"] == "patch" and one["objectRef"].get("namespace") == namespace]

    def requests(self) -> int:
        """How many requests the product sent about this canary."""
        mine = [one["objectRef"].get("namespace") for one in self.world.plane.asked()[self._before :]]
        return mine.count(self.canary.namespace)

    def applied(self) -> int:
        """Patches of the product's that were taken."""
        return sum(one["responseStatus"]["code"] == 200 for one in self.writes())

    def _target(self, namespace: str) -> Object:
        return {
            "kind": "rollout",
            "strategy": self.strategy,
            "team": "web",
            "cluster": "default",
            "namespace": namespace,
            "name": "web",
            "pagerduty_services": [self.service],
            "named_by": {"rollout": "web", "namespace": namespace},
            "mode": "auto",
        }

    def close(self) -> None:
        """Ends the server and its sandbox; the canary goes."""
        self.town.close()
        if self.relay:
            self.relay.close()
        self.canary.leave()


class BlueGreenStage(Stage):
    """The same with a blue-green Rollout, and with the Role that a switch back needs."""

    runbook, check, strategy = "switch-blue-green-back", "rollout_promoted_back", "blue-green"
    service = "PBLUEGREEN"

    def __init__(self, world: ClusterWorld, folder: Path) -> None:
        self.web = BlueGreen(world)
        super().__init__(world, folder, self.web)
        self.grant(self.web)

    def grant(self, web: Canary) -> None:
        """The shipped Role, in that namespace."""
        grant(self.world.plane.api(), web.namespace, "switch-back.yaml", PRODUCT)

    def alert(self, web: Canary | None = None) -> None:
        """A firing alert about this one, or another of the catalog's."""
        namespace = (web or self.web).namespace
        named = {"rollout": "web", "namespace": namespace, "deployment_type": "blue-green"}
        self.town.alert(namespace, key="b" * 32, summary="web fails", alertname="BlueGreenPostDeployError", **named)

    def sent(self, web: Canary | None = None) -> list[str]:
        """The product's patches there that were taken, in their order: 'rollouts/status', 'services'; dry runs are marked."""
        namespace = (web or self.web).namespace
        return [_short(one) for one in self.patches(namespace) if one["responseStatus"]["code"] == 200]


def _short(asked: Object) -> str:
    what = asked["objectRef"]
    name = "/".join(filter(None, [what["resource"], what.get("subresource")]))
    return f"{name} (dry)" if "dryRun=All" in asked["requestURI"] else name


def told(stage: Stage) -> str:
    """The note that people read."""
    return stage.town.note(within=30)

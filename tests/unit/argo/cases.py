"""Raw Kubernetes objects of a canary at 25 %, to be bent one way or another, and the looks that they make."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from server.core.argo import decide
from server.core.argo.read import Raw, read
from server.core.argo.state import RolloutState
from server.core.outcome import Outcome, Plan

Json = dict[str, Any]
START = datetime(2026, 11, 24, 3, 12, 0, tzinfo=UTC)
CUR, STA, NEW = "7d9f8c6b5", "5c4b7f9d8", "8abc5d7f6"
HASH = "rollouts-pod-template-hash"
TEMPLATE: Json = {
    "metadata": {"labels": {"app": "web-frontend"}},
    "spec": {"containers": [{"name": "web", "image": "web-frontend:v2.1.0", "ports": [{"containerPort": 8080}]}]},
}


def at(seconds: float) -> datetime:
    """A moment of the story."""
    return START + timedelta(seconds=seconds)


def stamp(moment: datetime) -> str:
    """As the API server writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def template(image: str = "web-frontend:v2.1.0", **labels: str) -> Json:
    """The pod template with another image or more labels."""
    made = copy.deepcopy(TEMPLATE)
    made["spec"]["containers"][0]["image"] = image
    made["metadata"]["labels"] |= labels
    return made


class World:
    """web-frontend at 25 %, paused there, stable 10/10; changed a while ago, so that one look is enough."""

    def __init__(self) -> None:
        self.template = template()
        self.carried = template()
        self.meta: Json = {
            "name": "web-frontend",
            "namespace": "production",
            "uid": "u-1",
            "generation": 4,
            "resourceVersion": "100",
            "annotations": {"rollout.argoproj.io/revision": "2"},
            "managedFields": [{"manager": "argo", "time": stamp(at(-60))}],
        }
        self.spec: Json = {
            "replicas": 10,
            "selector": {"matchLabels": {"app": "web-frontend"}},
            "strategy": {
                "canary": {
                    "canaryService": "web-frontend-canary",
                    "stableService": "web-frontend-stable",
                    "trafficRouting": {
                        "istio": {"virtualService": {"name": "web-frontend-vsvc", "routes": ["primary"]}}
                    },
                }
            },
        }
        self.status: Json = {
            "currentPodHash": CUR,
            "stableRS": STA,
            "observedGeneration": "4",
            "phase": "Paused",
            "message": "CanaryPauseStep",
            "conditions": [{"type": "Completed", "status": "False", "lastTransitionTime": stamp(at(-300))}],
        }
        self.created = {CUR: at(-310), STA: at(-86400)}
        self.available = {CUR: 3, STA: 10}
        self.canary_selects, self.stable_selects = CUR, STA
        self.lease: Json | str = {"spec": {"holderIdentity": "pod-a_1", "renewTime": stamp(at(-1))}}
        self.analysis: list[Json] = []
        self.http: list[Json] = [{"name": "primary", "route": []}]
        self.weigh(25)

    # How it may be bent -----------------------------------------------------------------------------------------------------------

    def weigh(self, router: int, status: int | None = None) -> World:
        """The router's canary weight, and what status says of it."""
        self.http[0]["route"] = [
            {"destination": {"host": "web-frontend-stable"}, "weight": 100 - router},
            {"destination": {"host": "web-frontend-canary"}, "weight": router},
        ]
        said = router if status is None else status
        self.status["canary"] = {
            "weights": {
                "canary": {"weight": said, "podTemplateHash": self.status["currentPodHash"]},
                "stable": {"weight": 100 - said, "podTemplateHash": self.status["stableRS"]},
            }
        }
        return self

    def flag(self, by: str = "ripcord") -> World:
        """abort: true stands, unacknowledged."""
        self.status["abort"] = True
        if by:
            self.meta["managedFields"].append({"manager": by, "fieldsV1": {"f:status": {"f:abort": {}}}})
        return self

    def unflag(self) -> World:
        """The flag is gone, with its acknowledgement."""
        for key in ("abort", "abortedAt"):
            self.status.pop(key, None)
        return self

    def acknowledge(self, moment: datetime | None = None) -> World:
        """The controller has seen the abort."""
        self.status |= {
            "abort": True,
            "abortedAt": stamp(moment or at(2)),
            "phase": "Degraded",
            "message": "RolloutAborted: Rollout aborted update to revision 2",
        }
        return self

    def aborted(self) -> World:
        """Acknowledged, and all traffic on stable."""
        return self.acknowledge().weigh(0)

    def hotfix(self, seen: bool = False) -> World:
        """Somebody writes another template. seen: the controller has taken it over."""
        self.template = template("web-frontend:v2.1.1")
        self.meta["generation"] += 1
        if seen:
            self.take_over(NEW)
        return self

    def take_over(self, pod_hash: str) -> World:
        """The controller makes what stands in spec the current version."""
        self.carried = copy.deepcopy(self.template)
        self.status |= {"currentPodHash": pod_hash, "observedGeneration": str(self.meta["generation"])}
        self.created[pod_hash] = at(0)
        self.available[pod_hash] = 0
        return self

    def renew(self, moment: datetime, holder: str = "pod-a_1") -> World:
        """The Lease was renewed then."""
        self.lease = {"spec": {"holderIdentity": holder, "renewTime": moment.isoformat()}}
        return self

    # What it shows ----------------------------------------------------------------------------------------------------------------

    @property
    def canary(self) -> Json:
        """spec.strategy.canary."""
        found: Json = self.spec["strategy"]["canary"]
        return found

    def rollout(self) -> Json:
        """The Rollout."""
        spec = {**self.spec, "template": self.template}
        return copy.deepcopy({"metadata": self.meta, "spec": spec, "status": self.status})

    def replica_sets(self) -> list[Json]:
        """Its ReplicaSets; the current one carries what was taken over."""
        made = []
        for pod_hash, created in self.created.items():
            carried = copy.deepcopy(self.carried if pod_hash == self.status["currentPodHash"] else TEMPLATE)
            carried["metadata"]["labels"][HASH] = pod_hash
            carried["spec"] |= {
                "restartPolicy": "Always",
                "dnsPolicy": "ClusterFirst",
                "terminationGracePeriodSeconds": 30,
            }
            made.append(
                {
                    "metadata": {
                        "name": f"web-frontend-{pod_hash}",
                        "labels": {HASH: pod_hash},
                        "creationTimestamp": stamp(created),
                        "ownerReferences": [{"uid": "u-1", "controller": True}],
                    },
                    "spec": {"replicas": self.available[pod_hash], "template": carried},
                    "status": {"availableReplicas": self.available[pod_hash]},
                }
            )
        return made

    def raw(self, moment: datetime) -> Raw:
        """Everything, as one look reads it."""
        return Raw(
            at=moment,
            date=moment.replace(microsecond=0),
            cluster="default",
            namespace="production",
            name="web-frontend",
            rollout=self.rollout(),
            replica_sets=self.replica_sets(),
            stable_service={"metadata": {}, "spec": {"selector": {HASH: self.stable_selects}}},
            canary_service={"metadata": {}, "spec": {"selector": {HASH: self.canary_selects}}},
            router={"metadata": {"resourceVersion": "55"}, "spec": {"http": copy.deepcopy(self.http)}},
            router_path="/apis/networking.istio.io/v1/namespaces/production/virtualservices/web-frontend-vsvc",
            lease=copy.deepcopy(self.lease),
            analysis=copy.deepcopy(self.analysis),
        )

    def look(self, seconds: float = 0.0) -> RolloutState:
        """One look at that second of the story, through JSON as in a checkpoint."""
        return RolloutState.model_validate(read(self.raw(at(seconds))).model_dump(mode="json"))


def planned(world: World | None = None) -> tuple[Plan, RolloutState]:
    """The plan that the first look gives, and that look."""
    state = (world or World()).look(0)
    plan = decide.plan([state], state.at)
    assert isinstance(plan, Plan), plan
    return plan, state


def outcome(kind: str, seconds: float, n: int = 1, what: str = "act", cause: str = "") -> Outcome:
    """What became of a write, as `write` says it."""
    evidence = {} if cause in ("died", "not_done", "stopped") else {"kind": what}
    return Outcome.model_validate(
        {"kind": kind, "said": f"{what} {kind}", "n": n, "at": at(seconds), "evidence": evidence, "cause": cause}
    )

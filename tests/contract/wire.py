"""How the tests of the wire speak to an API server: to the sandbox's as one user or another, to either world's in a place of their own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.start import Sandbox
from tests.cluster.api import NAMESPACES
from tests.contract.worlds import World

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/wire/rollouts"
IMAGE = "registry.example/web:v1"


@dataclass
class Answer:
    code: int
    headers: Mapping[str, str]
    text: str
    warnings: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def version(self) -> str:
        return str(self.json["metadata"]["resourceVersion"])

    @property
    def generation(self) -> int:
        return int(self.json["metadata"]["generation"])


class Cluster:
    """One client. `user` None sends no Authorization at all."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str | None = None,
        *,
        query: Mapping[str, object] | None = None,
        user: str | None = "ripcord",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"User-Agent": "tester/1.0", **(headers or {})}
        if user is not None:
            sent.setdefault("Authorization", f"Bearer {user}")
        if kind is not None:
            sent["Content-Type"] = kind
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        where = f"/kubernetes{path}" + (f"?{urlencode(query)}" if query else "")
        return self._send(method, where, raw, sent)

    def get(self, path: str, **query: object) -> Answer:
        return self.call("GET", path, query=query)

    def post(self, path: str, body: object) -> Answer:
        return self.call("POST", path, body, "application/json")

    def merge(self, path: str, body: object, **query: object) -> Answer:
        return self.call("PATCH", path, body, MERGE, query=query)

    def json_patch(self, path: str, *operations: Object) -> Answer:
        return self.call("PATCH", path, list(operations), JSON_PATCH)

    def control(self, settings: Object) -> Answer:
        return self._send("POST", "/_sandbox/kubernetes", json.dumps(settings).encode(), {})

    def log(self) -> list[Object]:
        text = self._send("GET", "/_sandbox/log", None, {}).text
        return [json.loads(line) for line in text.splitlines()]

    def applied(self) -> bool:
        """Whether the last request changed something."""
        return bool(self.log()[-1]["applied"])

    def _send(self, method: str, where: str, raw: bytes | None, sent: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.server.server_address[1], timeout=10)
        try:
            connection.request(method, where, raw, dict(sent))
            response = connection.getresponse()
            warnings = response.headers.get_all("Warning") or []
            return Answer(response.status, dict(response.getheaders()), response.read().decode(), warnings)
        finally:
            connection.close()


def rollout(name: str = "web", **labels: str) -> Object:
    container = {"name": "web", "image": IMAGE}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "strategy": {"canary": {}}, "template": template}
    meta = {"name": name, "labels": labels} if labels else {"name": name}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": meta, "spec": spec}


def failure(code: int, reason: str, message: str, details: Object | None = None) -> Object:
    """A Status as the recordings have it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return body | {"reason": reason} | ({"details": details} if details is not None else {}) | {"code": code}


# The worlds in which nobody reconciles: the sandbox without a ticker, and the cluster with the label below.
QUIET = ["still_sandbox_world", pytest.param("cluster_world", marks=pytest.mark.cluster, id="cluster")]

# A controller without an instance id leaves objects with this label alone: nobody but us writes them.
NOBODYS = {"argo-rollouts.argoproj.io/controller-instance-id": "nobody"}


def nobodys_rollout(name: str = "web", **labels: str) -> Object:
    return rollout(name, **NOBODYS, **labels)


class Place:
    """A namespace with one Rollout that has a status and that nobody reconciles."""

    def __init__(self, world: World) -> None:
        self.world, self.name = world, world.namespace()
        self.rollouts = f"/apis/argoproj.io/v1alpha1/namespaces/{self.name}/rollouts"
        self.services = f"{NAMESPACES}/{self.name}/services"
        self.runs = f"/apis/argoproj.io/v1alpha1/namespaces/{self.name}/analysisruns"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.name}/leases"
        self.web = f"{self.rollouts}/web"
        self.status = f"{self.web}/status"

    def with_web(self) -> Place:
        """The Rollout `web`, paused, with a hash."""
        assert self.world.post(self.rollouts, nobodys_rollout()).code == 201
        status = {"status": {"currentPodHash": "aaa", "phase": "Paused"}}
        assert self.world.merge(self.status, status).code == 200
        return self

    def routes(self, version: str) -> str:
        return f"/apis/networking.istio.io/{version}/namespaces/{self.name}/virtualservices"

    def object(self) -> Object:
        return dict(self.world.get(self.web).json)

    @property
    def version(self) -> str:
        return str(self.object()["metadata"]["resourceVersion"])

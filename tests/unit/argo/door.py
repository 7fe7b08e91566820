"""A Kubernetes API that holds a few objects by path, for the one place that reads them. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from server.errors import Missing
from tests.unit.argo.cases import World, at

Json = dict[str, Any]
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/production/rollouts/web-frontend"
ROUTER = "/apis/networking.istio.io/{}/namespaces/production/virtualservices/web-frontend-vsvc"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/argo-rollouts-controller-lock"


class Door:
    """objects: by path; an exception there is raised. asked: every path, in order. sent: every patch."""

    def __init__(self, world: World, istio: str = "v1") -> None:
        raw = world.raw(at(0))
        self.objects: dict[str, Any] = {
            ROLLOUT: raw.rollout,
            "/apis/apps/v1/namespaces/production/replicasets": {"items": raw.replica_sets},
            "/api/v1/namespaces/production/services/web-frontend-stable": raw.stable_service,
            "/api/v1/namespaces/production/services/web-frontend-canary": raw.canary_service,
            ROUTER.format(istio): raw.router,
            LEASE.format("argo-rollouts"): raw.lease,
            "/apis/argoproj.io/v1alpha1/namespaces/production/analysisruns": {"items": raw.analysis},
        }
        self.asked: list[str] = []
        self.queries: dict[str, Mapping[str, str]] = {}
        self.sent: list[tuple[str, Any, str]] = []
        self.answer: Json | Exception = {}
        self.on_read: Callable[[str], None] = lambda path: None

    def get(self, cluster: str, path: str) -> tuple[Json, datetime]:
        """One object."""
        return self.list(cluster, path, {})

    def list(self, cluster: str, path: str, query: Mapping[str, str]) -> tuple[Json, datetime]:
        """One list."""
        self.asked.append(path)
        self.queries[path] = query
        self.on_read(path)
        found = self.objects.get(path)
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise Missing(f"{path}: not found")
        return found, at(0)

    def patch(
        self, cluster: str, path: str, body: object, content_type: str, *, dry_run: bool = False
    ) -> tuple[Json, datetime]:
        """Keeps what was sent and answers what it was told to."""
        self.sent.append((path, body, content_type))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer, at(0)

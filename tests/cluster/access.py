"""The shipped rights for the product's user: exactly the Roles of deploy/kubernetes/, in every namespace that people make."""

from __future__ import annotations

import threading
from typing import Any

import urllib3
import yaml  # type: ignore[import-untyped]

from tests.cluster.api import NAMESPACES, Api, Object, Refused
from tests.cluster.parts import ROOT

SHIPPED = ROOT / "deploy" / "kubernetes"
_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"
_PLURALS = {"Role": "roles", "RoleBinding": "rolebindings"}
_THEIRS = ("kube-", "argo-rollouts", "default")


def grant(api: Api, namespace: str, file: str, user: str) -> None:
    """Applies one shipped file to a namespace, bound to this user instead of the pod's account."""
    for body in yaml.safe_load_all((SHIPPED / file).read_text()):
        made: dict[str, Any] = dict(body)
        if made["kind"] == "RoleBinding":
            made["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
        api.ensure(f"{_RBAC}/{namespace}/{_PLURALS[made['kind']]}", made)


class Everywhere:
    """Grants the abort-only Role in each namespace as it comes; the Lease in the controller's."""

    def __init__(self, api: Api, user: str) -> None:
        self._api, self._user, self._stop = api, user, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """The Lease can be read when this returns, and what stands in production."""
        grant(self._api, "argo-rollouts", "read-lease.yaml", self._user)
        self._api.ensure(NAMESPACES, {"metadata": {"name": "production"}})
        self._each(self._api.get(NAMESPACES))
        self._thread.start()

    def stop(self) -> None:
        """Grants no more."""
        self._stop.set()

    def _each(self, found: Object) -> str:
        for one in found["items"]:
            self._one(one)
        return str(found["metadata"]["resourceVersion"])

    def _one(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        if not name.startswith(_THEIRS) and not namespace["metadata"].get("deletionTimestamp"):
            grant(self._api, name, "abort-only.yaml", self._user)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                version = self._each(self._api.get(NAMESPACES))
                for event in self._api.watch(NAMESPACES, version, self._stop):
                    if event["type"] == "ADDED":
                        self._one(event["object"])
                    elif event["type"] == "ERROR":
                        break
            except (urllib3.exceptions.HTTPError, Refused, ValueError, KeyError, OSError):
                self._stop.wait(0.3)  # the server is away, or the namespace went meanwhile

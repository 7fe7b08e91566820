"""A Kubernetes API server on loopback: objects, the rules of every write, the errors word for word; and its controllers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.argo.controller import SETTINGS, Controller
from sandbox.http import Request, Response
from sandbox.kubernetes.api import Api
from sandbox.kubernetes.authorise import Gate
from sandbox.kubernetes.garbage import Garbage
from sandbox.kubernetes.store import Store

if TYPE_CHECKING:
    from sandbox.world import World

USER = "ripcord"


class Kubernetes:
    """The vendor under /kubernetes. `store` is open to scenes and tests; clients come through `handle`."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self.store = Store(world.clock.now, world.rng)
        self.gate = Gate()
        self.controller = Controller(self.store, world.rng)
        self._api = Api(self.store, self.gate)
        self._garbage = Garbage(self.store)

    def handle(self, request: Request) -> Response:
        return self._api.handle(request)

    def tick(self, now: datetime) -> None:
        self._garbage.tick()
        self.controller.tick(now)

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Sets only the keys it names; a wrong one: ValueError, and nothing is changed."""
        if unknown := set(settings) - {"deny", *SETTINGS}:
            known = ", ".join(("deny", *SETTINGS))
            raise ValueError(f"unknown key: {', '.join(sorted(unknown))}; kubernetes takes {known}")
        for_controller = {key: value for key, value in settings.items() if key != "deny"}
        before = self.gate.deny
        if "deny" in settings:
            self.gate.set(settings["deny"])
        try:
            self.controller.set(for_controller, self._clock.now())
        except (ValueError, TypeError):
            self.gate.deny = before
            raise
        return self._settings()

    def state(self) -> dict[str, Any]:
        objects: dict[str, list[str]] = {}
        for kind, obj in self.store.everything():
            meta = obj["metadata"]
            objects.setdefault(kind, []).append(f"{meta.get('namespace', '')}/{meta['name']}".lstrip("/"))
        rollouts = {
            f"{one['metadata']['namespace']}/{one['metadata']['name']}": one.get("status", {})
            for one in self.store.list("rollouts")
        }
        revision = str(self.store.revision)
        return {"resourceVersion": revision, "settings": self._settings(), "rollouts": rollouts, "objects": objects}

    def _settings(self) -> dict[str, Any]:
        return {**self.controller.settings, "deny": self.gate.deny}


def kubeconfig(base_url: str) -> str:
    """YAML for a file: one cluster, one user with a bearer token, one context that is the current one."""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: sandbox
  cluster:
    server: {base_url}/kubernetes
users:
- name: {USER}
  user:
    token: {USER}
contexts:
- name: sandbox
  context:
    cluster: sandbox
    user: {USER}
    namespace: default
current-context: sandbox
"""

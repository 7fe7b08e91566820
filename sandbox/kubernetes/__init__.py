"""A Kubernetes API server on loopback: objects, the rules of every write, the errors word for word; and its controllers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.argo.controller import SETTINGS, Controller
from sandbox.http import Request, Response
from sandbox.kubernetes.api import Api
from sandbox.kubernetes.authorise import Gate
from sandbox.kubernetes.garbage import Garbage
from sandbox.kubernetes.starting import Process
from sandbox.kubernetes.store import Store
from sandbox.kubernetes.watch import Watches

if TYPE_CHECKING:
    from sandbox.world import World

USER = "ripcord"
_OURS = ("deny", "apiserver")  # the other settings are the controller's


class Kubernetes:
    """The vendor under /kubernetes. `store` is open to scenes and tests; clients come through `handle`."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self.store = Store(world.clock.now, world.rng)
        self.gate = Gate()
        self.controller = Controller(self.store, world.rng)
        self.process = Process()
        self._lent = threading.Condition(world.lock)
        self._watches = Watches(self.store, self.process, world.clock.now)
        self._api = Api(self.store, self.gate, self.process, self._watches, world.clock.now, self._wait)
        self._garbage = Garbage(self.store)

    def handle(self, request: Request) -> Response:
        return self._api.handle(request)

    def tick(self, now: datetime) -> None:
        if not self.process.serves(now):
            return  # whoever reconciles has nobody to ask and nobody to write to
        self._garbage.tick()
        self.controller.tick(now)

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Sets only the keys it names; a wrong one: ValueError, and nothing is changed."""
        if unknown := set(settings) - {*_OURS, *SETTINGS}:
            known = ", ".join((*_OURS, *SETTINGS))
            raise ValueError(f"unknown key: {', '.join(sorted(unknown))}; kubernetes takes {known}")
        for_controller = {key: value for key, value in settings.items() if key not in _OURS}
        self.process.check(settings.get("apiserver"))
        before = self.gate.deny
        if "deny" in settings:
            self.gate.set(settings["deny"])
        try:
            self.controller.set(for_controller, self._clock.now())
        except (ValueError, TypeError):
            self.gate.deny = before
            raise
        if "apiserver" in settings and self.process.set(settings["apiserver"], self._clock.now()):
            self._watches.forget()
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
        return {**self.controller.settings, "deny": self.gate.deny, "apiserver": self.process.mode}

    def _wait(self, over: Callable[[], bool], seconds: float) -> None:
        """Seconds of the clock; the world's lock is lent to others meanwhile."""
        until = self._clock.now() + timedelta(seconds=seconds)
        while not over() and self._clock.now() < until:
            self._lent.wait(0.02)


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

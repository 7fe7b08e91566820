"""Two Kubernetes APIs to measure at: the real control plane, and the sandbox. Spoken to over sockets and files only.

Both say when an object was seen in a new state, and which requests Ripcord sent, as the server's own record has them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
import yaml  # type: ignore[import-untyped]

from bench.processes import started
from bench.scene import Scene

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
NAMESPACES = "/api/v1/namespaces"
POLL = 0.02
"""Seconds between two looks at the sandbox, which has no watch; its controllers tick each 200 ms."""
NEWEST = "v1.10.1"
_MARK = "bench=1"


@dataclass(frozen=True)
class Asked:
    """One request of Ripcord's. at: when the server received it."""

    at: float
    verb: str
    path: str

    @property
    def what(self) -> str:
        """'get rollouts', 'patch rollouts/status', …"""
        rest = self.path.partition("/namespaces/")[2].split("/")[1:]
        return f"{self.verb} {'/'.join([*rest[:1], *rest[2:]])}"


class Plane(ABC):
    """The Kubernetes API as an admin, and what Ripcord asked it."""

    name: str

    def __init__(self, url: str, token: str, ca: str | None) -> None:
        self.url, self._token = url, token
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, ca_certs=ca)

    def send(self, method: str, path: str, body: object = None, kind: str = "application/json", **more: Any) -> Any:
        """One request; the answer as it comes."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        data = None if body is None else json.dumps(body)
        return self._pool.request(method, self.url + path, body=data, headers=headers, **{"timeout": 30, **more})

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Object:
        """One request that has to be done."""
        answer = self.send(method, f"{path}?{_MARK}", body, kind)
        if answer.status >= 300:
            raise SystemExit(f"bench: {self.name}: {method} {path}: {answer.status} {answer.data[:300]!r}")
        return dict(json.loads(answer.data))

    @abstractmethod
    def states(self, path: str, name: str) -> Iterator[tuple[float, Object]]:
        """(when it was seen, the object) from now on, each time that it may have changed."""

    @abstractmethod
    def asked(self) -> list[Asked]:
        """Every request of Ripcord's so far, oldest first."""


class RealPlane(Plane):
    """kube-apiserver: states come by watch, requests from its audit log."""

    name = "real control plane"

    def __init__(self, admin: Path) -> None:
        config = yaml.safe_load(admin.read_text())
        cluster = config["clusters"][0]["cluster"]
        super().__init__(cluster["server"], config["users"][0]["user"]["token"], cluster["certificate-authority"])
        self._audit = admin.parent / "audit.log"

    def states(self, path: str, name: str) -> Iterator[tuple[float, Object]]:
        """A watch that the server ends after two minutes at the latest."""
        version = self.ask("GET", path)["metadata"]["resourceVersion"]
        query = f"watch=1&resourceVersion={version}&timeoutSeconds=120&fieldSelector=metadata.name={name}"
        answer = self.send("GET", f"{path}?{query}", preload_content=False, timeout=130)
        try:
            rest = b""
            for chunk in answer.stream(65536):
                at = time.time()
                *lines, rest = (rest + chunk).split(b"\n")
                for event in map(json.loads, lines):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        yield at, event["object"]
        finally:
            answer.close()

    def asked(self) -> list[Asked]:
        """The API server's audit log holds the product's user alone."""
        lines = self._audit.read_text(encoding="utf-8").splitlines() if self._audit.exists() else []
        rows = [json.loads(one) for one in lines if one.endswith("}")]
        return [
            Asked(moment(one["requestReceivedTimestamp"]), one["verb"], urlsplit(one["requestURI"]).path)
            for one in sorted(rows, key=lambda one: str(one["requestReceivedTimestamp"]))
        ]


class SandboxPlane(Plane):
    """The sandbox: states by looking again and again, requests from its log."""

    name = "sandbox"

    def __init__(self, scene: Scene) -> None:
        super().__init__(f"{scene.base}/kubernetes", "bench", None)
        self._scene = scene

    def states(self, path: str, name: str) -> Iterator[tuple[float, Object]]:
        """For two minutes at most."""
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            found = self.ask("GET", f"{path}/{name}")
            yield time.time(), found
            time.sleep(POLL)

    def asked(self) -> list[Asked]:
        """What carries the bench's own mark is not Ripcord's."""
        rows = [one for one in self._scene.log() if one["path"].startswith("/kubernetes/")]
        return [
            Asked(moment(one["at"]), _verb(one["method"], one["path"]), one["path"].removeprefix("/kubernetes"))
            for one in rows
            if one["query"] != _MARK
        ]


def _verb(method: str, path: str) -> str:
    named = len(path.partition("/namespaces/")[2].split("/")) > 2
    return {"GET": "get" if named else "list"}.get(method, method.lower())


def moment(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def release() -> str:
    """Which rollouts-controller is measured; the sandbox plays the same."""
    return os.environ.get("RIPCORD_CLUSTER_ROLLOUTS") or NEWEST


@contextmanager
def real_plane(folder: Path) -> Iterator[tuple[RealPlane, str]]:
    """`./ripcord cluster`, as anybody starts it; and the kubeconfig of the product's user."""
    out = folder / "cluster.log"
    # Its first start may need what Go reads: proxies, caches.
    with started(["-m", "tools.cluster"], os.environ, out) as process:
        exports = _exports(process, out)
        yield RealPlane(Path(exports["KUBECONFIG"])), exports["RIPCORD_KUBECONFIG"]


def _exports(process: subprocess.Popen[bytes], out: Path) -> dict[str, str]:
    """Its lines, passed on until it is ready; the first start builds its parts, which takes minutes."""
    told = 0
    while True:
        ended = process.poll() is not None
        lines = out.read_text(encoding="utf-8", errors="replace").splitlines()
        for one in [line for line in lines[told:] if not line.startswith("export ")]:
            print(one, file=sys.stderr, flush=True)
        told = len(lines)
        exports = {one[7:].split("=", 1)[0]: one.split("'")[1] for one in lines if one.startswith("export ")}
        if "KUBECONFIG" in exports:
            return exports
        if ended:
            raise SystemExit("bench: the control plane did not start")
        time.sleep(0.1)

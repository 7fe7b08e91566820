"""A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager, the rollouts-controller, and our own kubelet.

Each has its own folder, free ports and tokens of its own; several stand side by side. Nothing outlives `stop`.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import urllib3
import yaml  # type: ignore[import-untyped]

from tests.cluster import access
from tests.cluster.api import NAMESPACES, ROLLOUTS_API, YAML, Api, Object, Refused
from tests.cluster.folder import Folder
from tests.cluster.kubelet import Kubelet
from tests.cluster.parts import VAR, Parts, Say

CONTROLLER_NAMESPACE = "argo-rollouts"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{CONTROLLER_NAMESPACE}/leases/argo-rollouts-controller-lock"
ADMIN, PRODUCT, STRANGER = "admin", "ripcord", "stranger"
_CONTROLLERS = (
    "replicaset-controller",
    "deployment-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "job-controller",
    "horizontal-pod-autoscaler-controller",
)
# Below the range that the kernel takes for outgoing connections: a client that knocks at a closed port of that range may
# end up connected to itself, and then nobody can listen there again.
_PORTS = range(20000, 32000)


class NotStarted(Exception):
    """A part did not come up; the message holds the end of its log."""


class ControlPlane:
    """Call `start`, then `stop`. In between its parts can be stopped and started one by one."""

    def __init__(self, parts: Parts, say: Say = lambda _line: None) -> None:
        self.parts, self._say = parts, say
        self.folder = Folder(VAR)
        self.tokens = {user: secrets.token_hex(16) for user in (ADMIN, PRODUCT, STRANGER)}
        self._etcd_port, self._peer_port, self._port, self._manager_port = _free_ports(4)
        self.url = f"https://127.0.0.1:{self._port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._kept: set[str] | None = None
        self._installed = False
        self._table = threading.RLock()
        self._over = threading.Event()
        self._kubelet: Kubelet | None = None
        self._access: access.Everywhere | None = None
        self._asked: list[Object] = []
        self._read_to, self._reading = 0, threading.Lock()

    # ---- the whole ----

    def start(self) -> ControlPlane:
        """Everything answers and acts when this returns. What was started is ended again where it does not."""
        began = time.monotonic()
        try:
            self._say(f"starting etcd and kube-apiserver in {self.folder.path}")
            self._files()
            self.start_etcd()
            self.start_apiserver()
            self._say("installing the CRDs")
            self._objects()
            self._say(f"starting kube-controller-manager and rollouts-controller {self.parts.rollouts}")
            self._start_manager()
            self.start_controller()
            self._kubelet = Kubelet(self.api())
            self._kubelet.start()
            self._access = access.Everywhere(self.api(), PRODUCT)
            self._access.start()
            self.wait("the rollouts-controller leads", self.leads, 60)
        except BaseException:
            self.stop()
            raise
        self._say(f"ready after {time.monotonic() - began:.0f} s")
        return self

    def stop(self) -> None:
        """Ends exactly what was started, and takes the folder away."""
        self._over.set()
        for player in (self._access, self._kubelet):
            if player is not None:
                player.stop()
        self.folder.close()

    def __enter__(self) -> ControlPlane:
        """Started."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stopped."""
        self.stop()

    # ---- who may what ----

    def api(self, user: str | None = ADMIN) -> Api:
        """A client; None = without a token."""
        return Api(self.url, None if user is None else self.tokens[user], str(self.certificate))

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A file for kubectl and for the product."""
        path = self.folder.path / f"{user}.kubeconfig"
        if not path.exists():
            cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
            context = {"cluster": "cluster", "user": user, "namespace": "default"}
            body = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "cluster", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": self.tokens[user]}}],
                "contexts": [{"name": "cluster", "context": context}],
                "current-context": "cluster",
            }
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(body, sort_keys=False))
        return path

    # ---- its parts ----

    def start_etcd(self) -> None:
        """etcd, without waiting for the disk: nothing here has to survive a power cut."""
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._run(
            "etcd",
            [
                str(self.parts.etcd), "--name=one", f"--data-dir={self.folder.path / 'etcd'}", "--unsafe-no-fsync",
                f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}", "--log-level=warn",
            ],
        )  # fmt: skip

    def start_apiserver(self, wait: bool = True) -> None:
        """kube-apiserver, with RBAC and the tokens of this cluster."""
        path, key = self.folder.path, str(self.folder.path / "accounts.key")
        self._run(
            "kube-apiserver",
            [
                str(self.parts.apiserver), f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
                "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self._port}",
                f"--cert-dir={path / 'apiserver'}", f"--token-auth-file={path / 'tokens.csv'}",
                "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
                "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none", f"--audit-policy-file={path / 'audit.yaml'}",
                f"--audit-log-path={path / 'audit.log'}", "--audit-log-maxsize=4000",
            ],
        )  # fmt: skip
        if wait:
            self.wait("kube-apiserver is ready", self._ready, 90)
            if self._installed:  # ready or not: each custom kind says 429 until its own storage is there again
                self.wait("the CRDs are served", lambda: self._served(self.api()), 60)

    def stop_apiserver(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Its connections break; etcd keeps what was written."""
        self._end("kube-apiserver", how)

    def start_controller(self, name: str = "rollouts-controller") -> None:
        """The rollouts-controller, or one more of another name: a standby."""
        metrics, health = _free_ports(2)
        self._run(
            name,
            [
                str(self.parts.rollouts_controller), f"--kubeconfig={self.kubeconfig()}",
                f"--namespace={CONTROLLER_NAMESPACE}", "--logformat=json", f"--metricsPort={metrics}",
                f"--healthzPort={health}",
            ],
        )  # fmt: skip
        if self._kept is not None:
            self._kept.add(name)

    def keep_controllers(self) -> None:
        """From now on a controller that ends by itself is started again, as in life: one that cannot renew its Lease does."""
        self._kept = {name for name in self._processes if name == "rollouts-controller"}
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        while not self._over.wait(0.5):
            with self._table:
                for name in self.ended():
                    if self._kept and name in self._kept:
                        self._say(f"{name} has ended by itself and is started again")
                        self.start_controller(name)

    def stop_controller(self, name: str = "rollouts-controller", how: signal.Signals = signal.SIGKILL) -> None:
        """Its Lease stands from now on."""
        self._end(name, how)

    def _start_manager(self) -> None:
        config = str(self.kubeconfig())
        self._run(
            "kube-controller-manager",
            [
                str(self.parts.controller_manager), f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}", "--authentication-skip-lookup", "--bind-address=127.0.0.1",
                f"--secure-port={self._manager_port}", f"--cert-dir={self.folder.path / 'manager'}",
                "--leader-elect=false", f"--service-account-private-key-file={self.folder.path / 'accounts.key'}",
                f"--controllers={','.join(_CONTROLLERS)}",
            ],
        )  # fmt: skip

    def leads(self) -> bool:
        """Whether some rollouts-controller renews the Lease: it does so each 2 s."""
        answer = self.api().call("GET", LEASE)
        if answer.code != 200:
            return False
        renewed = datetime.fromisoformat(answer.json["spec"]["renewTime"])
        return (datetime.now(UTC) - renewed).total_seconds() < 5

    def send(self, name: str, number: signal.Signals) -> None:
        """To one of its parts. A stop is over when each of its threads stands: until then one of them may go on answering."""
        process = self._processes[name]
        process.send_signal(number)
        if number is signal.SIGSTOP:
            tasks = Path(f"/proc/{process.pid}/task")
            while any(_state(one) != "T" for one in tasks.iterdir()):
                time.sleep(0.001)

    def asked(self) -> list[Object]:
        """The API server's own audit log: every request of the product's user that was answered, oldest first."""
        path = self.folder.path / "audit.log"
        with self._reading, suppress(FileNotFoundError), path.open("rb") as log:
            log.seek(self._read_to)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read_to += len(line)
                with suppress(ValueError):  # a server that was killed may have left half a line
                    self._asked.append(json.loads(line))
        return list(self._asked)

    def ended(self) -> list[str]:
        """The names of the parts that have ended by themselves, or by somebody's hand."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    # ---- small things ----

    @property
    def certificate(self) -> Path:
        """The API server's own, its key beside it (.key)."""
        return self.folder.path / "apiserver" / "apiserver.crt"

    def _run(self, name: str, command: list[str]) -> None:
        with self._table:
            if not self._over.is_set():
                self._processes[name] = self.folder.start(name, command)

    def _end(self, name: str, how: signal.Signals) -> None:
        with self._table:
            process = self._processes.pop(name)
        self.folder.end(process, how)

    def wait(self, what: str, look: Callable[[], bool], within: float) -> None:
        """Until it holds; a part that has ended meanwhile is the answer."""
        deadline = time.monotonic() + within
        while True:
            with suppress(urllib3.exceptions.HTTPError, OSError, Refused):
                if look():
                    return
            for name, process in list(self._processes.items()):
                if process.poll() is not None and name not in (self._kept or ()):
                    raise NotStarted(f"{name} ended with {process.returncode}: {self.folder.tail(name)}")
            if time.monotonic() > deadline:
                tails = "\n".join(f"{name}: {self.folder.tail(name)[-400:]}" for name in self._processes)
                raise NotStarted(f"not within {within:g} s: {what}\n{tails}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        return self.certificate.exists() and self.api().call("GET", "/readyz", timeout=5).code == 200

    def _files(self) -> None:
        groups = {ADMIN: "system:masters"}
        rows = [f'{token},{user},{user},"{groups.get(user, "")}"' for user, token in self.tokens.items()]
        _secret(self.folder.path / "tokens.csv", "\n".join(rows) + "\n")
        _secret(self.folder.path / "accounts.key", _signing_key())
        rules = [
            {"level": "Request", "users": [PRODUCT], "verbs": ["patch"]},
            {"level": "Metadata", "users": [PRODUCT]},
        ]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
        (self.folder.path / "audit.yaml").write_text(json.dumps({**policy, "rules": [*rules, {"level": "None"}]}))

    def _objects(self) -> None:
        api = self.api()
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for crd in sorted(self.parts.crds.glob("*-crd.yaml")):
            api.create(path, crd.read_bytes(), YAML)
        for one in yaml.safe_load_all((Path(__file__).parent / "istio.yaml").read_text()):
            api.create(path, one)
        api.ensure(NAMESPACES, {"metadata": {"name": CONTROLLER_NAMESPACE}})
        for kind, name in (
            ("configmaps", "argo-rollouts-config"),
            ("configmaps", "argo-rollouts-notification-configmap"),
            ("secrets", "argo-rollouts-notification-secret"),
        ):
            api.ensure(f"{NAMESPACES}/{CONTROLLER_NAMESPACE}/{kind}", {"metadata": {"name": name}})
        self.wait("the CRDs are served", lambda: self._served(api), 60)
        self._installed = True

    def _served(self, api: Api) -> bool:
        wanted = [f"{ROLLOUTS_API}/{kind}" for kind in ("rollouts", "analysisruns", "analysistemplates", "experiments")]
        wanted += [f"/apis/networking.istio.io/{version}/virtualservices" for version in ("v1", "v1alpha3")]
        return all(api.call("GET", path).code == 200 for path in wanted)


def _secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _signing_key() -> str:
    """A new P-256 key for service accounts' tokens: the scalar is enough, the public half is computed from it."""
    scalar = (int.from_bytes(secrets.token_bytes(31)) + 1).to_bytes(32)
    der = bytes.fromhex("30310201010420") + scalar + bytes.fromhex("a00a06082a8648ce3d030107")
    kind = "EC PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"


_given: set[int] = set()
_lock = threading.Lock()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    with _lock:
        while len(found) < count:
            port = random.choice(_PORTS)
            with socket.socket() as probe, suppress(OSError):
                if port not in _given:
                    probe.bind(("127.0.0.1", port))
                    found.append(port)
                    _given.add(port)
    return found


__all__ = ["ADMIN", "LEASE", "PRODUCT", "STRANGER", "ControlPlane", "NotStarted"]


def _state(task: Path) -> str:
    """What a thread does, by the letter of /proc; 'T' = it stands, or has ended meanwhile."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "T"

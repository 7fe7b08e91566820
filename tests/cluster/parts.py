"""The programs of the real control plane: built once from the pins in go.mod and go.sum, then found under var/.

Nothing of theirs stands in this repository: the sources and the CRDs are read from Go's own module cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
VAR = ROOT / "var" / "cluster"
DEFAULT_ROLLOUTS = "v1.10.1"
VARIABLE = "RIPCORD_CLUSTER_ROLLOUTS"
OLDEST_GO = (1, 26)
BESIDE_PATH = "/usr/local/go/bin"

_ROLLOUTS = "github.com/argoproj/argo-rollouts"
_KUBERNETES = "k8s.io/kubernetes"
# Where each release of the rollouts-controller is pinned. The other parts always come from the first.
MODULES = {DEFAULT_ROLLOUTS: HERE, "v1.9.1": HERE / "rollouts-v1.9.1"}
_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": f"{_KUBERNETES}/cmd/kube-apiserver",
    "kube-controller-manager": f"{_KUBERNETES}/cmd/kube-controller-manager",
}
_CONTROLLER = "rollouts-controller"
_CONTROLLER_PACKAGE = f"{_ROLLOUTS}/cmd/rollouts-controller"
_EACH = 15.0  # seconds between two lines of progress

Say = Callable[[str], None]


class Missing(Exception):
    """What the cluster needs is not there; the message is one sentence for people."""


@dataclass(frozen=True)
class Parts:
    """Paths of the programs and of the folder with the CRDs of this release."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    rollouts_controller: Path
    crds: Path
    rollouts: str


def chosen_release() -> str:
    """The release of Argo Rollouts that the environment asks for, else the default."""
    release = os.environ.get(VARIABLE) or DEFAULT_ROLLOUTS
    if release not in MODULES:
        raise Missing(f"{VARIABLE} is {release!r}; there is {' and '.join(MODULES)}")
    return release


def get(rollouts: str = DEFAULT_ROLLOUTS, say: Say = lambda _line: None) -> Parts:
    """All parts, built where they are not there yet. Several callers at once: one builds, the others wait."""
    go = find_go()
    module = MODULES[rollouts]
    VAR.mkdir(parents=True, exist_ok=True)
    with _locked(VAR / "build.lock", say):
        found = {name: _program(go, HERE, name, package, say) for name, package in _PACKAGES.items()}
        controller = _program(go, module, _CONTROLLER, _CONTROLLER_PACKAGE, say)
        crds = _module_folder(go, module, _ROLLOUTS) / "manifests" / "crds"
    return Parts(found["etcd"], found["kube-apiserver"], found["kube-controller-manager"], controller, crds, rollouts)


# ---- Go ----


@dataclass(frozen=True)
class Go:
    """The Go on this machine."""

    program: str
    version: str


def find_go() -> Go:
    """Go from PATH or /usr/local/go. Missing where there is none that is new enough."""
    wanted = f"Go {'.'.join(map(str, OLDEST_GO))} or newer"
    program = shutil.which("go") or shutil.which("go", path=BESIDE_PATH)
    if program is None:
        raise Missing(
            f"{wanted} is needed to build the real control plane, and there is no go on PATH or in /usr/local/go"
        )
    said = subprocess.run(
        [program, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=False
    )
    version = said.stdout.strip()
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_GO:
        raise Missing(
            f"{wanted} is needed to build the real control plane, and {program} is {version or 'no Go at all'}"
        )
    return Go(program, version)


def _environment() -> dict[str, str]:
    # No other Go than the one that is here, no C compiler, no workspace around us.
    fixed = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}
    # Without -mod=readonly a caller's setting could change the pins.
    return {**os.environ, **fixed, "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -mod=readonly -buildvcs=false".strip()}


def _ask(go: Go, module: Path, *arguments: str) -> str:
    done = subprocess.run(
        [go.program, *arguments], cwd=module, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Missing(f"go {' '.join(arguments)} failed: {done.stderr.strip()[-600:]}")
    return done.stdout.strip()


def _module_folder(go: Go, module: Path, name: str) -> Path:
    folder = _ask(go, module, "list", "-m", "-f", "{{.Dir}}", name)
    if not folder:  # built once, and the module cache was emptied since
        _ask(go, module, "mod", "download", name)
        folder = _ask(go, module, "list", "-m", "-f", "{{.Dir}}", name)
    return Path(folder)


# ---- one program ----


def _program(go: Go, module: Path, name: str, package: str, say: Say) -> Path:
    flags = ["-ldflags", _link_flags(go, module, package)]
    pins = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()
    key = hashlib.sha256(b"\0".join([pins, go.version.encode(), package.encode(), " ".join(flags).encode()]))
    path = VAR / "parts" / key.hexdigest()[:16] / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{name}.new")
        _build(go, module, [*flags, "-o", str(new), package], name, say)
        new.rename(path)
    return path


def _link_flags(go: Go, module: Path, package: str) -> str:
    """Smaller, and each says which release it is: unset, they say 99.99.99 or a template that nobody filled in."""
    values = {}
    if package.startswith(_KUBERNETES):
        base = "k8s.io/component-base/version"
        version = _pinned(module, _KUBERNETES)
        major, minor, _ = version.removeprefix("v").split(".")
        values = {f"{base}.gitVersion": version, f"{base}.gitMajor": major, f"{base}.gitMinor": minor}
    elif package.startswith(_ROLLOUTS):
        values = {f"{_ROLLOUTS}/utils/version.version": _pinned(module, _ROLLOUTS).removeprefix("v")}
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def _pinned(module: Path, name: str) -> str:
    found = re.search(rf"^\s*(?:require )?{re.escape(name)} (v\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    assert found is not None, f"{name} is not pinned in {module / 'go.mod'}"
    return found[1]


def _build(go: Go, module: Path, arguments: list[str], name: str, say: Say) -> None:
    began = time.monotonic()
    say(f"building {name} (once; minutes on an empty cache) …")
    command = [go.program, "build", "-v", *arguments]
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=module, env=_environment(), stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        try:
            assert process.stderr is not None
            told, packages, modules = began, 0, 0
            for line in process.stderr:
                said.append(line)
                downloading = line.startswith("go: downloading")
                modules, packages = modules + downloading, packages + (not downloading)
                if time.monotonic() - told > _EACH:
                    told = time.monotonic()
                    say(
                        f"building {name}: {modules} modules fetched, {packages} packages compiled, {told - began:.0f} s"
                    )
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise Missing(f"{name} could not be built: {''.join(said)[-1500:].strip()}")
    say(f"building {name}: done in {time.monotonic() - began:.0f} s")


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another one that is building …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

"""`./ripcord test [PATH …]`: every test, with the PostgreSQL that it needs; fails on any skip (tests/conftest.py).

`--cluster`: instead of them the tests that need the real control plane; Go builds it when it is not there yet.

As root it installs Debian's PostgreSQL when there is none, and starts a server of its own for this run. Without either, the
server that RIPCORD_TEST_DATABASE_URL names is used; its user must be allowed to create databases.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import parts
from tests.support import postgres
from tests.support.said import SAID

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 3
"""More than the two cores of the machines that this runs on: a story takes ten seconds and two of them are work, the rest it waits
for proofs to settle. With four, what waits for somebody waited longer than it should, and nothing was quicker."""
_OURS = Path("/etc/postgresql-common/createcluster.d/ripcord.conf")
_APT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def main(argv: list[str]) -> int:
    """The exit code: pytest's own, or 1 with one sentence where it could not start."""
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))
    try:
        if "--cluster" in argv:
            return _cluster([one for one in argv if one != "--cluster"])
        with _server() as url:
            more = {postgres.VARIABLE: url, parts.VARIABLE: parts.chosen_release()}
            code = _pytest(argv, more, workers=0 if argv else WORKERS)
        print("ripcord test: left out: what needs the real control plane (./ripcord test --cluster)")
        return code
    except (Missing, parts.Missing) as problem:
        print(f"ripcord test: {problem}", file=sys.stderr)
        return 1


class Missing(Exception):
    """What the tests need is not there and cannot be had."""


@contextlib.contextmanager
def _server() -> Iterator[str]:
    if given := os.environ.get(postgres.VARIABLE):
        yield given
        return
    folder = postgres.programs()
    if folder is None:
        _install()
        folder = postgres.programs()
    if folder is None:
        raise Missing(f"the package {postgres.PACKAGE} is installed, and its initdb is nowhere to be found")
    with postgres.running(folder) as url:
        yield url


def _install() -> None:
    if os.geteuid() != 0:
        raise Missing(
            f"the package {postgres.PACKAGE} is missing: apt-get install {postgres.PACKAGE}, or set {postgres.VARIABLE}"
        )
    print(f"ripcord test: installing {postgres.PACKAGE} (once, under a minute) …", file=sys.stderr, flush=True)
    # The package would make and start a server of the machine's own, which nobody asked for.
    mine = not _OURS.exists()
    if mine:
        _OURS.parent.mkdir(parents=True, exist_ok=True)
        _OURS.write_text("create_main_cluster = false\n", encoding="ascii")
    try:
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", postgres.PACKAGE)
    finally:
        if mine:
            _OURS.unlink(missing_ok=True)


def _apt(*arguments: str) -> None:
    try:
        done = subprocess.run(["apt-get", *arguments], env=_APT, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Missing(
            f"the package {postgres.PACKAGE} is missing and there is no apt-get: install it, or set {postgres.VARIABLE}"
        ) from error
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise Missing(f"apt-get {arguments[0]} failed (above); the package {postgres.PACKAGE} is missing")


def _cluster(argv: list[str]) -> int:
    """What needs the real control plane, which each worker starts for itself. Built first, where its progress is seen."""
    release = parts.chosen_release()
    parts.get(release, lambda line: print(f"ripcord test: {line}", file=sys.stderr, flush=True))
    paths = [one for one in argv if (ROOT / one.partition("::")[0]).exists()]
    where = [] if paths else ["tests/contract"]
    with tempfile.NamedTemporaryFile("r", prefix="ripcord-said-", encoding="utf-8") as said:
        more = {parts.VARIABLE: release, SAID: said.name}
        code = _pytest(["-m", "cluster", *where, *argv], more, workers=0 if paths else 3)
        print(said.read(), end="")
    return code


def _pytest(argv: list[str], more: dict[str, str], workers: int) -> int:
    """workers: 0 = in one process, to be read."""
    spread = ["-n", str(workers), "--dist", "worksteal"] if workers else []
    started = time.monotonic()
    environment = {**_environment(), **more}
    with subprocess.Popen([sys.executable, "-m", "pytest", "-q", *spread, *argv], cwd=ROOT, env=environment) as tests:
        try:
            code = tests.wait()
        finally:
            tests.send_signal(signal.SIGINT)  # of no effect once it has ended; else it tidies up after itself
    print(f"ripcord test: {'all passed' if code == 0 else f'failed ({code})'} in {time.monotonic() - started:.0f} s")
    return code


def _environment() -> dict[str, str]:
    """The caller's, without settings of the product: a test must not act on what a shell happens to hold."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("RIPCORD_") and name != "KUBECONFIG"
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Children of the product without the seconds that its imports cost: forked by a process that has imported it (cradle.py).

One cradle for each test process, started when the first child is wanted. A child whose environment differs in something that
was read by the imports, or which would import from elsewhere, is not for it: `born` says None, and a real one is started.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("server", "sandbox")
IMPORTED = (
    "server.cli.serve",
    "server.cli.web",
    "server.cli.worker",
    "server.cli.migrate",
    "sandbox.demo",
    "sandbox.exports",
    "sandbox.start",
    # Imported late by the libraries, once they run.
    "gunicorn.glogging",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
START_SECONDS = 120
_PATH = "PYTHONPATH"


class Child:
    """What subprocess.Popen is of a child of one's own. Its exit code comes over a pipe."""

    def __init__(self, args: Sequence[str], output: int, status: int) -> None:
        self.args = list(args)
        self.returncode: int | None = None
        self.stdout: TextIOWrapper | None = os.fdopen(output, encoding="utf-8", errors="replace")
        self._status = os.fdopen(status, "rb", buffering=0)
        self._one = threading.Lock()
        self.pid = int(self._line(START_SECONDS) or 0)
        if not self.pid:
            raise RuntimeError(f"{self.args} was never born")

    def _line(self, within: float | None) -> bytes | None:
        """The next line of its status, b"" when there is none any more, None when it is not there in time."""
        events = select.poll()
        events.register(self._status, select.POLLIN)
        ready = events.poll(None if within is None else max(0.0, within) * 1000)
        return self._status.readline() if ready else None

    def poll(self) -> int | None:
        """Its exit code once it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; as from Popen, minus a signal's number."""
        with self._one:
            if self.returncode is None:
                line = self._line(timeout)
                if line is None:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                # Nothing at all: the cradle was killed, and nobody knows. Whoever asks must not think it well.
                self.returncode = int(line or -signal.SIGKILL)
                self._status.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        """To it alone."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Child:
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Kills it with its group, and closes its output."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait(10)
        if self.stdout is not None:
            self.stdout.close()


class Nursery:
    """A cradle, and the line to it."""

    def __init__(self, env: Mapping[str, str], imported: Sequence[str] = IMPORTED) -> None:
        self._env = dict(env)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._cradle = subprocess.Popen(
                [sys.executable, "-m", "tests.support.cradle", str(theirs.fileno()), *imported],
                env=self._env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
        self._control.settimeout(START_SECONDS)
        ready = self._control.recv(1 << 20)
        if not ready:
            raise RuntimeError(f"the cradle ended with {self._cradle.wait(10)} while it imported")
        self._read = frozenset(json.loads(ready))
        self._one = threading.Lock()

    @property
    def pid(self) -> int:
        """The cradle's."""
        return self._cradle.pid

    def fits(self, env: Mapping[str, str], cwd: Path) -> bool:
        """Whether a copy of the cradle would be what a new interpreter with this environment would be."""
        where = [cwd, *(Path(one) for one in env.get(_PATH, "").split(os.pathsep) if one)]
        if ROOT not in [one.resolve() for one in where]:
            return False
        early = {name for name in {*env, *self._env} if name == "LANG" or name.startswith(("PYTHON", "LC_"))}
        return all(env.get(name) == self._env.get(name) for name in (early | self._read) - {_PATH})

    def bear(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> Child:
        """A child that is `python -m argv[0] argv[1:]`, with its output in a pipe."""
        output, status = os.pipe(), os.pipe()
        wish = {"module": argv[0], "arguments": list(argv[1:]), "env": dict(env), "cwd": str(cwd)}
        with self._one:
            socket.send_fds(self._control, [json.dumps(wish).encode()], [output[1], status[1]])
        os.close(output[1])
        os.close(status[1])
        return Child(argv, output[0], status[0])

    def close(self) -> None:
        """Ends the cradle and what is left of its children."""
        self._control.close()
        self._cradle.wait(20)


_first = threading.Lock()
_ours: Nursery | None = None


def born(argv: Sequence[str], env: Mapping[str, str], cwd: Path, clean: Mapping[str, str]) -> Child | None:
    """`python -m argv…`, where that can be a copy. `clean`: the environment that the cradle gets if it is not there yet."""
    global _ours
    if argv[0] not in MODULES:
        return None
    with _first:
        if _ours is None:
            _ours = Nursery(clean)
            atexit.register(_ours.close)
    return _ours.bear(argv, env, cwd) if _ours.fits(env, cwd) else None

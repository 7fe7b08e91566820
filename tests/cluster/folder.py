"""A folder for each cluster that runs, with a list of what was started: so that the next start can end what a death left."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PREFIX = "run-"
_LIST = "processes"


class Folder:
    """One cluster's own folder. Whoever holds its lock is alive."""

    def __init__(self, var: Path) -> None:
        var.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(var):
            sweep(var)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=var))
            self._lock: IO[str] = (self.path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """A process of ours, its output in NAME.log. It dies with us; where it does not, the next start ends it."""
        with (self.path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.path,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end them in order
                preexec_fn=_die_with_parent,
            )
        with (self.path / _LIST).open("a") as known:
            known.write(f"{process.pid} {_born(process.pid)} {name}\n")
        self._running.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
        """Ends one of them and waits for its end."""
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        self._running.remove(process)

    def tail(self, name: str) -> str:
        """The last lines of a log."""
        with suppress(OSError):
            return (self.path / f"{name}.log").read_text(errors="replace")[-1500:]
        return ""

    def close(self) -> None:
        """Ends all that runs, the newest first, and takes the folder away."""
        for process in reversed(list(self._running)):
            self.end(process)
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def sweep(var: Path) -> list[str]:
    """Ends what dead clusters have left running; the names of what was ended."""
    ended: list[str] = []
    for path in sorted(var.glob(f"{_PREFIX}*")):
        with suppress(OSError):
            with (path / "lock").open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # its owner lives
            ended += _end_listed(path / _LIST)
            shutil.rmtree(path, ignore_errors=True)
    return ended


def _end_listed(known: Path) -> list[str]:
    ended: list[str] = []
    for line in known.read_text().splitlines() if known.exists() else ():
        pid, born, name = line.split(" ", 2)
        if not born or _born(int(pid)) != born:
            continue  # gone, or the number is somebody else's by now
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
            ended.append(name)
        for _ in range(200):
            if _born(int(pid)) != born:
                break
            time.sleep(0.02)
    return ended


def _born(pid: int) -> str:
    """When a process started, in the kernel's ticks; a number and this together name one process for good."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return ""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextmanager
def _one_at_a_time(var: Path) -> Iterator[None]:
    with (var / "runs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

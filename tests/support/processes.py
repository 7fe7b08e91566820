"""Ports and child processes: started with a clean environment, read line by line, ended by their own id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.support import nursery
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**more: str) -> dict[str, str]:
    """What a process needs to run, and nothing that a developer's shell happens to hold."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {"LANG": "C.UTF-8", **kept, "PYTHONUNBUFFERED": "1", **more}


def _begin(argv: list[str], env: dict[str, str], cwd: Path) -> nursery.Child | subprocess.Popen[str]:
    if argv[:2] == [sys.executable, "-m"] and (child := nursery.born(argv[2:], env, cwd, clean_environment())):
        return child
    return subprocess.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


class Process:
    """A child process and what it has printed so far. As a context manager it does not outlive the block."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        self.argv = list(argv)
        self.popen = _begin(self.argv, dict(clean_environment() if env is None else env), cwd)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def python(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Process:
        """A process of this Python; one of the product's is a copy of a process that has imported it (nursery.py)."""
        return Process([sys.executable, *arguments], env, cwd)

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    @property
    def output(self) -> str:
        """All lines so far."""
        return "\n".join(self.lines)

    def line(self, text: str, within: float = 20.0) -> str:
        """The first line that holds `text`, waited for; fails at once when the process ends without it."""

        def look() -> str | None:
            found = next((line for line in list(self.lines) if text in line), None)
            if found is None and self.popen.poll() is not None and not self._reader.is_alive():
                raise RuntimeError(f"{self.argv} ended with {self.popen.returncode} before {text!r}:\n{self.output}")
            return found

        return eventually(look, within=within, what=f"a line with {text!r} from {self.argv}") or ""

    def wait(self, within: float = 20.0) -> int:
        """Its exit code."""
        code = self.popen.wait(within)
        self._reader.join(5)
        return code

    def stop(self, within: float = 20.0) -> int:
        """SIGTERM, as an operator would."""
        if self.popen.poll() is None:
            self.popen.terminate()
        return self.wait(within)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started (its own process group): nothing of it survives."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.wait()

    def __enter__(self) -> Process:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it, and closes its pipe."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)
        self._reader.join(5)
        if self.popen.stdout is not None:
            self.popen.stdout.close()

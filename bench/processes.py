"""The processes that are measured: started, waited for, weighed, ended by their own id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(argv: list[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; the whole group ends with the block."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *argv], env={**kept, **env}, cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path, within: float = 30.0) -> float:
    """Seconds until the URL answers 200; asks every 10 ms."""
    began = time.perf_counter()
    while time.perf_counter() - began < within:
        if process.poll() is not None:
            break
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=5):
            return time.perf_counter() - began
        time.sleep(0.01)
    raise SystemExit(f"bench: {' '.join(map(str, process.args))} did not become ready:\n{log.read_text()[-2000:]}")  # type: ignore[arg-type]


def weigh(pid: int) -> list[tuple[str, float]]:
    """(name, PSS in MB) of a process and all below it: what it really takes, shared pages shared out."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    family = [pid]
    for one in family:
        family.extend(child for child, parent in parents.items() if parent == one)
    names = ["gunicorn's master" if one == pid and len(family) > 1 else "process" for one in family]
    return [(name, _pss(one)) for name, one in zip(names, family, strict=True)]


def _pss(pid: int) -> float:
    for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0

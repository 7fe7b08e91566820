"""A child that is a copy is what a new interpreter would be, ends as one, and outlives nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.nursery import ROOT, Child, Nursery
from tests.support.processes import Process, clean_environment
from tests.support.waiting import eventually

TELLS = """
import json, os, pathlib, random, signal, sys, tempfile, threading, time
if __name__ == "__main__":
    here = {
        "environment": dict(os.environ), "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "flags": str(sys.flags),
        "leads its session": os.getsid(0) == os.getpid() == os.getpgid(0), "input": sys.stdin.read(),
        "open": sorted(os.listdir("/proc/self/fd")), "blocked": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "handlers": [str(signal.getsignal(n)).split(" at ")[0] for n in sorted(signal.valid_signals())],
        "main": [__name__, sys.modules["__main__"].__file__], "coding": [sys.stdout.encoding, sys.stdout.errors],
        "threads": len(threading.enumerate()), "temporary": tempfile.gettempdir(), "zone": time.tzname,
        "unbuffered": sys.stdout.write_through,
    }
    print(json.dumps([here, random.random()]), file=sys.stderr)
"""
DEAF = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """One that has imported next to nothing, so it is there at once."""
    made = Nursery(clean_environment(), imported=["gunicorn.config"])
    yield made
    made.close()


def bear(nursery: Nursery, folder: Path, text: str, *arguments: str, **more: str) -> Child:
    """A child that runs this text as its main module."""
    (folder / "kid.py").write_text(text)
    return nursery.bear(["kid", *arguments], clean_environment(**more), folder)


def said(child: Child) -> str:
    """Everything that it printed, until it ended."""
    assert child.stdout is not None
    with child.stdout as lines:
        text = lines.read()
    child.wait(10)
    return text


def gone(pid: int) -> bool:
    """Whether it runs no more: a dead one may wait for its parent."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def _as_a_terminal_would() -> None:
    """What a shell starts in the background has SIGINT ignored; a copy never has."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_copy_is_what_a_new_interpreter_would_be(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    more = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "X": "é", "TZ": "Asia/Tokyo", "TMPDIR": str(tmp_path / "temporary")}
    copies = [json.loads(said(bear(nursery, tmp_path, TELLS, "an", "--argument", **more))) for _ in range(2)]
    new = subprocess.run(
        [sys.executable, "-m", "kid", "an", "--argument"],
        env=clean_environment(**more),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        restore_signals=True,
        preexec_fn=_as_a_terminal_would,
        check=True,
    )
    assert copies[0][0] == json.loads(new.stdout)[0]
    assert copies[0][1] != copies[1][1]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("pass", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import atexit; atexit.register(print, 'last')\n1 / 0", 1, "ZeroDivisionError: division by zero\nlast\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -2, "KeyboardInterrupt\n"),
        ("import os; os._exit(3)", 3, ""),
    ],
)
def test_its_end_is_told_as_it_was(nursery: Nursery, tmp_path: Path, text: str, code: int, words: str) -> None:
    child = bear(nursery, tmp_path, text)
    assert said(child).endswith(words)
    assert (child.poll(), child.wait(), child.returncode) == (code, code, code)


def test_a_child_that_is_deaf_to_sigterm_is_killed_with_its_group(nursery: Nursery, tmp_path: Path) -> None:
    with bear(nursery, tmp_path, DEAF) as other:
        with bear(nursery, tmp_path, DEAF) as child:
            assert child.stdout is not None
            grandchild = int(child.stdout.readline())
            child.terminate()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.3)
        assert child.returncode == -9
        eventually(lambda: gone(grandchild), what="the grandchild is gone")
        assert other.poll() is None


HOLDS = """
import sys
from pathlib import Path
from tests.support.nursery import Nursery
from tests.support.processes import clean_environment
made = Nursery(clean_environment(), imported=[])
child = made.bear(["kid"], clean_environment(), Path(sys.argv[1]))
print(made.pid, child.pid, child.stdout.readline(), flush=True)
sys.stdin.read()
child.wait()
"""


def test_when_who_asked_is_killed_the_cradle_and_its_children_go_too_and_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "kid.py").write_text(DEAF)
    with Process(["sleep", "600"]) as bystander, Process.python("-c", HOLDS, str(tmp_path)) as holder:
        eventually(lambda: holder.lines, within=30)
        cradle, child, grandchild = map(int, holder.line(" ").split())
        assert not any(map(gone, (cradle, child, grandchild)))
        os.kill(holder.pid, signal.SIGKILL)
        eventually(lambda: all(map(gone, (cradle, child, grandchild))), what="all of them are gone")
        assert bystander.popen.poll() is None


@pytest.mark.parametrize(
    ("more", "cwd", "fits"),
    [
        ({"RIPCORD_LISTEN": "127.0.0.1:1"}, ROOT, True),
        ({"PYTHONPATH": str(ROOT)}, Path("/tmp"), True),
        ({}, Path("/tmp"), False),
        ({"PORT": "5000"}, ROOT, False),
        ({"PYTHONOPTIMIZE": "1"}, ROOT, False),
        ({"LC_ALL": "C"}, ROOT, False),
    ],
)
def test_whose_imports_would_have_gone_otherwise_is_no_copy(
    nursery: Nursery, more: Mapping[str, str], cwd: Path, fits: bool
) -> None:
    assert nursery.fits(clean_environment(**more), cwd) is fits


def test_the_products_processes_are_copies(tmp_path: Path) -> None:
    env: dict[str, Any] = {"RIPCORD_DATABASE_URL": f"sqlite:///{tmp_path / 'r.db'}", "PYTHONPATH": str(ROOT)}
    with Process.python("-m", "server", "nonsense", env=clean_environment(**env), cwd=tmp_path) as process:
        assert isinstance(process.popen, Child)
        assert (process.wait(), "unknown verb" in process.output) == (2, True)

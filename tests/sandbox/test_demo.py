"""`ripcord demo --once`, as a person runs it: two processes, four incidents, and an exit code that tells the truth."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.demo_doors import Doors
from sandbox.demo_faults import FAULTS
from sandbox.start import start
from tests.support.processes import ROOT, clean_environment, free_port


def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    given = {"RIPCORD_LISTEN": f"127.0.0.1:{free_port()}"} | environment
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "demo", *arguments],
        cwd=ROOT,
        env=clean_environment(**given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Played:
    """How a demo ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def ended(process: subprocess.Popen[str], seconds: float = 150) -> Played:
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        stdout, stderr = process.communicate()
    return Played(process.returncode, stdout, stderr)


def play(*arguments: str, seconds: float = 150, **environment: str) -> Played:
    return ended(begin("--once", *arguments, **environment), seconds)


@pytest.fixture(scope="module")
def controller_down(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """It takes as long as the budgets of the shipped catalog, so the other tests of this file go on meanwhile."""
    database = tmp_path_factory.mktemp("down") / "demo.db"
    process = begin("--once", "--fault", "controller-down", RIPCORD_DATABASE_URL=f"sqlite:///{database}")
    yield process
    if process.poll() is None:
        ended(process, 0)


@pytest.mark.usefixtures("controller_down")
def test_the_demo_proves_three_incidents_and_a_press_and_never_looks_at_the_callers_world(tmp_path: Path) -> None:
    """The caller's kubeconfig is a pipe that nobody writes to: whoever opened it would hang."""
    trap = tmp_path / "kubeconfig"
    os.mkfifo(trap)
    database = f"sqlite:///{tmp_path / 'demo.db'}"
    played = play(
        KUBECONFIG=str(trap),
        RIPCORD_PAGERDUTY_URL="http://127.0.0.1:9/never",
        RIPCORD_DATABASE_URL=database,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "KUBECONFIG is set: ignored in the demo" in played.stdout
    assert "RIPCORD_PAGERDUTY_URL is set: ignored in the demo" in played.stdout
    assert "RIPCORD_DATABASE_URL is set" not in played.stdout
    assert_told(played.stdout)
    assert_acted(played.stdout)


def assert_told(printed: str) -> None:
    """Four notes with their runs, and one way in."""
    for target in ("web-frontend is back on stable", "api-backend is back on stable"):
        assert len(re.findall(rf"^    Ripcord: {target}\. PROVEN in \d", printed, re.MULTILINE)) == 1
    assert len(re.findall(r"^    Ripcord: new-checkout is off\. PROVEN in \d", printed, re.MULTILINE)) == 2
    assert (
        len(set(re.findall(r"^Run page:  http://127\.0\.0\.1:\d+/runs/(r-[0-9a-f]{16})\n", printed, re.MULTILINE))) == 4
    )
    assert len(re.findall(r"^Sign in:   http://127\.0\.0\.1:\d+/login/\S+", printed, re.MULTILINE)) == 1
    assert "Proven:    4 of 4: web-frontend, api-backend, new-checkout, button\n" in printed


def assert_acted(printed: str) -> None:
    """Each incident's own line says what was done; the last flag goes off after the press and not before."""
    done = re.findall(
        r"^ +\d+\.\d s  (\S+) +Ripcord: (aborted|turned off) (\S+ ?\S+) \(PATCH answered 200\)", printed, re.MULTILINE
    )
    assert sorted(done) == [
        ("api-backend", "aborted", "production/api-backend"),
        ("button", "turned off", "flag new-checkout"),
        ("new-checkout", "turned off", "flag new-checkout"),
        ("web-frontend", "aborted", "production/web-frontend"),
    ]
    button = re.findall(r"^ +\d+\.\d s  button +(.+)", printed, re.MULTILINE)
    pressed = button.index("Ana Person presses the button disable-flag in the incident")
    assert not [line for line in button[:pressed] if "turned off" in line]


def test_a_taken_port_is_one_clear_sentence_and_exit_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        played = play(seconds=20, RIPCORD_LISTEN=listen)
    assert (played.returncode, played.stdout) == (1, "")
    assert played.stderr.startswith(f"ripcord demo: {listen} cannot be listened on")
    assert played.stderr.count("\n") == 1


def test_an_unknown_fault_is_exit_2_and_the_known_ones_are_named() -> None:
    played = play("--fault", "earthquake", seconds=20)
    assert played.returncode == 2
    assert "controller-down" in played.stderr


def test_the_help_gives_each_fault_a_clause() -> None:
    played = play("--help", seconds=20)
    assert played.returncode == 0
    named = re.findall(r"^  ([a-z0-9-]+)  +(\S+ .+)$", played.stdout, re.MULTILINE)
    assert {"controller-down", "swallowed-write", "flag-approval", "promoted-already", "service-put-back"} <= {
        name for name, _ in named
    }


def test_behind_a_502_it_proves_all_the_same_stays_up_and_with_ctrl_c_takes_its_server_along(tmp_path: Path) -> None:
    port = free_port()
    database = f"sqlite:///{tmp_path / 'demo.db'}"
    fault = ("--fault", "patch-502-after-apply")
    process = begin(*fault, RIPCORD_LISTEN=f"127.0.0.1:{port}", RIPCORD_DATABASE_URL=database)
    assert process.stdout is not None
    lines: list[str] = []
    for line in iter(process.stdout.readline, ""):
        lines.append(line)
        if line.startswith("Ripcord stays up"):
            break
    printed = "".join(lines)
    sent = re.findall(r"Ripcord: aborted (\S+) \(PATCH answered (\d+)\)", printed)
    assert sent == [("production/web-frontend", "502")]
    assert "Proven:    1 of 1: web-frontend\n" in printed
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_version_that_is_stable_already_is_undone_and_proven(tmp_path: Path) -> None:
    played = play("--fault", "promoted-already", RIPCORD_DATABASE_URL=f"sqlite:///{tmp_path / 'demo.db'}")
    assert played.returncode == 0, played.stdout + played.stderr
    done = re.findall(r"Ripcord: (.+) \(PATCH answered 200\)", played.stdout)
    assert done == ["undid the release of production/api-backend"], "no abort, which would do nothing"
    assert (
        len(re.findall(r"^    Ripcord: api-backend is back on stable\. PROVEN in \d", played.stdout, re.MULTILINE)) == 1
    )
    assert "fast, its pods are all ready" in played.stdout
    assert "Proven:    1 of 1: api-backend\n" in played.stdout


LATER = {"service-put-back"}
"""It begins once Ripcord has acted."""


@pytest.mark.parametrize("name", sorted(set(FAULTS) - LATER))
def test_each_fault_is_an_order_that_the_sandbox_takes_and_that_changes_it(name: str) -> None:
    sandbox = start(ticking=False)
    try:
        doors = Doors(sandbox.base_url, sandbox.world.launchdarkly.token)
        before = world(doors)
        FAULTS[name].before(doors)
        assert world(doors) != before
    finally:
        sandbox.end()


def world(doors: Doors) -> dict[str, Any]:
    """What a fault may change, the approval settings included; the time is none of it."""
    place = "/launchdarkly/api/v2/projects/default/environments/production"
    return {**doors.state(), "now": "", "approval": doors.ask("GET", place, Authorization=doors.flag_token)}


def test_with_the_controller_down_the_demo_says_not_proven_and_exits_1(controller_down: subprocess.Popen[str]) -> None:
    played = ended(controller_down)
    assert played.returncode == 1, played.stdout + played.stderr
    assert "Ripcord: web-frontend: tried, NOT PROVEN: a person is needed" in played.stdout
    assert "PROVEN in" not in played.stdout
    assert "Proven:    0 of 1\n" in played.stdout
    assert len(re.findall(r"^ +\d+\.\d s  ", played.stdout, re.MULTILINE)) > 8

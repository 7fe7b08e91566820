"""`ripcord demo --once`, as a person runs it: two processes, one incident, and an exit code that tells the truth."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment, free_port


def play(*arguments: str, seconds: float = 150, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"RIPCORD_LISTEN": f"127.0.0.1:{free_port()}"} | environment
    return subprocess.run(
        [sys.executable, "-m", "sandbox", "demo", "--once", *arguments],
        cwd=ROOT,
        env=clean_environment(**given),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_the_demo_proves_and_exits_0_and_never_looks_at_the_callers_world(tmp_path: Path) -> None:
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
    assert re.search(r"Ripcord: web-frontend is back on stable\. PROVEN in \d", played.stdout)
    assert re.search(r"Run page:  http://127\.0\.0\.1:\d+/runs/r-[0-9a-f]{16}\n", played.stdout)
    assert re.search(r"Sign in:   http://127\.0\.0\.1:\d+/login/\S+", played.stdout)


def test_with_the_controller_down_the_demo_says_not_proven_and_exits_1(tmp_path: Path) -> None:
    played = play("--fault", "controller-down", RIPCORD_DATABASE_URL=f"sqlite:///{tmp_path / 'demo.db'}")
    assert played.returncode == 1, played.stdout + played.stderr
    assert "Ripcord: web-frontend: tried, NOT PROVEN: a person is needed" in played.stdout
    assert "PROVEN in" not in played.stdout
    assert len(re.findall(r"^ +\d+\.\d s  ", played.stdout, re.MULTILINE)) > 8


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


def test_a_demo_that_stays_up_ends_with_ctrl_c_and_takes_its_server_along(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "demo"],
        cwd=ROOT,
        env=clean_environment(
            RIPCORD_LISTEN=f"127.0.0.1:{port}", RIPCORD_DATABASE_URL=f"sqlite:///{tmp_path / 'demo.db'}"
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(line.startswith("Ripcord stays up") for line in lines)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)

"""`python -m sandbox` in a terminal: what it prints, and that it ends at once."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment, free_port

NAMES = [
    "PAGERDUTY_URL",
    "PAGERDUTY_EVENTS_URL",
    "PAGERDUTY_API_KEY",
    "PAGERDUTY_FROM",
    "PAGERDUTY_WEBHOOK_SECRETS",
    "PAGERDUTY_ACTION_SECRETS",
    "KUBECONFIG",
    "LAUNCHDARKLY_URL",
    "LAUNCHDARKLY_TOKEN",
]


def begin(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    process = begin()
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in NAMES]
    pairs = [re.fullmatch(r"export RIPCORD_(\w+)='([^']*)'\n", line) for line in lines]
    yield process, {pair[1]: pair[2] for pair in pairs if pair}
    process.terminate()
    process.communicate(timeout=5)


def test_it_prints_exactly_the_settings_once_its_port_answers(
    running: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    _, settings = running
    assert list(settings) == NAMES
    assert settings["PAGERDUTY_FROM"] == "ripcord@example.com"
    assert Path(settings["KUBECONFIG"]).is_absolute()
    base = settings["PAGERDUTY_URL"].removesuffix("/pagerduty")
    with urllib.request.urlopen(base + "/_sandbox/log") as answer:
        assert (answer.status, answer.read()) == (200, b"")
    assert base in Path(settings["KUBECONFIG"]).read_text()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_exit_0(running: tuple[subprocess.Popen[str], dict[str, str]], sign: int) -> None:
    process, settings = running
    process.send_signal(sign)
    assert process.wait(2) == 0
    assert not Path(settings["KUBECONFIG"]).exists()


def test_a_port_that_is_taken_is_one_clear_sentence_and_exit_1(
    running: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    port = running[1]["PAGERDUTY_URL"].split(":")[2].split("/")[0]
    process = begin("--port", port)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"port {port} cannot be used")
    assert err.count("\n") == 1


def test_a_port_of_one_s_own_choice(tmp_path: Path) -> None:
    port = free_port()
    process = begin("--port", str(port))
    assert process.stdout is not None
    assert process.stdout.readline() == f"export RIPCORD_PAGERDUTY_URL='http://127.0.0.1:{port}/pagerduty'\n"
    process.terminate()
    process.communicate(timeout=5)


@pytest.mark.parametrize("wrong", [["--bogus"], ["--webhook", "localhost"], ["--port", "many"]])
def test_an_unknown_or_wrong_option_is_exit_2(wrong: list[str]) -> None:
    process = begin(*wrong)
    process.communicate(timeout=10)
    assert process.returncode == 2

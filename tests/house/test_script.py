"""The script `ripcord`: what it says, and where it sends each verb."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment

CONTRACT = [
    "demo",
    "test",
    "check",
    "serve",
    "web",
    "worker",
    "migrate",
    "lint",
    "explain",
    "preview",
    "run",
    "replay",
    "preflight",
    "bench",
    "chaos",
    "drill",
    "sandbox",
    "cluster",
    "audit",
    "pagerduty",
    "token",
]


def ripcord(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "ripcord", *arguments],
        env=clean_environment(**environment),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of the script whose .venv is up to date and whose Python only says how it was called."""
    (tmp_path / "ripcord").write_text((ROOT / "ripcord").read_text())
    (tmp_path / "ripcord").chmod(0o755)
    for pins in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / pins).write_text(f"# {pins}\n")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "$@" >>calls\n')
    python.chmod(0o755)
    return tmp_path


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_no_verb_prints_the_list_of_verbs_and_is_a_usage_error() -> None:
    answer = ripcord()
    assert answer.returncode == 2
    for verb in CONTRACT:
        assert re.search(rf"\b{verb}\b", answer.stderr), verb


def test_an_unknown_verb_is_named_and_is_a_usage_error() -> None:
    answer = ripcord("abort")
    assert answer.returncode == 2
    assert "there is no verb abort" in answer.stderr


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("demo --once", "-m sandbox demo --once"),
        ("sandbox --port 9", "-m sandbox --port 9"),
        ("bench", "-m bench"),
        ("test tests/unit", "-m tools.test tests/unit"),
        ("check", "-m tools.check"),
        ("chaos --rounds 9", "-m tools.chaos --rounds 9"),
        ("cluster --scene", "-m tools.cluster --scene"),
        ("serve", "-m server serve"),
        ("audit verify --anchor 3:ab", "-m server audit verify --anchor 3:ab"),
        ("token link", "-m server token link"),
    ],
)
def test_each_verb_reaches_its_own_package(installed: Path, verb: str, call: str) -> None:
    assert ripcord(*verb.split(), folder=installed).returncode == 0
    assert calls(installed)[-1] == call


def test_arguments_arrive_as_they_were_given(installed: Path) -> None:
    (installed / ".venv/bin/python").write_text('#!/bin/sh\nprintf "<%s>" "$@" >>calls\n')
    ripcord("explain", "a file with spaces.json", folder=installed)
    assert calls(installed)[-1].endswith("<explain><a file with spaces.json>")


def test_it_installs_once_and_again_when_the_pins_change(installed: Path) -> None:
    for _ in range(2):
        ripcord("lint", folder=installed)
    assert len([line for line in calls(installed) if "pip install" in line]) == 1
    (installed / "requirements.txt").write_text("# other pins\n")
    ripcord("lint", folder=installed)
    assert len([line for line in calls(installed) if "pip install" in line]) == 2


def test_what_the_tests_need_serves_the_product_too(installed: Path) -> None:
    for verb in ("check", "lint", "demo"):
        ripcord(verb, folder=installed)
    installs = [line for line in calls(installed) if "pip install" in line]
    assert [line.split()[-1] for line in installs] == ["requirements-dev.txt"]


def test_a_failed_install_says_so_and_starts_nothing(installed: Path) -> None:
    (installed / ".venv/bin/python").write_text(
        '#!/bin/sh\ncase "$*" in *install*) echo "no such pin" >&2; exit 1;; esac\necho "$@" >>calls\n'
    )
    answer = ripcord("lint", folder=installed)
    assert answer.returncode == 1
    assert "failed" in answer.stderr
    assert not [line for line in calls(installed) if "server lint" in line]


def test_a_python_without_venv_is_named_with_the_package_that_brings_it(installed: Path, tmp_path: Path) -> None:
    (installed / ".venv/bin/python").unlink()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in ("python3", "python3.11"):
        (bin_folder / name).write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\n')
        (bin_folder / name).chmod(0o755)
    answer = ripcord("lint", folder=installed, PATH=f"{bin_folder}:/usr/bin:/bin")
    assert answer.returncode == 1
    assert answer.stderr == "ripcord: the Python module venv is missing. On Debian: apt-get install python3-venv\n"


def test_a_callers_python_settings_stay_outside(installed: Path) -> None:
    (installed / ".venv/bin/python").write_text('#!/bin/sh\necho "path:$PYTHONPATH" >>calls\n')
    ripcord("lint", folder=installed, PYTHONPATH="/somewhere")
    assert calls(installed)[-1] == "path:"


def test_the_script_is_plain_posix_shell_without_tools_that_a_bare_machine_lacks() -> None:
    text = (ROOT / "ripcord").read_text()
    assert text.startswith("#!/bin/sh\n")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(r"(?<![\w./-])(ps|ss|curl|git)(?![\w./-])", code)

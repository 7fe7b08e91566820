"""A run with a skip is a failed run, in one process and in two."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment

SKIPS = {
    "a skipped test": "import pytest\n@pytest.mark.skip\ndef test_it() -> None: ...\n",
    "a skip inside a test": "import pytest\ndef test_it() -> None:\n    pytest.skip('not today')\n",
    "a file that skips itself": "import pytest\npytest.skip('not here', allow_module_level=True)\n",
    "an expected failure": "import pytest\n@pytest.mark.xfail\ndef test_it() -> None:\n    assert False\n",
    "an unexpected success": "import pytest\n@pytest.mark.xfail\ndef test_it() -> None: ...\n",
}


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_one.py").write_text(text + "\n\ndef test_another() -> None: ...\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", ROOT / "pyproject.toml", *options, folder],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS.keys())
def test_it_fails_the_run(tmp_path: Path, text: str) -> None:
    answer = run(tmp_path, text)
    assert answer.returncode == 1
    assert "skipped, and nothing may be" in answer.stdout


def test_it_fails_a_run_of_two_workers_too(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPS["a skipped test"], "-n", "2").returncode == 1


def test_a_run_without_a_skip_passes(tmp_path: Path) -> None:
    assert run(tmp_path, "").returncode == 0

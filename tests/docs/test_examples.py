"""The runbooks and catalogs that the docs show are read by the server's own reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server import bootstrap
from server.library import load
from tests.support.processes import ROOT


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_shows_a_runbook() -> None:
    assert len(examples("README.md")) == 1


@pytest.mark.parametrize("page", ["README.md", "docs/runbooks.md"])
def test_every_example_is_read_without_a_finding(page: str, tmp_path: Path) -> None:
    shown = examples(page)
    catalogs = [text for text in shown if "\ntargets:" in text]
    runbooks = [text for text in shown if "\nsteps:" in text]
    assert len(catalogs) + len(runbooks) == len(shown)
    (tmp_path / "targets.yaml").write_text((catalogs or examples("docs/runbooks.md")[1:])[0], encoding="utf-8")
    for number, text in enumerate(runbooks):
        (tmp_path / f"example-{number}.yaml").write_text(text, encoding="utf-8")
    assert len(load(tmp_path, bootstrap.known()).runbooks) == len(runbooks)

"""The files of "Your own runbook in ten minutes" are taken as they stand there, and say what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from server.__main__ import main
from tests.support.processes import ROOT

PART = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8").partition("## Your own runbook in ten minutes")[2]
SECTION = PART.partition("\n## ")[0]
FILES = {"runbooks/targets.yaml", "runbooks/stop-checkout.yaml", "payload.json", "alert.json"}


def shown() -> dict[str, str]:
    """Each file that the page has written, by the path that stands before it."""
    blocks = re.finditer(r"```(?:yaml|json)\n(.*?)```", SECTION, re.DOTALL)
    return {re.findall(r"`/tmp/mine/([^`]+)`", SECTION[: one.start()])[-1]: one[1] for one in blocks}


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The scratch folder as the page has filled it."""
    (tmp_path / "runbooks").mkdir()
    for name, text in shown().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("RIPCORD_RUNBOOKS", str(tmp_path / "runbooks"))
    monkeypatch.setenv("RIPCORD_DATABASE_URL", f"sqlite:///{tmp_path / 'ripcord.db'}")
    return tmp_path


def explained(mine: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["explain", str(mine / "payload.json")]) == 0
    return capsys.readouterr().out


def test_the_page_writes_these_files() -> None:
    assert set(shown()) == FILES


def test_lint_finds_all_well(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 0
    assert "all well" in capsys.readouterr().out


def test_explain_says_observed_and_names_what_does_not_hold(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(mine, capsys).startswith("stop-checkout: observed: ")
    payload = mine / "payload.json"
    payload.write_text(payload.read_text().replace('"new-checkout"', '"old-checkout"'))
    assert explained(mine, capsys).startswith("stop-checkout: no: ")


def test_what_the_page_changes_makes_it_act(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sed -i s/observe/auto/ /tmp/mine/runbooks/stop-checkout.yaml" in SECTION
    book = mine / "runbooks/stop-checkout.yaml"
    book.write_text(book.read_text().replace("observe", "auto"))
    assert explained(mine, capsys).startswith("stop-checkout: run: ")


def test_the_alert_carries_what_the_payload_carries(mine: Path) -> None:
    carried = json.loads((mine / "alert.json").read_text())["payload"]["custom_details"]
    assert [carried] == json.loads((mine / "payload.json").read_text())["alerts"]

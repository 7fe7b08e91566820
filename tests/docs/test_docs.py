"""The docs say what the code has: every name a person may use is explained somewhere, and what is shown is true."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from server.actions import ACTIONS
from server.checks import CHECKS
from server.core.states import State
from server.settings import Settings
from server.triggers import TRIGGERS
from tests.support.processes import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_SETTINGS = {"RIPCORD_TEST_DATABASE_URL", "RIPCORD_CLUSTER_ROLLOUTS", "RIPCORD_X", "RIPCORD_X_FILE"}


def text(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def settings() -> set[str]:
    """Every field but `var`, which is a place and no setting."""
    return {f"RIPCORD_{field.name.upper()}" for field in dataclasses.fields(Settings) if field.name != "var"}


def verbs() -> set[str]:
    """The verbs that the script knows: the labels of its `case`."""
    script = text("ripcord").partition("case $verb in\n")[2]
    labels = re.findall(r"^([a-z][a-z |]*)\)$", script, re.MULTILINE)
    return {verb.strip() for label in labels for verb in label.split("|")}


def test_the_script_has_the_verbs_that_this_test_looks_for() -> None:
    assert {"demo", "serve", "test", "check", "audit", "cluster"} <= verbs()


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_explained(verb: str) -> None:
    assert re.search(rf"`[^`\n]*\b{verb}\b[^`\n]*`", text("docs/operations.md"))


@pytest.mark.parametrize("name", sorted(ACTIONS) + sorted(CHECKS))
def test_every_action_and_check_is_explained(name: str) -> None:
    assert f"`{name}`" in text("docs/actions.md")


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_option_of_an_action_is_explained(name: str) -> None:
    row = next(line for line in text("docs/actions.md").splitlines() if line.startswith(f"| `{name}`"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == set(ACTIONS[name].Params.model_fields)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_the_docs_say_of_every_action_whether_it_can_be_put_back(name: str) -> None:
    row = next(line for line in text("docs/actions.md").splitlines() if line.startswith(f"| `{name}`"))
    assert row.split("|")[4].strip().startswith("yes") == ACTIONS[name].REVERSIBLE


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_every_trigger_is_explained(name: str) -> None:
    assert f"`{name}`" in text("docs/runbooks.md")


@pytest.mark.parametrize("name", sorted(settings()))
@pytest.mark.parametrize("page", ["docs/operations.md", ".env.example"])
def test_every_setting_is_explained(name: str, page: str) -> None:
    assert re.search(rf"\b{name}\b", text(page))


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".env.example"], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_setting_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"\bRIPCORD_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert named - NOT_SETTINGS <= settings()


@pytest.mark.parametrize("state", sorted(State))
def test_every_state_of_a_run_is_on_the_map(state: State) -> None:
    assert re.search(rf"\b{state.value}\b", text("docs/architecture.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_points_to_exists(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", content) if "://" not in link}
    paths = set(re.findall(r"`((?:docs|server|sandbox|tests|tools|runbooks|migrations)/[\w./-]+)`", content))
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []

"""The tables of docs/fidelity.md name every scenario of the two worlds, and no other."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.processes import ROOT

PAGE = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")
FILES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("test_scenarios_*.py", "test_cluster_*.py")
    for path in (ROOT / "tests/contract").glob(pattern)
)
BRANCHES = r"\b_?is_1_10\(|\.rollouts\b(?= ==|\.startswith)"


def scenarios(source: str) -> dict[str, str]:
    """The test functions of a module, each with its text."""
    found = [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)]
    return {one.name: ast.get_source_segment(source, one) or "" for one in found if one.name.startswith("test_")}


def rows(page: str, file: str) -> list[str]:
    """The rows of the table below the heading that names a file."""
    part = re.search(rf"^### [^\n]*`{re.escape(file)}`\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    return [line for line in part.group(1).splitlines() if line.startswith("| `test_")] if part else []


def names(line: str) -> list[str]:
    return re.findall(r"\btest_\w+(?![\w.])", line)


def named_in_tables(page: str) -> set[str]:
    """Names of functions in any table; those of files end in .py."""
    return {name for line in page.splitlines() if line.startswith("|") for name in names(line)}


def read(file: str) -> dict[str, str]:
    return scenarios((ROOT / file).read_text(encoding="utf-8"))


def test_there_are_scenarios_to_look_for() -> None:
    assert {"tests/contract/test_scenarios_abort.py", "tests/contract/test_cluster_product.py"} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_every_scenario_has_its_one_row_below_the_name_of_its_file(file: str) -> None:
    assert sorted(names(row)[0] for row in rows(PAGE, file)) == sorted(read(file))


def test_every_name_in_a_table_is_a_scenario() -> None:
    assert named_in_tables(PAGE) - {name for file in FILES for name in read(file)} == set()


@pytest.mark.parametrize("file", FILES)
def test_a_row_says_by_release_where_the_scenario_does(file: str) -> None:
    told = {names(row)[0] for row in rows(PAGE, file) if "By release" in row}
    assert told == {name for name, text in read(file).items() if re.search(BRANCHES, text)}


# ---- these tests can fail ----

SOURCE = "def test_one() -> None:\n    assert world.rollouts.startswith('v1.10.')\n\n\ndef helper() -> None: ...\n"
SHOWN = "### A: `a/test_b.py`\n\n| `test_one`: words | same |\n\n### C: `c.py`\n\n| `test_two`: see `a/test_b.py` | same |\n"


def test_functions_are_found_and_helpers_are_not() -> None:
    assert list(scenarios(SOURCE)) == ["test_one"]
    assert re.search(BRANCHES, scenarios(SOURCE)["test_one"])


def test_rows_are_found_below_their_own_heading_alone() -> None:
    assert [names(row)[0] for row in rows(SHOWN, "a/test_b.py")] == ["test_one"]
    assert rows(SHOWN, "nowhere.py") == []


def test_names_in_tables_are_found_and_those_of_files_and_in_prose_are_not() -> None:
    assert named_in_tables(SHOWN + "test_three is prose\n") == {"test_one", "test_two"}

"""Every promise of docs/promises.md names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.processes import ROOT

PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
NAMED = r"`(tests/[\w/]+\.py)::(\w+)`"
HEADS = ("| promise |", "|---|")


def promises(page: str) -> list[str]:
    """The rows of the tables, without their heads."""
    return [line for line in page.splitlines() if line.startswith("|") and not line.startswith(HEADS)]


def missing(page: str) -> list[str]:
    """Names of tests, file and all, that no file has."""
    return [f"{file}::{name}" for file, name in re.findall(NAMED, page) if name not in named_in(file)]


@cache
def named_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(
        one.name for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) if one.name[:5] == "test_"
    )


def test_there_are_promises() -> None:
    assert len(promises(PAGE)) > 30


@pytest.mark.parametrize("row", promises(PAGE), ids=lambda row: row[2:60])
def test_each_promise_names_a_test(row: str) -> None:
    assert re.search(NAMED, row.split("|")[2])


def test_every_test_that_is_named_exists() -> None:
    assert missing(PAGE) == []


def test_nothing_that_is_not_promised_hides_in_a_table() -> None:
    assert promises(PAGE.partition("## Not promised")[2]) == []


# ---- these tests can fail ----

HERE = "tests/docs/test_promises.py"


@pytest.mark.parametrize("named", ["test_that_nobody_wrote", "promises"])
def test_a_name_that_is_no_test_of_that_file_is_found(named: str) -> None:
    assert missing(f"| words | `{HERE}::{named}`, `{HERE}::test_there_are_promises` |") == [f"{HERE}::{named}"]


def test_a_file_that_is_not_there_is_found() -> None:
    assert missing("`tests/nowhere.py::test_one`") == ["tests/nowhere.py::test_one"]

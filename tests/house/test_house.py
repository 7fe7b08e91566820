"""The house rules find what breaks them, and the tree keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import house


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "server").mkdir()
    return tmp_path


def test_a_clean_file_gives_no_finding(tree: Path) -> None:
    (tree / "server/a.py").write_text("def short() -> int:\n    return 1\n")
    assert house.findings(tree) == []


def test_a_file_that_is_too_long_is_named(tree: Path) -> None:
    (tree / "server/long.py").write_text("x = 1\n" * 601)
    assert house.findings(tree) == ["server/long.py: 601 lines, at most 600"]


def test_a_function_that_is_too_long_is_named_with_its_line(tree: Path) -> None:
    shorts = "".join(f"def f{n}() -> None:\n    return\n" for n in range(3))
    (tree / "server/a.py").write_text(shorts + "def long() -> None:\n" + "    x = 1\n" * 120)
    assert house.findings(tree) == ["server/a.py:7: long has 121 lines, at most 120"]


def test_functions_that_are_long_as_a_rule_are_found(tree: Path) -> None:
    (tree / "server/a.py").write_text("def f() -> None:\n" + "    x = 1\n" * 20)
    assert house.findings(tree) == ["server: half of the functions have more than 21 lines, at most 14"]


@pytest.mark.parametrize("word", ["Sandbox", "FAKE", "demonstrate"])
def test_a_word_of_the_rehearsal_is_found_in_any_file_of_the_server(tree: Path, word: str) -> None:
    (tree / "server/page.html").write_text(f"<p>\n{word}\n")
    assert [line.rpartition(":")[0] for line in house.findings(tree)] == ["server/page.html:2"]


def test_a_file_name_counts_as_a_word(tree: Path) -> None:
    (tree / "server/fake_clock.py").write_text("")
    assert house.findings(tree) == ["server/fake_clock.py: its name says 'fake'"]

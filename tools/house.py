"""The house rules that no linter knows: how long files and functions of server/ are, and which words stand nowhere in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

FILE_LINES = 600
FUNCTION_LINES = 120
MEDIAN_FUNCTION_LINES = 14
# What acts on the world must not know whether it talks to the world or to a rehearsal of it.
WORDS = re.compile("sandbox|fake|demo", re.IGNORECASE)


def findings(root: Path) -> list[str]:
    """One line for each broken rule."""
    python = sorted((root / "server").rglob("*.py"))
    return [*_sizes(root, python), *_words(root)]


def _sizes(root: Path, files: list[Path]) -> Iterator[str]:
    every: list[int] = []
    for path in files:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root)
        if (lines := text.count("\n")) > FILE_LINES:
            yield f"{name}: {lines} lines, at most {FILE_LINES}"
        for function, at, length in _functions(text):
            every.append(length)
            if length > FUNCTION_LINES:
                yield f"{name}:{at}: {function} has {length} lines, at most {FUNCTION_LINES}"
    if every and median(every) > MEDIAN_FUNCTION_LINES:
        yield f"server: half of the functions have more than {median(every):g} lines, at most {MEDIAN_FUNCTION_LINES}"


def _functions(text: str) -> Iterator[tuple[str, int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def _words(root: Path) -> Iterator[str]:
    for path in sorted((root / "server").rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(root)
        if found := WORDS.search(str(name)):
            yield f"{name}: its name says {found.group()!r}"
        for at, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if found := WORDS.search(line):
                yield f"{name}:{at}: says {found.group()!r}"

"""The map is true to the tree."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.processes import ROOT


def drawn() -> list[tuple[int, str]]:
    """The names on the map with their indentation: what stands before two spaces, a comment's dot or the end."""
    tree = re.search(
        r"## The rooms.*?```\n(.*?)```", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert tree is not None
    found = []
    for line in tree.group(1).splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip(), maxsplit=1)[0]
        found += [(indent, name) for name in re.findall(r"[\w.]+/?", names)]
    return found


def paths() -> set[str]:
    """The same as paths: two spaces deeper is one folder deeper."""
    found: set[str] = set()
    folders: dict[int, str] = {}
    for indent, name in drawn():
        above = "".join(folders[depth] for depth in sorted(folders) if depth < indent)
        if name.endswith("/"):
            folders = {depth: folder for depth, folder in folders.items() if depth < indent} | {indent: name}
        found.add(above + name)
    return found


def test_everything_on_the_map_exists() -> None:
    assert [path for path in sorted(paths()) if not (ROOT / path).exists()] == []


def test_every_room_of_the_server_is_on_the_map() -> None:
    assert [name for name in rooms(ROOT / "server") if f"server/{name}" not in paths()] == []


def test_every_module_of_the_core_is_on_the_map() -> None:
    assert [name for name in rooms(ROOT / "server/core") if f"server/core/{name}" not in paths()] == []


def rooms(folder: Path) -> list[str]:
    here = [path for path in folder.iterdir() if path.name not in ("__init__.py", "__pycache__")]
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in here)

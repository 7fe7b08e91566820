"""YAML from disk with the line of everything: 1.2 (so `off` is a text), no tags, no merging surprises, no bombs."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from server.errors import Misconfigured

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000
MOST_DEPTH = 40

Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """One file, read: its values, and the line (from 1) of every key and item."""

    path: Path
    raw: bytes
    value: Any
    lines: dict[Where, int]

    def line(self, where: Where) -> int:
        """The line of a place, or of what holds it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def read(path: Path, folder: Path) -> Source:
    """Reads one file of the folder. Raises Misconfigured with file and line."""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()):
            raise Misconfigured(f"{path}:1: leads out of {folder}: expected a file inside it")
        if not stat.S_ISREG(real.stat().st_mode):
            raise Misconfigured(f"{path}:1: is not a file")
        with real.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Misconfigured(f"{path}:1: cannot be read ({error.strerror})") from error
    if len(raw) > MOST_BYTES:
        raise Misconfigured(f"{path}:1: is larger than {MOST_BYTES // 1024} KiB")
    lines: dict[Where, int] = {}
    node = _compose(path, raw)
    value = None if node is None else _Builder(path, lines).build(node, ())
    return Source(path, raw, value, lines)


def _compose(path: Path, raw: bytes) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    try:
        text = raw.decode("utf-8")
        node: Node | None = yaml.compose(text)
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}:1: is not UTF-8") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Misconfigured(f"{path}:{line}: is not YAML: {error.problem or error.context}") from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise Misconfigured(f"{path}:1: is not YAML ({type(error).__name__})") from error
    return node


class _Builder:
    """Turns nodes into values. Numbers other than whole ones stay text: no key of ours wants them."""

    def __init__(self, path: Path, lines: dict[Where, int]) -> None:
        self.path, self.lines, self.count = path, lines, 0

    def build(self, node: Node, where: Where) -> Any:
        """The value of a node; aliases count each time, so a bomb is found early."""
        self.count += 1
        self.lines.setdefault(where, node.start_mark.line + 1)
        if self.count > MOST_NODES or len(where) > MOST_DEPTH:
            raise Misconfigured(f"{self.path}:{node.start_mark.line + 1}: holds too much, or is nested too deeply")
        if isinstance(node, MappingNode):
            return self._mapping(node, where)
        if isinstance(node, SequenceNode):
            self._plain_tag(node, "tag:yaml.org,2002:seq")
            return [self.build(item, (*where, n)) for n, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, where: Where) -> dict[str, Any]:
        self._plain_tag(node, "tag:yaml.org,2002:map")
        made: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise Misconfigured(f"{self.path}:{line}: expected a plain key")
            name = str(key.value)
            if name in made:
                raise Misconfigured(f"{self.path}:{line}: key {name!r} stands twice")
            self.lines[(*where, name)] = line
            made[name] = self.build(value, (*where, name))
        return made

    def _scalar(self, node: Node) -> Any:
        tag = str(node.tag or "")
        if tag.endswith(":null"):
            return None
        if tag.endswith(":bool"):
            return str(node.value).lower() == "true"
        if tag.endswith(":int"):
            text = str(node.value)
            return int(text) if text.isdigit() and len(text) < 10 else text
        if tag.endswith((":str", ":float", ":timestamp")):
            return str(node.value)
        raise Misconfigured(f"{self.path}:{node.start_mark.line + 1}: tag {tag!r} is not allowed here")

    def _plain_tag(self, node: Node, tag: str) -> None:
        if str(node.tag or tag) != tag:
            raise Misconfigured(f"{self.path}:{node.start_mark.line + 1}: tag {node.tag!r} is not allowed here")

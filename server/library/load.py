"""A folder of runbooks and its catalog become one Library, or one error that lists everything that is wrong, with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from server.core.catalog import Catalog, CatalogFile
from server.core.durations import FROM_FILE
from server.core.library import Library
from server.core.runbook import Known, Runbook, RunbookFile, Step
from server.errors import Misconfigured
from server.library.allowed import keys_at
from server.library.read import Source, Where, read

CATALOG = "targets.yaml"

_EXPECTED = {
    "string_type": "text (in quotes where YAML would read something else)",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "too_short": "at least one entry",
    "string_too_short": "some text",
    "union_tag_not_found": "a mapping with the key 'kind'",
}
"""Pydantic's kinds of finding in words for people."""


def load(folder: Path, known: Known) -> Library:
    """Reads `*.yaml` of the folder. Raises Misconfigured, one line for each error."""
    if not folder.is_dir():
        raise Misconfigured(f"{folder}: expected a folder with runbooks and {CATALOG}")
    problems: list[str] = []
    catalog = _catalog(folder / CATALOG, folder, problems)
    runbooks = []
    for path in sorted(path for path in folder.glob("*.y*ml") if not path.name.startswith(".")):
        if path.suffix == ".yml":
            problems.append(f"{path}:1: would not be read: expected the ending .yaml")
        elif path.suffix == ".yaml" and path.name != CATALOG:
            runbook = _runbook(path, folder, known, problems)
            if runbook is not None:
                runbooks.append(runbook)
    if not runbooks and not problems:
        problems.append(f"{folder}:1: holds no runbook: expected at least one <name>.yaml")
    if problems or catalog is None:
        raise Misconfigured("\n".join(problems))
    return Library(runbooks=tuple(runbooks), catalog=catalog)


def _catalog(path: Path, folder: Path, problems: list[str]) -> Catalog | None:
    try:
        source = read(path, folder)
    except Misconfigured as error:
        problems.append(error.said)
        return None
    try:
        return CatalogFile.model_validate(source.value, context=FROM_FILE).catalog()
    except ValidationError as error:
        problems.extend(_said(source, error, CatalogFile))
        return None


def _runbook(path: Path, folder: Path, known: Known, problems: list[str]) -> Runbook | None:
    try:
        source = read(path, folder)
    except Misconfigured as error:
        problems.append(error.said)
        return None
    try:
        form = RunbookFile.model_validate(source.value, context=FROM_FILE)
    except ValidationError as error:
        problems.extend(_said(source, error, RunbookFile))
        return None
    fields = {name: getattr(form, name) for name in RunbookFile.model_fields}
    digest = hashlib.sha256(source.raw).hexdigest()
    fields |= {"name": path.stem, "hash": digest, "source": source.raw.decode("utf-8")}
    try:
        runbook = Runbook.model_validate(fields)
    except ValidationError:
        problems.append(f"{path}:1: its name: expected at most 100 characters, no control characters, no edge spaces")
        return None
    found = [*_unknown_names(source, runbook, known), *_wrong_kinds(source, runbook, known)]
    problems.extend(found)
    return None if found else runbook


def _unknown_names(source: Source, runbook: Runbook, known: Known) -> Iterator[str]:
    for part, steps in (("steps", runbook.steps), ("after_proof", runbook.after_proof)):
        for n, step in enumerate(steps):
            yield from _step(source, (part, n), step, known)
    for n, verify in enumerate(runbook.verify):
        if verify.check not in known.checks:
            line = source.line(("verify", n, "check"))
            yield f"{source.path}:{line}: unknown check {verify.check!r}: expected one of {', '.join(sorted(known.checks))}"
    fixed = [step.action for step in runbook.steps if step.action in known.irreversible]
    if runbook.on_failure == "put_back" and fixed:
        line = source.line(("on_failure",))
        yield f"{source.path}:{line}: on_failure: put_back cannot be: {fixed[0]} cannot be taken back, expected tell"


def _wrong_kinds(source: Source, runbook: Runbook, known: Known) -> Iterator[str]:
    """Actions and checks that have nothing to do with this kind of target: there a run could only end in a bug."""
    steps = [(("steps", n, "action"), step.action) for n, step in enumerate(runbook.steps)]
    later = [(("after_proof", n, "action"), step.action) for n, step in enumerate(runbook.after_proof)]
    looks = [(("verify", n, "check"), verify.check) for n, verify in enumerate(runbook.verify)]
    for where, name in (*steps, *later, *looks):
        if name in known.kinds and runbook.target.kind not in known.kinds[name]:
            wanted = " or ".join(repr(kind) for kind in sorted(known.kinds[name]))
            seen = f"line {source.line(('target', 'kind'))} says {runbook.target.kind!r}"
            line = f"{source.path}:{source.line(where)}"
            yield f"{line}: {where[-1]} {name!r}: expected a target of kind {wanted}, {seen}"


def _step(source: Source, where: Where, step: Step, known: Known) -> Iterator[str]:
    if step.action not in known.actions:
        line = source.line((*where, "action"))
        yield f"{source.path}:{line}: unknown action {step.action!r}: expected one of {', '.join(sorted(known.actions))}"
        return
    try:
        known.actions[step.action].model_validate(step.options, context=FROM_FILE)
    except ValidationError as error:
        yield from _said(source, error, known.actions[step.action], (*where, "with"))


def _said(source: Source, error: ValidationError, form: type[BaseModel], base: Where = ()) -> Iterator[str]:
    """Pydantic's findings as sentences with file and line."""
    findings = error.errors(include_url=False, include_context=True)
    for found in findings:
        if found["type"] == "too_short" and any(_below(other["loc"], found["loc"]) for other in findings):
            continue  # only because entries of it are wrong, which is said
        where = base + _place(source, base, _without_branch(form, found["loc"]))
        key = ".".join(str(part) for part in where) or "file"
        said = _sentence(found["type"], found["msg"], found.get("ctx") or {}, str(where[-1]) if where else "")
        if found["type"] == "extra_forbidden":
            said += f": expected one of {', '.join(keys_at(form, found['loc'][:-1])) or 'none'}"
        line = source.line(where[:-1] if found["type"] == "missing" else where)
        yield f"{source.path}:{line}: {key}: {said}"


def _below(loc: tuple[str | int, ...], above: tuple[str | int, ...]) -> bool:
    return len(loc) > len(above) and loc[: len(above)] == above


def _without_branch(form: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Pydantic names the kind of a target inside its location; a key of the same name must not be taken for it."""
    return loc[:2] + loc[3:] if form is CatalogFile and loc[:1] == ("targets",) else loc


def _place(source: Source, base: Where, loc: tuple[str | int, ...]) -> Where:
    """The part of a finding's location that stands in the file: union branches of the types do not."""
    where: Where = ()
    for n, part in enumerate(loc):
        if (*base, *where, part) in source.lines or n == len(loc) - 1:
            where = (*where, part)
    return where


def _sentence(kind: str, message: str, context: dict[str, Any], key: str) -> str:
    if kind == "extra_forbidden":
        return f"unknown key {key!r}"
    if kind == "missing":
        return f"key {key!r} is missing"
    if kind in ("literal_error", "union_tag_invalid"):
        return f"expected {context.get('expected') or context.get('expected_tags')}"
    if kind == "string_pattern_mismatch":
        return f"expected text that fits {context['pattern']}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}"
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return text if text.startswith(("expected", "target")) else f"expected {text[:1].lower()}{text[1:]}"

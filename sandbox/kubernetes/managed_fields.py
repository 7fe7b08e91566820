"""metadata.managedFields: who wrote which field last, through which subresource, and when."""

from __future__ import annotations

from typing import Any, NamedTuple

Object = dict[str, Any]
Path = tuple[str, ...]

# What an API server writes itself belongs to nobody.
_NOBODYS = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "name", "namespace"}


class Writer(NamedTuple):
    manager: str
    operation: str
    subresource: str


def recorded(before: Object | None, after: Object, writer: Writer, at: str) -> list[Object]:
    """The entries after a write: what it changed belongs to its manager now, and to nobody else."""
    old = before or {}
    changed = _changed(_owned(old), _owned(after), ())
    kept = changed & _leaves(_owned(after), ())
    entries = [_without(entry, changed) for entry in (old.get("metadata") or {}).get("managedFields") or []]
    mine = next((one for one in entries if _writer(one) == writer), None)
    if mine is None:
        mine = {"manager": writer.manager, "operation": writer.operation, "fieldsV1": {}}
        entries.append(mine)
    mine |= {"apiVersion": after.get("apiVersion", "v1"), "fieldsType": "FieldsV1", "time": at}
    mine |= {"subresource": writer.subresource} if writer.subresource else {}
    for path in kept:
        _put(mine["fieldsV1"], path)
    # Whoever owns nothing is not listed. The first apply of a manager is a write even where it changes nothing.
    return [entry for entry in entries if entry["fieldsV1"] or entry["operation"] == "Apply"]


def timeless(entries: list[Object]) -> list[Object]:
    """What makes two lists different: a write that moves nothing but a time is none."""
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries]


def _writer(entry: Object) -> Writer:
    return Writer(entry["manager"], entry["operation"], entry.get("subresource", ""))


def _owned(obj: Object) -> Object:
    kept = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _NOBODYS}
    return {**kept, "metadata": metadata} if metadata else kept


def _leaves(value: Any, path: Path) -> set[Path]:
    """Paths of everything that is no mapping; a list counts as one field."""
    if isinstance(value, dict) and value:
        return set().union(*(_leaves(inner, (*path, key)) for key, inner in value.items()))
    return {path} if path else set()


def _changed(old: Any, new: Any, path: Path) -> set[Path]:
    if isinstance(old, dict) and isinstance(new, dict):
        return set().union(*(_changed_member(old, new, key, path) for key in {*old, *new}), set())
    same = old == new and type(old) is type(new)
    return set() if same else _leaves(old, path) | _leaves(new, path)


def _changed_member(old: Object, new: Object, key: str, path: Path) -> set[Path]:
    inner = (*path, key)
    if key not in old:
        return _leaves(new[key], inner)
    return _leaves(old[key], inner) if key not in new else _changed(old[key], new[key], inner)


def _without(entry: Object, paths: set[Path]) -> Object:
    return {**entry, "fieldsV1": _pruned(entry["fieldsV1"], paths, ())}


def _pruned(fields: Object, paths: set[Path], at: Path) -> Object:
    kept: Object = {}
    for key, inner in fields.items():
        path = (*at, key.removeprefix("f:"))
        rest = _pruned(inner, paths, path)
        if rest or (not inner and path not in paths):
            kept[key] = rest
    return kept


def _put(fields: Object, path: Path) -> None:
    for name in path:
        fields = fields.setdefault(f"f:{name}", {})

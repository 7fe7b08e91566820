"""What every object must look like before any schema is asked: maps where maps are, texts in labels and annotations."""

from __future__ import annotations

from typing import Any

from sandbox.kubernetes.decode import go_type
from sandbox.kubernetes.errors import ApiError, bad_request

Object = dict[str, Any]


def demand_shape(obj: Object) -> None:
    """400 in the words of Go's decoder; members of metadata that are null are dropped, as typed metadata does."""
    meta = obj.setdefault("metadata", {})
    _demand(meta, dict, "metadata", "v1.ObjectMeta")
    for key in [key for key, value in meta.items() if value is None]:
        del meta[key]
    for key in ("labels", "annotations"):
        _demand(meta.get(key, {}), dict, f"ObjectMeta.metadata.{key}", "map[string]string")
        for value in meta.get(key, {}).values():
            _demand(value, str, f"ObjectMeta.metadata.{key}", "string")
    _demand_references(meta)
    for key in ("spec", "status"):
        if obj.get(key) is not None and obj.get("kind") != "Rollout":
            _demand(obj[key], dict, key, "object")


def _demand_references(meta: Object) -> None:
    references = meta.get("ownerReferences", [])
    _demand(references, list, "ObjectMeta.metadata.ownerReferences", "[]v1.OwnerReference")
    for reference in references:
        _demand(reference, dict, "ObjectMeta.metadata.ownerReferences", "v1.OwnerReference")


def _demand(value: object, wanted: type, field: str, named: str) -> None:
    if not isinstance(value, wanted):
        raise _mismatch(value, field, named)


def _mismatch(value: object, field: str, named: str) -> ApiError:
    return bad_request(f"json: cannot unmarshal {go_type(value)} into Go struct field {field} of type {named}")

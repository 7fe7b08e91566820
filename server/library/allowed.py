"""Which keys a place of a file may hold, read from the types' own JSON Schema: for the sentence about an unknown key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]


def keys_at(form: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The keys that may stand at a place of that form; `place` is pydantic's, names of union branches included."""
    whole = form.model_json_schema(by_alias=True)
    here = whole
    for part in place:
        here = _inside(_resolved(here, whole), part)
    return sorted(_resolved(here, whole).get("properties", {}))


def _resolved(schema: Json, whole: Json) -> Json:
    """Behind a reference; of `X or nothing`, X."""
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        else:
            schema = next((one for one in schema["anyOf"] if one.get("type") != "null"), {})
    return schema


def _inside(schema: Json, part: str | int) -> Json:
    if "oneOf" in schema:  # the part is the branch's name
        branch = schema.get("discriminator", {}).get("mapping", {}).get(str(part))
        return {"$ref": branch} if branch else schema
    if isinstance(part, int):
        inside: Json = schema.get("items", {})
    else:
        extra = schema.get("additionalProperties")
        inside = schema.get("properties", {}).get(part) or (extra if isinstance(extra, dict) else {})
    return inside

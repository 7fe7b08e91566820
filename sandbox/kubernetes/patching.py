"""PATCH: from the content type and the body to the object as it would be, or to the refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.http import Request
from sandbox.kubernetes import errors
from sandbox.kubernetes.decode import Undecodable, decode, decode_verbatim, decode_yaml, go_type
from sandbox.kubernetes.json_patch import Panicked, Rejected, json_patch
from sandbox.kubernetes.kinds import Resource
from sandbox.kubernetes.patch import merge, strategic_merge

Object = dict[str, Any]
Patched = Callable[[Object], Object]

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def media_type(request: Request) -> str:
    return (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def read_patch(request: Request, resource: Resource) -> tuple[Patched, list[str]]:
    """A function from the object to the patched object, and complaints about the body."""
    kind = media_type(request)
    if kind not in (MERGE, JSON, APPLY) and (kind != STRATEGIC or resource.custom):
        accepted = errors.CUSTOM_PATCHES if resource.custom else errors.BUILT_IN_PATCHES
        raise errors.unsupported_media_type(accepted)
    try:
        body, complaints = decode_yaml(request.body) if kind == APPLY else decode(request.body)
    except Undecodable as bad:
        raise errors.undecodable(str(bad)) from None
    if kind == JSON:
        _demand_operations(body)
        return _json(decode_verbatim(request.body)), complaints
    if not isinstance(body, dict):
        raise errors.undecodable(
            f"json: cannot unmarshal {go_type(body)} into Go value of type map[string]interface {{}}"
        )
    apply = strategic_merge if kind == STRATEGIC else merge
    return lambda obj: apply(obj, body), complaints


def _demand_operations(body: Any) -> None:
    """A list of objects (or nulls) whose op, path and from are texts (or null): the rest fails later, with the patch."""
    if not isinstance(body, list):
        raise errors.undecodable(f"json: cannot unmarshal {go_type(body)} into Go value of type []handlers.jsonPatchOp")
    for one in body:
        if one is not None and not isinstance(one, dict):
            raise errors.undecodable(
                f"json: cannot unmarshal {go_type(one)} into Go value of type handlers.jsonPatchOp"
            )
        for key in ("op", "path", "from"):
            value = (one or {}).get(key)
            if value is not None and not isinstance(value, str):
                where = f"Go struct field jsonPatchOp.{key} of type string"
                raise errors.undecodable(f"json: cannot unmarshal {go_type(value)} into {where}")


def _json(operations: Any) -> Patched:
    def patched(obj: Object) -> Object:
        try:
            result = json_patch(obj, operations)
        except Rejected:
            raise errors.unprocessable_patch() from None
        except Panicked:
            raise ConnectionAbortedError("the handler panicked: no answer is written") from None
        if not isinstance(result, dict):
            raise errors.unprocessable_patch()
        return result

    return patched

"""Answers in the form of the real server: headers, final newline, list items, the version that was asked for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from sandbox.http import Response, dump
from sandbox.kubernetes.errors import ApiError
from sandbox.kubernetes.kinds import Resource

Object = dict[str, Any]

_FLOW = str(uuid.uuid4())
_PRIORITY = str(uuid.uuid4())


def answer(code: int, value: object, warnings: list[str] | None = None) -> Response:
    told = [("Warning", f'299 - "{_escaped(text)}"') for text in warnings or []]
    return _response(code, dump(value) + b"\n", "application/json", told)


def text(code: int, value: str) -> Response:
    return _response(code, value.encode(), "text/plain; charset=utf-8", [])


def streamed(pieces: Iterator[bytes]) -> Response:
    """A watch: 200 with its headers at once, the rest as it comes."""
    response = _response(200, b"", "application/json", [])
    response.stream = pieces
    return response


def refusal(error: ApiError) -> Response:
    if isinstance(error.body, str):
        return text(error.code, error.body)
    response = answer(error.code, error.body)
    response.headers.extend(error.headers)
    return response


def versioned(resource: Resource, version: str, obj: Object) -> Object:
    """One stored object is served at every version of its kind."""
    return {"apiVersion": resource.api_version(version), **{k: v for k, v in obj.items() if k != "apiVersion"}}


def list_answer(
    resource: Resource, version: str, items: list[Object], revision: str, following: str, remaining: int | None
) -> Object:
    meta: Object = {"continue": following} if resource.custom or following else {}
    meta |= {"remainingItemCount": remaining} if remaining else {}
    meta["resourceVersion"] = revision
    head: Object = {"apiVersion": resource.api_version(version), "kind": f"{resource.kind}List", "metadata": meta}
    if resource.custom:
        return {**head, "items": [versioned(resource, version, item) for item in items]}
    return {**head, "items": [{k: v for k, v in item.items() if k not in ("kind", "apiVersion")} for item in items]}


def _response(code: int, body: bytes, content_type: str, more: list[tuple[str, str]]) -> Response:
    headers = [
        ("Audit-Id", str(uuid.uuid4())),
        ("Cache-Control", "no-cache, private"),
        ("Content-Type", content_type),
        ("X-Kubernetes-Pf-Flowschema-Uid", _FLOW),
        ("X-Kubernetes-Pf-Prioritylevel-Uid", _PRIORITY),
        *more,
    ]
    return Response(code, body, headers)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')

"""The answers of refusal, word for word as kube-apiserver 1.34 and 1.35 give them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sandbox.kubernetes.kinds import Resource

Object = dict[str, Any]

ACCEPTED = "the body of the request was in an unknown format - accepted media types include: "
CUSTOM_PATCHES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
BUILT_IN_PATCHES = (
    "application/json-patch+json, application/merge-patch+json, "
    "application/strategic-merge-patch+json, application/apply-patch+yaml"
)
READABLE = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
UNCHECKED = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


@dataclass(frozen=True)
class Cause:
    reason: str
    message: str
    field: str

    def as_json(self) -> Object:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """Ends a request. `body` is the Status, or a text for what no API group answers."""

    def __init__(self, code: int, body: Object | str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(body if isinstance(body, str) else body["message"])
        self.code = code
        self.body = body
        self.headers = headers


def status(code: int, reason: str, message: str, details: Object | None = None) -> ApiError:
    body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    return ApiError(code, {**body, "code": code})


def details(resource: Resource, name: str = "") -> Object:
    named = {"name": name} if name else {}
    group = {"group": resource.group} if resource.group else {}
    return {**named, **group, "kind": resource.plural}


def page_not_found() -> ApiError:
    return ApiError(404, "404 page not found\n")


def unauthorized() -> ApiError:
    return status(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiError:
    return status(400, "BadRequest", message)


def undecodable(why: str) -> ApiError:
    return bad_request(f"error decoding patch: {why}")


def not_found(resource: Resource, name: str) -> ApiError:
    return status(404, "NotFound", f'{resource.qualified} "{name}" not found', details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    return status(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details(resource, name))


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return status(409, "Conflict", message, details(resource, name))


def unprocessable_patch() -> ApiError:
    """One text for a failed `test`, a missing path and an unknown op: the server hides which."""
    return status(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unsupported_media_type(accepted: str) -> ApiError:
    return status(415, "UnsupportedMediaType", ACCEPTED + accepted)


def not_acceptable() -> ApiError:
    return status(406, "NotAcceptable", f"only the following media types are accepted: {READABLE}")


def not_supported(verb: str, resource: Resource) -> ApiError:
    message = f'{verb} is not supported on resources of kind "{resource.qualified}"'
    return status(405, "MethodNotAllowed", message, details(resource))


def unparsable_version(text: str) -> ApiError:
    """Where the server trips over it by itself; it then gives no reason."""
    return status(500, "", not_a_version(text))


def not_a_version(text: str) -> str:
    return f"resourceVersion: Invalid value: {json.dumps(text)}: strconv.ParseUint: parsing {json.dumps(text)}: invalid syntax"


def unparsable_number(text: str) -> ApiError:
    return status(500, "", f"strconv.ParseUint: parsing {json.dumps(text)}: invalid syntax")


def forbidden_path(user: str, path: str) -> ApiError:
    return status(403, "Forbidden", f'forbidden: User "{user}" cannot get path "{path}"', {})


def paths_not_installed() -> ApiError:
    message = "the request has been made before all known HTTP paths have been installed, please try again"
    return _later(503, "ServiceUnavailable", message, {"retryAfterSeconds": 5})


def storage_initializing() -> ApiError:
    return _later(429, "TooManyRequests", "storage is (re)initializing", {"retryAfterSeconds": 1})


def _later(code: int, reason: str, message: str, told: Object) -> ApiError:
    """With a Retry-After header beside the seconds in the body."""
    return ApiError(code, status(code, reason, message, told).body, (("Retry-After", str(told["retryAfterSeconds"])),))


def too_new(wanted: str, current: int) -> ApiError:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return _later(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})


def invalid(kind: str, group: str, name: str, causes: list[Cause], *, shown: list[Cause] | None = None) -> ApiError:
    """`shown`: the causes that the message names, where those are fewer than in the details."""
    texts = [f"{cause.field}: {cause.message}" for cause in (shown or causes)]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    named = ({"name": name} if name else {}) | ({"group": group} if group else {}) | ({"kind": kind} if kind else {})
    message = f'{kind}.{group} "{name}" is invalid: {joined}' if group else f'{kind} "{name}" is invalid: {joined}'
    return status(422, "Invalid", message, {**named, "causes": [cause.as_json() for cause in causes]})


def invalid_schema(resource: Resource, name: str, causes: list[Cause]) -> ApiError:
    unchecked = Cause("FieldValueInvalid", UNCHECKED, "<nil>")
    return invalid(resource.kind, resource.group, name, [*causes, unchecked])


def immutable(resource: Resource, name: str, value: object, field: str) -> ApiError:
    """Found twice (on the metadata and on the object), told once."""
    cause = Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value)}: field is immutable", field)
    return invalid(resource.kind, resource.group, name, [cause, cause], shown=[cause])


def no_resource_version(resource: Resource, name: str) -> ApiError:
    cause = Cause("FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion")
    return invalid(resource.plural, resource.group, name, [cause])


def bad_option(options: str, field: str, reason: str, message: str) -> ApiError:
    return invalid(options, "meta.k8s.io", "", [Cause(reason, message, field)])


def no_kind(patched: Object) -> ApiError:
    """Quotes the whole object, twice."""
    plain = json.dumps(patched, separators=(",", ":"), sort_keys=True)
    message = f"Invalid value: {json.dumps(plain)}: Object 'Kind' is missing in '{plain}'"
    cause = Cause("FieldValueInvalid", message, "patch")
    return status(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": [cause.as_json()]})


def strict_patch(patched: Object, complaints: list[str]) -> ApiError:
    """Quotes the whole object, as the real one does."""
    quoted = json.dumps(json.dumps(patched, separators=(",", ":"), sort_keys=True))
    message = f"Invalid value: {quoted}: strict decoding error: {', '.join(complaints)}"
    cause = Cause("FieldValueInvalid", message, "patch")
    return status(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": [cause.as_json()]})


def strict_body(resource: Resource, version: str, complaints: list[str]) -> ApiError:
    return bad_request(
        f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: '
        f"strict decoding error: {', '.join(complaints)}"
    )

"""POST, PUT, PATCH and DELETE: what a client may change, checked in the order of the real server."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from sandbox.http import Request, Response
from sandbox.kubernetes import errors
from sandbox.kubernetes.answers import answer, versioned
from sandbox.kubernetes.decode import Undecodable, decode, decode_yaml
from sandbox.kubernetes.defaults import with_defaults
from sandbox.kubernetes.kinds import Resource
from sandbox.kubernetes.options import Options, options
from sandbox.kubernetes.patching import APPLY, media_type, read_patch
from sandbox.kubernetes.paths import Target
from sandbox.kubernetes.scale import as_scale, set_scale
from sandbox.kubernetes.schema import pruned, violations
from sandbox.kubernetes.shape import demand_shape
from sandbox.kubernetes.store import Exists, Store

Object = dict[str, Any]
Wished = Callable[[Object], Object]

_JSON_BODIES = ("", "application/json", "application/yaml")
_FROM_SERVER = ("uid", "creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink")


class Writing:
    """`entry.applied` turns true exactly where the store changed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, target: Target, resource: Resource, request: Request) -> Response:
        wanted = options(request)
        obj, complaints = self._body(request, resource, target)
        self._demand_namespace(target, resource)
        obj, unknown = pruned(resource.kind, obj)
        complaints += unknown
        if wanted.strict and complaints:
            raise errors.strict_body(resource, target.version, complaints)
        self._as_new(obj, resource, target)
        name = str(obj["metadata"].get("name", ""))
        if causes := violations(resource.kind, obj):
            raise errors.invalid_schema(resource, name, causes)
        try:
            if wanted.dry_run:
                made = self._store.drafted(resource.plural, obj, manager=wanted.manager)
            else:
                made = self._store.create(resource.plural, obj, manager=wanted.manager, by_client=True)
                request.entry.applied = True
        except Exists:
            raise errors.already_exists(resource, name) from None
        return answer(201, versioned(resource, target.version, made), wanted.warnings(complaints))

    def replace(self, target: Target, resource: Resource, request: Request) -> Response:
        wanted = options(request)
        body, complaints = self._body(request, resource, target)
        meta = body["metadata"]
        self._demand_same_name(meta, target)
        self._demand_there(target, resource)
        if target.subresource != "scale":
            if not meta.get("resourceVersion"):
                raise errors.no_resource_version(resource, target.name)
            body, unknown = pruned(resource.kind, body)
            complaints += unknown
        if wanted.strict and complaints:
            raise errors.strict_body(resource, target.version, complaints)
        return self._change(target, resource, request, wanted, lambda _: body, complaints)

    def patch(self, target: Target, resource: Resource, request: Request) -> Response:
        if media_type(request) == APPLY and not request.first("fieldManager"):
            message = "Required value: is required for apply patch"
            raise errors.bad_option("PatchOptions", "fieldManager", "FieldValueRequired", message)
        wanted = options(request)
        patched, complaints = read_patch(request, resource)
        self._demand_there(target, resource)
        return self._change(target, resource, request, wanted, patched, complaints)

    def delete(self, target: Target, resource: Resource, request: Request) -> Response:
        wanted = options(request)
        found = self._demand_there(target, resource)
        self._demand_preconditions(resource, found, request)
        if not wanted.dry_run:
            self._remove(resource, target.place, target.name, request)
        if not resource.custom and resource.plural in ("namespaces", "pods", "services"):
            return answer(200, versioned(resource, target.version, found))
        told = {**errors.details(resource, target.name), "uid": found["metadata"]["uid"]}
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": told}
        return answer(200, body)

    def delete_all(self, resource: Resource, items: list[Object], request: Request) -> None:
        if not options(request).dry_run:
            for item in items:
                meta = item["metadata"]
                self._remove(resource, meta.get("namespace", ""), meta["name"], request)

    def _remove(self, resource: Resource, namespace: str, name: str, request: Request) -> None:
        if self._store.delete(resource.plural, namespace, name, by_client=True):
            request.entry.applied = True
        if resource.plural == "namespaces":
            self._store.delete_namespace(name)

    # One way for PUT and PATCH: build the wished object, check it, store what the endpoint may change.

    def _change(
        self,
        target: Target,
        resource: Resource,
        request: Request,
        wanted: Options,
        wished: Wished,
        complaints: list[str],
    ) -> Response:
        def change(obj: Object) -> None:
            served = versioned(resource, target.version, obj)
            shown = as_scale(resource, obj) if target.subresource == "scale" else served
            new = wished(deepcopy(shown))
            if target.subresource != "scale":
                _demand_identity(new, target)
            demand_shape(new)
            self._demand_meta(resource, target, obj, new)
            if target.subresource == "scale":
                set_scale(obj, new)
                return
            kept, unknown = pruned(resource.kind, new)
            complaints.extend(one for one in unknown if one not in complaints)
            if wanted.strict and complaints:
                raise errors.strict_patch(new, complaints)
            new = kept
            self._demand_valid(resource, target, obj, new)
            obj.clear()
            obj.update(new)

        place = (resource.plural, target.place, target.name)
        how = {"manager": wanted.manager, "subresource": target.subresource, "operation": _operation(request)}
        if wanted.dry_run:
            stored = self._store.prepared(*place, change, **how)
        else:
            if self._store.update(*place, change, **how, by_client=True):
                request.entry.applied = True
            stored = self._demand_there(target, resource)
        told = as_scale(resource, stored) if target.subresource == "scale" else stored
        body = told if target.subresource == "scale" else versioned(resource, target.version, told)
        return answer(200, body, wanted.warnings(complaints))

    def _demand_meta(self, resource: Resource, target: Target, old: Object, new: Object) -> None:
        meta, now = new.get("metadata") or {}, old["metadata"]
        self._demand_same_name(meta, target)
        version = meta.get("resourceVersion")
        if version and not str(version).isdigit():
            raise errors.unparsable_number(str(version))
        if version and str(version) != now["resourceVersion"]:
            raise errors.conflict(resource, target.name)
        uid = meta.get("uid")
        if target.subresource != "status" and uid and uid != now["uid"]:
            raise errors.immutable(resource, target.name, uid, "metadata.uid")

    def _demand_valid(self, resource: Resource, target: Target, old: Object, new: Object) -> None:
        """Only the part that this endpoint keeps is looked at."""
        kept = dict(new)
        foreign = [key for key in kept if key not in ("status", "metadata")] if target.subresource == "status" else []
        if not target.subresource and resource.has_status:
            foreign = ["status"]
        for key in foreign:
            kept.pop(key, None)
            kept |= {key: old[key]} if key in old else {}
        if causes := violations(resource.kind, kept):
            raise errors.invalid_schema(resource, target.name, causes)

    # Bodies and metadata.

    def _body(self, request: Request, resource: Resource, target: Target) -> tuple[Object, list[str]]:
        kind = media_type(request)
        if kind not in _JSON_BODIES:
            raise errors.unsupported_media_type(errors.READABLE)
        try:
            body, complaints = decode_yaml(request.body) if kind == "application/yaml" else decode(request.body)
        except Undecodable as bad:
            raise errors.bad_request(f"the object provided is unrecognized: {bad}") from None
        if not isinstance(body, dict):
            raise errors.bad_request("the object provided is unrecognized (must be of type Object)")
        body.setdefault("metadata", {})
        demand_shape(body)
        wanted = "Scale" if target.subresource == "scale" else resource.kind
        if body.setdefault("kind", wanted) != wanted:
            raise errors.bad_request(f"{body['kind']} in version {target.version!r} cannot be handled as a {wanted}")
        return body, complaints

    def _as_new(self, obj: Object, resource: Resource, target: Target) -> None:
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise errors.status(500, "", "resourceVersion should not be set on objects to be created")
        for key in _FROM_SERVER:
            meta.pop(key, None)
        if resource.namespaced:
            self._demand_same_namespace(meta, target)
            meta["namespace"] = target.namespace
        else:
            meta.pop("namespace", None)
        if not meta.get("name") and not meta.get("generateName"):
            cause = errors.Cause(
                "FieldValueRequired", "Required value: name or generateName is required", "metadata.name"
            )
            raise errors.invalid(resource.kind, resource.group, "", [cause])
        obj["apiVersion"] = resource.api_version()
        if resource.has_status:
            obj.pop("status", None)
        with_defaults(resource.plural, obj, self._store.random_byte)

    def _demand_there(self, target: Target, resource: Resource) -> Object:
        found = self._store.get(resource.plural, target.place, target.name)
        if found is None:
            raise errors.not_found(resource, target.name)
        return found

    def _demand_namespace(self, target: Target, resource: Resource) -> None:
        if not resource.namespaced or self._store.get("namespaces", "", target.namespace) is not None:
            return
        message = f'namespaces "{target.namespace}" not found'
        raise errors.status(404, "NotFound", message, {"name": target.namespace, "kind": "namespaces"})

    def _demand_same_name(self, meta: Object, target: Target) -> None:
        name = meta.get("name")
        if name and name != target.name:
            raise errors.bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({target.name})"
            )
        self._demand_same_namespace(meta, target)

    def _demand_same_namespace(self, meta: Object, target: Target) -> None:
        namespace = meta.get("namespace")
        if namespace and target.place and namespace != target.place:
            raise errors.bad_request(
                f"the namespace of the object ({namespace}) does not match the namespace on the request ({target.place})"
            )

    def _demand_preconditions(self, resource: Resource, found: Object, request: Request) -> None:
        try:
            body, _ = decode(request.body) if request.body.strip() else ({}, [])
        except Undecodable as bad:
            raise errors.bad_request(str(bad)) from None
        wanted = (body.get("preconditions") or {}) if isinstance(body, dict) else {}
        meta = found["metadata"]
        for key, called in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(key) not in (None, meta[key]):
                why = f"the {called} in the precondition ({wanted[key]}) does not match the {called} in record ({meta[key]})"
                raise errors.conflict(
                    resource, meta["name"], f"{why}. The object might have been deleted and then recreated"
                )


def _demand_identity(new: Object, target: Target) -> None:
    """A patch may have taken away what an object needs to be one."""
    if "kind" not in new:
        raise errors.no_kind(new)
    if not (new.get("metadata") or {}).get("name"):
        raise errors.bad_request(
            f"the name of the object ({target.name} based on URL) was undeterminable: name must be provided"
        )


def _operation(request: Request) -> str:
    return "Apply" if media_type(request) == APPLY else "Update"

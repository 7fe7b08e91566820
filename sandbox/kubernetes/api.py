"""One request from its first line to its answer: who asks, may they, is it there, and which room does it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sandbox.http import Request, Response
from sandbox.kubernetes import errors
from sandbox.kubernetes.answers import answer, refusal, text
from sandbox.kubernetes.authorise import ANONYMOUS, Attributes, Gate, user_of
from sandbox.kubernetes.decode import Undecodable, decode
from sandbox.kubernetes.discovery import discovered
from sandbox.kubernetes.errors import ApiError
from sandbox.kubernetes.kinds import Resource
from sandbox.kubernetes.paths import Target, parse
from sandbox.kubernetes.reading import Reading, Wait
from sandbox.kubernetes.selectors import only_name
from sandbox.kubernetes.starting import Process
from sandbox.kubernetes.store import Store
from sandbox.kubernetes.watch import Watches
from sandbox.kubernetes.writing import Writing

VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.4", "platform": "linux/amd64"}
_REVIEWS = {"selfsubjectaccessreviews": "authorization.k8s.io", "selfsubjectreviews": "authentication.k8s.io"}
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Api:
    def __init__(
        self,
        store: Store,
        gate: Gate,
        process: Process,
        watches: Watches,
        now: Callable[[], datetime],
        wait: Wait,
    ) -> None:
        self._gate = gate
        self._watches = watches
        self._process = process
        self._now = now
        self._reading = Reading(store, wait)
        self._writing = Writing(store)

    def handle(self, request: Request) -> Response:
        try:
            return self._handle(request)
        except ApiError as error:
            return refusal(error)

    def _handle(self, request: Request) -> Response:
        now = self._now()
        self._process.demand_connection(now)
        user = user_of(request)
        target = parse(request.path)
        if target is None:
            return self._outside(request, user, now)
        asked = _attributes(user, target, request)
        self._process.demand_rights(asked, now)
        self._gate.demand(asked)
        if _REVIEWS.get(target.plural) == target.group and target.version == "v1" and request.method == "POST":
            return self._review(target, request, user)
        self._process.demand_paths(target.resource, now)
        return self._resource(target, request)

    def _outside(self, request: Request, user: str, now: datetime) -> Response:
        if request.path in ("/healthz", "/livez", "/readyz"):
            if request.path != "/livez":
                self._process.demand_ready(now)
            return text(200, "ok")
        self._process.demand_rights_of_path(user, request.path, now)
        if request.path == "/version":
            return answer(200, VERSION)
        found = discovered(request.path)
        if found is None:
            raise errors.page_not_found()
        if user == ANONYMOUS:
            raise errors.forbidden_path(user, request.path)
        return answer(200, found)

    def _resource(self, target: Target, request: Request) -> Response:
        resource = target.resource
        if resource is None or not _addressed(target, resource, request.method):
            raise errors.page_not_found()
        if not _accepts_json(request):
            raise errors.not_acceptable()
        if target.subresource and not _has(resource, target.subresource):
            raise errors.not_found(resource, target.name) if resource.custom else errors.page_not_found()
        if not target.name:
            return self._collection(target, resource, request)
        match request.method, target.subresource:
            case "GET" | "HEAD", _:
                return self._reading.get(target, resource, request)
            case "PUT", _:
                return self._writing.replace(target, resource, request)
            case "PATCH", _:
                return self._writing.patch(target, resource, request)
            case "DELETE", "":
                return self._writing.delete(target, resource, request)
        raise errors.not_supported(_VERBS.get(request.method, request.method.lower()), resource)

    def _collection(self, target: Target, resource: Resource, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            self._process.demand_lists(resource, self._now())
        match request.method:
            case "GET" | "HEAD" if _watches(request):
                chosen = self._reading.choosing(target, resource, request)
                there = self._reading.selected(target, resource, request)
                return self._watches.open(target, resource, request, chosen, there)
            case "GET" | "HEAD":
                return self._reading.page(target, resource, request)
            case "POST":
                return self._writing.create(target, resource, request)
            case "DELETE":
                self._writing.delete_all(resource, self._reading.selected(target, resource, request), request)
                return answer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        raise errors.not_supported(_VERBS.get(request.method, request.method.lower()), resource)

    def _review(self, target: Target, request: Request, user: str) -> Response:
        """Questions about oneself: nothing is stored, so nothing is applied."""
        try:
            body, _ = decode(request.body)
        except Undecodable as bad:
            raise errors.bad_request(str(bad)) from None
        asked = body if isinstance(body, dict) else {}
        head: dict[str, Any] = {"kind": "SelfSubjectReview", "apiVersion": f"{target.group}/v1", "metadata": {}}
        if target.plural == "selfsubjectreviews":
            info = {"username": user, "groups": ["system:authenticated"]}
            return answer(201, {**head, "status": {"userInfo": info}})
        spec = asked.get("spec") or {}
        found = self._gate.review(user, spec)
        return answer(201, {**head, "kind": "SelfSubjectAccessReview", "spec": spec, "status": found})


def _attributes(user: str, target: Target, request: Request) -> Attributes:
    verb = _VERBS.get(request.method, request.method.lower())
    name = target.name
    if not name and verb == "get":
        verb = "watch" if _watches(request) else "list"
        name = only_name(request.first("fieldSelector"))
    elif not name and verb == "delete":
        verb = "deletecollection"
    return Attributes(user, verb, target.group, target.asked, target.namespace, name)


def _addressed(target: Target, resource: Resource, method: str) -> bool:
    """Namespaced objects lie in a namespace; only lists are served without one."""
    if not resource.namespaced:
        return not target.namespace or resource.plural == "namespaces"
    return bool(target.namespace) or (not target.name and method in ("GET", "HEAD"))


def _has(resource: Resource, subresource: str) -> bool:
    return (subresource == "status" and resource.has_status) or (subresource == "scale" and resource.has_scale)


def _watches(request: Request) -> bool:
    return request.first("watch", "false").lower() not in ("false", "0")


def _accepts_json(request: Request) -> bool:
    accept = request.headers.get("Accept") or "*/*"
    kinds = {one.partition(";")[0].strip() for one in accept.split(",")}
    return bool(kinds & {"*/*", "application/*", "application/json", "application/yaml"})

"""GET of one object and of lists: selectors, pages, resourceVersions of the past and the future."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from sandbox.http import Request, Response
from sandbox.kubernetes import errors, selectors
from sandbox.kubernetes.answers import answer, list_answer, versioned
from sandbox.kubernetes.decode import Undecodable, decode
from sandbox.kubernetes.kinds import Resource
from sandbox.kubernetes.paths import Target
from sandbox.kubernetes.scale import as_scale
from sandbox.kubernetes.store import Store

Object = dict[str, Any]
Wait = Callable[[Callable[[], bool], float], None]  # until something holds, or for so many seconds


# So long a server waits for a resourceVersion that it has not seen yet.
PATIENCE = 3.0


class Reading:
    def __init__(self, store: Store, wait: Wait) -> None:
        self._store = store
        self._wait = wait

    def get(self, target: Target, resource: Resource, request: Request) -> Response:
        if (wanted := request.first("resourceVersion")) and not wanted.isdigit():
            raise errors.unparsable_version(wanted)
        self._demand_known(request)
        found = self._store.get(resource.plural, target.place, target.name)
        if found is None:
            raise errors.not_found(resource, target.name)
        if target.subresource == "scale":
            return answer(200, as_scale(resource, found))
        return answer(200, versioned(resource, target.version, found))

    def page(self, target: Target, resource: Resource, request: Request) -> Response:
        if (wanted := request.first("resourceVersion")) and not wanted.isdigit():
            raise errors.bad_request(f"invalid resource version: {errors.not_a_version(wanted)}")
        self._demand_known(request)
        items = self.selected(target, resource, request)
        start, revision = self._continued(request)
        page = [item for item in items if _key(target, item) >= start]
        limit = int(request.first("limit", "0")) if request.first("limit", "0").isdigit() else 0
        following, remaining = "", None
        if limit and len(page) > limit:
            following = _token(revision, _key(target, page[limit - 1]))
            remaining = len(page) - limit if not _selective(request) else None
            page = page[:limit]
        return answer(200, list_answer(resource, target.version, page, str(revision), following, remaining))

    def selected(self, target: Target, resource: Resource, request: Request) -> list[Object]:
        chosen = self.choosing(target, resource, request)
        return [item for item in self._store.list(resource.plural) if chosen(item)]

    def choosing(self, target: Target, resource: Resource, request: Request) -> selectors.Predicate:
        """By namespace, labels and fields."""
        by_label = selectors.labels(request.first("labelSelector"))
        by_field = selectors.fields(resource, request.first("fieldSelector"))
        place = target.namespace if resource.namespaced else ""

        def chosen(item: Object) -> bool:
            return place in ("", item["metadata"].get("namespace", "")) and by_label(item) and by_field(item)

        return chosen

    def _demand_known(self, request: Request) -> None:
        wanted = request.first("resourceVersion")
        if wanted in ("", "0"):
            return
        self._wait(lambda: int(wanted) <= self._store.revision, PATIENCE)
        if int(wanted) > self._store.revision:
            raise errors.too_new(wanted, self._store.revision)
        if request.first("resourceVersionMatch") == "Exact" and int(wanted) != self._store.revision:
            # Old states are not kept here: like a server that has compacted them.
            raise errors.status(410, "Expired", "The resourceVersion for the provided list is too old.")

    def _continued(self, request: Request) -> tuple[str, int]:
        """Where a page begins, and the revision that all pages of one list name."""
        token = request.first("continue")
        if not token:
            return "", self._store.revision
        broken = "invalid continue token: continue key is not valid: "
        try:
            value, _ = decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            return str(value["start"]).removeprefix("/"), int(value["rv"])
        except (binascii.Error, ValueError, KeyError, TypeError) as bad:
            raise errors.bad_request(broken + (str(bad) if isinstance(bad, Undecodable) else "bad token")) from None


def _key(target: Target, item: Object) -> str:
    meta = item["metadata"]
    return str(meta["name"]) if target.namespace else f"{meta.get('namespace', '')}/{meta['name']}".lstrip("/")


def _token(revision: int, last: str) -> str:
    """The next page starts right behind the last key of this one."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": f"{last}\x00"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _selective(request: Request) -> bool:
    return bool(request.first("labelSelector") or request.first("fieldSelector"))

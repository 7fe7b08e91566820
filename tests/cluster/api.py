"""A small client of a Kubernetes API server: one token, any path, the answer as it came."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]

JSON = "application/json"
YAML = "application/yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

NAMESPACES = "/api/v1/namespaces"
ROLLOUTS_API = "/apis/argoproj.io/v1alpha1"


@dataclass
class Answer:
    """Status code, headers and body."""

    code: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)


class Refused(Exception):
    """An answer that was not a success, where one was needed."""


class Api:
    """One user at one API server. Safe for several threads."""

    def __init__(
        self, url: str, token: str | None, ca: str | None = None, pool: urllib3.PoolManager | None = None
    ) -> None:
        self.url, self.token = url, token
        self._pool = pool or urllib3.PoolManager(maxsize=8, retries=False, ca_certs=ca)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str | None = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 15,
    ) -> Answer:
        """Any request. Bytes and text go out as they are, all else as JSON."""
        raw = body if isinstance(body, bytes | str) or body is None else json.dumps(body)
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if raw is not None and content_type is not None:
            sent["Content-Type"] = content_type
        url = self.url + path + (f"?{urlencode(query)}" if query else "")
        answer = self._pool.request(method, url, body=raw, headers=sent, timeout=timeout)
        return Answer(answer.status, answer.headers, answer.data.decode("utf-8", "replace"))

    def get(self, path: str, **query: object) -> Object:
        """The object that stands there."""
        return self._wanted("GET", path, query=query)

    def create(self, path: str, body: object, content_type: str = JSON) -> Object:
        """The object as it was made."""
        return self._wanted("POST", path, body, content_type)

    def ensure(self, path: str, body: Object) -> None:
        """Makes it unless it is there."""
        answer = self.call("POST", path, body, JSON)
        if answer.code not in (201, 409):
            raise Refused(f"POST {path}: {answer.code} {answer.text[:300]}")

    def merge(self, path: str, body: object) -> Object:
        """The object after a merge patch."""
        return self._wanted("PATCH", path, body, MERGE)

    def json_patch(self, path: str, operations: list[Object]) -> Object:
        """The object after a JSON patch."""
        return self._wanted("PATCH", path, operations, JSON_PATCH)

    def delete(self, path: str, **query: object) -> None:
        """Gone, or going; it may be gone already."""
        answer = self.call("DELETE", path, query=query)
        if answer.code not in (200, 202, 404):
            raise Refused(f"DELETE {path}: {answer.code} {answer.text[:300]}")

    def _wanted(self, method: str, path: str, body: object = None, kind: str | None = None, **more: Any) -> Object:
        answer = self.call(method, path, body, kind, **more)
        if answer.code >= 300:
            raise Refused(f"{method} {path}: {answer.code} {answer.text[:500]}")
        return dict(answer.json)

    def watch(self, path: str, version: str, stop: threading.Event, seconds: int = 300) -> Iterator[Object]:
        """Events after that resourceVersion until the server ends it, it breaks, or `stop` is set and an event comes."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        answer = self._pool.request(
            "GET",
            f"{self.url}{path}?{urlencode(query)}",
            headers={"Authorization": f"Bearer {self.token}"},
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=seconds + 10),
        )
        try:
            rest = b""
            for chunk in answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if stop.is_set():
                        return
                    yield json.loads(line)
        finally:
            answer.close()

    def close(self) -> None:
        """Ends the idle connections."""
        self._pool.clear()

"""Kubernetes through the official client's low-level calls: plain dicts, one request each, errors sorted by what to do next.

Typed models are not used: a surprise in an answer must not stop an action (libraries of this generation validate).
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import urllib3
import yaml  # type: ignore[import-untyped]
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import load_incluster_config
from kubernetes.config.kube_config import load_kube_config

from server.clients import CALL_SECONDS
from server.clients.deadline import POOLS, Deadline
from server.errors import Misconfigured, Missing, Refused, Transient, Unknown

CONNECT_SECONDS = 2.0
LOST_SECONDS = 3.0
"""For so long after a lost connection a 403 or 404 may only mean that the API server is starting."""
_SHORTEST_SECRET = 12


class KubernetesApi:
    """One ApiClient for each cluster, made when first asked (never before a fork)."""

    def __init__(self, kubeconfig: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.kubeconfig = kubeconfig
        self.monotonic = monotonic
        self._clients: dict[str, ApiClient] = {}
        self._lock = threading.Lock()
        self._lost: dict[str, float] = {}

    def get(self, cluster: str, path: str) -> tuple[dict[str, Any], datetime]:
        """One object."""
        return self.list(cluster, path, {})

    def list(self, cluster: str, path: str, query: Mapping[str, str]) -> tuple[dict[str, Any], datetime]:
        """One list (or object)."""
        try:
            status, headers, body = self._send(cluster, "GET", path, query, None, None)
        except Unknown as error:
            raise Transient(error.said) from error
        if status in (403, 404) and self._lately_lost(cluster):
            raise Transient(f"kubernetes: GET {path}: {status} right after a lost connection", 1.0)
        if status == 429 or status >= 500:
            raise Transient(f"kubernetes: GET {path}: {status} {_reason(body)}", _retry_after(headers))
        if status >= 300:
            raise _refused("GET", path, status, body)
        return _object("GET", path, body), _date(headers)

    def patch(
        self, cluster: str, path: str, body: object, content_type: str, *, dry_run: bool = False
    ) -> tuple[dict[str, Any], datetime]:
        """One patch, sent once; the field manager is ripcord. dry_run: everything but the change itself."""
        query = {"fieldManager": "ripcord"} | ({"dryRun": "All"} if dry_run else {})
        status, headers, answer = self._send(cluster, "PATCH", path, query, body, content_type)
        if status in (403, 404) and self._lately_lost(cluster):
            raise Transient(f"kubernetes: PATCH {path}: {status} right after a lost connection", 1.0)
        if status == 429 or (status == 503 and "retry-after" in headers):
            raise Transient(f"kubernetes: PATCH {path}: {status} {_reason(answer)}", _retry_after(headers))
        if status >= 500:
            raise Unknown(f"kubernetes: PATCH {path}: {status} {_reason(answer)}")
        if status >= 300:
            raise _refused("PATCH", path, status, answer)
        try:
            return _object("PATCH", path, answer), _date(headers)
        except Transient as error:
            raise Unknown(error.said) from error

    def _send(
        self, cluster: str, method: str, path: str, query: Mapping[str, str], body: object, content_type: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        client = self._client(cluster)
        accept = {"Accept": "application/json"} | ({"Content-Type": content_type} if content_type else {})
        request = client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=accept,
            body=body,
            auth_settings=["BearerToken"],
        )
        what = f"kubernetes: {method} {path}"
        with Deadline(CALL_SECONDS) as deadline:
            try:
                response = _exchange(client, *request)
                body = self._read(response)
                if response.status >= 400:
                    body = _without(_sent(*request), body)
                return response.status, _lower(response.headers), body
            # A header that cannot be sent (a token with a line break) stands in the error's own text: that text goes nowhere.
            except (urllib3.exceptions.HTTPError, OSError, ApiException, ValueError) as error:
                clear = self._sorted(cluster, what, error, deadline.passed)
        raise clear from None

    def _sorted(self, cluster: str, what: str, error: Exception, late: bool) -> Transient | Unknown:
        """What a broken call means: not sent, or perhaps sent."""
        name = type(error).__name__
        if isinstance(error, ApiException | urllib3.exceptions.SSLError):
            # Only a certificate's own failure is certainly before sending.
            self._lost[cluster] = self.monotonic()
            said = f"{what}: no secure connection"
            return Transient(said) if _certificate(error) else Unknown(said, broken=True)
        if isinstance(error, ValueError) and not isinstance(error, urllib3.exceptions.HTTPError):
            return Transient(f"{what}: the request could not be sent ({name})")
        if isinstance(error, urllib3.exceptions.LocationValueError):
            return Transient(f"{what}: the kubeconfig names no host")
        self._lost[cluster] = self.monotonic()
        if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
            return Transient(f"{what}: no connection ({name})", 1.0)
        if late or isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
            return Unknown(f"{what}: no answer within {CALL_SECONDS:g} s")
        return Unknown(f"{what}: the connection broke ({name})", broken=True)

    def _read(self, response: Any) -> bytes:
        """The whole body; the deadline cuts it off."""
        try:
            body: bytes = response.read()
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return body

    def _lately_lost(self, cluster: str) -> bool:
        lost = self._lost.get(cluster)
        return lost is not None and self.monotonic() - lost < LOST_SECONDS

    def _client(self, cluster: str) -> ApiClient:
        with self._lock:
            if cluster not in self._clients:
                client = ApiClient(self.configuration(cluster))
                client.rest_client.pool_manager.pool_classes_by_scheme = POOLS
                self._clients[cluster] = client
            return self._clients[cluster]

    def configuration(self, cluster: str) -> Configuration:
        """How this cluster is reached. Raises Misconfigured."""
        configuration = Configuration()
        try:
            if not self.kubeconfig and Path("/var/run/secrets/kubernetes.io").exists():
                load_incluster_config(client_configuration=configuration)
            else:
                context = None if cluster == "default" else cluster
                load_kube_config(
                    self.kubeconfig or None, context=context, client_configuration=configuration, persist_config=False
                )
        except (ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
            # The library's text may quote the file, tokens and all.
            reason = f"cluster {cluster}: the kubeconfig cannot be used ({type(error).__name__})"
            raise Misconfigured(reason) from None
        configuration.retries = False
        return configuration


def _exchange(
    client: ApiClient, method: str, url: str, headers: dict[str, str], body: object = None, *_: object
) -> urllib3.BaseHTTPResponse:
    """One request over the client's own pool, with the bytes that we wrote: its own request method would write the body again."""
    raw = None if body is None else as_the_server_writes(body)
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=CALL_SECONDS)
    answer: urllib3.BaseHTTPResponse = client.rest_client.pool_manager.request(
        method, url, body=raw, headers=headers, timeout=timeout, preload_content=False, redirect=False
    )
    return answer


def _sent(_method: str, _url: str, headers: Mapping[str, str], *_: object) -> str:
    """The credential that the request carries, as it stands in its header; '' = none there."""
    given = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    return given.rpartition(" ")[2]


def _without(credential: str, body: bytes) -> bytes:
    """Who refuses with our credential in the text is not quoted with it: those words stand in audit, note and page.

    A short one may be a word of the answer, a user's name for example: it is nobody's secret.
    """
    return body.replace(credential.encode(), b"***") if len(credential) >= _SHORTEST_SECRET else body


def as_the_server_writes(body: object) -> bytes:
    """JSON as kube-apiserver writes it (Go's encoding/json): `<`, `>`, `&`, U+2028 and U+2029 escaped, all else as it is.

    A JSON patch's `test` compares texts byte for byte as written: a template with `&&`, written otherwise, would never match.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPED).encode("utf-8")


_ESCAPED = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _date(headers: Mapping[str, str]) -> datetime:
    with contextlib.suppress(TypeError, ValueError):
        return parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    return datetime.now(UTC)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else None


def _certificate(error: BaseException | None) -> bool:
    """Whether a TLS failure is about the other side's certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _object(method: str, path: str, body: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(body)
        if isinstance(value, dict):
            return value
    raise Transient(f"kubernetes: {method} {path}: the answer is not a JSON object")


def _reason(body: bytes) -> str:
    """The Status' message, cut. A 422 that quotes the object never comes this way."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(body)
        if isinstance(value, dict):
            return str(value.get("message", ""))[:200]
    return "not JSON"


def _refused(method: str, path: str, status: int, body: bytes) -> Refused:
    what = f"kubernetes: {method} {path}: {status}"
    if status == 404:
        plain = body.strip() == b"404 page not found"
        return Missing(f"{what} {'this kind is not installed there' if plain else 'not found'}")
    if status == 422:
        return Refused(f"{what}: a test did not hold, or the object does not allow it", status)
    return Refused(f"{what} {_reason(body)}", status)

"""LaunchDarkly through the official client's low-level call: plain dicts, one request each, errors sorted by what to do next.

Its typed calls are not used: they can raise after a flag was switched, because an unknown word stood in the answer.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import secrets
import ssl
import sys
import threading
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from server.clients import CALL_SECONDS
from server.clients.deadline import POOLS, Deadline
from server.errors import Misconfigured, Missing, Refused, Transient, Unknown

CONNECT_SECONDS = 2.0
VERSION, BETA = "20240415", "beta"
WINDOW_SECONDS = 10.0
"""The rate limits are counted over so long; a later reset is a clock that is wrong."""
_PACKAGE = "launchdarkly_api"
_LOADING = threading.Lock()


def _transport() -> tuple[Any, Any, type[Exception]]:
    """ApiClient, Configuration and ApiException of the package, without its models: 0.2 s and 25 MiB instead of 3 s and 117.

    The package's two `__init__` files are stood in for by empty modules while its transport is loaded, and everything is taken
    out of `sys.modules` again: whoever imports the package afterwards gets it whole.
    """
    with _LOADING:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise Misconfigured("the package launchdarkly-api is not installed")
        before = _taken_out()
        try:
            root, models = types.ModuleType(_PACKAGE), types.ModuleType(f"{_PACKAGE}.models")
            root.__path__ = list(spec.submodule_search_locations)
            models.__path__ = []
            sys.modules |= {_PACKAGE: root, f"{_PACKAGE}.models": models}
            root.models = models  # type: ignore[attr-defined]
            found = [
                importlib.import_module(f"{_PACKAGE}.{name}") for name in ("api_client", "configuration", "exceptions")
            ]
            return found[0].ApiClient, found[1].Configuration, found[2].ApiException
        finally:
            _taken_out()
            sys.modules |= before


def _taken_out() -> dict[str, types.ModuleType]:
    names = [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}


class LaunchDarklyApi:
    """Two ApiClients, because the API's version is a header of the client: the current one, and beta. Made in the process that acts."""

    def __init__(self, url: str, token: str) -> None:
        self._token = token
        client, configuration, self._error = _transport()
        settings = configuration(host=url, api_key={"ApiKey": token}, retries=False)
        self._clients = {version: client(settings) for version in (VERSION, BETA)}
        for version, one in self._clients.items():
            one.set_default_header("LD-API-Version", version)
            one.rest_client.pool_manager.pool_classes_by_scheme = POOLS

    def get(self, path: str, *, beta: bool = False) -> tuple[dict[str, Any], datetime]:
        """One object and the answer's hour."""
        try:
            status, headers, body = self._send("GET", path, None, None, beta=beta)
        except Unknown as error:
            raise Transient(error.said) from error
        if status == 429 or status >= 500:
            raise Transient(f"launchdarkly: GET {path}: {status} {self._message(body)}", _wait(headers))
        if status >= 300:
            raise self._refused("GET", path, status, body)
        return _object("GET", path, body), _date(headers)

    def patch(self, path: str, body: object, content_type: str) -> tuple[dict[str, Any], datetime]:
        """One patch, sent once."""
        status, headers, answer = self._send("PATCH", path, body, content_type, beta=False)
        if status == 429 or (status == 503 and "retry-after" in headers):
            raise Transient(f"launchdarkly: PATCH {path}: {status} {self._message(answer)}", _wait(headers))
        if status >= 500:
            raise Unknown(f"launchdarkly: PATCH {path}: {status} {self._message(answer)}")
        if status >= 300:
            raise self._refused("PATCH", path, status, answer)
        try:
            return _object("PATCH", path, answer), _date(headers)
        except Transient as error:
            raise Unknown(error.said) from error

    def _send(
        self, method: str, path: str, body: object, content_type: str | None, *, beta: bool
    ) -> tuple[int, dict[str, str], bytes]:
        if not self._token:
            raise Misconfigured("RIPCORD_LAUNCHDARKLY_TOKEN is not set")
        client = self._clients[BETA if beta else VERSION]
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content_type else {})
        request = client.param_serialize(method, path, header_params=headers, body=body, auth_settings=["ApiKey"])
        what = f"launchdarkly: {method} {path}"
        with Deadline(CALL_SECONDS) as deadline:
            try:
                response = client.call_api(*request, _request_timeout=(CONNECT_SECONDS, CALL_SECONDS))
                return response.status, _lower(response.headers), _read(response.response)
            # A header that cannot be sent (a token with a line break) stands in the error's own text: that text goes nowhere.
            except (urllib3.exceptions.HTTPError, OSError, self._error, ValueError) as error:
                clear = self._sorted(what, error, deadline.passed)
        raise clear from None

    def _message(self, body: bytes) -> str:
        """LaunchDarkly's own sentence, cut. Who answers with our token in it is not quoted with it."""
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(body)
            if isinstance(value, dict):
                return str(value.get("message", "")).replace(self._token, "***")[:200]
        return "not JSON"

    def _refused(self, method: str, path: str, status: int, body: bytes) -> Refused:
        what = f"launchdarkly: {method} {path}: {status} {self._message(body)}"
        return Missing(what) if status == 404 else Refused(what, status)

    def _sorted(self, what: str, error: Exception, late: bool) -> Transient | Unknown:
        """What a broken call means: not sent, or perhaps sent."""
        name = type(error).__name__
        if isinstance(error, self._error):
            # With retries=False a TLS failure arrives as status 0. Only a certificate's own failure is certainly before sending.
            said = f"{what}: no secure connection"
            return (
                Transient(f"{said}, its certificate is not trusted")
                if _certificate(error)
                else Unknown(said, broken=True)
            )
        if isinstance(error, urllib3.exceptions.LocationValueError):
            return Transient(f"{what}: RIPCORD_LAUNCHDARKLY_URL names no host")
        if isinstance(error, ValueError) and not isinstance(error, urllib3.exceptions.HTTPError):
            return Transient(f"{what}: the request could not be sent ({name})")
        if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
            return Transient(f"{what}: no connection ({name})", 1.0)
        if late or isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
            return Unknown(f"{what}: no answer within {CALL_SECONDS:g} s")
        return Unknown(f"{what}: the connection broke ({name})", broken=True)


def _read(response: Any) -> bytes:
    """The whole body; the deadline cuts it off."""
    try:
        body: bytes = response.read()
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return body


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _date(headers: Mapping[str, str]) -> datetime:
    with contextlib.suppress(TypeError, ValueError):
        return parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    return datetime.now(UTC)


def _wait(headers: Mapping[str, str]) -> float:
    """Seconds until it may be asked again. A reset (epoch milliseconds) is compared with the answer's own clock, and may be past."""
    after = _number(headers.get("retry-after", ""))
    if after is not None:
        return min(after, 60.0)
    resets = [_number(headers.get(name, "")) for name in ("x-ratelimit-reset", "x-ratelimit-auth-token-reset")]
    latest = max((one for one in resets if one is not None), default=0.0)
    ahead = latest / 1000 - _date(headers).timestamp()
    return min(max(ahead, 1.0), WINDOW_SECONDS) + secrets.randbelow(500) / 1000


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


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
    raise Transient(f"launchdarkly: {method} {path}: the answer is not a JSON object")

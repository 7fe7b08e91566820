"""What an ordered status looks like: the error body that the vendor of that path would send with it."""

from __future__ import annotations

from http import HTTPStatus

from sandbox.faults import Fault
from sandbox.http import Response, json_response

_PAGERDUTY_CODES = {400: 2001, 401: 2006, 402: 2014, 403: 2010, 404: 2100, 429: 2020}
_KUBERNETES_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def fault_response(fault: Fault, full_path: str) -> Response:
    if fault.body is not None:
        kind = "text/html" if fault.body.lstrip().startswith("<") else "application/json"
        given = list(fault.headers.items())
        named = {name.lower() for name, _ in given}
        headers = given if "content-type" in named else [("Content-Type", kind), *given]
        return Response(fault.status, fault.body.encode(), headers)
    words = _words(fault.status)
    extra = list(fault.headers.items())
    if full_path.startswith("/kubernetes/"):
        return _kubernetes(fault.status, words, extra)
    if full_path.startswith("/pagerduty/"):
        return _pagerduty(fault.status, words, extra)
    return json_response(fault.status, {"code": words.lower().replace(" ", "_"), "message": words}, extra)


def _kubernetes(status: int, words: str, extra: list[tuple[str, str]]) -> Response:
    if status == 429 and not any(name.lower() == "retry-after" for name, _ in extra):
        extra = [("Retry-After", "1"), *extra]
    later = next((value for name, value in extra if name.lower() == "retry-after"), "")
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": words,
        "reason": _KUBERNETES_REASONS.get(status, ""),
        **({"details": {"retryAfterSeconds": int(later)}} if later.isdecimal() else {}),
        "code": status,
    }
    return json_response(status, body, extra)


def _pagerduty(status: int, words: str, extra: list[tuple[str, str]]) -> Response:
    message = "Rate Limit Exceeded" if status == 429 else words
    if status == 429:
        extra = [("ratelimit-limit", "960"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "2"), *extra]
    return json_response(status, {"error": {"message": message, "code": _PAGERDUTY_CODES.get(status, 2000)}}, extra)


def _words(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status {status}"

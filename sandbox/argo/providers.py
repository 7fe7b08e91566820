"""One measurement over HTTP: provider.web and provider.prometheus. Runs in a thread of its own, holds no lock."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from sandbox.argo.expression import CannotTell, holds
from sandbox.argo.names import V1_10, Object
from sandbox.argo.seconds import duration

_ARG = re.compile(r"\{\{\s*args\.([\w-]+)\s*\}\}")


@dataclass(frozen=True)
class Measured:
    phase: str
    value: str = ""
    message: str = ""
    metadata: Object = field(default_factory=dict)


class _Failed(Exception):
    """The provider gave nothing to judge; the text becomes the measurement's message."""


def fill_in(value: Any, args: list[Object]) -> Any:
    """`{{args.x}}` everywhere in a metric."""
    known = {arg["name"]: str(arg.get("value", "")) for arg in args}
    if isinstance(value, str):
        return _ARG.sub(lambda match: known.get(match.group(1), match.group()), value)
    if isinstance(value, dict):
        return {key: fill_in(inner, args) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill_in(inner, args) for inner in value]
    return value


def measure(metric: Object, version: str) -> Measured:
    provider = metric.get("provider") or {}
    metadata: Object = {}
    try:
        if "prometheus" in provider:
            metadata = {"ResolvedPrometheusQuery": str(provider["prometheus"].get("query", ""))}
            result, text = _prometheus(provider["prometheus"])
        elif "web" in provider:
            result, text = _web(provider["web"])
        else:
            return Measured("Error", message=f"no valid provider in metric '{metric.get('name')}'")
        return Measured(_judged(metric, result, version), text, metadata=metadata)
    except _Failed as failure:
        return Measured("Error", message=str(failure), metadata=metadata)
    except CannotTell as failure:
        return Measured("Error", message=str(failure), metadata=metadata)


def _judged(metric: Object, result: Any, version: str) -> str:
    good, bad = metric.get("successCondition"), metric.get("failureCondition")
    if not good and not bad:
        return "Successful"
    try:
        if bad and holds(str(bad), result):
            return "Failed"
        if good and holds(str(good), result):
            return "Successful"
    except CannotTell as problem:
        if version == V1_10 and result in (None, []):
            which = "successCondition" if good else "failureCondition"
            text = f"could not evaluate {which} {json.dumps(str(good or bad))}: metric result is nil or empty"
            raise CannotTell(f"{text}: no data returned from the metric provider") from problem
        raise
    if good and bad:
        return "Inconclusive"
    return "Failed" if good else "Successful"


def _prometheus(settings: Object) -> tuple[Any, str]:
    url = f"{str(settings.get('address', '')).rstrip('/')}/api/v1/query"
    form = urllib.parse.urlencode({"query": settings.get("query", "")}).encode()
    headers = {h["key"]: str(h.get("value", "")) for h in settings.get("headers") or []}
    timeout = float(settings.get("timeout") or 30)
    status, body = _http("POST", url, form, headers, timeout)
    if status in (405, 501):  # as the client library does: POST first, GET where that is not allowed
        status, body = _http("GET", f"{url}?{form.decode()}", None, headers, timeout)
    if status >= 500:
        raise _Failed(f"server_error: server error: {status}")
    if status >= 400:
        raise _Failed(f"client_error: client error: {status}")
    data = (_parsed(body) or {}).get("data") or {}
    found = data.get("result") or []
    if data.get("resultType") == "scalar":
        number = float(found[1])
        return number, _number(number)
    numbers = [float(sample["value"][1]) for sample in found]
    return numbers, "[" + ",".join(_number(number) for number in numbers) + "]"


def _web(settings: Object) -> tuple[Any, str]:
    headers = {h["key"]: str(h.get("value", "")) for h in settings.get("headers") or []}
    body = str(settings["body"]).encode() if settings.get("body") else None
    if settings.get("jsonBody") is not None:
        body = json.dumps(settings["jsonBody"]).encode()
        headers.setdefault("Content-Type", "application/json")
    timeout = float(settings.get("timeoutSeconds") or 10)
    status, text = _http(str(settings.get("method") or "GET"), str(settings.get("url", "")), body, headers, timeout)
    if not 200 <= status < 300:
        raise _Failed(f"received non 2xx response code: {status}")
    parsed = _parsed(text)
    if settings.get("jsonPath"):
        parsed = _at(parsed, str(settings["jsonPath"]))
    return parsed, parsed if isinstance(parsed, str) else json.dumps(parsed, separators=(",", ":"))


def _http(method: str, url: str, body: bytes | None, headers: dict[str, str], timeout: float) -> tuple[int, str]:
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return int(answer.status), answer.read().decode(errors="replace")
    except urllib.error.HTTPError as refused:
        with refused:
            return int(refused.code), ""
    except urllib.error.URLError as broken:
        raise _Failed(f'{method.title()} "{url}": {_reason(broken.reason, url)}') from broken
    except (OSError, ValueError) as broken:
        raise _Failed(f'{method.title()} "{url}": {_reason(broken, url)}') from broken


def _reason(problem: object, url: str) -> str:
    place = urllib.parse.urlsplit(url).netloc
    if isinstance(problem, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(problem, ConnectionRefusedError):
        return f"dial tcp {place}: connect: connection refused"
    if isinstance(problem, socket.gaierror):
        return f"dial tcp: lookup {place.partition(':')[0]}: no such host"
    return str(problem)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as broken:
        raise _Failed(f"Could not parse JSON body: {broken}") from broken


def _at(value: Any, path: str) -> Any:
    """`{$.data.items[0].ok}`: the members that people use, no filters."""
    inside = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    for name, index, quoted in re.findall(r"\.?([\w-]+)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]", inside):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError) as missing:
            raise _Failed(f"Could not find JSONPath in body: {name or quoted or index} is not found") from missing
    return value


def _number(value: float) -> str:
    return "NaN" if value != value else f"{value:g}" if value == float(f"{value:g}") else repr(value)


def interval(metric: Object, *, after_error: bool) -> float | None:
    """Seconds to the next measurement; None = there is none. After an error it is always 10."""
    if after_error:
        return 10.0
    return duration(metric.get("interval"))

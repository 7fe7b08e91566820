"""Our client of LaunchDarkly against its sandbox and strange servers: one request for each call, sorted by what to do next."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import pytest

from sandbox.start import Sandbox, start
from server.clients.launchdarkly import LaunchDarklyApi
from server.errors import Misconfigured, Missing, Refused, RipcordError, Transient, Unknown
from tests.contract.strange_server import answering, http
from tests.sandbox.door import Door
from tests.support.leaks import Lines, assert_leaks_no_secret, everything_said
from tests.support.processes import ROOT, free_port

FLAG = "/api/v2/flags/default/new-checkout"
READ, WRITE = f"{FLAG}?env=production", f"{FLAG}?ignoreConflicts=true"
DEPENDENTS = "/api/v2/flags/default/production/new-checkout/dependent-flags"
JSON_PATCH = "application/json"
TOKEN = "api-0815-token-not-for-anybody"


def off(version: int) -> dict[str, Any]:
    at = "/environments/production"
    test = {"op": "test", "path": f"{at}/version", "value": version}
    return {"comment": "é", "patch": [test, {"op": "replace", "path": f"{at}/on", "value": False}]}


@dataclass
class Town:
    sandbox: Sandbox
    door: Door
    client: LaunchDarklyApi

    def fault(self, do: str, method: str, **more: Any) -> None:
        one = {"match": {"method": method, "path": "/launchdarkly/*"}, "do": do, **more}
        assert self.door.control("faults", [one]).status == 200

    def rows(self, method: str) -> list[dict[str, Any]]:
        return [row for row in self.door.log() if row["method"] == method and "launchdarkly" in row["path"]]

    def read(self) -> object:
        return self.client.get(READ)

    def write(self) -> object:
        return self.client.patch(WRITE, off(41), JSON_PATCH)

    def error(self, call: Callable[[], object], method: str, do: str, **more: Any) -> RipcordError:
        """What a call raises under a fault; it is one request, whatever happens."""
        before = len(self.rows(method))
        self.fault(do, method, **more)
        error = raised(call)
        assert len(self.rows(method)) - before == 1
        return error


def raised(call: Callable[[], object]) -> RipcordError:
    with pytest.raises(RipcordError) as caught:
        call()
    return caught.value


@pytest.fixture
def town() -> Iterator[Town]:
    sandbox = start(scene=False, ticking=False, seed=11)
    url = f"{sandbox.base_url}/launchdarkly"
    yield Town(sandbox, Door(sandbox), LaunchDarklyApi(url, sandbox.world.launchdarkly.token))
    sandbox.end()


# ---- what works ----


def test_a_flag_and_the_hour_of_the_answer_are_read(town: Town) -> None:
    flag, date = town.client.get(READ)
    assert (flag["key"], list(flag["environments"]), date.tzinfo) == ("new-checkout", ["production"], UTC)


def test_a_beta_resource_is_asked_for_as_such_and_the_rest_is_not(town: Town) -> None:
    assert isinstance(raised(lambda: town.client.get(DEPENDENTS)), Refused)
    assert town.client.get(DEPENDENTS, beta=True)[0]["items"] == []


def test_a_bound_patch_arrives_as_it_was_given(town: Town) -> None:
    flag, _ = town.client.patch(WRITE, off(41), JSON_PATCH)
    assert (flag["environments"]["production"]["on"], flag["environments"]["production"]["version"]) == (False, 42)
    (row,) = town.rows("PATCH")
    assert (row["query"], json.loads(row["body"]), row["applied"]) == ("ignoreConflicts=true", off(41), True)


def test_a_semantic_patch_says_so_in_its_content_type(town: Town) -> None:
    body = {"environmentKey": "production", "instructions": [{"kind": "turnFlagOff"}]}
    flag, _ = town.client.patch(FLAG, body, "application/json; domain-model=launchdarkly.semanticpatch")
    assert flag["environments"]["production"]["on"] is False


def test_the_token_goes_bare_and_the_version_of_the_api_is_asked_for() -> None:
    with answering(http("200 OK")) as server:
        LaunchDarklyApi(server.url, TOKEN).get(READ)
    (request,) = server.requests
    head = request.decode().lower()
    assert f"authorization: {TOKEN}\r\n" in head
    assert "ld-api-version: 20240415\r\n" in head


# ---- answers ----


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_cannot_be_read_now_may_be_asked_again(town: Town, status: int) -> None:
    error = town.error(town.read, "GET", "status", status=status)
    assert type(error) is Transient
    assert str(status) in error.said


@pytest.mark.parametrize("status", [400, 401, 403, 405, 409, 422])
def test_a_no_is_refused_with_launchdarklys_own_sentence(town: Town, status: int) -> None:
    body = json.dumps({"code": "x", "message": "because of that"})
    for call, method in ((town.read, "GET"), (town.write, "PATCH")):
        error = town.error(call, method, "status", status=status, body=body)
        assert (type(error), getattr(error, "status", None)) == (Refused, status)
        assert "because of that" in error.said


def test_what_does_not_exist_is_missing(town: Town) -> None:
    assert isinstance(raised(lambda: town.client.get("/api/v2/flags/default/none?env=production")), Missing)
    assert isinstance(raised(lambda: town.client.patch("/api/v2/flags/default/none", off(1), JSON_PATCH)), Missing)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_on_a_write_leaves_it_open_whether_it_was_done(town: Town, status: int) -> None:
    error = town.error(town.write, "PATCH", "status", status=status)
    assert (type(error), getattr(error, "broken", None)) == (Unknown, False)


def test_an_answer_after_the_effect_is_no_other_answer(town: Town) -> None:
    error = town.error(town.write, "PATCH", "status_after_apply", status=502)
    assert type(error) is Unknown
    assert town.rows("PATCH")[0]["applied"] is True


@pytest.mark.parametrize("call", ["read", "write"])
def test_html_is_never_taken_for_a_flag(town: Town, call: str) -> None:
    method = {"read": "GET", "write": "PATCH"}[call]
    error = town.error(getattr(town, call), method, "status", status=200, body="<html>Sign in</html>")
    assert type(error) is {"read": Transient, "write": Unknown}[call]


def wait(town: Town, status: int = 429, **headers: str) -> float:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    error = town.error(town.write, "PATCH", "status", status=status, body="{}", headers=sent)
    town.door.control("faults", None, "DELETE")
    assert isinstance(error, Transient)
    assert error.retry_after is not None
    return error.retry_after


def test_a_rate_limit_says_when_it_ends_and_is_not_believed_beyond_its_window(town: Town) -> None:
    now = int(town.sandbox.world.clock.for_headers().timestamp() * 1000)
    assert 3 < wait(town, X_Ratelimit_Reset=str(now + 5000)) < 6.6
    assert 6 < wait(town, X_Ratelimit_Reset=str(now), X_Ratelimit_Auth_Token_Reset=str(now + 8000)) < 9.6
    assert 1 <= wait(town, X_Ratelimit_Reset=str(now - 60_000)) < 1.6, "a reset in the past has been seen"
    assert wait(town, X_Ratelimit_Reset=str(now + 10**9)) < 10.6
    assert wait(town, Retry_After="7") == 7
    assert wait(town, status=503, Retry_After="9") == 9
    assert wait(town, Retry_After="999999") == 60


@pytest.mark.parametrize("value", ["", "soon", "-3", "²", "9" * 40])
def test_a_reset_that_is_no_time_is_left_aside(town: Town, value: str) -> None:
    with answering(http("429 Too Many", b"{}", f"X-Ratelimit-Reset: {value}".encode().decode("latin-1"))) as server:
        error = raised(lambda: LaunchDarklyApi(server.url, TOKEN).patch(WRITE, off(1), JSON_PATCH))
    assert isinstance(error, Transient)
    assert error.retry_after is not None
    assert 1 <= error.retry_after < 1.6


def test_the_sandboxs_own_limit_is_met_like_any_other(town: Town) -> None:
    clock = town.sandbox.world.clock
    clock.advance(10 - clock.now().timestamp() % 10)
    errors = []
    for _ in range(310):
        try:
            town.read()
        except Transient as error:
            errors.append(error)
    assert errors
    assert all(error.retry_after is not None and error.retry_after < 10.6 for error in errors)


# ---- broken connections and slow servers ----


@pytest.mark.parametrize(("do", "applied"), [("reset_before", False), ("reset_after_apply", True)])
def test_a_connection_that_breaks_after_sending_leaves_it_open(town: Town, do: str, applied: bool) -> None:
    error = town.error(town.write, "PATCH", do)
    assert (type(error), getattr(error, "broken", None)) == (Unknown, True)
    assert town.rows("PATCH")[0]["applied"] is applied


def test_a_read_that_breaks_may_be_asked_again(town: Town) -> None:
    assert type(town.error(town.read, "GET", "reset_before")) is Transient


def test_a_body_that_ends_too_early_is_a_broken_connection() -> None:
    half = b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"key":'
    with answering(half) as server:
        error = raised(lambda: LaunchDarklyApi(server.url, TOKEN).patch(WRITE, off(1), JSON_PATCH))
        assert (type(error), getattr(error, "broken", None), len(server.requests)) == (Unknown, True, 1)
        assert type(raised(lambda: LaunchDarklyApi(server.url, TOKEN).get(READ))) is Transient


def test_nobody_there_means_not_done() -> None:
    client = LaunchDarklyApi(f"http://127.0.0.1:{free_port()}", TOKEN)
    for call in (lambda: client.get(READ), lambda: client.patch(WRITE, off(1), JSON_PATCH)):
        error = raised(call)
        assert isinstance(error, Transient)
        assert "no connection" in error.said


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\nContent-Type: a", b" " * 60])
def test_a_server_that_drips_meets_the_total_deadline(drip: bytes) -> None:
    head = (
        b""
        if drip.startswith(b"HTTP")
        else b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n"
    )
    with answering(head, drip) as server:
        started = time.monotonic()
        error = raised(lambda: LaunchDarklyApi(server.url, TOKEN).patch(WRITE, off(1), JSON_PATCH))
        took = time.monotonic() - started
    assert (type(error), getattr(error, "broken", None)) == (Unknown, False)
    assert "no answer within 5 s" in error.said
    assert 4.5 < took < 7
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(status: str) -> None:
    there = http("200 OK", json.dumps({"key": "x"}).encode())
    with answering(there) as other, answering(http(status, b"{}", f"Location: {other.url}{FLAG}")) as server:
        client = LaunchDarklyApi(server.url, TOKEN)
        assert isinstance(raised(lambda: client.get(READ)), Refused)
        assert isinstance(raised(lambda: client.patch(WRITE, off(1), JSON_PATCH)), Refused)
    assert other.requests == []


# ---- secrets and settings ----


def test_without_a_token_nothing_is_sent() -> None:
    with answering(http("200 OK")) as server:
        error = raised(lambda: LaunchDarklyApi(server.url, "").get(READ))
    assert (type(error), error.said) == (Misconfigured, "RIPCORD_LAUNCHDARKLY_TOKEN is not set")
    assert server.requests == []


@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN}\n", f"{TOKEN}é"])
def test_no_error_and_no_log_line_holds_the_token(token: str) -> None:
    lines, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    said: list[str] = []
    try:
        for head in (
            http("401 Unauthorized", json.dumps({"message": f"not {token}"}).encode()),
            b"nonsense\r\n\r\n",
            b"",
        ):
            with answering(head) as server:
                client = LaunchDarklyApi(server.url, token)
                for call in (lambda: client.get(READ), lambda: client.patch(WRITE, off(1), JSON_PATCH)):  # noqa: B023
                    said += everything_said(raised(call))
            said.append(repr(client))
    finally:
        root.removeHandler(lines)
        root.setLevel(level)
    assert_leaks_no_secret([*said, *lines.texts], [TOKEN])


def test_it_costs_little_and_leaves_the_package_whole_for_others() -> None:
    """The package's own import takes 3 s and 100 MiB: none of its models is loaded, and a later import gets all of it."""
    script = """
import sys
from server.clients.launchdarkly import LaunchDarklyApi
LaunchDarklyApi("http://127.0.0.1:1", "t")
assert not [name for name in sys.modules if name.startswith("launchdarkly_api")], "nothing of it is left behind"
import launchdarkly_api.exceptions
from launchdarkly_api.models.feature_flag import FeatureFlag
assert FeatureFlag.__name__ == "FeatureFlag"
LaunchDarklyApi("http://127.0.0.1:1", "t")
assert sys.modules["launchdarkly_api"].FeatureFlagsApi
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

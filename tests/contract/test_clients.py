"""Our two clients against the vendors' world: whatever goes wrong is sorted by what to do next, and each call is one request."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.kubernetes import kubeconfig
from sandbox.start import Sandbox, start
from server.annotations import pagerduty_note
from server.clients.kubernetes import KubernetesApi
from server.clients.pagerduty import PagerDutyApi
from server.core.note import marker
from server.errors import Misconfigured, Missing, Refused, RipcordError, Transient, Unknown
from tests.contract.strange_server import answering, http
from tests.contract.wire import JSON_PATCH, ROLLOUTS, Cluster, rollout
from tests.sandbox.door import Door
from tests.support.leaks import Lines, assert_leaks_no_secret, everything_said
from tests.support.processes import free_port

TOKEN = "kube-token-4711-not-for-anybody"
KEY = "u+pagerdutykey0815notforyou"
PATH = f"{ROLLOUTS}/web"
STATUS = f"{PATH}/status"
ABORT = [{"op": "add", "path": "/status/abort", "value": True}]
SAID: list[str] = []
HTML = "<html><body>Sign in to the proxy</body></html>"


def now() -> datetime:
    return datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC)


def config(base_url: str, folder: Path, token: str = TOKEN) -> str:
    path = folder / "kubeconfig"
    text = kubeconfig(base_url).replace("token: ripcord", f"token: {json.dumps(token)}")
    assert json.dumps(token) in text
    path.write_text(text, encoding="utf-8")
    return str(path)


@dataclass
class Town:
    sandbox: Sandbox
    door: Door
    kubernetes: KubernetesApi
    pagerduty: PagerDutyApi
    incident: str

    def fault(self, path: str, do: str, method: str = "*", **more: Any) -> None:
        assert (
            self.door.control("faults", [{"match": {"method": method, "path": path}, "do": do, **more}]).status == 200
        )

    def requests(self, path: str) -> int:
        return sum(path in row["path"] for row in self.door.log())


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    sandbox = start(scene=False, ticking=False, seed=11)
    sandbox.world.pagerduty.account.api_key = KEY
    cluster, door = Cluster(sandbox), Door(sandbox)
    assert cluster.post("/api/v1/namespaces", {"metadata": {"name": "wire"}}).code == 201
    assert cluster.post(ROLLOUTS, rollout()).code == 201
    assert cluster.merge(STATUS, {"status": {"currentPodHash": "aaa"}}).code == 200
    incident = door.incident(rollout="web")
    kubernetes = KubernetesApi(config(sandbox.base_url, tmp_path))
    pagerduty = PagerDutyApi(f"{sandbox.base_url}/pagerduty", KEY, "ripcord@example.com", now)
    yield Town(sandbox, door, kubernetes, pagerduty, incident)
    sandbox.end()


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Whatever a test here provokes: neither its errors nor any library's log at DEBUG holds a secret."""
    lines, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    SAID.clear()
    yield
    root.removeHandler(lines)
    root.setLevel(before)
    assert_leaks_no_secret([*SAID, *lines.texts], [TOKEN, KEY])


def error_of(call: Callable[[], object]) -> RipcordError:
    """What the call raises; everything it says is looked through for secrets at the end of the test."""
    with pytest.raises(RipcordError) as caught:
        call()
    SAID.extend(everything_said(caught.value))
    return caught.value


Call = Callable[[Town], object]
# One request each: what is asked, and the path that counts it in the vendors' own log.
READS: dict[str, tuple[Call, str]] = {
    "kubernetes": (lambda town: town.kubernetes.get("default", PATH), f"/kubernetes{PATH}"),
    "pagerduty": (lambda town: town.pagerduty.notes(town.incident), "/notes"),
}
WRITES: dict[str, tuple[Call, str]] = {
    "kubernetes": (lambda town: town.kubernetes.patch("default", STATUS, ABORT, JSON_PATCH), f"/kubernetes{STATUS}"),
    "pagerduty": (lambda town: town.pagerduty.add_note(town.incident, "hello"), "/notes"),
}
both = pytest.mark.parametrize("vendor", ["kubernetes", "pagerduty"])


def provoke(town: Town, calls: dict[str, tuple[Call, str]], vendor: str, do: str, **more: Any) -> RipcordError:
    """The error of one call under one fault; exactly one request has left."""
    call, path = calls[vendor]
    before = town.requests(path)
    town.fault(f"*{path}", do, **more)
    error = error_of(lambda: call(town))
    assert town.requests(path) - before == 1
    return error


def applied(town: Town, vendor: str) -> int:
    method, path = {"kubernetes": ("PATCH", STATUS), "pagerduty": ("POST", "/notes")}[vendor]
    return sum(row["applied"] and row["method"] == method and path in row["path"] for row in town.door.log()) - (
        1 if vendor == "kubernetes" else 0  # the scene's own status
    )


# ---- what works ----


def test_an_object_and_the_hour_of_the_api_server_are_read(town: Town) -> None:
    found, date = town.kubernetes.get("default", PATH)
    assert (found["metadata"]["name"], date.tzinfo) == ("web", UTC)


def test_a_patch_is_sent_once_under_our_name(town: Town) -> None:
    answer, _ = town.kubernetes.patch("default", STATUS, ABORT, JSON_PATCH)
    assert answer["status"]["abort"] is True
    (row,) = [row for row in town.door.log() if row["query"] == "fieldManager=ripcord"]
    assert (row["method"], row["applied"]) == ("PATCH", True)


def test_a_patch_bound_to_a_template_holds_whatever_people_write_in_it(town: Town) -> None:
    template = {"metadata": {"annotations": {"motto": "<é> && \u2028"}}}
    assert Cluster(town.sandbox).merge(PATH, {"spec": {"template": template}}).code == 200
    found, _ = town.kubernetes.get("default", PATH)
    bound = {"op": "test", "path": "/spec/template", "value": found["spec"]["template"]}
    answer, _ = town.kubernetes.patch("default", STATUS, [bound, *ABORT], JSON_PATCH)
    assert answer["status"]["abort"] is True


def test_a_note_is_added_found_and_edited(town: Town) -> None:
    note = town.pagerduty.add_note(town.incident, "first")
    town.pagerduty.edit_note(town.incident, note, "last")
    assert town.pagerduty.notes(town.incident) == [(note, "last")]


def test_an_incident_comes_with_its_alerts_in_two_requests(town: Town) -> None:
    before = len(town.door.log())
    incident = town.pagerduty.incident(town.incident)
    assert [(alert.details or {})["rollout"] for alert in incident.alerts] == ["web"]
    assert len(town.door.log()) - before == 2


# ---- answers ----


@both
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_cannot_be_read_now_may_be_asked_again(town: Town, vendor: str, status: int) -> None:
    error = provoke(town, READS, vendor, "status", status=status)
    assert type(error) is Transient
    assert str(status) in error.said


@both
@pytest.mark.parametrize(
    ("status", "headers", "wait"), [(429, {"Retry-After": "7"}, 7), (503, {"Retry-After": "9"}, 9)]
)
def test_a_write_that_was_turned_away_with_an_hour_to_come_back_was_not_done(
    town: Town, vendor: str, status: int, headers: dict[str, str], wait: float
) -> None:
    quiet = {"body": "{}"} if vendor == "pagerduty" else {}
    error = provoke(town, WRITES, vendor, "status", status=status, headers=headers, **quiet)
    assert (type(error), getattr(error, "retry_after", None)) == (Transient, wait)
    assert applied(town, vendor) == 0


def test_pagerdutys_own_header_says_when_the_rate_limit_ends(town: Town) -> None:
    error = provoke(town, WRITES, "pagerduty", "status", status=429)
    assert (type(error), getattr(error, "retry_after", None)) == (Transient, 2.0)


@both
@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-3", "²"])
def test_a_retry_after_that_is_no_number_of_seconds_is_left_aside(town: Town, vendor: str, value: str) -> None:
    error = provoke(town, WRITES, vendor, "status", status=429, body="{}", headers={"Retry-After": value})
    assert (type(error), getattr(error, "retry_after", 0)) == (Transient, None)


@both
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_any_other_server_error_on_a_write_leaves_it_open_whether_it_was_done(
    town: Town, vendor: str, status: int
) -> None:
    error = provoke(town, WRITES, vendor, "status", status=status)
    assert type(error) is Unknown


def test_a_patch_that_a_server_error_answered_is_never_sent_again(town: Town) -> None:
    """Only `broken` lets the action send it once more: a PATCH behind a 5xx was applied later."""
    error = provoke(town, WRITES, "kubernetes", "status", status=504)
    assert (type(error), getattr(error, "broken", None)) == (Unknown, False)


@both
def test_a_write_that_took_effect_behind_a_502_is_not_called_failed(town: Town, vendor: str) -> None:
    error = provoke(town, WRITES, vendor, "status_after_apply", status=502)
    assert (type(error), applied(town, vendor)) == (Unknown, 1)


@pytest.mark.parametrize("status", [400, 403, 409, 415, 422])
def test_what_the_api_server_refuses_is_refused_with_its_status(town: Town, status: int) -> None:
    error = provoke(town, WRITES, "kubernetes", "status", status=status)
    assert (type(error), getattr(error, "status", None)) == (Refused, status)


def test_a_422_that_quotes_the_whole_object_says_nothing_of_it(town: Town) -> None:
    body = '{"kind":"Status","message":"Invalid value: {\\"env\\":\\"DB_PASSWORD=hunter2hunter2\\"}"}'
    error = provoke(town, WRITES, "kubernetes", "status", status=422, body=body)
    assert "hunter2" not in error.said


@pytest.mark.parametrize("status", [401, 403])
def test_pagerduty_without_rights_is_not_readable_now_and_a_note_is_not_done(town: Town, status: int) -> None:
    assert type(provoke(town, READS, "pagerduty", "status", status=status, times=1)) is Transient
    assert type(provoke(town, WRITES, "pagerduty", "status", status=status)) is Transient
    assert applied(town, "pagerduty") == 0


def test_a_cluster_without_rights_says_so(town: Town) -> None:
    for status in (401, 403):
        error = provoke(town, READS, "kubernetes", "status", status=status, times=1)
        assert (type(error), getattr(error, "status", None)) == (Refused, status)


def test_a_note_that_pagerduty_does_not_take_is_refused(town: Town) -> None:
    error = provoke(town, WRITES, "pagerduty", "status", status=400)
    assert (type(error), getattr(error, "status", None)) == (Refused, 400)


@both
def test_what_is_not_there_is_missing(town: Town, vendor: str) -> None:
    assert type(provoke(town, READS, vendor, "status", status=404, times=1)) is Missing
    assert type(provoke(town, WRITES, vendor, "status", status=404)) is Missing


def test_a_plain_404_means_that_the_kind_is_not_installed(town: Town) -> None:
    missing = error_of(lambda: town.kubernetes.get("default", f"{PATH}-other"))
    plain = error_of(lambda: town.kubernetes.get("default", "/apis/argoproj.io/v9/namespaces/wire/rollouts/web"))
    assert missing.said.endswith("404 not found")
    assert plain.said.endswith("404 this kind is not installed there")


@pytest.mark.parametrize("incident", ["../services", "Q1/notes", "", "Q" * 65, "Ärger", "Q1?x=1"])
def test_what_is_no_id_never_becomes_a_path(town: Town, incident: str) -> None:
    before = len(town.door.log())
    assert type(error_of(lambda: town.pagerduty.notes(incident))) is Missing
    assert len(town.door.log()) == before


@both
@pytest.mark.parametrize("body", [HTML, "[]", "", "{", "[" * 5000], ids=["html", "list", "empty", "cut", "deep"])
def test_a_200_that_is_no_json_object_is_no_answer(town: Town, vendor: str, body: str) -> None:
    said = {"status": 200, "body": body or " "}
    assert type(provoke(town, READS, vendor, "status", times=1, **said)) is Transient
    error = provoke(town, WRITES, vendor, "status", **said)
    # PagerDuty answered: its note is there already or never will be. A PATCH behind such an answer may yet come.
    assert (type(error), getattr(error, "broken", None)) == (Unknown, vendor == "pagerduty")


@pytest.mark.parametrize("body", ['{"notes": 3}', '{"notes": [{}]}', '{"incident": {}}', "{}"])
def test_an_answer_of_another_shape_is_not_readable_now(town: Town, body: str) -> None:
    town.fault("*/pagerduty/*", "status", status=200, body=body)
    assert type(error_of(lambda: town.pagerduty.notes(town.incident))) is Transient
    assert type(error_of(lambda: town.pagerduty.incident(town.incident))) is Transient


def test_a_note_without_an_id_in_the_answer_may_or_may_not_stand_there(town: Town) -> None:
    for body in ('{"note": {}}', '{"note": null}', "{}"):
        town.fault("*/notes", "status", status=201, body=body, times=1)
        assert type(error_of(lambda: town.pagerduty.add_note(town.incident, "hello"))) is Unknown


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(town: Town, vendor: str, status: int) -> None:
    with answering(http("200 OK")) as elsewhere:
        headers = {"Location": f"{elsewhere.url}/steal"}
        said = {"status": status, "body": "{}", "headers": headers}
        expected = {"kubernetes": Refused, "pagerduty": Transient}[vendor]
        assert type(provoke(town, READS, vendor, "status", times=1, **said)) is expected
        assert type(provoke(town, WRITES, vendor, "status", **said)) is Refused
        assert elsewhere.requests == []


# ---- connections ----


def test_a_refused_connection_was_certainly_not_done(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    kubernetes = KubernetesApi(config(url, tmp_path))
    pagerduty = PagerDutyApi(url, KEY, "ripcord@example.com", now)
    for call in (
        lambda: kubernetes.get("default", PATH),
        lambda: kubernetes.patch("default", STATUS, ABORT, JSON_PATCH),
        lambda: pagerduty.notes("Q1"),
        lambda: pagerduty.add_note("Q1", "hello"),
    ):
        error = error_of(call)
        assert (type(error), getattr(error, "retry_after", None)) == (Transient, 1.0)


@both
@pytest.mark.parametrize("do", ["reset_before", "reset_after_apply"])
def test_a_connection_that_breaks_after_sending_leaves_a_write_open(town: Town, vendor: str, do: str) -> None:
    assert type(provoke(town, READS, vendor, do, times=1)) is Transient
    error = provoke(town, WRITES, vendor, do)
    assert (type(error), getattr(error, "broken", None)) == (Unknown, True)
    assert applied(town, vendor) == (1 if do == "reset_after_apply" else 0)


@both
def test_a_body_that_ends_too_early_is_a_broken_connection(vendor: str, tmp_path: Path) -> None:
    with answering(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"note":') as cut:
        error = error_of(lambda: write(vendor, cut.url, tmp_path))
        assert (type(error), getattr(error, "broken", None), len(cut.requests)) == (Unknown, True, 1)


def write(vendor: str, url: str, folder: Path) -> object:
    if vendor == "kubernetes":
        base = config(url, folder)
        return KubernetesApi(base).patch("default", STATUS, ABORT, JSON_PATCH)
    return PagerDutyApi(url, KEY, "ripcord@example.com", now).add_note("Q1", "hello")


@pytest.mark.parametrize("status", [403, 404])
def test_right_after_a_lost_connection_a_403_or_404_may_only_mean_that_the_api_server_starts(
    town: Town, tmp_path: Path, status: int
) -> None:
    clock = [100.0]
    kubernetes = KubernetesApi(town.kubernetes.kubeconfig, monotonic=lambda: clock[0])
    town.fault("*", "reset_before", times=1)
    town.fault("*/kubernetes/*", "status", status=status)
    error_of(lambda: kubernetes.get("default", PATH))
    clock[0] += 2.9
    assert type(error_of(lambda: kubernetes.get("default", PATH))) is Transient
    assert type(error_of(lambda: kubernetes.patch("default", STATUS, ABORT, JSON_PATCH))) is Transient
    clock[0] += 0.2
    assert isinstance(error_of(lambda: kubernetes.get("default", PATH)), Refused)
    assert isinstance(error_of(lambda: kubernetes.patch("default", STATUS, ABORT, JSON_PATCH)), Refused)


@both
def test_a_server_that_never_answers_is_given_up_after_five_seconds(town: Town, vendor: str) -> None:
    began = time.monotonic()
    error = provoke(town, WRITES, vendor, "hold_before")
    assert (type(error), getattr(error, "broken", None)) == (Unknown, False)
    assert "no answer within 5 s" in error.said
    assert 4.5 < time.monotonic() - began < 6.5
    town.door.control("release", {})


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@both
@pytest.mark.parametrize(("head", "drip"), [(HEAD, b" " * 1000), (b"", b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 1000)])
def test_a_server_that_drips_is_given_up_after_five_seconds_too(
    vendor: str, head: bytes, drip: bytes, tmp_path: Path
) -> None:
    with answering(head, drip) as slow:
        began = time.monotonic()
        error = error_of(lambda: write(vendor, slow.url, tmp_path))
        assert (type(error), getattr(error, "broken", None), len(slow.requests)) == (Unknown, False, 1)
        assert "no answer within 5 s" in error.said
        assert 4.5 < time.monotonic() - began < 6.5


def test_after_a_broken_call_the_next_one_works(town: Town) -> None:
    for vendor in ("kubernetes", "pagerduty"):
        provoke(town, WRITES, vendor, "reset_before", times=1)
        WRITES[vendor][0](town)
        assert applied(town, vendor) == 1


# ---- credentials ----


@pytest.mark.parametrize("end", ["\n", "\r\nX-Other: 1", "\n" + "x" * 9])
def test_a_token_with_a_line_break_is_never_sent_and_never_said(town: Town, tmp_path: Path, end: str) -> None:
    kubernetes = KubernetesApi(config(town.sandbox.base_url, tmp_path, TOKEN + end))
    pagerduty = PagerDutyApi(f"{town.sandbox.base_url}/pagerduty", KEY + end, "ripcord@example.com", now)
    before = len(town.door.log())
    for call in (
        lambda: kubernetes.get("default", PATH),
        lambda: kubernetes.patch("default", STATUS, ABORT, JSON_PATCH),
        lambda: pagerduty.notes(town.incident),
        lambda: pagerduty.add_note(town.incident, "hello"),
    ):
        assert type(error_of(call)) is Transient
    assert len(town.door.log()) == before


def test_a_netrc_entry_for_the_host_does_not_replace_the_key(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n", encoding="ascii")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert town.pagerduty.add_note(town.incident, "hello")
    assert town.kubernetes.get("default", PATH)


@both
def test_the_credential_is_in_no_error_of_a_server_that_quotes_it_back(vendor: str, tmp_path: Path) -> None:
    for status in ("400 Bad Request", "401 Unauthorized", "500 Internal Server Error", "429 Too Many Requests"):
        mine = TOKEN if vendor == "kubernetes" else KEY
        body = f'{{"message": "who is {mine}?", "error": {{"message": "{mine}"}}}}'.encode()
        with answering(http(status, body)) as rude:
            error = error_of(lambda url=rude.url: write(vendor, url, tmp_path))
            assert (status[:3] in error.said, len(rude.requests)) == (True, 1)


@pytest.mark.parametrize("token", [TOKEN, "ripcord"])
def test_an_answer_that_succeeded_is_read_as_it_is_whatever_word_of_it_the_credential_is(
    tmp_path: Path, token: str
) -> None:
    body = json.dumps({"metadata": {"managedFields": [{"manager": token}]}}).encode()
    with answering(http("200 OK", body)) as good:
        answer, _ = KubernetesApi(config(good.url, tmp_path, token)).get("default", PATH)
    assert answer["metadata"]["managedFields"] == [{"manager": token}]


@pytest.mark.parametrize("text", ["", "{", "apiVersion: v1", "- a\n- b", "clusters: 3\ncontexts: 4", "\x00"])
def test_a_kubeconfig_that_cannot_be_used_is_named_without_a_word_of_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text + f"\n# {TOKEN}\n", encoding="utf-8")
    error = error_of(lambda: KubernetesApi(str(path)).get("default", PATH))
    assert type(error) is Misconfigured
    assert error.said.startswith("cluster default: the kubeconfig cannot be used")


def test_a_context_that_does_not_exist_is_named(town: Town) -> None:
    error = error_of(lambda: town.kubernetes.get("elsewhere", PATH))
    assert (type(error), "cluster elsewhere" in error.said) == (Misconfigured, True)


def test_a_note_that_only_quotes_a_marker_is_not_taken_for_our_own(town: Town) -> None:
    town.pagerduty.add_note(town.incident, "see [ripcord r-1/note] above")
    assert pagerduty_note.find(town.pagerduty, town.incident, marker("r-1")) == {"none": True}
    ours = town.pagerduty.add_note(town.incident, "Ripcord: …\nEvidence: …  [ripcord r-1/note]")
    assert pagerduty_note.find(town.pagerduty, town.incident, marker("r-1")) == {"note": ours}

"""The flag over real sockets: an alert on the flag's service turns it off, proves it by reading, tells it, writes it down."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.story.town import Town
from tests.support.waiting import eventually

Build = Callable[..., Town]
Json = dict[str, Any]
FLAG = "/api/v2/flags/default/new-checkout"
PATCHES = f"/launchdarkly{FLAG}"
SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"


def launchdarkly(
    town: Town, method: str, path: str, body: object = None, kind: str = "application/json", token: str = ""
) -> Json:
    """A request of somebody else's to LaunchDarkly."""
    answer = town.http.request(
        method,
        f"{town.world}/launchdarkly{path}",
        body=None if body is None else json.dumps(body),
        headers={"Authorization": token or town.exports["RIPCORD_LAUNCHDARKLY_TOKEN"], "Content-Type": kind},
        timeout=10,
    )
    assert answer.status < 300, (answer.status, answer.data)
    return dict(answer.json()) if answer.data else {}


def turn(town: Town, kind: str) -> Json:
    body = {"environmentKey": "production", "comment": "by hand", "instructions": [{"kind": kind}]}
    return launchdarkly(town, "PATCH", FLAG, body, SEMANTIC)


def production(town: Town) -> Json:
    return dict(launchdarkly(town, "GET", f"{FLAG}?env=production")["environments"]["production"])


def alert(town: Town, dedup: str = "flag", **details: object) -> None:
    named: Json = {"alertname": "CheckoutErrors", "deployment_type": "feature-flag", "flag": "new-checkout"}
    town.alert(dedup, key="f" * 32, summary="checkout fails", **{**named, **details})


def assert_one_effect_and_its_rows(town: Town, run: Json) -> None:
    """One applied patch, one intent, an outcome for it, one note."""
    assert len(town.effects("PATCH", PATCHES)) == 1
    rows = town.audit(run["id"])
    assert [row["key"] for row in rows if row["tag"] == "step_intended"] == [f"{run['id']}/0/1/step_intended"]
    assert f"{run['id']}/0/1/step_done" in {row["key"] for row in rows}
    town.note()
    assert len(town.effects("POST", "/notes")) == 1


@pytest.mark.parametrize("database", ["sqlite_url", "postgresql_url"])
def test_an_alert_turns_the_flag_off_and_the_note_says_that_it_is_proven(
    build: Build, database: str, request: pytest.FixtureRequest
) -> None:
    town = build(request.getfixturevalue(database))
    before = production(town)
    town.start()
    alert(town)
    run = town.ended()
    assert run["state"] == "proven"
    after = production(town)
    assert (before["on"], after["on"], after["version"]) == (True, False, before["version"] + 1)
    (patch,) = town.effects("PATCH", PATCHES)
    assert patch["query"] == "ignoreConflicts=true"
    body = json.loads(patch["body"])
    assert body["patch"] == [
        {"op": "test", "path": "/environments/production/version", "value": before["version"]},
        {"op": "replace", "path": "/environments/production/on", "value": False},
    ]
    assert run["id"] in body["comment"]
    (intent,) = [row for row in town.audit() if row["tag"] == "step_intended"]
    assert json.loads(intent["evidence"])["call"]["body"] == body
    lines = town.note().splitlines()
    assert re.fullmatch(r"Ripcord: new-checkout is .+\. PROVEN in \d+ s\.", lines[0])
    was, now = before["version"], after["version"]
    assert lines[2] == f"Done: turned new-checkout in production off, version {was} -> {now}, it serves 'old' (false)"
    assert re.match(rf"Proof: LaunchDarkly \d\d:\d\d:\d\dZ: off, version {now}, serves 'old' \(false\)", lines[3])
    assert_one_effect_and_its_rows(town, run)


def test_the_fewest_requests_that_the_proof_needs(town: Town) -> None:
    alert(town)
    town.ended()
    asked = [(row["method"], row["path"].removeprefix("/launchdarkly/api/v2")) for row in town.log()]
    asked = [one for one in asked if "new-checkout" in one[1]]
    assert asked == [
        ("GET", "/flags/default/new-checkout"),
        ("GET", "/projects/default/flags/new-checkout/environments/production/scheduled-changes"),
        ("GET", "/flags/default/production/new-checkout/dependent-flags"),
        ("PATCH", "/flags/default/new-checkout"),
        ("GET", "/flags/default/new-checkout"),
        ("GET", "/flags/default/new-checkout"),
    ]

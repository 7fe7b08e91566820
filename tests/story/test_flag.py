"""The flag over real sockets: an alert on the flag's service turns it off, proves it by reading, tells it, writes it down."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.story.town import Town
from tests.support.waiting import eventually, never

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


def test_a_flag_that_is_off_already_is_left_alone_and_proven_by_reading(build: Build) -> None:
    town = build()
    turn(town, "turnFlagOff")
    version = production(town)["version"]
    town.start()
    alert(town)
    run = town.ended()
    assert run["state"] == "nothing_to_do"
    assert len(town.asked("PATCH", PATCHES)) == 1, "ours is not among them"
    lines = town.note().splitlines()
    assert lines[0].startswith("Ripcord: new-checkout: did nothing: new-checkout in production is off already, ")
    assert f"off, version {version}, serves 'old' (false)" in town.note()
    assert [row["tag"] for row in town.audit(run["id"])].count("check_passed") >= 1


def test_what_may_undo_it_what_it_takes_along_and_what_it_does_not_serve_stand_in_the_note(build: Build) -> None:
    town = build()
    launchdarkly(town, "POST", "/api/v2/flags/default", {"key": "express", "name": "Express"})
    needs = {"environmentKey": "production", "instructions": [{"kind": "addPrerequisite", "key": "new-checkout"}]}
    launchdarkly(town, "PATCH", "/api/v2/flags/default/express", needs, SEMANTIC)
    launchdarkly(town, "PATCH", FLAG, [{"op": "remove", "path": "/environments/production/offVariation"}])
    place = "/api/v2/projects/default/flags/new-checkout/environments/production/scheduled-changes"
    soon = int(time.time() * 1000) + 1_800_000
    launchdarkly(town, "POST", place, {"executionDate": soon, "instructions": [{"kind": "turnFlagOn"}]})
    town.control("clock", {"advance": 1})  # the alert comes a second after these changes
    town.start()
    alert(town)
    assert town.ended()["state"] == "proven"
    note = town.note()
    assert re.search(r"Mind: a scheduled change at .*\d\d:\d\d:\d\dZ turns it on again", note)
    assert "Mind: new-checkout off switches off what depends on it: express" in note
    assert "Mind: it has no off variation: SDKs serve the default in the caller's code" in note
    (planned,) = [row["said"] for row in town.audit() if row["tag"] == "step_planned"]
    assert "turns it on again" in planned
    assert "express" in planned


def test_where_approval_is_required_nothing_is_done_and_the_note_says_where_a_person_asks_for_it(build: Build) -> None:
    town = build()
    settings = [{"op": "replace", "path": "/approvalSettings/required", "value": True}]
    launchdarkly(town, "PATCH", "/api/v2/projects/default/environments/production", settings)
    town.start()
    alert(town)
    assert town.ended()["state"] == "refused"
    assert town.note().startswith(
        "Ripcord: new-checkout: did nothing: changes of new-checkout in production require approval: "
        "a person must ask for it in LaunchDarkly, /default/production/features/new-checkout"
    )
    assert production(town)["on"] is True
    assert len(town.asked("PATCH", PATCHES)) == 1


def test_a_token_that_may_only_read_is_said_with_the_right_that_is_missing(build: Build) -> None:
    town = build()
    reader = launchdarkly(town, "POST", "/api/v2/tokens", {"name": "looks", "role": "reader"})["token"]
    town.exports["RIPCORD_LAUNCHDARKLY_TOKEN"] = reader
    town.start()
    alert(town)
    assert town.ended()["state"] == "refused"
    assert "its role needs updateOn on proj/default:env/production:flag/new-checkout" in town.note()
    assert town.effects("PATCH", PATCHES) == []
    assert reader not in "".join(row["evidence"] or "" for row in town.audit()) + town.note()


def fault(town: Town, do: str, method: str = "PATCH", **more: Any) -> None:
    town.control("faults", [{"match": {"method": method, "path": f"{PATCHES}*"}, "do": do, **more}])


def test_a_flag_that_somebody_changes_between_look_and_patch_is_not_overruled(town: Town) -> None:
    """A newer version is younger than the alert: whatever hurts, it was not that one."""
    fault(town, "hold_before", seconds=40, times=1)
    alert(town)
    eventually(lambda: town.asked("PATCH", PATCHES), within=20)
    changed = launchdarkly_changes_the_rule(town)
    town.control("release", {})
    run = town.ended()
    assert run["state"] == "refused"
    assert f"{changed} (" in run["said"]
    assert "is younger than the alert" in run["said"]
    assert production(town)["on"] is True
    assert len(town.effects("PATCH", PATCHES)) == 1, "the one of that person"


def launchdarkly_changes_the_rule(town: Town) -> int:
    """Somebody mends the flag; its new version. Not held, because it is the second patch."""
    variation = launchdarkly(town, "GET", FLAG)["variations"][1]["_id"]
    served = {"kind": "updateFallthroughVariationOrRollout", "variationId": variation}
    body = {"environmentKey": "production", "instructions": [served]}
    return int(launchdarkly(town, "PATCH", FLAG, body, SEMANTIC)["environments"]["production"]["version"])


def test_a_409_that_passes_is_tried_again_under_a_new_number(town: Town) -> None:
    fault(town, "status", status=409, times=1)
    alert(town)
    run = town.ended()
    assert run["state"] == "proven"
    keys = {row["key"] for row in town.audit(run["id"])}
    assert {f"{run['id']}/0/1/step_refused", f"{run['id']}/0/2/step_done"} <= keys
    assert len(town.effects("PATCH", PATCHES)) == 1


@pytest.mark.parametrize("do", ["hold_after_apply", "reset_after_apply", "status_after_apply"])
def test_a_switch_without_an_answer_is_found_by_reading_and_never_repeated(town: Town, do: str) -> None:
    fault(town, do, status=502, seconds=40, times=1)
    alert(town)
    run = town.ended()
    town.control("release", {})
    assert run["state"] == "proven"
    assert len(town.asked("PATCH", PATCHES)) == 1
    assert_one_effect_and_its_rows(town, run)


@pytest.mark.parametrize("do", ["reset_before", "status"])
def test_a_switch_that_never_arrived_is_sent_once_more_under_its_own_number(town: Town, do: str) -> None:
    fault(town, do, status=500, times=1)
    alert(town)
    run = town.ended()
    assert run["state"] == "proven"
    assert len({row["body"] for row in town.asked("PATCH", PATCHES)}) == 1
    assert_one_effect_and_its_rows(town, run)


def test_a_switch_that_arrives_late_takes_effect_once(town: Town) -> None:
    fault(town, "hold_before", seconds=40, times=1)
    alert(town)
    assert town.ended(within=60)["state"] == "proven"
    town.control("release", {})
    never(lambda: len(town.effects("PATCH", PATCHES)) > 1, for_seconds=2)
    assert len(town.asked("PATCH", PATCHES)) == 2


def test_a_rate_limit_is_waited_for_under_the_same_number(town: Town) -> None:
    fault(town, "status", status=429, times=2)
    alert(town)
    run = town.ended()
    assert run["state"] == "proven"
    assert len(town.asked("PATCH", PATCHES)) == 3
    assert_one_effect_and_its_rows(town, run)


def test_a_flag_that_is_turned_on_again_while_it_is_proven_has_failed(build: Build) -> None:
    town = build()
    runbook = town.runbooks / "disable-flag.yaml"
    runbook.write_text(runbook.read_text().replace("settle: 2s", "settle: 8s"))
    town.start()
    alert(town)
    eventually(lambda: [row for row in town.audit() if row["tag"] == "check_passed"], within=20)
    turn(town, "turnFlagOn")
    run = town.ended()
    assert run["state"] == "failed"
    assert "was turned on again at " in run["said"]
    assert "not by this run" in run["said"]
    assert town.note().startswith("Ripcord: new-checkout: tried, NOT PROVEN: a person is needed")


@pytest.mark.parametrize(
    ("database", "do"),
    [("sqlite_url", "hold_after_apply"), ("sqlite_url", "hold_before"), ("postgresql_url", "hold_after_apply")],
)
def test_death_between_intent_and_outcome_is_one_effect_proven(
    build: Build, database: str, do: str, request: pytest.FixtureRequest
) -> None:
    town = build(request.getfixturevalue(database))
    town.start()
    fault(town, do, seconds=60, times=1)
    alert(town)
    eventually(lambda: [row for row in town.asked("PATCH", PATCHES) if row["status"] is None], within=20)
    town.kill()
    if do == "hold_after_apply":
        town.control("release", {})
    town.start()
    run = town.ended(within=60)
    town.control("release", {})
    assert run["state"] == "proven"
    assert_one_effect_and_its_rows(town, run)


def resolving(town: Town) -> None:
    runbook = town.runbooks / "disable-flag.yaml"
    runbook.write_text(runbook.read_text() + "after_proof: [{action: resolve_incident}]\n")


def test_after_the_proof_the_incident_is_resolved_where_the_runbook_says_so(build: Build) -> None:
    town = build()
    resolving(town)
    town.start()
    alert(town)
    assert town.ended()["state"] == "proven"
    assert town.incident()["status"] == "resolved"
    assert "resolved incident" in town.note()
    puts = [row for row in town.effects("PUT", "/incidents/") if "/notes" not in row["path"]]
    assert len(puts) == 1


def test_an_incident_that_got_another_alert_meanwhile_stays_open(build: Build) -> None:
    """The other one was merged into it while the flag was being proven."""
    town = build()
    resolving(town)
    runbook = town.runbooks / "disable-flag.yaml"
    runbook.write_text(runbook.read_text().replace("settle: 2s", "settle: 6s"))
    town.start()
    alert(town)
    run = eventually(lambda: [row["run"] for row in town.audit() if row["tag"] == "check_passed"], within=20)[0]
    town.control("pagerduty", {"webhook": {"pause": True}})
    alert(town, "two", flag="another-flag")
    first, second = town.incident(0)["id"], town.incident(1)["id"]
    merge = {"source_incidents": [{"id": second, "type": "incident_reference"}]}
    town.pagerduty("PUT", f"/incidents/{first}/merge", merge)
    assert town.ended()["state"] == "proven"
    assert town.incident(0)["status"] == "triggered"
    assert "Mind: resolve_incident: it has other open alerts, so it stays open: 'checkout fails'" in town.note()
    assert [row for row in town.audit(run) if row["tag"] == "step_intended"][1:] == []

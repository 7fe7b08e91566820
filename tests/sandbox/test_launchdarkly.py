"""LaunchDarkly: flags made, read and switched as in life, with approvals, schedules, roles, limits and the errors of the real API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.door import Answer, Door

FLAG = "/launchdarkly/api/v2/flags/default/new-checkout"
SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"
OFF = {"environmentKey": "production", "comment": "run r-1", "instructions": [{"kind": "turnFlagOff"}]}


def flag(door: Door, method: str = "GET", path: str = FLAG, body: object = None, kind: str = SEMANTIC) -> Answer:
    token = door.sandbox.world.launchdarkly.token
    return door.call(method, path, body, Authorization=token, Content_Type=kind)


def production(door: Door) -> dict[str, Any]:
    return dict(flag(door, path=FLAG + "?env=production").json["environments"]["production"])


def test_the_flag_of_the_scene_is_on(door: Door) -> None:
    shown = flag(door, path=FLAG + "?env=production").json
    assert list(shown["environments"]) == ["production"]
    assert (production(door)["on"], production(door)["offVariation"]) == (True, 1)


def test_turning_it_off_raises_its_versions_once(door: Door) -> None:
    before = flag(door).json
    first = flag(door, "PATCH", body=OFF)
    assert (first.status, first.json["environments"]["production"]["on"]) == (200, False)
    assert door.log()[-1]["applied"] is True
    second = flag(door, "PATCH", body=OFF)
    assert (second.status, door.log()[-1]["applied"]) == (200, False)
    assert second.json["_version"] == before["_version"] + 1
    after, was = second.json["environments"]["production"], before["environments"]["production"]
    assert after["version"] == was["version"] + 1
    assert second.json["environments"]["test"]["on"] is True


def test_it_can_be_turned_on_again(door: Door) -> None:
    flag(door, "PATCH", body=OFF)
    flag(door, "PATCH", body=OFF | {"instructions": [{"kind": "turnFlagOn"}]})
    assert production(door)["on"] is True


def test_a_dry_run_changes_nothing(door: Door) -> None:
    answer = flag(door, "PATCH", FLAG + "?dryRun=true", OFF)
    assert answer.json["environments"]["production"]["on"] is False
    assert (production(door)["on"], door.log()[-2]["applied"]) == (True, False)


def test_a_patch_without_the_domain_model_is_read_as_a_json_patch_and_refused(door: Door) -> None:
    assert flag(door, "PATCH", body=OFF, kind="application/json").status == 400
    assert production(door)["on"] is True


def test_a_json_patch_has_a_precondition(door: Door) -> None:
    def patch(version: int) -> int:
        at = "/environments/production/"
        test = {"op": "test", "path": at + "version", "value": version}
        replace = {"op": "replace", "path": at + "on", "value": False}
        return flag(door, "PATCH", body={"patch": [test, replace]}, kind="application/json").status

    version = production(door)["version"]
    assert patch(version - 1) == 409
    assert production(door)["on"] is True
    assert patch(version) == 200
    assert production(door)["on"] is False


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        OFF | {"environmentKey": "moon"},
        {"instructions": OFF["instructions"]},
        OFF | {"instructions": []},
        OFF | {"instructions": [{"kind": "explode"}]},
        OFF | {"instructions": [{"kind": "turnFlagOff"}, {"kind": "explode"}]},
    ],
)
def test_a_semantic_patch_is_all_or_nothing(door: Door, body: object) -> None:
    answer = flag(door, "PATCH", body=body)
    assert answer.status == 400
    assert answer.json["message"]
    assert production(door)["on"] is True


def test_a_wrong_token_is_401_an_unknown_flag_404_another_method_405(door: Door) -> None:
    assert door.call("GET", FLAG, Authorization="Bearer x").status == 401
    assert flag(door, path=FLAG + "-2").status == 404
    assert flag(door, "PUT", body={}).status == 405


# ---- what a flag is made of ----


def api(door: Door, method: str, path: str, body: object = None, token: str = "", **headers: str) -> Answer:
    """A request below /api/v2, as JSON."""
    sent = {
        "Authorization": token or door.sandbox.world.launchdarkly.token,
        "Content_Type": "application/json",
    } | headers
    return door.call(method, f"/launchdarkly/api/v2{path}", body, **sent)


def instruct(door: Door, *instructions: dict[str, Any], path: str = FLAG, token: str = "") -> Answer:
    body = {"environmentKey": "production", "instructions": list(instructions)}
    sent = token or door.sandbox.world.launchdarkly.token
    return door.call("PATCH", path, body, Authorization=sent, Content_Type=SEMANTIC)


def test_a_new_flag_is_off_everywhere_and_its_key_is_taken(door: Door) -> None:
    assert (
        api(door, "POST", "/projects", {"key": "shop", "name": "Shop", "environments": [{"key": "live"}]}).status == 201
    )
    made = api(door, "POST", "/flags/shop", {"key": "pay-later", "name": "Pay later"})
    assert (made.status, made.json["environments"]["live"]["on"], made.json["environments"]["live"]["version"]) == (
        201,
        False,
        1,
    )
    assert api(door, "POST", "/flags/shop", {"key": "pay-later"}).status == 409
    assert api(door, "POST", "/flags/none", {"key": "x"}).status == 404
    turned = instruct(door, {"kind": "turnFlagOn"}, path="/launchdarkly/api/v2/flags/shop/pay-later")
    assert turned.status == 400, "its environment is called live"


def test_the_version_of_one_environment_leaves_the_others_alone(door: Door) -> None:
    before = flag(door).json
    instruct(door, {"kind": "updateOffVariation", "variationId": before["variations"][0]["_id"]})
    after = flag(door).json
    assert after["environments"]["production"]["offVariation"] == 0
    assert after["environments"]["production"]["version"] == before["environments"]["production"]["version"] + 1
    assert after["environments"]["test"] == before["environments"]["test"]
    assert after["_version"] == before["_version"] + 1
    assert after["environments"]["production"]["lastModified"] > before["environments"]["production"]["lastModified"]


def test_an_off_variation_can_be_taken_away(door: Door) -> None:
    body = [{"op": "remove", "path": "/environments/production/offVariation"}]
    assert flag(door, "PATCH", body=body, kind="application/json").status == 200
    assert "offVariation" not in production(door)


def test_a_version_is_tested_and_never_written(door: Door) -> None:
    body = [{"op": "replace", "path": "/environments/production/version", "value": 1}]
    assert flag(door, "PATCH", body=body, kind="application/json").status == 400


# ---- what waits ----

PLACE = "/projects/default/flags/new-checkout/environments/production"


def test_a_scheduled_change_is_carried_out_at_its_hour(door: Door) -> None:
    world = door.sandbox.world
    when = int(world.clock.now().timestamp() * 1000) + 60_000
    made = api(
        door, "POST", f"{PLACE}/scheduled-changes", {"executionDate": when, "instructions": [{"kind": "turnFlagOn"}]}
    )
    assert made.status == 201
    assert [one["executionDate"] for one in api(door, "GET", f"{PLACE}/scheduled-changes").json["items"]] == [when]
    assert instruct(door, {"kind": "turnFlagOff"}).status == 400, "it collides with what is scheduled"
    assert flag(door, "PATCH", FLAG + "?ignoreConflicts=true", OFF).status == 200
    world.tick()
    assert production(door)["on"] is False
    world.clock.advance(61)
    world.tick()
    assert production(door)["on"] is True
    assert api(door, "GET", f"{PLACE}/scheduled-changes").json["items"] == []


def test_a_scheduled_change_can_be_taken_back(door: Door) -> None:
    when = int(door.sandbox.world.clock.now().timestamp() * 1000) + 60_000
    body = {"executionDate": when, "instructions": [{"kind": "turnFlagOn"}]}
    made = api(door, "POST", f"{PLACE}/scheduled-changes", body).json["_id"]
    assert api(door, "DELETE", f"{PLACE}/scheduled-changes/{made}").status == 204
    assert api(door, "DELETE", f"{PLACE}/scheduled-changes/{made}").status == 404


def require_approval(door: Door, name: str = "required", value: object = True) -> None:
    body = [{"op": "replace", "path": f"/approvalSettings/{name}", "value": value}]
    assert api(door, "PATCH", "/projects/default/environments/production", body).status == 200


def test_where_approval_is_required_a_switch_is_405_in_both_languages(door: Door) -> None:
    require_approval(door)
    refused = flag(door, "PATCH", FLAG + "?ignoreConflicts=true", OFF)
    assert (refused.status, refused.json["code"]) == (405, "method_not_allowed")
    assert "require approval" in refused.json["message"]
    body = [{"op": "replace", "path": "/environments/production/on", "value": False}]
    assert flag(door, "PATCH", body=body, kind="application/json").status == 405
    elsewhere = {"environmentKey": "test", "instructions": [{"kind": "turnFlagOff"}]}
    assert flag(door, "PATCH", body=elsewhere).status == 200
    assert production(door)["on"] is True


def test_approval_may_be_required_of_flags_with_a_tag_alone(door: Door) -> None:
    require_approval(door, "requiredApprovalTags", ["money"])
    assert instruct(door, {"kind": "turnFlagOff"}).status == 200
    assert instruct(door, {"kind": "addTags", "values": ["money"]}).status == 200
    assert instruct(door, {"kind": "turnFlagOn"}).status == 405


def test_an_approval_request_is_reviewed_by_another_and_then_applied(door: Door) -> None:
    require_approval(door)
    wanted = {"description": "off, please", "instructions": [{"kind": "turnFlagOff"}]}
    made = api(door, "POST", f"{PLACE}/approval-requests", wanted)
    assert (made.status, made.json["reviewStatus"], made.json["status"]) == (201, "pending", "pending")
    one = f"{PLACE}/approval-requests/{made.json['_id']}"
    assert api(door, "POST", f"{one}/apply", {}).status == 400
    assert api(door, "POST", f"{one}/reviews", {"kind": "approve"}).status == 403, "nobody reviews their own request"
    other = api(door, "POST", "/tokens", {"name": "lead", "role": "admin"}).json["token"]
    assert api(door, "POST", f"{one}/reviews", {"kind": "approve"}, token=other).json["reviewStatus"] == "approved"
    assert api(door, "POST", f"{one}/apply", {}).json["status"] == "completed"
    assert production(door)["on"] is False


def test_what_depends_on_a_flag_is_a_beta_resource(door: Door) -> None:
    api(door, "POST", "/flags/default", {"key": "express", "name": "Express"})
    instruct(
        door, {"kind": "addPrerequisite", "key": "new-checkout"}, path="/launchdarkly/api/v2/flags/default/express"
    )
    path = "/flags/default/production/new-checkout/dependent-flags"
    assert api(door, "GET", path).status == 403
    found = api(door, "GET", path, LD_API_Version="beta").json["items"]
    assert [one["key"] for one in found] == ["express"]
    assert instruct(door, {"kind": "archiveFlag"}).status == 400, "others depend on it"


def test_a_rule_that_an_experiment_holds_is_409_and_the_switch_is_not(door: Door) -> None:
    held = {"rollout": {"variations": [], "experimentAllocation": {"type": "measuredRollout"}}}
    body = [{"op": "replace", "path": "/environments/production/fallthrough", "value": held}]
    assert flag(door, "PATCH", body=body, kind="application/json").status == 200
    served = {"kind": "updateFallthroughVariationOrRollout", "variationId": flag(door).json["variations"][1]["_id"]}
    assert instruct(door, served).status == 409
    assert instruct(door, {"kind": "turnFlagOff"}).status == 200


# ---- who may, and how often ----


def test_a_role_decides_what_a_token_may_and_a_deleted_token_is_nobody(door: Door) -> None:
    reader = api(door, "POST", "/tokens", {"name": "looks", "role": "reader"}).json
    assert api(door, "GET", "/flags/default/new-checkout", token=reader["token"]).status == 200
    refused = instruct(door, {"kind": "turnFlagOff"}, token=reader["token"])
    assert (refused.status, refused.json["message"]) == (403, "Access denied")
    assert api(door, "DELETE", f"/tokens/{reader['_id']}").status == 204
    assert api(door, "GET", "/flags/default/new-checkout", token=reader["token"]).status == 401


def test_an_inline_role_may_allow_one_flag_alone_or_the_way_around_approvals(door: Door) -> None:
    require_approval(door)
    resource = ["proj/default:env/production:flag/new-checkout"]
    for actions, status in ((["updateOn"], 405), (["updateOn", "bypassRequiredApproval"], 200)):
        policy = [{"effect": "allow", "actions": actions, "resources": resource}]
        token = api(door, "POST", "/tokens", {"name": "narrow", "inlineRole": policy}).json["token"]
        assert instruct(door, {"kind": "turnFlagOff"}, token=token).status == status


def test_a_limit_is_told_in_headers_and_ends_with_its_window(door: Door) -> None:
    clock = door.sandbox.world.clock
    clock.advance(10 - clock.now().timestamp() % 10)  # the beginning of a window
    answers = [api(door, "GET", "/caller-identity") for _ in range(320)]
    refused = [one for one in answers if one.status == 429]
    assert refused, "the window holds 300 for a route"
    ahead = int(refused[-1].headers["X-Ratelimit-Reset"]) / 1000 - door.sandbox.world.clock.for_headers().timestamp()
    assert 0 <= ahead <= 10
    assert refused[-1].headers["X-Ratelimit-Route-Remaining"] == "0"
    door.sandbox.world.clock.advance(11)
    assert api(door, "GET", "/caller-identity").status == 200


def test_who_changed_what_is_written_down(door: Door) -> None:
    flag(door, "PATCH", body=OFF)
    spec = "proj/default:env/production:flag/new-checkout"
    (entry,) = api(door, "GET", f"/auditlog?spec={spec}").json["items"]
    assert (entry["titleVerb"], entry["comment"], entry["token"]["name"]) == (
        "turned off the flag",
        "run r-1",
        "ripcord",
    )
    assert api(door, "GET", "/auditlog?spec=proj/default:env/test:flag/new-checkout").json["items"] == []


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/flags/default", "/projects", "/tokens", f"{PLACE}/scheduled-changes", "/flags/default/new-checkout"]
)
@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"7", b'{"key": 7, "instructions": {}}', b"[" * 5000])
def test_a_body_of_any_shape_is_answered(door: Door, method: str, path: str, raw: bytes) -> None:
    sent = {"Authorization": door.sandbox.world.launchdarkly.token, "Content_Type": "application/json"}
    answer = door.call(method, f"/launchdarkly/api/v2{path}", raw, **sent)
    assert 200 <= answer.status < 500
    json.loads(answer.text)

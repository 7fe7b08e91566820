"""LaunchDarkly: one flag, read, turned off and on, with the errors of the real API."""

from __future__ import annotations

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

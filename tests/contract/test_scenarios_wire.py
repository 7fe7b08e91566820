"""What a client of the API server may rely on, in both worlds by the same words: traces/api-server.md, "A fake API server must".

JSON patches (item 1) have a file of their own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import pytest

from tests.cluster.api import JSON, JSON_PATCH, MERGE, Object
from tests.contract.trouble import only_the_shipped_role, token
from tests.contract.wire import APPLY, NOBODYS, QUIET, STRATEGIC, Place, failure
from tests.contract.wire import nobodys_rollout as rollout
from tests.contract.worlds import World
from tests.support.waiting import eventually

WEB = {"name": "web", "group": "argoproj.io", "kind": "rollouts"}


@pytest.fixture(params=QUIET)
def at(request: pytest.FixtureRequest) -> Iterator[Place]:
    world: World = request.getfixturevalue(request.param)
    place = Place(world).with_web()
    yield place
    world.leave(place.name)


# ---- 2: a merge patch and resourceVersion ----


def test_patches_without_a_resource_version_never_conflict(at: Place) -> None:
    codes: list[int] = []

    def write(writer: int) -> None:
        for turn in range(5):
            codes.append(at.world.merge(at.web, {"metadata": {"annotations": {f"writer-{writer}": str(turn)}}}).code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 30
    assert at.object()["metadata"]["annotations"] == {f"writer-{number}": "4" for number in range(6)}


@pytest.mark.parametrize("endpoint", ["", "/status"])
def test_a_stale_resource_version_is_a_conflict_even_where_nothing_would_change(at: Place, endpoint: str) -> None:
    stale = at.version
    at.world.merge(at.status, {"status": {"message": "moved on"}})
    answer = at.world.merge(at.web + endpoint, {"metadata": {"resourceVersion": stale}})
    message = (
        'Operation cannot be fulfilled on rollouts.argoproj.io "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert (answer.code, answer.json) == (409, failure(409, "Conflict", message, WEB))


# ---- 3: each endpoint keeps its own part ----


def test_main_drops_status_and_status_drops_everything_else(at: Place) -> None:
    before = at.object()
    main = at.world.merge(at.web, {"status": {"abort": True}})
    assert (main.code, main.json, main.headers.get("Warning")) == (200, before, None)
    foreign = {"spec": {"replicas": 9, "paused": True}, "metadata": {"uid": "other", "generation": 7}}
    status = at.world.merge(at.status, foreign)
    assert (status.code, status.json) == (200, before)
    assert at.object() == before


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "00000000-0000-0000-0000-000000000000"}


@pytest.mark.parametrize(
    "foreign",
    [
        {"labels": {"a": "b"}},
        {"annotations": {"a": "b"}},
        {"finalizers": ["example.com/a"]},
        {"ownerReferences": [OWNER]},
    ],
    ids=lambda one: next(iter(one)),
)
def test_metadata_sent_to_status_is_dropped_and_written_down_as_its_writers_once(at: Place, foreign: Object) -> None:
    """So resourceVersion moves although nothing of the object does; the same again moves nothing."""
    (key,) = foreign
    before = at.object()
    first = at.world.merge(at.status, {"metadata": foreign}, fieldManager="ripcord")
    assert (first.code, first.json["metadata"].get(key)) == (200, before["metadata"].get(key))
    assert int(first.json["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
    mine = [one for one in first.json["metadata"]["managedFields"] if one["manager"] == "ripcord"]
    assert [(one["subresource"], list(one["fieldsV1"]["f:metadata"])) for one in mine] == [("status", [f"f:{key}"])]
    for part in ("spec", "status"):
        assert first.json[part] == before[part]
    again = at.world.merge(at.status, {"metadata": foreign}, fieldManager="ripcord")
    assert (again.code, again.json) == (200, first.json)
    assert at.object() == first.json


def test_a_built_in_kind_keeps_labels_and_annotations_that_are_sent_to_status(at: Place) -> None:
    at.world.post(at.services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    foreign = {"labels": {"a": "b"}, "annotations": {"a": "b"}}
    answer = at.world.merge(f"{at.services}/s/status", {"metadata": foreign, "spec": {"selector": {"a": "b"}}})
    assert (answer.code, answer.json["spec"].get("selector")) == (200, None)
    assert {key: answer.json["metadata"][key] for key in foreign} == foreign


def test_a_foreign_uid_is_refused_on_main(at: Place) -> None:
    assert at.world.merge(at.web, {"metadata": {"uid": "other"}, "spec": {"replicas": 2}}).code == 422


# ---- 4: resourceVersion and generation ----


def test_generation_counts_changes_of_spec_and_nothing_else(at: Place) -> None:
    def after(path: str, body: Object) -> int:
        assert at.world.merge(path, body).code == 200
        return int(at.object()["metadata"]["generation"])

    assert after(at.status, {"status": {"abort": True}}) == 1
    assert after(at.web, {"metadata": {"annotations": {"a": "b"}, "labels": {"a": "b"}}}) == 1
    assert after(at.web, {"metadata": {"generation": 7}}) == 1
    assert after(at.web, {"spec": {"replicas": 2}}) == 2
    assert after(at.web, {"spec": {"replicas": 2}}) == 2
    assert after(f"{at.web}/scale", {"spec": {"replicas": 3}}) == 3


def test_a_write_that_changes_nothing_moves_nothing_and_is_no_event(at: Place) -> None:
    before = at.object()
    with at.world.record(at.name) as record:
        for path in (at.status, at.web):
            assert at.world.merge(path, {"status": {"currentPodHash": "aaa"}, "spec": {"replicas": 1}}).json == before
        changed = at.world.merge(at.status, {"status": {"message": "moved on"}}).json
        eventually(lambda: record.of("rollouts"), what="the one event")
    assert [one["metadata"]["resourceVersion"] for one in record.of("rollouts")] == [
        changed["metadata"]["resourceVersion"]
    ]


def test_one_counter_moves_with_every_write_of_any_kind(at: Place) -> None:
    first = int(at.version)
    at.world.post(at.leases, {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "a"}})
    lease = int(at.world.get(f"{at.leases}/lock").json["metadata"]["resourceVersion"])
    at.world.merge(at.status, {"status": {"abort": True}})
    assert first < lease < int(at.version)


def test_a_kind_without_status_endpoint_has_its_status_written_through_main(at: Place) -> None:
    metric = {"name": "m", "provider": {"web": {"url": "http://127.0.0.1:1", "jsonPath": "{$.a}"}}}
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "run", "labels": NOBODYS},
        "spec": {"metrics": [metric]},
    }
    assert at.world.post(at.runs, body).code == 201
    assert at.world.merge(f"{at.runs}/run/status", {"status": {"phase": "Failed"}}).code == 404
    answer = at.world.merge(f"{at.runs}/run", {"status": {"phase": "Failed"}})
    assert (answer.json["status"]["phase"], answer.json["metadata"]["generation"]) == ("Failed", 2)


# ---- 5: rights come before everything ----


def test_nobody_is_forbidden_and_a_wrong_token_is_unauthorized(at: Place) -> None:
    message = (
        'rollouts.argoproj.io "web" is forbidden: User "system:anonymous" cannot get resource "rollouts" '
        f'in API group "argoproj.io" in the namespace "{at.name}"'
    )
    nobody = at.world.call("GET", at.web, token=None)
    assert (nobody.code, nobody.json) == (403, failure(403, "Forbidden", message, WEB))
    wrong = at.world.call("GET", at.web, token="wrong")
    assert (wrong.code, wrong.json) == (401, failure(401, "Unauthorized", "Unauthorized"))
    assert [at.world.call("GET", "/version", token=token).code for token in (None, "wrong")] == [200, 401]


def test_forbidden_beats_not_found_and_wrong_content_type(at: Place) -> None:
    for path, kind in ((at.status, STRATEGIC), (f"{at.rollouts}/missing/status", MERGE)):
        assert at.world.call("PATCH", path, {"status": {"abort": True}}, kind, token=None).code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/apis/nosuch.example/v1/namespaces/nons/things/x",
        "/apis/argoproj.io/v9/namespaces/nons/rollouts/web",
        "/apis/argoproj.io/v1alpha1/namespaces/nons/rolloutz/web",
    ],
)
def test_what_is_not_there_is_forbidden_to_whom_nothing_is_allowed(at: Place, path: str) -> None:
    assert at.world.call("GET", path, token=None).json["reason"] == "Forbidden"


@pytest.mark.parametrize(("query", "verb"), [({}, "list"), ({"watch": "1"}, "watch")], ids=["list", "watch"])
def test_a_forbidden_list_names_no_object(at: Place, query: dict[str, str], verb: str) -> None:
    message = (
        f'rollouts.argoproj.io is forbidden: User "system:anonymous" cannot {verb} resource "rollouts" '
        f'in API group "argoproj.io" in the namespace "{at.name}"'
    )
    answer = at.world.call("GET", at.rollouts, token=None, query=query)
    assert answer.json == failure(403, "Forbidden", message, {"group": "argoproj.io", "kind": "rollouts"})


@pytest.mark.parametrize("name", ["web", "missing"])
@pytest.mark.parametrize("kind", [MERGE, STRATEGIC], ids=["merge", "strategic"])
def test_the_shipped_role_patches_status_and_nothing_else(at: Place, name: str, kind: str) -> None:
    """What it may not is forbidden in the same words whether or not the object is there and the body can be read."""
    with only_the_shipped_role(at.world, at.web):
        allowed = at.world.call("PATCH", at.status, {"status": {"abort": True}}, MERGE, token=token(at.world))
        assert (allowed.code, allowed.json["spec"]) == (200, at.object()["spec"])
        before = at.object()
        refused = at.world.call(
            "PATCH", f"{at.rollouts}/{name}", {"spec": {"replicas": 0}}, kind, token=token(at.world)
        )
        message = (
            f'rollouts.argoproj.io "{name}" is forbidden: User "ripcord" cannot patch resource "rollouts" '
            f'in API group "argoproj.io" in the namespace "{at.name}"'
        )
        assert (refused.code, refused.json) == (403, failure(403, "Forbidden", message, {**WEB, "name": name}))
        assert at.object() == before


# ---- 6: what is not there ----


def test_a_missing_object_namespace_and_subresource_read_alike(at: Place) -> None:
    def missing(name: str) -> Object:
        text = f'rollouts.argoproj.io "{name}" not found'
        return failure(404, "NotFound", text, {"name": name, "group": "argoproj.io", "kind": "rollouts"})

    assert at.world.get(f"{at.rollouts}/x").json == missing("x")
    assert at.world.get(f"{at.web}/nosuch").json == missing("web")
    assert at.world.get(at.web.replace(f"/{at.name}/", "/nons/")).json == missing("web")
    assert at.world.merge(f"{at.rollouts}/x/status", {"status": {"abort": True}}).json == missing("x")


def test_a_missing_namespace_has_empty_lists_and_takes_nothing_in(at: Place) -> None:
    elsewhere = at.rollouts.replace(f"/{at.name}/", "/nons/")
    assert at.world.get(elsewhere).json["items"] == []
    answer = at.world.post(elsewhere, rollout())
    expected = failure(404, "NotFound", 'namespaces "nons" not found', {"name": "nons", "kind": "namespaces"})
    assert (answer.code, answer.json) == (404, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/apis/nosuch.example/v1/namespaces/wire/things/x",
        "/apis/argoproj.io/v9/namespaces/wire/rollouts/web",
        "/apis/argoproj.io/v1alpha1/namespaces/wire/rolloutz/web",
    ],
)
def test_what_is_not_installed_is_a_page_that_is_not_found(at: Place, path: str) -> None:
    answer = at.world.get(path)
    assert (answer.code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


# ---- 7 and 8: content types and bodies ----


@pytest.mark.parametrize("kind", [STRATEGIC, JSON, "text/plain", None])
def test_a_custom_resource_takes_three_kinds_of_patches(at: Place, kind: str | None) -> None:
    answer = at.world.call("PATCH", at.status, {"status": {"abort": True}}, kind)
    text = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
    assert (answer.code, answer.json) == (415, failure(415, "UnsupportedMediaType", text))


def test_parameters_of_a_content_type_are_allowed(at: Place) -> None:
    assert at.world.call("PATCH", at.status, {"status": {"abort": True}}, f"{MERGE}; charset=utf-8").code == 200


def test_a_service_takes_strategic_patches_which_merge_its_selector(at: Place) -> None:
    body = {"metadata": {"name": "s"}, "spec": {"selector": {"app": "a", "hash": "1"}, "ports": [{"port": 80}]}}
    assert at.world.post(at.services, body).code == 201
    answer = at.world.call("PATCH", f"{at.services}/s", {"spec": {"selector": {"hash": "2"}}}, STRATEGIC)
    assert (answer.code, answer.json["spec"]["selector"]) == (200, {"app": "a", "hash": "2"})


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b'[{"a": 1}]', MERGE, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (b'{"a": 1}', JSON_PATCH, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (b"", MERGE, "unexpected end of JSON input"),
        (b'{"status": {', MERGE, "unexpected end of JSON input"),
        (b"<html>", MERGE, "invalid character '<' looking for beginning of value"),
    ],
    ids=["list", "object", "empty", "cut", "html"],
)
def test_a_body_that_is_no_patch_is_a_bad_request(at: Place, body: bytes, kind: str, why: str) -> None:
    answer = at.world.call("PATCH", at.status, body, kind)
    assert (answer.code, answer.json) == (400, failure(400, "BadRequest", f"error decoding patch: {why}"))


@pytest.mark.parametrize(
    ("status", "field", "wanted", "found"),
    [
        ({"abort": "yes"}, "abort", "boolean", "string"),
        ({"promoteFull": 1}, "promoteFull", "boolean", "integer"),
        ({"currentStepIndex": 1.5}, "currentStepIndex", "integer", "number"),
        ({"stableRS": {}}, "stableRS", "string", "object"),
    ],
    ids=["string", "integer", "number", "object"],
)
def test_a_value_of_the_wrong_type_is_invalid_and_its_cause_is_told(
    at: Place, status: Object, field: str, wanted: str, found: str
) -> None:
    before = at.object()
    answer = at.world.merge(at.status, {"status": status})
    assert (answer.code, answer.json["reason"]) == (422, "Invalid")
    details = answer.json["details"]
    assert {key: details[key] for key in ("name", "group", "kind")} == {**WEB, "kind": "Rollout"}
    assert details["causes"][0] == {
        "reason": "FieldValueTypeInvalid",
        "message": f'Invalid value: "{found}": {field} in body must be of type {wanted}: "{found}"',
        "field": f"status.{field}",
    }
    assert at.object() == before


def test_a_body_about_another_object_is_a_bad_request(at: Place) -> None:
    answer = at.world.merge(at.web, {"metadata": {"name": "other"}})
    message = "the name of the object (other) does not match the name on the URL (web)"
    assert (answer.code, answer.json["reason"], answer.json["message"]) == (400, "BadRequest", message)


# ---- 9: unknown and duplicate fields ----


def test_unknown_fields_are_dropped_and_only_a_warning_tells(at: Place) -> None:
    before = at.object()
    answer = at.world.merge(at.status, {"status": {"nosuch": 1}})
    assert (answer.code, answer.headers["Warning"]) == (200, '299 - "unknown field \\"status.nosuch\\""')
    assert at.object() == before


def test_of_a_key_given_twice_the_last_one_counts(at: Place) -> None:
    answer = at.world.call("PATCH", at.status, b'{"status": {"abort": true, "abort": false}}', MERGE)
    assert answer.json["status"]["abort"] is False
    assert answer.headers["Warning"] == '299 - "duplicate field \\"status.abort\\""'


def test_strict_refuses_unknown_fields_and_quotes_the_object(at: Place) -> None:
    answer = at.world.merge(at.status, {"status": {"abort": True, "nosuch": 1}}, fieldValidation="Strict")
    assert answer.code == 422
    assert answer.json["message"].startswith(' "" is invalid: patch: Invalid value: "{')
    assert "abort" not in at.object()["status"]


# ---- 13: rehearsals ----


def test_a_dry_run_shows_the_object_and_stores_nothing(at: Place) -> None:
    before = at.object()
    answer = at.world.merge(at.status, {"status": {"abort": True}}, dryRun="All")
    assert answer.json["status"]["abort"] is True
    assert answer.json["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert at.object() == before
    assert at.world.merge(at.status, {"status": {"abort": True}}, dryRun="true").code == 422
    assert at.world.merge(at.status, {"status": {"abort": "yes"}}, dryRun="All").code == 422


# ---- 14: PUT and POST ----


def test_put_wants_the_current_resource_version_and_ignores_status(at: Place) -> None:
    body = at.object()
    changed: Object = {**body, "spec": {**body["spec"], "replicas": 3}, "status": {"phase": "Healthy"}}
    answer = at.world.put(at.web, changed)
    assert (answer.code, answer.json["spec"]["replicas"], answer.json["status"]) == (200, 3, body["status"])
    assert at.world.put(at.web, changed).code == 409
    del changed["metadata"]["resourceVersion"]
    unversioned = at.world.put(at.web, changed)
    message = (
        'rollouts.argoproj.io "web" is invalid: metadata.resourceVersion: Invalid value: 0: '
        "must be specified for an update"
    )
    assert (unversioned.code, unversioned.json["message"]) == (422, message)
    missing = {**changed, "metadata": {"name": "x", "namespace": at.name, "resourceVersion": "1"}}
    assert at.world.put(f"{at.rollouts}/x", missing).code == 404


def test_post_creates_once_without_status_and_never_below_status(at: Place) -> None:
    answer = at.world.post(at.rollouts, {**rollout("two"), "status": {"phase": "Healthy"}})
    assert (answer.code, "status" in answer.json, answer.json["metadata"]["generation"]) == (201, False, 1)
    again = at.world.post(at.rollouts, rollout())
    expected = failure(409, "AlreadyExists", 'rollouts.argoproj.io "web" already exists', WEB)
    assert (again.code, again.json) == (409, expected)
    assert at.world.post(at.status, {"status": {}}).code == 405


# ---- 15: lists ----


def test_items_of_a_custom_list_carry_their_kind_and_built_in_ones_do_not(at: Place) -> None:
    rollouts = at.world.get(at.rollouts).json
    assert (rollouts["kind"], rollouts["metadata"]["continue"]) == ("RolloutList", "")
    assert [(one["kind"], one["apiVersion"]) for one in rollouts["items"]] == [("Rollout", "argoproj.io/v1alpha1")]
    at.world.post(at.services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    services = at.world.get(at.services).json
    assert "continue" not in services["metadata"]
    assert [set(one) & {"kind", "apiVersion"} for one in services["items"]] == [set()]


def test_pages_name_how_many_are_left_and_end_without_a_token(at: Place) -> None:
    for name in ("a", "b", "c", "d"):
        at.world.post(at.rollouts, rollout(name))
    seen: list[str] = []
    left: list[int | None] = []
    token = ""
    while True:
        page = at.world.get(at.rollouts, limit=2, **({"continue": token} if token else {})).json
        seen += [one["metadata"]["name"] for one in page["items"]]
        left.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"]["continue"]
        if not token:
            break
    assert (seen, left) == (["a", "b", "c", "d", "web"], [3, 1, None])


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"labelSelector": "app=x"}, ["a", "b"]),
        ({"labelSelector": "app!=x"}, ["c", "web"]),
        ({"labelSelector": "app in (x, y),tier"}, ["b", "c"]),
        ({"labelSelector": "app notin (x)"}, ["c", "web"]),
        ({"labelSelector": "!app"}, ["web"]),
        ({"fieldSelector": "metadata.name=b"}, ["b"]),
        ({"fieldSelector": "metadata.name!=b"}, ["a", "c", "web"]),
    ],
    ids=json.dumps,
)
def test_selectors_choose(at: Place, selector: dict[str, str], names: list[str]) -> None:
    for name, labels in {"a": {"app": "x"}, "b": {"app": "x", "tier": "1"}, "c": {"app": "y", "tier": "1"}}.items():
        at.world.post(at.rollouts, rollout(name, **labels))
    items = at.world.get(at.rollouts, **selector).json["items"]
    assert [one["metadata"]["name"] for one in items] == names


@pytest.mark.parametrize(
    ("query", "message"),
    [({"fieldSelector": "status.phase=Healthy"}, "field label not supported: status.phase")],
)
def test_a_field_that_cannot_be_selected_by_is_a_bad_request(at: Place, query: dict[str, str], message: str) -> None:
    answer = at.world.get(at.rollouts, **query)
    assert (answer.code, answer.json) == (400, failure(400, "BadRequest", message))


# ---- beyond the list: what this project needs ----


def test_a_virtual_service_is_one_object_at_three_versions(at: Place) -> None:
    body = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "VirtualService",
        "metadata": {"name": "vs"},
        "spec": {"http": [{"name": "primary"}]},
    }
    assert at.world.post(at.routes("v1alpha3"), body).json["apiVersion"] == "networking.istio.io/v1alpha3"
    patched = at.world.merge(f"{at.routes('v1')}/vs", {"spec": {"http": [{"name": "other"}]}})
    seen = at.world.get(f"{at.routes('v1beta1')}/vs").json
    assert (seen["apiVersion"], seen["spec"]) == ("networking.istio.io/v1beta1", patched.json["spec"])
    assert (seen["metadata"]["uid"], seen["metadata"]["generation"]) == (patched.json["metadata"]["uid"], 2)


def test_lease_times_keep_their_six_decimals(at: Place) -> None:
    renewed = "2026-11-24T23:40:47.277507Z"
    at.world.post(at.leases, {"metadata": {"name": "lock"}, "spec": {"renewTime": renewed}})
    assert at.world.get(f"{at.leases}/lock").json["spec"]["renewTime"] == renewed


def test_server_side_apply_works_on_status_for_a_named_manager(at: Place) -> None:
    body = f"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: web, namespace: {at.name}}}\n"
    body += "status: {abort: true}\n"
    answer = at.world.call("PATCH", at.status, body, APPLY, query={"fieldManager": "ripcord"})
    assert (answer.code, answer.json["status"]["abort"]) == (200, True)
    mine = [one for one in answer.json["metadata"]["managedFields"] if one["manager"] == "ripcord"]
    assert [(one["operation"], one["subresource"]) for one in mine] == [("Apply", "status")]
    assert at.world.call("PATCH", at.status, body, APPLY).code == 422


def test_managed_fields_tell_who_wrote_a_status(at: Place) -> None:
    at.world.merge(at.status, {"status": {"abort": True}}, fieldManager="ripcord")
    entries = [one for one in at.object()["metadata"]["managedFields"] if one["manager"] == "ripcord"]
    assert [(one["operation"], one["subresource"], one["fieldsV1"]) for one in entries] == [
        ("Update", "status", {"f:status": {"f:abort": {}}})
    ]


def test_every_answer_carries_the_headers_of_an_api_server(at: Place) -> None:
    for path in (at.web, f"{at.rollouts}/x"):
        answer = at.world.get(path)
        wanted = {"Audit-Id", "Cache-Control", "Date", "X-Kubernetes-Pf-Flowschema-Uid"}
        assert wanted <= set(answer.headers)
        assert answer.headers["Cache-Control"] == "no-cache, private"
        assert answer.text.endswith("\n")


# ---- 11: a resourceVersion that cannot be ----


def test_a_resource_version_of_the_future_is_waited_for_and_then_too_large(at: Place) -> None:
    """The server waits 3 s for it. 504 here means: not yet, ask again."""
    for path in (at.web, at.rollouts, at.services):
        answer = at.world.get(path, resourceVersion="99999999")
        assert (answer.code, answer.headers["Retry-After"]) == (504, "1")
        said = r"Timeout: Too large resource version: 99999999, current: \d+"
        assert re.fullmatch(said, answer.json["message"])
        told = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        assert answer.json["details"] == {**told, "retryAfterSeconds": 1}
        assert (answer.json["reason"], answer.json["code"]) == ("Timeout", 504)


def test_a_resource_version_of_the_near_future_is_answered_once_it_is_there(at: Place) -> None:
    wanted = int(at.version) + 1
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(at.world.get(at.web, resourceVersion=wanted).code))
    asking.start()
    at.world.merge(at.status, {"status": {"message": "moved on"}})
    asking.join(15)
    assert answers == [200]


def test_a_resource_version_that_is_no_number_is_an_internal_error_without_a_reason(at: Place) -> None:
    before = at.object()
    number = 'strconv.ParseUint: parsing "abc": invalid syntax'
    patched = at.world.merge(at.status, {"metadata": {"resourceVersion": "abc"}, "status": {"abort": True}})
    assert (patched.code, patched.json) == (500, without_reason(number))
    field = f'resourceVersion: Invalid value: "abc": {number}'
    read = at.world.get(at.web, resourceVersion="abc")
    assert (read.code, read.json) == (500, without_reason(field))
    watched = at.world.get(at.rollouts, watch="1", resourceVersion="abc")
    assert (watched.code, watched.json) == (500, without_reason(field))
    listed = at.world.get(at.rollouts, resourceVersion="abc")
    assert listed.json == failure(400, "BadRequest", f"invalid resource version: {field}")
    assert at.object() == before


def without_reason(message: str) -> Object:
    body = failure(500, "", message)
    del body["reason"]
    return body

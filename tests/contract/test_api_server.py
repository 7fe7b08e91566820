"""What a client of the sandbox's API server may rely on, beside what test_scenarios_wire*.py ask of both worlds.

The log's `applied`, the deny list and the control door are the sandbox's own; the rest is kept as the real server keeps it.
"""

from __future__ import annotations

import pytest

from tests.contract.wire import (
    APPLY,
    MERGE,
    ROLLOUTS,
    STRATEGIC,
    Cluster,
    Object,
    failure,
    rollout,
)

WEB = {"name": "web", "group": "argoproj.io", "kind": "rollouts"}
GENERIC = failure(422, "Invalid", "the server rejected our request due to an error in our request", {})
ABORT = {"op": "add", "path": "/status/abort", "value": True}
RUNS = "/apis/argoproj.io/v1alpha1/namespaces/wire/analysisruns"
SERVICES = "/api/v1/namespaces/wire/services"
ROUTES = "/apis/networking.istio.io/{}/namespaces/wire/virtualservices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/wire/leases"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


# 1. JSON patch on …/status.


def test_a_bound_abort_is_applied_while_its_test_holds(cluster: Cluster, web: str) -> None:
    answer = cluster.json_patch(
        f"{web}/status", {"op": "test", "path": "/status/currentPodHash", "value": "aaa"}, ABORT
    )
    assert (answer.code, answer.json["status"]["abort"], cluster.applied()) == (200, True, True)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/status/currentPodHash", "value": "bbb"},
        {"op": "test", "path": "/status/nosuch", "value": "bbb"},
        {"op": "test", "path": "/status/no/such", "value": None},
        {"op": "test", "path": "/metadata/generation", "value": "1"},
        {"op": "remove", "path": "/status/nosuch"},
        {"op": "replace", "path": "/status/no/such", "value": 1},
        {"op": "frob", "path": "/status/abort", "value": True},
        {"op": "add", "path": "abort", "value": True},
        {"op": "add", "path": "", "value": {"status": {"abort": True}}},
    ],
    ids=str,
)
def test_one_operation_that_cannot_be_done_undoes_all_of_them(cluster: Cluster, web: str, operation: Object) -> None:
    before = cluster.get(web).json
    answer = cluster.json_patch(f"{web}/status", ABORT, operation)
    assert (answer.code, answer.json) == (422, GENERIC)
    assert cluster.get(web).json == before
    assert not any(row["applied"] for row in cluster.log()[-2:])


@pytest.mark.parametrize(
    "path",
    ["/metadata/uid", "/metadata/generation", "/metadata/resourceVersion", "/spec/replicas", "/spec/template"],
)
def test_a_status_patch_may_test_any_part_of_the_object(cluster: Cluster, web: str, path: str) -> None:
    value: object = cluster.get(web).json
    for name in path.split("/")[1:]:
        assert isinstance(value, dict)
        value = value[name]
    assert cluster.json_patch(f"{web}/status", {"op": "test", "path": path, "value": value}, ABORT).code == 200
    assert cluster.json_patch(f"{web}/status", {"op": "test", "path": path, "value": "x"}, ABORT).code == 422


def test_null_equals_an_absent_member_and_replace_adds_one(cluster: Cluster, web: str) -> None:
    absent = {"op": "test", "path": "/status/abortedAt", "value": None}
    added = {"op": "replace", "path": "/status/promoteFull", "value": False}
    answer = cluster.json_patch(f"{web}/status", absent, added)
    assert (answer.code, answer.json["status"]["promoteFull"]) == (200, False)


def test_true_is_not_one(cluster: Cluster, web: str) -> None:
    cluster.merge(f"{web}/status", {"status": {"currentStepIndex": 1}})
    assert (
        cluster.json_patch(f"{web}/status", {"op": "test", "path": "/status/currentStepIndex", "value": True}).code
        == 422
    )


def test_escaped_names_lists_moves_and_copies_follow_the_rfc(cluster: Cluster, web: str) -> None:
    answer = cluster.json_patch(
        web,
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1", "c~d": "2"}},
        {"op": "test", "path": "/metadata/annotations/a~1b", "value": "1"},
        {"op": "move", "from": "/metadata/annotations/c~0d", "path": "/metadata/annotations/moved"},
        {"op": "copy", "from": "/metadata/annotations/a~1b", "path": "/metadata/annotations/copied"},
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "two", "image": "two"}},
        {"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "zero", "image": "zero"}},
        {"op": "remove", "path": "/spec/template/spec/containers/1"},
    )
    assert answer.json["metadata"]["annotations"] == {"a/b": "1", "moved": "2", "copied": "1"}
    assert [one["name"] for one in answer.json["spec"]["template"]["spec"]["containers"]] == ["zero", "two"]


# 2. Merge patch and resourceVersion.


# 3. Each endpoint keeps its own part.


def test_main_drops_status_and_status_drops_everything_else(cluster: Cluster, web: str) -> None:
    before = cluster.get(web)
    main = cluster.merge(web, {"status": {"abort": True}})
    assert (main.code, main.json, main.warnings) == (200, before.json, [])
    foreign = {"spec": {"replicas": 9}, "metadata": {"uid": "other", "generation": 7}}
    status = cluster.merge(f"{web}/status", foreign)
    assert (status.code, status.json) == (200, before.json)
    assert not cluster.applied()


def test_metadata_sent_to_status_is_dropped_and_written_down_once(cluster: Cluster, web: str) -> None:
    before = cluster.get(web)
    foreign = {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}}
    first = cluster.merge(f"{web}/status", foreign, fieldManager="ripcord")
    assert cluster.applied()
    again = cluster.merge(f"{web}/status", foreign, fieldManager="ripcord")
    assert not cluster.applied()
    assert (first.code, again.code, again.json) == (200, 200, first.json)
    assert int(first.version) == int(before.version) + 1
    assert not {"labels", "annotations"} & set(first.json["metadata"])
    mine = [one["fieldsV1"] for one in first.json["metadata"]["managedFields"] if one["manager"] == "ripcord"]
    assert mine == [{"f:metadata": {"f:labels": {"f:a": {}}, "f:annotations": {"f:a": {}}}}]


def test_a_foreign_uid_is_refused_on_main(cluster: Cluster, web: str) -> None:
    answer = cluster.merge(web, {"metadata": {"uid": "other"}, "spec": {"replicas": 2}})
    assert answer.code == 422
    assert answer.json["message"].endswith('metadata.uid: Invalid value: "other": field is immutable')


# 4. resourceVersion and generation.


def test_one_counter_moves_with_every_write_of_any_kind(cluster: Cluster, web: str) -> None:
    first = int(cluster.get(web).version)
    cluster.post(LEASES, {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "a"}})
    cluster.merge(f"{web}/status", {"status": {"abort": True}})
    assert int(cluster.get(web).version) == first + 2
    assert int(cluster.get(ROLLOUTS).json["metadata"]["resourceVersion"]) == first + 2


def test_generation_counts_changes_of_spec_and_nothing_else(cluster: Cluster, web: str) -> None:
    def after(path: str, body: Object) -> int:
        cluster.merge(path, body)
        return cluster.get(web).generation

    assert cluster.get(web).generation == 1
    assert after(f"{web}/status", {"status": {"abort": True}}) == 1
    assert after(web, {"metadata": {"annotations": {"a": "b"}, "labels": {"a": "b"}}}) == 1
    assert after(web, {"metadata": {"generation": 7}}) == 1
    assert after(web, {"spec": {"replicas": 2}}) == 2
    assert after(web, {"spec": {"replicas": 2}}) == 2
    assert after(f"{web}/scale", {"spec": {"replicas": 3}}) == 3
    assert after(web, {"spec": {"replicas": None}}) == 4


def test_a_write_that_changes_nothing_moves_nothing_and_is_not_applied(cluster: Cluster, web: str) -> None:
    before = cluster.get(web).json
    assert cluster.merge(f"{web}/status", {"status": {"currentPodHash": "aaa"}}).json == before
    assert not cluster.applied()


def test_one_and_true_are_different_values(cluster: Cluster) -> None:
    cluster.post(ROUTES.format("v1"), {"metadata": {"name": "vs"}, "spec": {"mark": 1}})
    answer = cluster.merge(f"{ROUTES.format('v1')}/vs", {"spec": {"mark": True}})
    assert (answer.json["spec"], answer.generation, cluster.applied()) == ({"mark": True}, 2, True)


def test_a_kind_without_status_endpoint_has_its_status_written_through_main(cluster: Cluster) -> None:
    cluster.post(RUNS, {"metadata": {"name": "run"}, "spec": {"metrics": []}, "status": {"phase": "Running"}})
    assert cluster.merge(f"{RUNS}/run/status", {"status": {"phase": "Failed"}}).code == 404
    answer = cluster.merge(f"{RUNS}/run", {"status": {"phase": "Failed"}})
    assert (answer.json["status"]["phase"], answer.generation) == ("Failed", 2)


def test_managed_fields_tell_who_wrote_what_and_when(cluster: Cluster, web: str) -> None:
    cluster.merge(f"{web}/status", {"status": {"abort": True}}, fieldManager="ripcord")
    entries = cluster.get(web).json["metadata"]["managedFields"]
    mine = [one for one in entries if one["manager"] == "ripcord"]
    assert [(one["operation"], one["subresource"], one["fieldsV1"]) for one in mine] == [
        ("Update", "status", {"f:status": {"f:abort": {}}})
    ]
    assert mine[0]["time"].endswith("Z")
    assert {one["manager"] for one in entries} == {"ripcord", "tester"}


def test_a_field_belongs_to_its_last_writer(cluster: Cluster, web: str) -> None:
    for manager, value in (("one", True), ("two", False)):
        cluster.merge(f"{web}/status", {"status": {"abort": value}}, fieldManager=manager)
    managers = {one["manager"] for one in cluster.get(web).json["metadata"]["managedFields"]}
    assert "two" in managers
    assert "one" not in managers


# 5. Rights come before everything.


def test_nobody_is_forbidden_and_a_wrong_token_is_unauthorized(cluster: Cluster, web: str) -> None:
    message = (
        'rollouts.argoproj.io "web" is forbidden: User "system:anonymous" cannot get resource "rollouts" '
        'in API group "argoproj.io" in the namespace "wire"'
    )
    nobody = cluster.call("GET", web, user=None)
    assert (nobody.code, nobody.json) == (403, failure(403, "Forbidden", message, WEB))
    wrong = cluster.call("GET", web, user="wrong")
    assert (wrong.code, wrong.json) == (401, failure(401, "Unauthorized", "Unauthorized"))
    assert [cluster.call("GET", "/version", user=user).code for user in (None, "wrong")] == [200, 401]


def test_what_is_denied_is_forbidden_before_anything_is_looked_up(cluster: Cluster, web: str) -> None:
    denied = {"user": "ripcord", "verb": "patch", "group": "argoproj.io", "resource": "rollouts/status"}
    assert cluster.control({"deny": [{**denied, "namespace": "wire"}]}).code == 200
    message = (
        'rollouts.argoproj.io "{}" is forbidden: User "ripcord" cannot patch resource "rollouts/status" '
        'in API group "argoproj.io" in the namespace "wire"'
    )
    for name, kind in (("web", MERGE), ("missing", MERGE), ("web", STRATEGIC)):
        answer = cluster.call("PATCH", f"{ROLLOUTS}/{name}/status", {"status": {"abort": True}}, kind)
        expected = failure(403, "Forbidden", message.format(name), {**WEB, "name": name})
        assert (answer.code, answer.json) == (403, expected)
    assert cluster.merge(web, {"spec": {"replicas": 2}}).code == 200
    assert cluster.call("PATCH", f"{web}/status", {"status": {"abort": True}}, MERGE, user="other").code == 200
    assert cluster.control({"deny": None}).code == 200
    assert cluster.merge(f"{web}/status", {"status": {"abort": False}}).code == 200


def test_a_forbidden_list_names_no_object(cluster: Cluster) -> None:
    cluster.control({"deny": [{"verb": "list"}]})
    message = (
        'rollouts.argoproj.io is forbidden: User "ripcord" cannot list resource "rollouts" '
        'in API group "argoproj.io" in the namespace "wire"'
    )
    assert cluster.get(ROLLOUTS).json == failure(
        403, "Forbidden", message, {"group": "argoproj.io", "kind": "rollouts"}
    )
    assert cluster.get("/api/v1/namespaces").json["message"].endswith('in API group "" at the cluster scope')


@pytest.mark.parametrize("wrong", [{"deny": "all"}, {"deny": [{"who": "me"}]}, {"deny": ["me"]}, {"nosuch": 1}])
def test_a_wrong_control_call_says_why_and_changes_nothing(cluster: Cluster, wrong: Object) -> None:
    cluster.control({"deny": [{"user": "someone"}]})
    answer = cluster.control(wrong)
    assert answer.code == 400
    assert answer.json["error"]
    assert cluster.call("GET", ROLLOUTS, user="someone").code == 403


# 6. What is not there.


def test_a_missing_namespace_has_empty_lists_and_takes_nothing_in(cluster: Cluster) -> None:
    elsewhere = ROLLOUTS.replace("/wire/", "/nons/")
    assert cluster.get(elsewhere).json["items"] == []
    answer = cluster.post(elsewhere, rollout())
    expected = failure(404, "NotFound", 'namespaces "nons" not found', {"name": "nons", "kind": "namespaces"})
    assert (answer.code, answer.json) == (404, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/apis/nosuch.example/v1/namespaces/wire/things/x",
        "/apis/argoproj.io/v9/namespaces/wire/rollouts/web",
        "/apis/argoproj.io/v1alpha1/namespaces/wire/rolloutz/web",
        "/apis/argoproj.io/v1alpha1/rollouts/web",
        "/nosuch",
    ],
)
def test_what_is_not_installed_is_a_page_that_is_not_found(cluster: Cluster, path: str) -> None:
    answer = cluster.get(path)
    assert (answer.code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


# 7 and 8. Content types and bodies.


@pytest.mark.parametrize("kind", [STRATEGIC, "application/json", "text/plain", None])
def test_a_custom_resource_takes_three_kinds_of_patches(cluster: Cluster, web: str, kind: str | None) -> None:
    answer = cluster.call("PATCH", f"{web}/status", {"status": {"abort": True}}, kind)
    text = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
    assert (answer.code, answer.json) == (415, failure(415, "UnsupportedMediaType", text))
    assert cluster.call("PATCH", web, {"spec": {"replicas": 2}}, f"{MERGE}; charset=utf-8").code == 200


def test_a_service_takes_strategic_patches_which_merge_its_selector(cluster: Cluster) -> None:
    cluster.post(SERVICES, {"metadata": {"name": "s"}, "spec": {"selector": {"app": "a", "hash": "1"}}})
    answer = cluster.call("PATCH", f"{SERVICES}/s", {"spec": {"selector": {"hash": "2"}}}, STRATEGIC)
    assert (answer.code, answer.json["spec"]["selector"]) == (200, {"app": "a", "hash": "2"})


def test_a_strategic_patch_joins_containers_by_name(cluster: Cluster) -> None:
    path = "/apis/apps/v1/namespaces/wire/deployments"
    containers = [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]
    body = {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": containers}}}}
    cluster.post(path, body)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "b:2"}]}}}}
    answer = cluster.call("PATCH", f"{path}/d", patch, STRATEGIC)
    images = [one["image"] for one in answer.json["spec"]["template"]["spec"]["containers"]]
    assert (images, answer.generation) == (["a:1", "b:2"], 2)


def test_metadata_of_the_wrong_shape_is_a_bad_request(cluster: Cluster, web: str) -> None:
    assert cluster.merge(web, {"metadata": {"labels": {"a": 1}}}).code == 400
    assert cluster.merge(web, {"metadata": []}).code == 400
    assert cluster.post(SERVICES, {"metadata": {"name": "s"}, "spec": []}).code == 400


# 9. Unknown and duplicate fields.


def test_unknown_fields_are_dropped_and_only_a_warning_tells(cluster: Cluster, web: str) -> None:
    before = cluster.get(web).json
    status = cluster.merge(f"{web}/status", {"status": {"nosuch": 1, "canary": {"odd": 1}}})
    assert status.warnings == [
        '299 - "unknown field \\"status.nosuch\\""',
        '299 - "unknown field \\"status.canary.odd\\""',
    ]
    spec = cluster.merge(web, {"spec": {"nosuch": {"x": 1}}})
    assert (spec.code, spec.warnings) == (200, ['299 - "unknown field \\"spec.nosuch\\""'])
    kept = {**before["status"], "canary": {}}
    assert cluster.get(web).json["status"] == kept
    assert "nosuch" not in cluster.get(web).json["spec"]


def test_strict_refuses_unknown_fields_and_quotes_the_object(cluster: Cluster, web: str) -> None:
    answer = cluster.merge(f"{web}/status", {"status": {"abort": True, "nosuch": 1}}, fieldValidation="Strict")
    assert answer.code == 422
    assert answer.json["message"].startswith(' "" is invalid: patch: Invalid value: "{')
    assert answer.json["message"].endswith('strict decoding error: unknown field "status.nosuch"')
    assert "abort" not in cluster.get(web).json["status"]


# 12 and 13. Questions and rehearsals are no writes.


def test_an_access_review_says_what_the_deny_list_says(cluster: Cluster) -> None:
    wanted = {
        "verb": "patch",
        "group": "argoproj.io",
        "resource": "rollouts",
        "subresource": "status",
        "namespace": "wire",
    }
    body = {"spec": {"resourceAttributes": wanted}}
    assert cluster.post(REVIEWS, body).json["status"] == {"allowed": True}
    cluster.control({"deny": [{"user": "ripcord", "resource": "rollouts/status"}]})
    answer = cluster.post(REVIEWS, body)
    assert (answer.code, answer.json["status"], answer.json["kind"]) == (
        201,
        {"allowed": False},
        "SelfSubjectAccessReview",
    )
    assert not cluster.applied()
    assert cluster.call("POST", REVIEWS, body, "application/json", user=None).code == 403


def test_a_dry_run_shows_the_object_and_stores_nothing(cluster: Cluster, web: str) -> None:
    before = cluster.get(web).json
    answer = cluster.merge(f"{web}/status", {"status": {"abort": True}}, dryRun="All")
    assert (answer.json["status"]["abort"], answer.version) == (True, before["metadata"]["resourceVersion"])
    assert not cluster.applied()
    assert cluster.call("POST", ROLLOUTS, rollout("new"), "application/json", query={"dryRun": "All"}).code == 201
    assert cluster.call("DELETE", web, query={"dryRun": "All"}).code == 200
    assert cluster.get(web).json == before
    assert [item["metadata"]["name"] for item in cluster.get(ROLLOUTS).json["items"]] == ["web"]


def test_a_dry_run_still_refuses_what_a_write_would_refuse(cluster: Cluster, web: str) -> None:
    assert cluster.merge(f"{web}/status", {"status": {"abort": "yes"}}, dryRun="All").code == 422
    assert cluster.merge(f"{web}/status", {"status": {"abort": True}}, dryRun="true").code == 422
    assert cluster.merge(f"{ROLLOUTS}/x/status", {"status": {"abort": True}}, dryRun="All").code == 404


# 14. PUT, POST, DELETE.


def test_put_wants_the_current_resource_version_and_ignores_status(cluster: Cluster, web: str) -> None:
    body = cluster.get(web).json
    changed = {**body, "spec": {**body["spec"], "replicas": 3}, "status": {"phase": "Healthy"}}
    answer = cluster.call("PUT", web, changed, "application/json")
    assert (answer.code, answer.json["spec"]["replicas"], answer.json["status"]) == (200, 3, body["status"])
    assert cluster.call("PUT", web, changed, "application/json").code == 409
    del changed["metadata"]["resourceVersion"]
    assert cluster.call("PUT", web, changed, "application/json").code == 422
    missing = {**changed, "metadata": {"name": "x", "resourceVersion": "1"}}
    assert cluster.call("PUT", f"{ROLLOUTS}/x", missing, "application/json").code == 404


def test_post_creates_once_without_status_and_never_below_status(cluster: Cluster) -> None:
    answer = cluster.post(ROLLOUTS, {**rollout(), "status": {"phase": "Healthy"}})
    assert (answer.code, "status" in answer.json, answer.generation) == (201, False, 1)
    assert {"uid", "resourceVersion", "creationTimestamp", "managedFields"} <= set(answer.json["metadata"])
    again = cluster.post(ROLLOUTS, rollout())
    assert again.json == failure(409, "AlreadyExists", 'rollouts.argoproj.io "web" already exists', WEB)
    assert cluster.post(f"{ROLLOUTS}/web/status", {"status": {}}).code == 405


def test_what_an_owner_leaves_behind_goes_at_the_next_tick(cluster: Cluster, web: str) -> None:
    uid = cluster.get(web).json["metadata"]["uid"]
    reference = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": uid, "controller": True}
    cluster.post(RUNS, {"metadata": {"name": "run", "ownerReferences": [reference]}, "spec": {"metrics": []}})
    answer = cluster.call("DELETE", web)
    assert (answer.code, answer.json["status"]) == (200, "Success")
    cluster.sandbox.world.tick()
    assert cluster.get(f"{RUNS}/run").code == 404


def test_a_namespace_takes_its_objects_with_it(cluster: Cluster, web: str) -> None:
    assert cluster.call("DELETE", "/api/v1/namespaces/wire").code == 200
    assert cluster.get(web).code == 404


# 15. Lists.


def test_items_of_a_custom_list_carry_their_kind_and_built_in_ones_do_not(cluster: Cluster, web: str) -> None:
    rollouts = cluster.get(ROLLOUTS).json
    assert (rollouts["kind"], rollouts["metadata"]["continue"]) == ("RolloutList", "")
    assert [(one["kind"], one["apiVersion"]) for one in rollouts["items"]] == [("Rollout", "argoproj.io/v1alpha1")]
    cluster.post(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    services = cluster.get(SERVICES).json
    assert "continue" not in services["metadata"]
    assert [set(one) & {"kind", "apiVersion"} for one in services["items"]] == [set()]


def test_pages_name_how_many_are_left_and_end_without_a_token(cluster: Cluster) -> None:
    names = [f"r{number}" for number in range(5)]
    for name in names:
        cluster.post(ROLLOUTS, rollout(name))
    seen: list[str] = []
    left: list[int | None] = []
    token = ""
    while True:
        page = cluster.get(ROLLOUTS, limit=2, **({"continue": token} if token else {})).json
        seen += [one["metadata"]["name"] for one in page["items"]]
        left.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"]["continue"]
        if not token:
            break
    assert (seen, left) == (names, [3, 1, None])


def test_a_page_of_a_selection_does_not_say_how_many_are_left(cluster: Cluster) -> None:
    for name in ("a", "b"):
        cluster.post(ROLLOUTS, rollout(name, app="x"))
    meta = cluster.get(ROLLOUTS, limit=1, labelSelector="app=x").json["metadata"]
    assert meta["continue"]
    assert "remainingItemCount" not in meta


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({"labelSelector": "app=x"}, ["a", "b"]),
        ({"labelSelector": "app!=x"}, ["c", "d"]),
        ({"labelSelector": "app in (x, y),tier"}, ["b", "c"]),
        ({"labelSelector": "app notin (x)"}, ["c", "d"]),
        ({"labelSelector": "!app"}, ["d"]),
        ({"fieldSelector": "metadata.name=b"}, ["b"]),
        ({"fieldSelector": "metadata.name!=b,metadata.namespace=wire"}, ["a", "c", "d"]),
        ({"fieldSelector": "metadata.namespace=other"}, []),
    ],
    ids=str,
)
def test_selectors_choose(cluster: Cluster, selector: dict[str, str], names: list[str]) -> None:
    for name, labels in {
        "a": {"app": "x"},
        "b": {"app": "x", "tier": "1"},
        "c": {"app": "y", "tier": "1"},
        "d": {},
    }.items():
        cluster.post(ROLLOUTS, rollout(name, **labels))
    items = cluster.call("GET", "/apis/argoproj.io/v1alpha1/rollouts", query=selector).json["items"]
    assert [one["metadata"]["name"] for one in items] == names


def test_a_field_that_cannot_be_selected_by_is_a_bad_request(cluster: Cluster) -> None:
    answer = cluster.get(ROLLOUTS, fieldSelector="status.phase=Healthy")
    assert answer.json == failure(400, "BadRequest", "field label not supported: status.phase")


# Beyond the list: what this project needs of the cluster.


def test_a_virtual_service_is_one_object_at_three_versions(cluster: Cluster) -> None:
    body = {"metadata": {"name": "vs"}, "spec": {"http": [{"name": "primary"}]}}
    assert cluster.post(ROUTES.format("v1alpha3"), body).json["apiVersion"] == "networking.istio.io/v1alpha3"
    patched = cluster.merge(f"{ROUTES.format('v1')}/vs", {"spec": {"http": [{"name": "other"}]}})
    seen = cluster.get(f"{ROUTES.format('v1beta1')}/vs").json
    assert (seen["apiVersion"], seen["spec"]) == ("networking.istio.io/v1beta1", patched.json["spec"])
    assert (seen["metadata"]["uid"], seen["metadata"]["generation"]) == (patched.json["metadata"]["uid"], 2)


def test_lease_times_keep_their_six_decimals(cluster: Cluster) -> None:
    renewed = "2026-11-24T23:40:47.277507Z"
    cluster.post(LEASES, {"metadata": {"name": "lock"}, "spec": {"renewTime": renewed}})
    assert cluster.get(f"{LEASES}/lock").json["spec"]["renewTime"] == renewed


def test_server_side_apply_works_on_status(cluster: Cluster, web: str) -> None:
    answer = cluster.call(
        "PATCH", f"{web}/status", b"status:\n  abort: true\n", APPLY, query={"fieldManager": "ripcord"}
    )
    assert (answer.code, answer.json["status"]["abort"]) == (200, True)
    mine = [one for one in answer.json["metadata"]["managedFields"] if one["manager"] == "ripcord"]
    assert [one["operation"] for one in mine] == ["Apply"]


def test_scale_shows_and_sets_replicas_alone(cluster: Cluster, web: str) -> None:
    cluster.merge(f"{web}/status", {"status": {"HPAReplicas": 5, "selector": "app=web"}})
    shown = cluster.get(f"{web}/scale").json
    assert (shown["kind"], shown["spec"], shown["status"]) == (
        "Scale",
        {"replicas": 1},
        {"replicas": 5, "selector": "app=web"},
    )
    assert cluster.merge(f"{web}/scale", {"spec": {"replicas": 4}}).json["spec"] == {"replicas": 4}
    assert cluster.get(web).json["spec"]["replicas"] == 4


def test_a_lost_answer_hides_a_write_that_was_applied(cluster: Cluster, web: str) -> None:
    """Demand 11: reset before and after, over this API's own writes."""
    for fault, applied in (("reset_before", False), ("reset_after_apply", True)):
        cluster.sandbox.world.faults.append([{"match": {"method": "PATCH"}, "do": fault, "times": 1}])
        with pytest.raises(ConnectionError):
            cluster.merge(f"{web}/status", {"status": {"message": fault}})
        assert cluster.applied() is applied
        assert (cluster.get(web).json["status"].get("message") == fault) is applied


def test_every_answer_carries_the_headers_of_an_api_server(cluster: Cluster, web: str) -> None:
    for answer in (cluster.get(web), cluster.get(f"{ROLLOUTS}/x"), cluster.get("/nosuch")):
        names = {
            "Audit-Id",
            "Cache-Control",
            "Date",
            "X-Kubernetes-Pf-Flowschema-Uid",
            "X-Kubernetes-Pf-Prioritylevel-Uid",
        }
        assert names <= set(answer.headers)
        assert answer.text.endswith("\n")

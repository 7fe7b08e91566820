"""The official Python client against the sandbox, with the kubeconfig that the sandbox writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch
from urllib3.exceptions import ReadTimeoutError

from sandbox.kubernetes import kubeconfig
from tests.contract.wire import ROLLOUTS, Cluster, rollout

PLACE = ("argoproj.io", "v1alpha1", "wire", "rollouts")


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Any:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig(cluster.sandbox.base_url))
    settings = client.Configuration()
    config.load_kube_config(str(path), client_configuration=settings)
    return client.ApiClient(settings)


def test_a_bound_abort_of_the_client_reaches_status_and_its_rival_gets_422(
    cluster: Cluster, web: str, api: Any
) -> None:
    custom = client.CustomObjectsApi(api)
    patch = [
        {"op": "test", "path": "/status/currentPodHash", "value": "aaa"},
        {"op": "add", "path": "/status/abort", "value": True},
    ]
    kind = {"_content_type": "application/json-patch+json"}
    answer = custom.patch_namespaced_custom_object_status(*PLACE, "web", patch, field_manager="ripcord", **kind)
    assert answer["status"]["abort"] is True
    assert cluster.log()[-1]["path"] == f"/kubernetes{ROLLOUTS}/web/status"
    patch[0]["value"] = "bbb"
    with pytest.raises(client.ApiException) as refused:
        custom.patch_namespaced_custom_object_status(*PLACE, "web", patch, **kind)
    assert refused.value.status == 422


def test_typed_reads_find_what_the_client_created(cluster: Cluster, api: Any) -> None:
    core = client.CoreV1Api(api)
    meta = client.V1ObjectMeta(name="web")
    spec = client.V1ServiceSpec(selector={"app": "web"}, ports=[client.V1ServicePort(port=80)])
    core.create_namespaced_service("wire", client.V1Service(metadata=meta, spec=spec))
    core.patch_namespaced_service("web", "wire", {"spec": {"selector": {"hash": "1"}}})
    assert core.read_namespaced_service("web", "wire").spec.selector == {"app": "web", "hash": "1"}
    assert [one.metadata.name for one in core.list_namespaced_service("wire").items] == ["web"]


def test_a_rollout_is_created_listed_and_deleted_by_the_client(cluster: Cluster, api: Any) -> None:
    custom = client.CustomObjectsApi(api)
    custom.create_namespaced_custom_object(*PLACE, rollout())
    assert [one["kind"] for one in custom.list_namespaced_custom_object(*PLACE)["items"]] == ["Rollout"]
    custom.delete_namespaced_custom_object(*PLACE, "web")
    with pytest.raises(client.ApiException) as missing:
        custom.get_namespaced_custom_object(*PLACE, "web")
    assert missing.value.status == 404


def test_an_access_review_of_the_client_follows_the_deny_list(cluster: Cluster, api: Any) -> None:
    attributes = client.V1ResourceAttributes(
        verb="patch", group="argoproj.io", resource="rollouts", subresource="status", namespace="wire", name="web"
    )
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    reviews = client.AuthorizationV1Api(api)
    assert reviews.create_self_subject_access_review(review).status.allowed is True
    cluster.control({"deny": [{"user": "ripcord", "verb": "patch"}]})
    assert reviews.create_self_subject_access_review(review).status.allowed is False


# ---- watch ----


def _watched(custom: Any, version: str, seconds: int = 10, **more: Any) -> Any:
    return watch.Watch().stream(
        custom.list_namespaced_custom_object, *PLACE, resource_version=version, timeout_seconds=seconds, **more
    )


def test_a_watch_of_the_client_begins_where_its_list_ended_and_hears_of_a_write(
    cluster: Cluster, web: str, api: Any
) -> None:
    custom = client.CustomObjectsApi(api)
    listed = custom.list_namespaced_custom_object(*PLACE)
    events = _watched(custom, listed["metadata"]["resourceVersion"], field_selector="metadata.name=web")
    cluster.merge(f"{web}/status", {"status": {"abort": True}})
    event = next(events)
    events.close()
    assert (event["type"], event["object"]["status"]["abort"]) == ("MODIFIED", True)


def test_a_watch_of_the_client_without_a_version_tells_typed_objects_and_ends_with_its_time(
    cluster: Cluster, api: Any
) -> None:
    core = client.CoreV1Api(api)
    ports = [client.V1ServicePort(port=80)]
    core.create_namespaced_service(
        "wire", client.V1Service(metadata=client.V1ObjectMeta(name="web"), spec=client.V1ServiceSpec(ports=ports))
    )
    told = list(watch.Watch().stream(core.list_namespaced_service, "wire", timeout_seconds=1))
    assert [(one["type"], one["object"].metadata.name) for one in told] == [("ADDED", "web")]


def test_a_watch_of_the_client_from_a_version_that_is_too_old_is_an_exception_with_410(
    cluster: Cluster, web: str, api: Any
) -> None:
    with pytest.raises(client.ApiException) as expired:
        list(_watched(client.CustomObjectsApi(api), "1"))
    assert expired.value.status == 410
    assert "too old resource version: 1 (" in str(expired.value.reason)


def test_a_silent_watch_is_given_up_by_the_client_after_its_own_time(cluster: Cluster, web: str, api: Any) -> None:
    fault = {"match": {"method": "GET", "path": f"/kubernetes{ROLLOUTS}"}, "do": "silent_watch", "times": 1}
    cluster.sandbox.world.faults.append([fault])
    version = cluster.get(web).version
    events = _watched(client.CustomObjectsApi(api), version, _request_timeout=(2, 0.5))
    cluster.merge(f"{web}/status", {"status": {"abort": True}})
    with pytest.raises(ReadTimeoutError):
        next(events)

"""The control `apiserver` of /_sandbox/kubernetes: an API server that is down, and what is answered in the seconds after its start."""

from __future__ import annotations

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from tests.contract.wire import MERGE, ROLLOUTS, Answer, Cluster, Object

ABORT: Object = {"status": {"abort": True}}
SERVICES = "/api/v1/namespaces/wire/services"


@pytest.fixture
def started(cluster: Cluster, web: str) -> Cluster:
    """Its API server was down and has just been started; the clock stands still enough."""
    _apiserver(cluster, "down")
    _apiserver(cluster, "up")
    cluster.sandbox.world.clock.speed(0.001)
    return cluster


def _apiserver(cluster: Cluster, wanted: str | None) -> None:
    assert cluster.control({"apiserver": wanted}).code == 200


def _after(cluster: Cluster, seconds: float) -> None:
    cluster.sandbox.world.clock.advance(seconds)


def test_while_it_is_down_every_connection_ends_without_an_answer_and_nothing_is_applied(
    cluster: Cluster, web: str
) -> None:
    _apiserver(cluster, "down")
    for path in (web, "/version", "/readyz", SERVICES):
        with pytest.raises(ConnectionError):
            cluster.get(path)
    with pytest.raises(ConnectionError):
        cluster.merge(f"{web}/status", ABORT)
    row = cluster.log()[-1]
    assert (row["applied"], row["status"]) == (False, None)
    _apiserver(cluster, None)
    assert "abort" not in cluster.get(web).json["status"]


def test_the_other_vendors_of_the_port_go_on(cluster: Cluster) -> None:
    _apiserver(cluster, "down")
    key = cluster.sandbox.world.pagerduty.account.api_key
    assert cluster._send("GET", "/pagerduty/abilities", None, {"Authorization": f"Token token={key}"}).code == 200


@pytest.mark.parametrize(
    ("seconds", "codes"),
    [
        (0.1, {"GET": 503, "PATCH": 503, "LIST": 503, "WATCH": 503, "nothing": 503, "Services": 200, "ready": 500}),
        (1.9, {"GET": 200, "PATCH": 200, "LIST": 429, "WATCH": 429, "nothing": 404, "Services": 200, "ready": 500}),
        (2.4, {"GET": 200, "PATCH": 200, "LIST": 429, "WATCH": 429, "nothing": 404, "Services": 200, "ready": 200}),
        (3.5, {"GET": 200, "PATCH": 200, "LIST": 200, "WATCH": 200, "nothing": 404, "Services": 200, "ready": 200}),
    ],
    ids=str,
)
def test_after_a_start_custom_resources_come_late_and_their_lists_last(
    started: Cluster, seconds: float, codes: dict[str, int]
) -> None:
    _after(started, seconds)
    assert _codes(started, "admin") == codes


@pytest.mark.parametrize(
    ("seconds", "codes"),
    [
        (0.1, {"GET": 403, "PATCH": 403, "LIST": 403, "WATCH": 403, "nothing": 403, "Services": 403, "ready": 500}),
        (1.3, {"GET": 503, "PATCH": 503, "LIST": 503, "WATCH": 503, "nothing": 503, "Services": 200, "ready": 500}),
        (1.9, {"GET": 200, "PATCH": 200, "LIST": 429, "WATCH": 429, "nothing": 404, "Services": 200, "ready": 500}),
    ],
    ids=str,
)
def test_who_needs_a_role_is_forbidden_first(started: Cluster, seconds: float, codes: dict[str, int]) -> None:
    _after(started, seconds)
    assert _codes(started, "ripcord") == codes


def _codes(cluster: Cluster, user: str) -> dict[str, int]:
    def code(path: str, **query: object) -> int:
        return cluster.call("GET", path, query=query, user=user).code

    web = f"{ROLLOUTS}/web"
    return {
        "GET": code(web),
        "PATCH": cluster.call("PATCH", f"{web}/status", ABORT, MERGE, user=user).code,
        "LIST": code(ROLLOUTS),
        "WATCH": code(ROLLOUTS, watch="1", resourceVersion="1"),  # too old: told at once, and ended
        "nothing": code("/apis/nosuch.example/v1/namespaces/wire/things/x"),
        "Services": code(SERVICES),
        "ready": code("/readyz"),
    }


def test_a_wrong_token_is_unauthorized_at_any_moment(started: Cluster) -> None:
    _after(started, 0.1)
    assert started.call("GET", ROLLOUTS, user="wrong").code == 401


def test_null_clears_it_and_no_start_is_seen(cluster: Cluster, web: str) -> None:
    _apiserver(cluster, "down")
    _apiserver(cluster, None)
    assert _codes(cluster, "ripcord")["LIST"] == 200


def test_one_that_is_up_is_not_started_again(cluster: Cluster, web: str) -> None:
    _apiserver(cluster, "up")
    assert _codes(cluster, "ripcord")["LIST"] == 200


@pytest.mark.parametrize("wrong", ["off", True, {"slow": 1}], ids=str)
def test_a_wrong_value_is_refused_and_changes_nothing(cluster: Cluster, web: str, wrong: object) -> None:
    answer: Answer = cluster.control({"apiserver": wrong, "deny": [{"user": "ripcord"}]})
    assert answer.code == 400
    assert "apiserver" in answer.json["error"]
    assert cluster.get(web).code == 200


def test_nobody_reconciles_while_it_is_down(cluster: Cluster) -> None:
    def lease() -> object:
        return cluster.sandbox.world.kubernetes.store.get("leases", "argo-rollouts", "argo-rollouts-controller-lock")

    assert cluster.post("/api/v1/namespaces", {"metadata": {"name": "argo-rollouts"}}).code == 201
    cluster.sandbox.world.tick()
    before = lease()
    assert before is not None
    _apiserver(cluster, "down")
    _after(cluster, 9)
    cluster.sandbox.world.tick()
    assert lease() == before
    _apiserver(cluster, None)
    cluster.sandbox.world.tick()
    assert lease() != before


def test_the_official_client_tells_the_phases_apart_by_its_exceptions(started: Cluster, web: str) -> None:
    """A connection that ends is no ApiException; the client asks once and never again by itself."""
    settings = client.Configuration(host=f"{started.sandbox.base_url}/kubernetes")
    settings.api_key = {"BearerToken": "ripcord"}
    settings.api_key_prefix = {"BearerToken": "Bearer"}
    settings.retries = False
    custom = client.CustomObjectsApi(client.ApiClient(settings))
    place = ("argoproj.io", "v1alpha1", "wire", "rollouts")
    seen = []
    with pytest.raises(ProtocolError):
        custom.get_namespaced_custom_object(*place, "web")
    for seconds in (0.1, 1.2, 0.6):
        _after(started, seconds)
        with pytest.raises(ApiException) as refused:
            custom.list_namespaced_custom_object(*place)
        seen.append((refused.value.status, refused.value.headers.get("Retry-After")))
    assert seen == [(403, None), (503, "5"), (429, "1")]
    assert len([row for row in started.log() if row["path"].endswith("/rollouts") and row["method"] == "GET"]) == 3

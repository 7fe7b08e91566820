"""Trouble, in both worlds by the same words: a PATCH without an answer, an API server that starts, a Lease that stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise

import pytest
import urllib3

from tests.cluster.api import MERGE, Object
from tests.cluster.start import LEASE, PRODUCT
from tests.contract.relay import What
from tests.contract.scenario import Canary
from tests.contract.trouble import (
    REFUSED,
    Ask,
    Heard,
    answers_of_a_start,
    apiserver_away,
    killed,
    killed_while_it_waits,
    over_a_breaking_line,
    ready,
    slow_line,
    start_apiserver,
    token,
    told_to_stop,
)
from tests.contract.wire import QUIET, Place, failure
from tests.contract.worlds import World, leads
from tests.support.waiting import eventually

ABORT: Object = {"status": {"abort": True}}


def _lease(world: World) -> Object:
    return dict(world.get(LEASE).json["spec"])


def test_a_patch_that_timed_out_on_our_side_is_applied_when_it_arrives(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    with slow_line(canary.world, f"{canary.path}/status") as send:
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            send(ABORT, 0.5)
        assert "abort" not in canary.status

    canary.until_acknowledged()
    canary.until_weights(100, 0)


def test_a_server_that_stood_still_goes_on_and_may_have_applied_what_nobody_waits_for_any_more(canary: Canary) -> None:
    """May, not must: one that sees the closed connection first gives it up. Asked again it is the same abort."""
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    canary.world.get(canary.path)  # a connection stands: what is sent lies in the server's socket
    with canary.world.stalled(), pytest.raises(urllib3.exceptions.ReadTimeoutError):
        canary.world.call("PATCH", f"{canary.path}/status", ABORT, MERGE, timeout=0.5)

    assert canary.abort().json["status"]["abort"] is True
    canary.until_acknowledged()
    canary.until_weights(100, 0)


@pytest.fixture(params=QUIET)
def at(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A Rollout that nobody reconciles, and a user who has exactly the Role that this project ships."""
    world: World = request.getfixturevalue(request.param)
    place = Place(world).with_web()
    eventually(lambda: world.call("GET", place.web, token=token(world)).code == 200, what="the Role is granted")
    yield place
    world.leave(place.name)


# ---- 11: connections that end without an answer ----


@pytest.mark.parametrize(("lost", "applied"), [("request", False), ("answer", True)])
def test_a_patch_whose_connection_ends_without_an_answer_was_applied_or_not(
    at: Place, lost: What, applied: bool
) -> None:
    """To its sender both look alike; only reading tells."""
    before = at.object()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        over_a_breaking_line(at.world, "PATCH", at.status, ABORT, MERGE, lost)
    after = at.object()
    assert (after["status"].get("abort") is True) is applied
    assert (after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]) is applied
    again = at.world.merge(at.status, ABORT)
    assert (again.code, again.json["status"]["abort"]) == (200, True)
    assert (again.json == after) is applied


def test_a_patch_that_lies_with_an_api_server_when_it_is_killed_gets_no_answer_and_was_not_applied(at: Place) -> None:
    before = at.object()
    try:
        with pytest.raises(ConnectionError):
            killed_while_it_waits(at.world, at.status, ABORT, MERGE)
        with pytest.raises(urllib3.exceptions.HTTPError):
            at.world.call("PATCH", at.status, ABORT, MERGE)
    finally:
        start_apiserver(at.world)
        ready(at.world)
    assert at.object() == before
    assert at.world.merge(at.status, ABORT).json["status"]["abort"] is True


def test_nobody_listens_where_the_api_server_is_away_and_what_was_written_is_still_there_afterwards(at: Place) -> None:
    written = at.world.merge(at.status, ABORT).json
    with apiserver_away(at.world):
        broken = _raised(at.world, at.status)  # a connection that stood has ended
        refused = _raised(at.world, at.status)
    assert isinstance(broken, urllib3.exceptions.ProtocolError | urllib3.exceptions.NewConnectionError)
    assert isinstance(refused, urllib3.exceptions.NewConnectionError)
    assert at.object() == written


def _raised(world: World, path: str) -> Exception:
    with pytest.raises(urllib3.exceptions.HTTPError) as raised:
        world.call("PATCH", path, {"status": {"abort": False}}, MERGE)
    return raised.value


# ---- 11: while an API server starts ----

REFUSAL = (
    'rollouts.argoproj.io "web" is forbidden: User "ripcord" cannot {} resource "{}" in API group "argoproj.io" in'
)
IN_ORDER: dict[str, list[int | str]] = {
    "GET": [REFUSED, 503, 200],
    "PATCH": [REFUSED, 503, 200],
    "LIST": [REFUSED, 503, 429, 200],
    "WATCH": [REFUSED, 503, 429, 200],
    "GET of what is no kind": [REFUSED, 503, 404],
    "LIST of Services": [REFUSED, 200],
    "GET with a Role": [REFUSED, 403, 503, 200],
    "PATCH with a Role": [REFUSED, 403, 503, 200],
    "LIST with a Role": [REFUSED, 403, 503, 429, 200],
}


def test_while_an_api_server_starts_it_says_not_yet_in_four_ways_and_changes_nothing(at: Place) -> None:
    """Each may be too short to be met; but what is met comes in this order, and in these words."""
    elsewhere = at.rollouts.replace("argoproj.io/v1alpha1", "nosuch.example/v1")
    same = {"status": {"phase": "Paused"}}
    before = at.object()
    asks = {
        "GET": Ask("GET", at.web, at.world.user),
        "PATCH": Ask("PATCH", at.status, at.world.user, same),
        "LIST": Ask("GET", at.rollouts, at.world.user),
        "WATCH": Ask("GET", f"{at.rollouts}?watch=1&timeoutSeconds=1", at.world.user),
        "GET of what is no kind": Ask("GET", f"{elsewhere}/web", at.world.user),
        "LIST of Services": Ask("GET", at.services, at.world.user),
        "GET with a Role": Ask("GET", at.web, PRODUCT),
        "PATCH with a Role": Ask("PATCH", at.status, PRODUCT, same),
        "LIST with a Role": Ask("GET", at.rollouts, PRODUCT),
    }
    heard = answers_of_a_start(at.world, asks, lambda so_far: all(_ends(so_far[one], one) for one in asks))

    for name, allowed in IN_ORDER.items():
        codes = heard[name].codes
        assert codes == [one for one in allowed if one in codes], f"{name}: {codes}"
        assert codes[0] == REFUSED, f"{name}: {codes}"
    met = {code for one in heard.values() for code in one.codes}
    assert {403, 503} <= met, met
    assert at.object() == before

    for one in heard.values():
        for answer in one.of(503):
            text = "the request has been made before all known HTTP paths have been installed, please try again"
            assert answer.json == failure(503, "ServiceUnavailable", text, {"retryAfterSeconds": 5})
            assert answer.headers["Retry-After"] == "5"
        for answer in one.of(429):
            assert answer.json == failure(
                429, "TooManyRequests", "storage is (re)initializing", {"retryAfterSeconds": 1}
            )
            assert answer.headers["Retry-After"] == "1"
    for name, words in (("GET with a Role", ("get", "rollouts")), ("PATCH with a Role", ("patch", "rollouts/status"))):
        for answer in heard[name].of(403):
            assert answer.json["message"].startswith(REFUSAL.format(*words))
            assert answer.json["details"] == {"name": "web", "group": "argoproj.io", "kind": "rollouts"}


def _ends(heard: Heard, name: str) -> bool:
    return heard.codes[-1] == IN_ORDER[name][-1]


# ---- 16: the Lease ----


def test_the_lease_moves_while_a_controller_leads_and_its_times_have_six_decimals(world: World) -> None:
    eventually(leads(world), within=45, every=0.1, what="the Lease moves")
    lease = _lease(world)
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{6}Z", lease[key]) for key in ("renewTime", "acquireTime"))
    assert lease["leaseDurationSeconds"] == 15
    assert re.fullmatch(r".+_[0-9a-f-]{36}", lease["holderIdentity"])
    assert set(lease) == {"acquireTime", "holderIdentity", "leaseDurationSeconds", "leaseTransitions", "renewTime"}
    assert world.get(LEASE.rpartition("/")[0]).code == 200


def test_the_lease_is_renewed_each_two_seconds_with_one_write(world: World) -> None:
    seen: dict[str, Object] = {}

    def four() -> bool:
        one = world.get(LEASE).json
        seen.setdefault(one["metadata"]["resourceVersion"], one)
        return len(seen) >= 4

    eventually(four, within=60, every=0.05, what="three renewals")
    renewed = [datetime.fromisoformat(one["spec"]["renewTime"]) for one in seen.values()]
    steps = [(after - before).total_seconds() for before, after in pairwise(renewed)]
    assert all(1.5 <= step <= 5 for step in steps), steps
    rest = [{**one["spec"], "renewTime": ""} for one in seen.values()]
    assert rest == rest[:1] * len(rest)


@pytest.mark.parametrize("ends", [killed, told_to_stop], ids=["killed", "told to stop"])
def test_a_controller_that_starts_waits_for_the_lease_of_one_that_ended(
    canary: Canary, ends: Callable[[World], None]
) -> None:
    """Neither way of ending gives it up, and the next one pays for all of it: what waits for it meanwhile is kept."""
    world = canary.world
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    eventually(leads(world), within=45, every=0.1, what="the Lease moves")
    ends(world)
    try:
        before = _lease(world)
        canary.abort()
        canary.never(lambda: _lease(world) != before, for_seconds=6, what="the Lease moves or is given up")
    finally:
        world.controller_up()
    canary.never(lambda: canary.acknowledged, for_seconds=10, what="it acts before the old Lease has run out")
    canary.until_acknowledged(within=45)

    after = _lease(world)
    assert after["holderIdentity"] != before["holderIdentity"]
    assert after["holderIdentity"].partition("_")[0] == before["holderIdentity"].partition("_")[0]
    assert after["leaseTransitions"] == before["leaseTransitions"] + 1
    acquired = datetime.fromisoformat(after["acquireTime"])
    assert (acquired - datetime.fromisoformat(before["renewTime"])).total_seconds() >= before["leaseDurationSeconds"]
    canary.until_weights(100, 0)

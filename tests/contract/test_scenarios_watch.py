"""Watches, in both worlds by the same words: traces/api-server.md, item 10 and the silence of item 11."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cluster.api import Object
from tests.contract.trouble import apiserver_away, apiserver_told_to_stop, line_to
from tests.contract.watching import ENDED, OPEN, TORN, Watch, watching
from tests.contract.wire import QUIET, Place, failure
from tests.contract.wire import nobodys_rollout as rollout
from tests.contract.worlds import World
from tests.support.waiting import eventually


@pytest.fixture(params=QUIET)
def at(request: pytest.FixtureRequest) -> Iterator[Place]:
    world: World = request.getfixturevalue(request.param)
    place = Place(world).with_web()
    yield place
    world.leave(place.name)


def _note(at: Place, text: str, name: str = "web") -> str:
    """One write of a Rollout; the resourceVersion that it got."""
    answer = at.world.merge(f"{at.rollouts}/{name}/status", {"status": {"message": text}})
    assert answer.code == 200, answer.text
    return str(answer.json["metadata"]["resourceVersion"])


# ---- where it begins ----


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}], ids=json.dumps)
def test_without_a_resource_version_what_is_there_is_told_first_as_if_it_were_new(
    at: Place, query: dict[str, str]
) -> None:
    assert at.world.post(at.rollouts, rollout("api")).code == 201
    with watching(at.world, at.rollouts, **query) as watch:
        watch.until_heard(("ADDED", "api"), ("ADDED", "web"))
        assert watch.events[1]["object"] == at.object()
        version = _note(at, "moved on")
        watch.until_heard(("ADDED", "api"), ("ADDED", "web"), ("MODIFIED", "web"))
        assert watch.events[2]["object"] == at.object()
        assert watch.versions[2] == version


def test_from_a_resource_version_on_each_write_is_told_once_and_nothing_that_was_before(at: Place) -> None:
    _note(at, "before")
    begin = at.version
    versions = [_note(at, "first"), _note(at, "second")]
    with watching(at.world, at.rollouts, resourceVersion=begin) as watch:
        watch.until_heard(*[("MODIFIED", "web")] * 2)
        versions.append(_note(at, "third"))
        watch.until_heard(*[("MODIFIED", "web")] * 3)
        assert watch.versions == versions
        assert [one["object"]["status"]["message"] for one in watch.events] == ["first", "second", "third"]
        _note(at, "third")  # changes nothing
        watch.hears_nothing()


def test_the_version_of_a_list_is_where_its_watch_begins(at: Place) -> None:
    listed = at.world.get(at.rollouts).json
    with watching(at.world, at.rollouts, resourceVersion=listed["metadata"]["resourceVersion"]) as watch:
        watch.hears_nothing()
        _note(at, "moved on")
        watch.until_heard(("MODIFIED", "web"))


def test_a_version_of_the_future_is_silence_and_no_error(at: Place) -> None:
    with watching(at.world, at.rollouts, resourceVersion=str(int(at.version) + 100_000)) as watch:
        assert watch.code == 200
        _note(at, "moved on")
        watch.hears_nothing(for_seconds=1)


def test_a_version_that_is_too_old_is_a_200_with_one_error_in_it(at: Place) -> None:
    with watching(at.world, at.rollouts, resourceVersion="1") as watch:
        assert watch.code == 200
        watch.until_it_is(ENDED)
        (event,) = watch.events
        message = event["object"]["message"]
        assert re.fullmatch(r"too old resource version: 1 \(\d+\)", message)
        assert event == {"type": "ERROR", "object": failure(410, "Expired", message)}


@pytest.mark.parametrize("bookmarks", ["true", "false"])
def test_initial_events_may_be_asked_for_and_a_bookmark_says_where_they_end(at: Place, bookmarks: str) -> None:
    initial = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": bookmarks}
    with watching(at.world, at.rollouts, **initial) as watch:
        if bookmarks == "false":
            watch.until_heard(("ADDED", "web"))
            watch.hears_nothing()
            return
        watch.until_heard(("ADDED", "web"), ("BOOKMARK", ""))
        mark = watch.events[1]["object"]
        assert (mark["kind"], mark["apiVersion"]) == ("Rollout", "argoproj.io/v1alpha1")
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(mark["metadata"]["resourceVersion"]) >= int(at.version)
        assert set(mark) == {"kind", "apiVersion", "metadata"}


# ---- what is told ----


def test_what_is_deleted_is_told_as_it_last_was_with_the_version_of_its_deletion(at: Place) -> None:
    last = at.object()
    with watching(at.world, at.rollouts, resourceVersion=at.version) as watch:
        assert at.world.call("DELETE", at.web).code == 200
        watch.until_heard(("DELETED", "web"))
        told = watch.events[0]["object"]
        assert int(told["metadata"]["resourceVersion"]) > int(last["metadata"]["resourceVersion"])
        assert (told["spec"], told["status"]) == (last["spec"], last["status"])


def test_what_leaves_a_selector_is_told_as_deleted_and_what_enters_it_as_added(at: Place) -> None:
    with watching(at.world, at.rollouts, resourceVersion=at.version, labelSelector="tier=front") as watch:
        _label(at, "front")
        watch.until_heard(("ADDED", "web"))
        version = _label(at, "back")
        watch.until_heard(("ADDED", "web"), ("DELETED", "web"))
        left = watch.events[1]["object"]["metadata"]
        assert (left["labels"]["tier"], left["resourceVersion"]) == ("front", version)
        _note(at, "unseen")
        watch.hears_nothing()


def _label(at: Place, tier: str) -> str:
    answer = at.world.merge(at.web, {"metadata": {"labels": {"tier": tier}}})
    return str(answer.json["metadata"]["resourceVersion"])


def test_one_name_can_be_watched_alone(at: Place) -> None:
    assert at.world.post(at.rollouts, rollout("api")).code == 201
    with watching(at.world, at.rollouts, fieldSelector="metadata.name=web") as watch:
        _note(at, "unheard", "api")
        _note(at, "heard")
        watch.until_heard(("ADDED", "web"), ("MODIFIED", "web"))


def test_a_watch_without_a_namespace_hears_of_all_of_them(at: Place) -> None:
    other = Place(at.world)
    try:
        everywhere = at.rollouts.replace(f"namespaces/{at.name}/", "")
        with watching(at.world, everywhere, resourceVersion=at.version) as watch:
            assert at.world.post(other.rollouts, rollout("far")).code == 201
            _note(at, "near")
            watch.until_heard(("ADDED", "far"), ("MODIFIED", "web"))
    finally:
        at.world.leave(other.name)


def test_built_in_kinds_are_told_with_their_kind_unlike_in_lists(at: Place) -> None:
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    with watching(at.world, at.services, resourceVersion=at.version) as watch:
        assert at.world.post(at.services, service).code == 201
        watch.until_heard(("ADDED", "web"))
        told = watch.events[0]["object"]
        assert (told["kind"], told["apiVersion"]) == ("Service", "v1")


def test_objects_are_told_in_the_version_that_is_watched(at: Place) -> None:
    router = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web"},
        "spec": {"http": [{"name": "primary"}]},
    }
    with watching(at.world, at.routes("v1beta1"), resourceVersion=at.version) as watch:
        assert at.world.post(at.routes("v1"), router).code == 201
        watch.until_heard(("ADDED", "web"))
        assert watch.events[0]["object"]["apiVersion"] == "networking.istio.io/v1beta1"


def test_watch_on_the_path_of_one_object_is_a_plain_get(at: Place) -> None:
    assert at.world.get(at.web, watch="1", resourceVersion="0").json == at.object()


@pytest.mark.parametrize(
    "selector", [{"fieldSelector": "status.phase=Healthy"}, {"labelSelector": "app in ("}], ids=str
)
def test_a_selector_that_cannot_be_is_refused_before_anything_is_told(at: Place, selector: dict[str, str]) -> None:
    answer = at.world.get(at.rollouts, watch="1", **selector)
    assert (answer.code, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json == at.world.get(at.rollouts, **selector).json


NEEDS = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
GOES_WITH = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
UNKNOWN = 'Unsupported value: "Exact": supported values: "NotOlderThan"'


@pytest.mark.parametrize(
    ("options", "causes"),
    [
        ({"sendInitialEvents": "true"}, [NEEDS]),
        ({"resourceVersionMatch": "NotOlderThan"}, [GOES_WITH]),
        ({"sendInitialEvents": "false", "resourceVersionMatch": "Exact"}, [NEEDS, UNKNOWN]),
        ({"resourceVersionMatch": "Exact"}, [GOES_WITH, UNKNOWN]),
    ],
    ids=json.dumps,
)
def test_options_that_make_no_sense_together_are_invalid(at: Place, options: dict[str, str], causes: list[str]) -> None:
    answer = at.world.get(at.rollouts, watch="1", resourceVersion="0", **options)
    assert (answer.code, answer.json["reason"]) == (422, "Invalid")
    told = answer.json["details"]
    assert (told["group"], told["kind"]) == ("meta.k8s.io", "ListOptions")
    assert [(one["field"], one["message"]) for one in told["causes"]] == [
        ("resourceVersionMatch", words) for words in causes
    ]


# ---- how it ends ----


def test_its_headers_come_at_once_and_it_ends_by_itself_after_its_time(at: Place) -> None:
    with watching(at.world, at.rollouts, resourceVersion=at.version, timeoutSeconds=2) as watch:
        assert watch.code == 200
        assert watch.headers["Content-Type"] == "application/json"
        assert watch.headers["Transfer-Encoding"] == "chunked"
        assert {"Audit-Id", "X-Kubernetes-Pf-Flowschema-Uid"} <= set(watch.headers)
        watch.hears_nothing(for_seconds=1)
        watch.until_it_is(ENDED, within=4)
        assert watch.events == []


def test_bookmarks_come_where_they_are_allowed_and_the_time_is_not_short(at: Place) -> None:
    """The last of them 2 s before the end: with 2 s in all there is none."""
    begin = at.version
    query = {"resourceVersion": begin, "fieldSelector": "metadata.name=other"}
    with ExitStack() as stack:

        def begun(**more: object) -> Watch:
            return stack.enter_context(watching(at.world, at.rollouts, **query, **more))

        marked = begun(allowWatchBookmarks="true", timeoutSeconds=5)
        short = begun(allowWatchBookmarks="true", timeoutSeconds=2)
        unmarked = begun(timeoutSeconds=5)
        version = _note(at, "not of what is watched")
        for watch in (marked, short, unmarked):
            watch.until_it_is(ENDED, within=10)
    assert marked.heard, "no bookmark"
    assert {kind for kind, _ in marked.heard} == {"BOOKMARK"}
    assert int(marked.versions[-1]) >= int(version)
    assert (short.events, unmarked.events) == ([], [])


def test_an_api_server_that_is_killed_tears_its_watches_and_knows_nothing_from_before_its_start(at: Place) -> None:
    begin = at.version
    _note(at, "before the end")
    watch = Watch(at.world, at.rollouts, resourceVersion=at.version)
    with apiserver_away(at.world):
        watch.until_it_is(TORN)
    watch.close()
    assert watch.events == []
    with watching(at.world, at.rollouts, resourceVersion=begin) as again:
        again.until_it_is(ENDED)
        assert [one["object"]["reason"] for one in again.events] == ["Expired"]
    version = at.world.get(at.rollouts).json["metadata"]["resourceVersion"]
    with watching(at.world, at.rollouts, resourceVersion=version) as fresh:
        _note(at, "after the start")
        fresh.until_heard(("MODIFIED", "web"))


def test_an_api_server_that_is_told_to_stop_lets_nobody_in_and_leaves_its_watches_open_and_silent(at: Place) -> None:
    """So a watch that says nothing proves nothing."""
    watch = Watch(at.world, at.rollouts, resourceVersion=at.version)
    with apiserver_told_to_stop(at.world):
        _until_refused(at.world)
        watch.hears_nothing(for_seconds=3)
        assert watch.state == OPEN
    watch.until_it_is(TORN)
    watch.close()


def _until_refused(world: World) -> None:
    def refused() -> bool:
        line = line_to(world)
        try:
            line.connect()
        except ConnectionRefusedError:
            return True
        except ConnectionError:
            return False  # let in, and dropped: it is about to close the door
        finally:
            line.close()
        return False

    eventually(refused, what="nobody listens")


def test_watches_beside_one_another_hear_the_same_and_hold_up_nobody(at: Place) -> None:
    begin = at.version
    with ExitStack() as stack:
        watches = [
            stack.enter_context(watching(at.world, at.rollouts, resourceVersion=begin, timeoutSeconds=60))
            for _ in range(20)
        ]
        versions = [_note(at, f"write {number}") for number in range(5)]
        for watch in watches:
            watch.until_heard(*[("MODIFIED", "web")] * 5)
        told: list[list[Object]] = [watch.events for watch in watches]
        assert all(one == told[0] for one in told)
        assert watches[0].versions == versions

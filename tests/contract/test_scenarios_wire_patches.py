"""JSON patches of a status, in both worlds by the same words: what the server's library makes of them, the RFC or not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import urllib3

from server.clients.kubernetes import as_the_server_writes
from tests.cluster.api import JSON_PATCH, Object
from tests.contract.wire import QUIET, Place, failure
from tests.contract.wire import nobodys_rollout as rollout
from tests.contract.worlds import World

GENERIC = failure(422, "Invalid", "the server rejected our request due to an error in our request", {})
ABORT: Object = {"op": "add", "path": "/status/abort", "value": True}


@pytest.fixture(params=QUIET)
def at(request: pytest.FixtureRequest) -> Iterator[Place]:
    world: World = request.getfixturevalue(request.param)
    place = Place(world).with_web()
    yield place
    world.leave(place.name)


def test_a_bound_abort_is_applied_while_its_tests_hold(at: Place) -> None:
    before = at.object()
    answer = at.world.json_patch(
        at.status,
        {"op": "test", "path": "/metadata/uid", "value": before["metadata"]["uid"]},
        {"op": "test", "path": "/status/currentPodHash", "value": "aaa"},
        {"op": "test", "path": "/spec/template", "value": before["spec"]["template"]},
        {"op": "test", "path": "/status/abortedAt", "value": None},
        ABORT,
    )
    assert (answer.code, answer.json["status"]["abort"]) == (200, True)
    assert answer.json["metadata"]["generation"] == before["metadata"]["generation"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/status/currentPodHash", "value": "bbb"},
        {"op": "test", "path": "/status/nosuch", "value": "bbb"},
        {"op": "test", "path": "/status/no/such", "value": None},
        {"op": "test", "path": "/metadata/generation", "value": "1"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "remove", "path": "/status/nosuch"},
        {"op": "replace", "path": "/status/no/such", "value": 1},
        {"op": "add", "path": "/status/no/such", "value": 1},
        {"op": "frob", "path": "/status/abort", "value": True},
        {"path": "/status/abort", "value": True},
        {"op": "add", "value": True},
    ],
    ids=json.dumps,
)
def test_one_operation_that_cannot_be_done_undoes_all_of_them(at: Place, operation: Object) -> None:
    before = at.object()
    answer = at.world.json_patch(at.status, ABORT, operation)
    assert (answer.code, answer.json) == (422, GENERIC)
    assert at.object() == before


@pytest.mark.parametrize(("path", "code"), [("x/status/abort", 200), ("status", 422), ("a/b/status/abort", 422)])
def test_what_stands_before_the_first_slash_of_a_path_is_ignored(at: Place, path: str, code: int) -> None:
    answer = at.world.json_patch(at.status, {"op": "add", "path": path, "value": True})
    assert answer.code == code
    assert at.object()["status"].get("abort") is (True if code == 200 else None)


def test_a_path_without_its_leading_slash_names_another_member(at: Place) -> None:
    """`status/abort` is `/abort`: an unknown field, and nothing is aborted."""
    before = at.object()
    answer = at.world.json_patch(at.status, {"op": "add", "path": "status/abort", "value": True})
    assert (answer.code, answer.headers["Warning"]) == (200, '299 - "unknown field \\"abort\\""')
    assert at.object() == before


@pytest.mark.parametrize("value", [{}, {"value": None}], ids=["left out", "null"])
def test_a_value_that_is_left_out_is_null_and_null_takes_the_member_away(at: Place, value: Object) -> None:
    before = at.object()
    added = at.world.json_patch(at.status, {"op": "add", "path": "/status/abort", **value})
    assert (added.code, added.json) == (200, before)
    replaced = at.world.json_patch(at.status, {"op": "replace", "path": "/status/phase", **value})
    assert (replaced.code, replaced.json["status"]) == (200, {"currentPodHash": "aaa"})
    whole = at.world.json_patch(at.status, {"op": "add", "path": "/status", **value})
    assert (whole.code, "status" in whole.json) == (200, False)


@pytest.mark.parametrize("op", ["add", "remove", "test"])
def test_the_whole_document_has_no_place_of_its_own(at: Place, op: str) -> None:
    before = at.object()
    answer = at.world.json_patch(at.status, {"op": op, "path": "", "value": {"status": {"abort": True}}})
    assert (answer.code, answer.json) == (422, GENERIC)
    assert at.object() == before


def test_replace_may_put_another_document_in_the_place_of_the_whole(at: Place) -> None:
    wanted = at.object()
    wanted["status"]["abort"] = True
    assert (
        at.world.json_patch(at.status, {"op": "replace", "path": "", "value": wanted}).json["status"]["abort"] is True
    )
    nothing = at.world.json_patch(at.status, {"op": "replace", "path": "", "value": {}})
    message = "Invalid value: \"{}\": Object 'Kind' is missing in '{}'"
    assert (nothing.code, nothing.json["message"]) == (422, f' "" is invalid: patch: {message}')


@pytest.mark.parametrize(
    "operation",
    [{"op": "test", "path": "/status/nosuch"}, {"op": "replace", "path": ""}],
    ids=["test of an absent member", "replace of all"],
)
def test_a_value_that_is_left_out_may_end_the_connection_without_an_answer(at: Place, operation: Object) -> None:
    """The handler panics. Nothing is written, and the server goes on."""
    before = at.object()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        at.world.json_patch(at.status, ABORT, operation)
    assert at.object() == before
    assert at.world.json_patch(at.status, ABORT).code == 200


def test_a_test_of_a_member_that_is_there_needs_a_value(at: Place) -> None:
    answer = at.world.json_patch(at.status, ABORT, {"op": "test", "path": "/status/phase"})
    assert (answer.code, answer.json) == (422, GENERIC)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (r'"a b"', 200),
        (r'"\u0061 b"', 422),
        ('"é"', 200),
        (r'"\u00e9"', 422),
        (r'"\u003c\u003e\u0026"', 200),
        ('"<>&"', 422),
        (r'"\u2028"', 200),
        ('"\u2028"', 422),
        (r'"\t\"\\/\b"', 200),
        (r'"\/"', 422),
    ],
    ids=ascii,
)
def test_a_tested_text_is_compared_as_it_is_written_in_the_body(at: Place, written: str, code: int) -> None:
    """Written as the server itself writes it (é as it is, < > & and U+2028 escaped), or else the test fails."""
    assert at.world.merge(at.status, {"status": {"message": json.loads(written)}}).code == 200
    for path, value in (("/status/message", written), ("/status", _whole(written))):
        body = f'[{{"op": "test", "path": "{path}", "value": {value}}}]'.encode()
        assert at.world.call("PATCH", at.status, body, JSON_PATCH).code == code


def _whole(message: str) -> str:
    return f'{{"phase": "Paused", "message": {message}, "currentPodHash": "aaa"}}'


@pytest.mark.parametrize(
    "text", ["plain", "a && b", "<é>", "\u2028\u2029", '\t"\\/\b\f\n\r', "\x7f\x01", "𝄞", ""], ids=ascii
)
def test_what_ripcord_sends_is_written_as_the_server_writes_it(at: Place, text: str) -> None:
    assert at.world.merge(at.status, {"status": {"message": text}}).code == 200
    body = as_the_server_writes([{"op": "test", "path": "/status/message", "value": text}, ABORT])
    assert at.world.call("PATCH", at.status, body, JSON_PATCH).code == 200


@pytest.mark.parametrize(("written", "code"), [("1", 200), ("1.0", 422), ("1e0", 422)])
def test_a_tested_number_is_compared_as_it_is_written_in_the_body(at: Place, written: str, code: int) -> None:
    body = f'[{{"op": "test", "path": "/spec/replicas", "value": {written}}}]'.encode()
    assert at.world.call("PATCH", at.status, body, JSON_PATCH).code == code


def test_an_index_may_count_from_the_end(at: Place) -> None:
    containers = "/spec/template/spec/containers"
    answer = at.world.json_patch(
        at.web,
        {"op": "test", "path": f"{containers}/-1/name", "value": "web"},
        {"op": "add", "path": f"{containers}/-1", "value": {"name": "last", "image": "i"}},
        {"op": "add", "path": f"{containers}/-2", "value": {"name": "middle", "image": "i"}},
        {"op": "remove", "path": f"{containers}/-3"},
    )
    assert answer.code == 200
    assert [one["name"] for one in answer.json["spec"]["template"]["spec"]["containers"]] == ["middle", "last"]
    assert at.world.json_patch(at.web, {"op": "remove", "path": f"{containers}/-3"}).json == GENERIC


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (["x"], "string into Go value of type handlers.jsonPatchOp"),
        ([{"op": 5, "path": "/status/abort"}], "number into Go struct field jsonPatchOp.op of type string"),
        ([{"op": "add", "path": True}], "bool into Go struct field jsonPatchOp.path of type string"),
        ([{"op": "copy", "path": "/a", "from": []}], "array into Go struct field jsonPatchOp.from of type string"),
    ],
    ids=json.dumps,
)
def test_an_operation_of_the_wrong_shape_is_a_bad_request(at: Place, body: object, why: str) -> None:
    answer = at.world.call("PATCH", at.status, body, JSON_PATCH)
    expected = failure(400, "BadRequest", f"error decoding patch: json: cannot unmarshal {why}")
    assert (answer.code, answer.json) == (400, expected)


def test_replace_adds_an_absent_member(at: Place) -> None:
    answer = at.world.json_patch(at.status, {"op": "replace", "path": "/status/promoteFull", "value": False})
    assert (answer.code, answer.json["status"]["promoteFull"]) == (200, False)


def test_nothing_can_be_added_below_a_status_that_is_not_there(at: Place) -> None:
    at.world.post(at.rollouts, rollout("bare"))
    answer = at.world.json_patch(f"{at.rollouts}/bare/status", ABORT)
    assert (answer.code, answer.json) == (422, GENERIC)


# ---- copy and move ----


def test_a_copy_stands_in_both_places_and_a_move_in_the_second_alone(at: Place) -> None:
    copied = at.world.json_patch(
        at.status, {"op": "copy", "from": "/status/currentPodHash", "path": "/status/stableRS"}
    )
    assert (copied.code, copied.json["status"]) == (
        200,
        {"currentPodHash": "aaa", "phase": "Paused", "stableRS": "aaa"},
    )
    moved = at.world.json_patch(at.status, {"op": "move", "from": "/status/phase", "path": "/status/message"})
    assert (moved.code, moved.json["status"]) == (
        200,
        {"currentPodHash": "aaa", "message": "Paused", "stableRS": "aaa"},
    )


def test_a_copied_object_is_one_of_its_own(at: Place) -> None:
    answer = at.world.json_patch(
        at.web,
        {"op": "copy", "from": "/metadata/labels", "path": "/metadata/annotations"},
        {"op": "add", "path": "/metadata/annotations/more", "value": "yes"},
        {"op": "test", "path": "/metadata/labels/more", "value": None},
    )
    assert answer.code == 200
    labels = answer.json["metadata"]["labels"]
    assert answer.json["metadata"]["annotations"] == {**labels, "more": "yes"}


def test_in_lists_copy_and_move_put_in_where_add_would(at: Place) -> None:
    containers = "/spec/template/spec/containers"
    answer = at.world.json_patch(
        at.web,
        {"op": "copy", "from": f"{containers}/0", "path": f"{containers}/-"},
        {"op": "replace", "path": f"{containers}/-1/name", "value": "second"},
        {"op": "copy", "from": f"{containers}/-1", "path": f"{containers}/0"},
        {"op": "replace", "path": f"{containers}/0/name", "value": "third"},
        {"op": "move", "from": f"{containers}/0", "path": f"{containers}/1"},
    )
    assert answer.code == 200
    names = [one["name"] for one in answer.json["spec"]["template"]["spec"]["containers"]]
    assert names == ["web", "third", "second"]


def test_a_copy_of_an_absent_member_is_null_and_takes_away_what_it_is_put_upon(at: Place) -> None:
    answer = at.world.json_patch(at.status, {"op": "copy", "from": "/status/nosuch", "path": "/status/phase"})
    assert (answer.code, answer.json["status"]) == (200, {"currentPodHash": "aaa"})


def test_a_member_that_was_set_to_null_can_be_moved_and_an_absent_one_cannot(at: Place) -> None:
    nothing: Object = {"op": "add", "path": "/status/message", "value": None}
    away: Object = {"op": "move", "from": "/status/message", "path": "/status/phase"}
    assert (at.world.json_patch(at.status, away).code, at.object()["status"]["phase"]) == (422, "Paused")
    answer = at.world.json_patch(at.status, nothing, away)
    assert (answer.code, answer.json["status"]) == (200, {"currentPodHash": "aaa"})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "move", "from": "/status/nosuch", "path": "/status/message"},
        {"op": "move", "from": "/status/no/such", "path": "/status/message"},
        {"op": "copy", "from": "/status/no/such", "path": "/status/message"},
        {"op": "copy", "from": "/status/phase", "path": "/status/no/such"},
        {"op": "move", "from": "/status/phase", "path": "/status/no/such"},
        {"op": "move", "from": "/status", "path": "/status/canary"},
        {"op": "copy", "from": "/spec/template/spec/containers/1", "path": "/status/message"},
        {"op": "copy", "from": "/spec/template/spec/containers/-", "path": "/status/message"},
        {"op": "copy", "from": "/status/phase", "path": "/spec/template/spec/containers/2"},
        {"op": "copy", "from": "", "path": "/status/message"},
        {"op": "copy", "from": "/status/phase", "path": ""},
        {"op": "copy", "path": "/status/message"},
        {"op": "move", "from": None, "path": "/status/message"},
        {"op": "copy", "from": "/status/phase"},
    ],
    ids=json.dumps,
)
def test_a_copy_or_move_that_cannot_be_done_undoes_all_of_them(at: Place, operation: Object) -> None:
    before = at.object()
    answer = at.world.json_patch(at.status, ABORT, operation)
    assert (answer.code, answer.json) == (422, GENERIC)
    assert at.object() == before


def test_what_stands_before_the_first_slash_of_from_is_ignored_too(at: Place) -> None:
    answer = at.world.json_patch(at.status, {"op": "copy", "from": "x/status/phase", "path": "y/status/message"})
    assert (answer.code, answer.json["status"]["message"]) == (200, "Paused")


def test_a_move_out_of_spec_below_status_takes_nothing_away_there(at: Place) -> None:
    """Each endpoint keeps its own part: what was moved arrives, and stays where it was."""
    before = at.object()
    answer = at.world.json_patch(
        at.status, {"op": "move", "from": "/spec/selector/matchLabels/app", "path": "/status/message"}
    )
    assert (answer.code, answer.json["status"]["message"]) == (200, "web")
    assert (answer.json["spec"], answer.json["metadata"]["generation"]) == (
        before["spec"],
        before["metadata"]["generation"],
    )


@pytest.mark.parametrize(
    ("op", "wanted", "code"),
    [("move", '"<"', 200), ("move", r'"\u003c"', 422), ("copy", '"<"', 422), ("copy", r'"\u003c"', 200)],
)
def test_a_copied_text_is_written_anew_and_a_moved_one_is_not(at: Place, op: str, wanted: str, code: int) -> None:
    """A `test` after it compares with what a copy made of it: `<` is escaped then."""
    body = (
        '[{"op": "add", "path": "/status/message", "value": "<"},'
        f' {{"op": "{op}", "from": "/status/message", "path": "/status/selector"}},'
        f' {{"op": "test", "path": "/status/selector", "value": {wanted}}}]'
    )
    assert at.world.call("PATCH", at.status, body.encode(), JSON_PATCH).code == code

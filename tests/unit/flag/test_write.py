"""One patch, one answer: what LaunchDarkly said is a value, and a refusal is in the operator's words."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest

from server.actions import disable_flag
from server.clients import Clients
from server.core.flag import patches
from server.core.flag.proceed import call as patch_of
from server.core.outcome import Call, Outcome
from server.errors import Missing, Refused, RipcordError, Transient, Unknown
from tests.unit.flag.cases import START, look, planned, raw

Json = dict[str, Any]


class Answers:
    """A LaunchDarkly that answers one patch with what it was given."""

    def __init__(self, answer: Json | RipcordError) -> None:
        self.answer, self.sent = answer, list[tuple[str, object, str]]()

    def patch(self, path: str, body: object, content_type: str) -> tuple[Json, datetime]:
        self.sent.append((path, body, content_type))
        if isinstance(self.answer, RipcordError):
            raise self.answer
        return self.answer, START


def write(answer: Json | RipcordError, call: Call | None = None, n: int = 1) -> Outcome:
    plan, server = planned(), Answers(answer)
    call = call or patch_of(plan)
    clients = Clients(
        kubernetes=cast(Any, None), pagerduty=cast(Any, None), now=lambda: START, launchdarkly=cast(Any, server)
    )
    try:
        return disable_flag.write(plan, call, clients, "r-1/0/1", n)
    finally:
        assert server.sent == [(call.path, call.body, call.content_type)]


def test_a_flag_that_the_answer_shows_off_is_done_and_its_version_is_remembered() -> None:
    outcome = write(raw(on=False, version=42))
    assert (outcome.kind, outcome.said) == ("done", "turn new-checkout in production off at version 41, now 42")
    assert outcome.evidence == {
        "kind": "act",
        "run": "r-1",
        "was": 41,
        "date": START.isoformat(),
        "version": 42,
        "flagVersion": 57,
        "on": False,
    }


@pytest.mark.parametrize("answer", [raw(on=True), {}, {"environments": {}}, raw(on=False, version="42")])  # type: ignore[arg-type]
def test_a_200_that_does_not_show_it_off_is_no_clear_answer(answer: Json) -> None:
    outcome = write(answer)
    assert (outcome.kind, outcome.cause) == ("unknown", "timeout")
    assert "LaunchDarkly said 200, and its answer does not show the flag off" in outcome.said


@pytest.mark.parametrize(
    ("status", "cause", "words"),
    [
        (400, "conflict", "LaunchDarkly does not take the patch: launchdarkly: PATCH …: 400 bad"),
        (401, "", "LaunchDarkly does not take our token: RIPCORD_LAUNCHDARKLY_TOKEN is wrong, revoked or expired"),
        (403, "", "its role needs updateOn on proj/default:env/production:flag/new-checkout"),
        (
            405,
            "",
            "require approval: a person must ask for it in LaunchDarkly, /default/production/features/new-checkout",
        ),
        (409, "conflict", "somebody else is writing new-checkout in production (409)"),
        (422, "conflict", "LaunchDarkly does not understand the patch"),
        (418, "", "launchdarkly: PATCH …: 418 bad"),
    ],
)
def test_a_refusal_is_said_in_the_operators_words(status: int, cause: str, words: str) -> None:
    outcome = write(Refused(f"launchdarkly: PATCH …: {status} bad", status))
    assert (outcome.kind, outcome.cause, outcome.evidence["status"]) == ("refused", cause, status)
    assert words in outcome.said


def test_a_flag_that_is_gone_is_said() -> None:
    outcome = write(Missing("404"))
    assert (outcome.kind, outcome.said) == (
        "refused",
        "LaunchDarkly has no flag new-checkout in project default any more",
    )


@pytest.mark.parametrize(("broken", "cause"), [(False, "timeout"), (True, "broken")])
def test_no_clear_answer_is_a_value(broken: bool, cause: str) -> None:
    outcome = write(Unknown("no answer within 5 s", broken=broken))
    assert (outcome.kind, outcome.cause) == ("unknown", cause)


def test_what_was_certainly_not_done_is_raised() -> None:
    with pytest.raises(Transient):
        write(Transient("429"))


def test_putting_back_is_known_by_its_evidence() -> None:
    on_again = patches.turn(look(9, on=False, version=42), True, "put back")
    outcome = write(raw(on=True, version=43), on_again, n=2)
    assert (outcome.kind, outcome.n, outcome.evidence["kind"], outcome.evidence["version"]) == (
        "done",
        2,
        "put_back",
        43,
    )

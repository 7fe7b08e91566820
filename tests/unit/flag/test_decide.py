"""From a look to a plan: the bound patch towards the safe state, what a person must know beside it, or why nothing is done."""

from __future__ import annotations

from datetime import timedelta

from server.core.flag import decide
from server.core.flag.state import FlagState
from server.core.outcome import LookAgain, Plan, Refusal
from tests.unit.flag.cases import TURNED, at, first, look, milliseconds, planned


def refusal(seen: FlagState, seconds: float = 0) -> str:
    answer = decide.plan([seen], at(seconds))
    assert isinstance(answer, Refusal), answer
    return answer.reason


def test_a_flag_that_is_on_is_turned_off_bound_to_the_version_that_was_judged() -> None:
    plan = planned()
    (call,) = plan.calls
    assert (call.method, call.path) == ("PATCH", "/api/v2/flags/default/new-checkout?ignoreConflicts=true")
    assert call.content_type == "application/json"
    assert call.body["patch"] == [
        {"op": "test", "path": "/environments/production/version", "value": 41},
        {"op": "replace", "path": "/environments/production/on", "value": False},
    ]
    assert (plan.judged.revision, plan.judged.since) == ("41", TURNED)
    assert plan.said == "turn new-checkout in production off, version 41, then it serves 'old' (false)"


def test_the_comment_of_the_runbook_reaches_launchdarklys_own_audit_log() -> None:
    plan = decide.plan([first()], at(0), comment="checkout hurts")
    assert isinstance(plan, Plan)
    assert plan.calls[0].body["comment"] == "checkout hurts (Ripcord {run})"


def test_a_flag_whose_safe_state_is_on_is_turned_on() -> None:
    plan = decide.plan([look(0, on=False, safe="on")], at(0))
    assert isinstance(plan, Plan)
    assert plan.calls[0].body["patch"][1]["value"] is True
    assert "then it serves what its rules say" in plan.said


def test_a_flag_that_is_safe_already_is_left_alone_and_its_version_is_said() -> None:
    plan = decide.plan([look(0, on=False, version=42)], at(0))
    assert isinstance(plan, Plan)
    assert plan.calls == ()
    assert plan.somebody == "new-checkout in production is off already, version 42 since 03:01:00Z"


def test_what_may_switch_it_on_again_what_it_takes_along_and_what_it_cannot_serve_stand_in_the_plan() -> None:
    on_again = {"at": at(1800), "kinds": ["turnFlagOn"]}
    seen = first(pending=[on_again], dependents=["a", "b", "c", "d"], unread=["x (403)"]).model_copy(
        update={"off_served": "", "off_variation": None, "rollout": "measuredRollout"}
    )
    said = planned(seen).said
    assert "a scheduled change at 03:42:00Z turns it on again" in said
    assert "new-checkout off switches off what depends on it: a, b, c and 1 more" in said
    assert "it has no off variation: SDKs serve the default in the caller's code" in said
    assert "a running measuredRollout" in said
    assert "not known: x (403)" in said


def test_a_scheduled_change_says_what_it_does_and_when_also_on_another_day() -> None:
    tomorrow = at(0) + timedelta(days=1)
    pending = [
        {"at": at(60), "kinds": ["turnFlagOff"]},
        {"at": tomorrow, "kinds": ["addRule", "addTargets"]},
        {"at": None, "kinds": []},
        {"at": tomorrow, "kinds": ["turnFlagOn"]},
    ]
    said = planned(first(pending=pending)).said
    assert "a scheduled change at 03:13:00Z turns it off as well" in said
    assert "a change is scheduled at 2026-11-25 03:12:00Z (addRule, addTargets)" in said
    assert "a change is scheduled at an unknown hour (without instructions)" in said
    assert "scheduled beside these: 1 more" in said


def test_an_archived_flag_is_refused_because_off_says_nothing_about_what_is_served() -> None:
    assert "is archived" in refusal(look(0, archived=True))
    assert "is archived" in refusal(look(0, on=False, archived=True))


def test_a_token_that_is_not_taken_is_tried_for_ten_seconds() -> None:
    seen = look(0).model_copy(update={"problem": "not taken", "passing": True})
    assert isinstance(decide.plan([seen], at(9)), LookAgain)
    assert refusal(seen, 10) == "not taken"


def test_any_other_problem_refuses_at_once() -> None:
    assert refusal(look(0).model_copy(update={"problem": "no such flag"})) == "no such flag"


def test_what_it_was_is_kept_without_rules_and_targets_that_could_be_large() -> None:
    seen = look(0, rules=[{"x": "y"}] * 500, targets=[{"values": ["z"] * 9000}], lastModified=milliseconds(TURNED))
    assert planned(seen).was == {
        "on": "on",
        "version": 41,
        "flagVersion": 57,
        "lastModified": "2026-11-24T03:01:00+00:00",
        "offVariation": 1,
        "fallthrough": '{"variation": 0}',
        "rules": 500,
        "targets": 1,
        "prerequisites": [],
    }

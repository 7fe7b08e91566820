"""Deciding, condition by condition: which runbook runs on which target, and the reason when it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.core import match
from server.core.match import Gone, Holds, Unread
from tests.unit.deciding import (
    NOW,
    ago,
    alert,
    catalog,
    decision,
    decisions,
    delivery,
    flag,
    incident,
    library,
    no_data,
    rollout,
    runbook,
)

CANARY = {"rollout": "web-frontend", "namespace": "production", "deployment_type": "canary"}
ON_WORKFLOW = {"events": ["incident.workflow.started"], "any": [{"workflow": "PWF0001"}]}


def own_run() -> str:
    (one,) = decisions(library())
    assert one.run is not None
    return one.run


# What matches ---------------------------------------------------------------------------------------------------------


def test_a_named_canary_whose_alert_fits_a_block_is_run() -> None:
    (one,) = decisions(library())
    assert (one.kind, one.runbook, one.target) == ("run", "abort-canary", "web-frontend")


def test_the_key_is_incident_epoch_runbook_target_and_its_hash_is_the_run() -> None:
    (one,) = decisions(library(), incident(created_at=ago(61)))
    assert one.key == "QINC1/2026-11-24T03:11:33Z/abort-canary/web-frontend"
    assert one.run == match.run_id(one.key)
    # printf %s KEY | sha256sum
    assert match.run_id("QINC1/2026-11-24T03:11:33Z/abort-canary/web-frontend") == "r-" + KEY_HASH


KEY_HASH = "f7e15852f1c6281a"


@pytest.mark.parametrize("value", ["CanaryHighErrorRate", "CanaryHighLatency"])
def test_a_list_means_one_of(value: str) -> None:
    wanted = {"alert": {"alertname": ["CanaryHighErrorRate", "CanaryHighLatency"]}}
    book = runbook(when={"events": ["incident.triggered"], "any": [wanted]})
    assert decision(library(book), incident(alert({**CANARY, "alertname": value})))[0] == "run"


def test_a_later_block_may_hold_where_the_first_does_not() -> None:
    blocks = [{"alert": {"deployment_type": "blue-green"}}, {"alert": {"deployment_type": "canary"}}]
    assert decision(library(runbook(when={"events": ["incident.triggered"], "any": blocks})))[0] == "run"


def test_every_line_of_a_block_must_hold() -> None:
    block = {"alert": {"deployment_type": "canary", "severity": "critical"}}
    book = runbook(when={"events": ["incident.triggered"], "any": [block]})
    assert decision(library(book)) == ("no", "severity is absent, wanted 'critical'")


def test_without_blocks_a_runbook_always_holds() -> None:
    assert decision(library(runbook(when={"events": ["incident.triggered"]})))[0] == "run"


def test_a_number_in_an_alert_is_compared_as_text() -> None:
    book = runbook(when={"events": ["incident.triggered"], "any": [{"alert": {"step": "3"}}]})
    assert decision(library(book), incident(alert({**CANARY, "step": 3})))[0] == "run"


# The first condition that does not hold, with both values --------------------------------------------------------------


def test_another_event_type_is_no() -> None:
    said = "event type is 'incident.resolved', wanted one of 'incident.triggered', 'incident.reopened'"
    assert decision(library(), came=delivery("incident.resolved")) == ("no", said)


def test_mode_off_is_no() -> None:
    assert decision(library(runbook(mode="off"))) == ("no", "mode is 'off'")


def test_a_target_that_is_off_is_no() -> None:
    off = library(web_frontend=rollout(mode="off"))
    assert decision(off) == ("no", "target web-frontend: mode is 'off'")


def test_a_service_without_targets_is_no() -> None:
    assert decision(library(), incident(service="PELSE")) == ("no", "service is 'PELSE', no target is bound to it")


def test_another_kind_of_target_is_no() -> None:
    flags = library(new_checkout=flag(pagerduty_services=["PCANARY"]))
    assert decision(flags) == ("no", "new-checkout is a flag, wanted rollout canary")


def test_another_strategy_is_no() -> None:
    blue = library(api_backend=rollout("api-backend", strategy="blue-green"))
    assert decision(blue) == ("no", "api-backend is a rollout blue-green, wanted rollout canary")


def test_without_teams_a_runbook_touches_its_owners_targets_alone() -> None:
    assert decision(library(runbook(teams=None))) == ("no", "target web-frontend belongs to team web")
    assert decision(library(runbook(teams=None, owner="web")))[0] == "run"


def test_a_listed_team_is_allowed() -> None:
    assert decision(library(runbook(teams=["web"])))[0] == "run"
    assert decision(library(runbook(teams=["api"]))) == ("no", "target web-frontend belongs to team web")


def test_an_alert_about_another_rollout_is_no() -> None:
    other = incident(alert({**CANARY, "rollout": "checkout"}))
    assert decision(library(), other) == ("no", "rollout is 'checkout', wanted 'web-frontend'")


def test_an_alert_of_another_deployment_type_is_no() -> None:
    other = incident(alert({**CANARY, "deployment_type": "blue-green"}))
    assert decision(library(), other) == ("no", "deployment_type is 'blue-green', wanted 'canary'")


def test_a_missing_detail_is_named_absent() -> None:
    other = incident(alert({"rollout": "web-frontend", "namespace": "production"}))
    assert decision(library(), other) == ("no", "deployment_type is absent, wanted 'canary'")


def test_text_is_compared_letter_by_letter() -> None:
    other = incident(alert({**CANARY, "deployment_type": "Canary"}))
    assert decision(library(), other) == ("no", "deployment_type is 'Canary', wanted 'canary'")


def test_a_detail_that_is_no_text_equals_nothing() -> None:
    other = incident(alert({**CANARY, "rollout": {"name": "web-frontend"}}))
    assert decision(library(), other) == ("no", "rollout is no text, wanted 'web-frontend'")


def test_a_hostile_value_stays_one_short_line() -> None:
    other = incident(alert({**CANARY, "rollout": "a\nb\u202e" + "x" * 500}))
    _, reason = decision(library(), other)
    assert reason == "rollout is 'a b " + "x" * 96 + "…', wanted 'web-frontend'"


def test_an_event_that_names_no_incident_is_no() -> None:
    made = match.decide(delivery(incident=None), None, (), library(), Holds(), NOW)
    assert [(one.kind, one.reason) for one in made] == [("no", "the event names no incident")]


def test_an_incident_that_is_gone_is_no_for_every_runbook() -> None:
    made = decisions(library(runbook("a"), runbook("b")), Gone())
    assert [(one.runbook, one.kind, one.reason) for one in made] == [
        ("a", "no", "incident gone"),
        ("b", "no", "incident gone"),
    ]


def test_a_pagerduty_that_could_not_be_read_is_no_with_the_time_of_the_first_try() -> None:
    assert decision(library(), Unread(since=NOW)) == ("no", "PagerDuty could not be read since 03:12:34Z")


# Alert data -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", [incident(no_data()), incident(alert(status="resolved")), incident(alerts=())])
def test_without_data_of_an_open_alert_nothing_is_guessed(about: Any) -> None:
    assert decision(library(), about) == ("no", "no alert data")


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        (incident(), False),
        (incident(no_data()), True),
        (incident(alerts=()), True),
        (incident(alerts=(), status="resolved"), False),
        (incident(alerts=(), service="PELSE"), False),
    ],
    ids=["data came", "a text came", "nothing came", "it is over", "no target is bound"],
)
def test_late_alerts_are_waited_for_only_where_they_could_matter(about: Any, wanted: bool) -> None:
    assert match.wants_alerts(about, library()) is wanted


def test_the_blocks_look_at_the_oldest_open_alert() -> None:
    young = alert({**CANARY, "deployment_type": "other"}, age=10, n=1)
    old = alert(CANARY, age=90, n=2)
    assert decision(library(), incident(young, old))[0] == "run"
    closed = alert(CANARY, age=90, n=2, status="resolved")
    assert decision(library(), incident(young, closed)) == ("no", "deployment_type is 'other', wanted 'canary'")


# Several targets ------------------------------------------------------------------------------------------------------


TWO = {"web_frontend": rollout(), "checkout": rollout("checkout")}


def test_an_alert_chooses_among_the_targets_of_its_service() -> None:
    (one,) = decisions(library(**TWO), incident(alert({**CANARY, "rollout": "checkout"})))
    assert (one.kind, one.target) == ("run", "checkout")


def test_several_targets_and_a_vague_alert_are_ambiguous() -> None:
    vague = incident(alert({"namespace": "production", "deployment_type": "canary"}))
    assert decision(library(**TWO), vague) == ("no", "ambiguous (checkout, web-frontend)")


def test_a_target_that_is_off_does_not_make_a_vague_alert_clear() -> None:
    vague = incident(alert({"namespace": "production", "deployment_type": "canary"}))
    one_off = library(web_frontend=rollout(), checkout=rollout("checkout", mode="off"))
    assert decision(one_off, vague) == ("no", "ambiguous (checkout, web-frontend)")


def test_open_alerts_that_name_different_targets_are_ambiguous() -> None:
    both = incident(alert(CANARY, n=1), alert({**CANARY, "rollout": "checkout"}, n=2))
    assert decision(library(**TWO), both) == ("no", "ambiguous (checkout, web-frontend)")


def test_a_resolved_alert_names_nothing() -> None:
    both = incident(alert(CANARY, n=1), alert({**CANARY, "rollout": "checkout"}, n=2, status="resolved"))
    (one,) = decisions(library(**TWO), both)
    assert (one.kind, one.target) == ("run", "web-frontend")


def test_a_single_target_is_named_by_an_alert_that_contradicts_nothing() -> None:
    assert decision(library(), incident(alert({"deployment_type": "canary"})))[0] == "run"


def test_the_alerts_that_name_a_target_are_the_open_ones_that_contradict_nothing_oldest_first() -> None:
    (target,) = catalog().targets.values()
    ours, theirs = alert(CANARY, age=10, n=1), alert({**CANARY, "rollout": "checkout"}, n=2)
    older, closed = alert(CANARY, age=90, n=3), alert(CANARY, n=4, status="resolved")
    assert match.naming(target, (ours, theirs, older, closed)) == (older, ours)


# Workflows and presses ------------------------------------------------------------------------------------------------


def test_a_workflow_block_answers_to_the_workflow_it_names() -> None:
    book = runbook(when=ON_WORKFLOW)
    came = delivery("incident.workflow.started", workflow="PWF0001")
    assert decision(library(book), came=came)[0] == "run"


def test_another_workflow_is_no() -> None:
    book = runbook(when=ON_WORKFLOW)
    came = delivery("incident.workflow.started", workflow="PWF0002")
    assert decision(library(book), came=came) == ("no", "workflow is 'PWF0002', wanted 'PWF0001'")


def test_a_block_without_workflow_never_answers_to_a_workflow() -> None:
    events = ["incident.triggered", "incident.workflow.started"]
    book = runbook(when={"events": events, "any": [{"alert": {"deployment_type": "canary"}}]})
    came = delivery("incident.workflow.started", workflow="PWF0001")
    assert decision(library(book), came=came) == ("no", "no block answers to 'incident.workflow.started'")


def test_a_workflow_block_never_answers_to_another_event() -> None:
    book = runbook(when={"events": ["incident.triggered"], "any": [{"workflow": "PWF0001"}]})
    assert decision(library(book)) == ("no", "no block answers to 'incident.triggered'")


def test_a_press_replaces_when_and_nothing_else() -> None:
    pressed = delivery("incident.custom", trigger="pagerduty_action", runbook="abort-canary")
    book = runbook(when={"events": ["incident.reopened"], "any": [{"alert": {"deployment_type": "other"}}]})
    assert decision(library(book), came=pressed)[0] == "run"
    assert decision(library(book), incident(service="PELSE"), pressed)[0] == "no"
    assert decision(library(book), incident(status="resolved"), pressed)[0] == "no"


def test_a_press_is_for_its_own_runbook_alone() -> None:
    pressed = delivery("incident.custom", trigger="pagerduty_action", runbook="disable-flag")
    assert decision(library(), came=pressed) == ("no", "button is 'disable-flag', wanted 'abort-canary'")


def test_two_presses_are_two_runs() -> None:
    runs = set()
    for message in ("M1", "M2"):
        came = delivery("incident.custom", trigger="pagerduty_action", runbook="abort-canary", event_key=message)
        (one,) = decisions(library(), came=came)
        runs.add(one.run)
    assert len(runs) == 2


# Guards, the first that holds -----------------------------------------------------------------------------------------


def test_a_run_that_exists_is_named_and_nothing_else_is_asked() -> None:
    run = own_run()
    holds = Holds(stop="deploy freeze", busy={"web-frontend": run}, existing=frozenset({run}))
    old = delivery(occurred_at=ago(9000))
    assert decision(library(), incident(status="resolved"), old, holds) == ("run", f"already {run}")


def test_the_stop_switch_brakes_before_age_is_asked() -> None:
    holds = Holds(stop="deploy freeze")
    assert decision(library(), came=delivery(occurred_at=ago(9000)), holds=holds) == (
        "braked",
        "stop switch: deploy freeze",
    )


def test_an_event_at_max_age_is_taken_and_one_second_later_it_is_not() -> None:
    assert decision(library(), came=delivery(occurred_at=ago(900)))[0] == "run"
    said = "the event is 901 s old (02:57:33Z), max_age is 900 s (now 03:12:34Z)"
    assert decision(library(), came=delivery(occurred_at=ago(901))) == ("no", said)


def test_age_is_asked_before_the_incident() -> None:
    kind, reason = decision(library(), incident(status="resolved"), delivery(occurred_at=ago(901)))
    assert (kind, reason.split(" old")[0]) == ("no", "the event is 901 s")


def test_a_time_far_in_the_future_counts_as_now_and_is_named() -> None:
    kind, reason = decision(library(), came=delivery(occurred_at=NOW + timedelta(seconds=301)))
    assert (kind, reason.split(" (")[1]) == ("run", "the event's time is 301 s in the future)")
    assert "future" not in decision(library(), came=delivery(occurred_at=NOW + timedelta(seconds=300)))[1]


def test_an_event_without_a_time_is_no() -> None:
    said = "the event carries no time, so its age is not known"
    assert decision(library(), came=delivery(occurred_at=None)) == ("no", said)


def test_a_resolved_incident_is_no_before_the_lock_is_asked() -> None:
    holds = Holds(busy={"web-frontend": "r-1"})
    assert decision(library(), incident(status="resolved"), holds=holds) == (
        "no",
        "incident is 'resolved', wanted an open one",
    )


def test_an_acknowledged_incident_is_open() -> None:
    assert decision(library(), incident(status="acknowledged"))[0] == "run"


def test_a_busy_target_is_joined_and_the_run_that_holds_it_is_named() -> None:
    (one,) = decisions(library(runbook(mode="observe")), holds=Holds(busy={"web-frontend": "r-other"}))
    assert (one.kind, one.run, one.reason) == ("joined", "r-other", "r-other is under way on web-frontend")


def test_another_busy_target_holds_nothing_back() -> None:
    assert decision(library(), holds=Holds(busy={"checkout": "r-other"}))[0] == "run"


@pytest.mark.parametrize(
    ("of_runbook", "of_target", "kind"),
    [
        ("auto", "auto", "run"),
        ("observe", "auto", "observed"),
        ("auto", "observe", "observed"),
        ("observe", "approve", "observed"),
        ("approve", "auto", "no"),
        ("auto", "approve", "no"),
        ("auto", "off", "no"),
    ],
)
def test_the_more_careful_mode_of_runbook_and_target_counts(of_runbook: str, of_target: str, kind: str) -> None:
    declared = library(runbook(mode=of_runbook), web_frontend=rollout(mode=of_target))
    assert decision(declared)[0] == kind


def test_a_mode_that_nobody_declares_is_observe() -> None:
    bare = rollout()
    del bare["mode"]
    assert decision(library(web_frontend=bare))[0] == "observed"


# Two runbooks, and what belongs to an incident's life -------------------------------------------------------------------


def test_of_two_runbooks_on_one_target_the_first_has_it() -> None:
    made = decisions(library(runbook("a-first"), runbook("b-second")))
    assert [(one.runbook, one.kind, one.reason) for one in made][1] == ("b-second", "no", "a-first has it")
    assert made[0].kind == "run"


def test_a_runbook_that_says_no_does_not_have_the_target() -> None:
    made = decisions(library(runbook("a-first", mode="off"), runbook("b-second")))
    assert [one.kind for one in made] == ["no", "run"]


def test_a_run_that_exists_already_keeps_the_target_from_the_second_runbook() -> None:
    books = library(runbook("a-first"), runbook("b-second"))
    (first, _) = decisions(books)
    assert first.run is not None
    made = decisions(books, holds=Holds(existing=frozenset({first.run})))
    assert [one.reason for one in made] == [f"already {first.run}", "a-first has it"]


def test_a_reopened_incident_is_a_new_epoch() -> None:
    reopened = delivery("incident.reopened", occurred_at=ago(5))
    (before,), (after,) = decisions(library()), decisions(library(), came=reopened)
    assert before.run != after.run
    assert after.key == "QINC1/2026-11-24T03:12:29Z/abort-canary/web-frontend"


def test_where_rest_tells_the_reopening_its_time_counts() -> None:
    (one,) = decisions(library(), incident(reopened_at=ago(20)), delivery("incident.reopened", occurred_at=ago(5)))
    assert one.key == "QINC1/2026-11-24T03:12:14Z/abort-canary/web-frontend"


def test_what_was_looked_at_is_listed_up_to_the_condition_that_failed() -> None:
    (one,) = decisions(library(), incident(alert({**CANARY, "deployment_type": "blue-green"})))
    assert one.checked[-1].held is False
    assert one.checked[-1].seen == "deployment_type is 'blue-green', wanted 'canary'"
    assert all(condition.held for condition in one.checked[:-1])


# What is known from the stored row alone --------------------------------------------------------------------------------


def test_only_an_event_type_that_some_runbook_names_starts_a_story() -> None:
    assert match.starts(library(), delivery("incident.triggered").delivery)
    assert not match.starts(library(), delivery("incident.annotated").delivery)


def test_the_longest_patience_is_that_of_the_runbooks_that_start() -> None:
    books = library(
        runbook("a", max_age="1m"), runbook("b", max_age="5m"), runbook("c", max_age="1h", when=ON_WORKFLOW)
    )
    assert match.longest_max_age(books, delivery().delivery) == 300.0


def test_an_incident_that_was_resolved_with_its_alerts_is_called_resolved_and_not_without_data() -> None:
    over = incident(alert(CANARY, status="resolved"), status="resolved")
    assert decision(library(), over) == ("no", "incident is 'resolved', wanted an open one")


def test_an_old_event_about_a_resolved_incident_is_called_old() -> None:
    over = incident(alert(CANARY, status="resolved"), status="resolved")
    said = "the event is 1200 s old (02:52:34Z), max_age is 900 s (now 03:12:34Z)"
    assert decision(library(), over, delivery(occurred_at=ago(1200))) == ("no", said)


def test_of_several_messages_each_says_which_it_is() -> None:
    came = delivery().model_copy(update={"message": 2, "messages": 3})
    (one,) = decisions(library(), came=came)
    assert (one.checked[0].what, one.checked[0].seen) == ("message", "2 of 3, '01E'")


def test_an_incident_that_others_were_merged_into_says_so() -> None:
    (one,) = decisions(library(), incident(id="Q3", merged=("Q1", "Q2")))
    assert one.kind == "run"
    assert ("merged", "Q1, Q2 merged into Q3") in [(c.what, c.seen) for c in one.checked]

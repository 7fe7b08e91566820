"""`bench --runbooks`: its figures are those of the log, the audit and the engine; and a story really is played to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench import hops, runbooks
from bench.hops import MOMENTS, Played, Span, since, words
from bench.stories import STORIES, Story, application

ROLLOUT = "/kubernetes/apis/argoproj.io/v1alpha1/namespaces/production/rollouts/web-frontend"
ABORT = next(one for one in STORIES if one.name == "abort")


def asked(method: str, path: str, at: str = "2026-11-25T03:00:01.000000Z", query: str = "") -> dict[str, Any]:
    """A row of the sandbox's log."""
    return {"method": method, "path": path, "query": query, "at": at}


def played(story: Story = ABORT, **more: Any) -> Played:
    """A story that was proven; its alert was at three o'clock."""
    return replace(Played(story, 1795575600.0, state="proven"), **more)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (asked("GET", ROLLOUT), "get rollouts"),
        (asked("PATCH", f"{ROLLOUT}/status"), "patch rollouts/status"),
        (asked("GET", "/kubernetes/apis/apps/v1/namespaces/production/replicasets"), "list replicasets"),
        (
            asked("PATCH", "/kubernetes/api/v1/namespaces/production/services/a-active", query="dryRun=All"),
            "patch services (dry)",
        ),
        (asked("GET", "/pagerduty/incidents/Q1"), "get incident"),
        (asked("GET", "/pagerduty/incidents/Q1/alerts"), "get incident/alerts"),
        (asked("PUT", "/pagerduty/incidents/Q1/notes/P1"), "put incident/notes"),
        (asked("PATCH", "/launchdarkly/api/v2/flags/default/new-checkout"), "patch flags"),
        (
            asked("GET", "/launchdarkly/api/v2/flags/default/production/new-checkout/dependent-flags"),
            "get dependent-flags",
        ),
    ],
)
def test_a_request_is_named_by_verb_and_kind(row: dict[str, Any], said: str) -> None:
    assert words(row) == said


def test_a_dry_run_is_no_write_and_the_first_look_is_the_first_question_after_the_write() -> None:
    rows = [
        asked("PATCH", "/kubernetes/api/v1/namespaces/production/services/a", "2026-11-25T03:00:01Z", "dryRun=All"),
        asked("GET", ROLLOUT, "2026-11-25T03:00:02Z"),
        asked("PATCH", f"{ROLLOUT}/status", "2026-11-25T03:00:03Z"),
        asked("GET", "/pagerduty/incidents/Q1", "2026-11-25T03:00:04Z"),
        asked("GET", ROLLOUT, "2026-11-25T03:00:05Z"),
    ]
    one = played(requests=rows)
    assert since([one], Played.patch, lambda each: each.alert) == [3.0]
    assert since([one], Played.looked, Played.patch) == [2.0]


def test_observed_is_the_end_of_the_look_before_the_plan_and_not_of_a_later_one() -> None:
    spans = [
        Span("r", "0 look 0", 10.0, 10.1),
        Span("r", "0 look 1", 10.4, 10.5),
        Span("r", "0 planned 0", 10.6, 10.7),
        Span("r", "0 look 2", 11.0, 11.2),
    ]
    assert played(spans=spans).observed() == 10.5


def test_a_round_that_is_not_proven_gives_no_figures_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    lost = replace(played(), state="unproven", said="not acknowledged within 45 s", received=1795575600.5)
    hops.report([ABORT], {"abort": [lost]})
    page = capsys.readouterr().out
    assert "0 of 1" in page
    assert "abort: unproven: not acknowledged within 45 s" in page
    assert "0.500" not in page


def test_requests_stand_beside_the_fewest_that_the_proof_needs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [asked("GET", ROLLOUT)] * 7
    hops.report([ABORT], {"abort": [played(requests=rows)]})
    page = capsys.readouterr().out
    assert "get rollouts                          7, 7 (5)" in page
    assert f"together                              7, 7 ({sum(ABORT.least.values())})" in page


def test_an_abort_is_played_from_the_alert_to_the_note_and_every_hop_of_it_is_known() -> None:
    """In a world of its own, over real sockets: a renamed step of the engine, or a lost row, would leave a hole."""
    with application() as url:
        one = runbooks.alone(ABORT, url)
    assert one.state == "proven", one.said
    known = {what: since([one], moment, lambda each: each.alert) for what, moment in MOMENTS}
    assert [what for what, seconds in known.items() if not seconds] == []
    assert all(0 <= seconds[0] < 60 for seconds in known.values())
    done = [words(row) for row in one.requests]
    assert {what: done.count(what) for what, least in ABORT.least.items() if done.count(what) < least} == {}
    assert done.count("patch rollouts/status") == 1

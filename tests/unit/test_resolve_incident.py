"""The incident is resolved after the proof: once, and never while it has open alerts that the run was not about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from server.actions import resolve_incident
from server.actions.resolve_incident import IncidentState, plan, proceed
from server.clients import Clients
from server.core.incident import Alert, Incident
from server.core.outcome import Finished, LookAgain, Outcome, Plan, Refusal, Write
from server.core.run import IncidentTarget
from server.errors import Missing, Refused, RipcordError, Transient, Unknown

NOW = datetime(2026, 11, 24, 3, 12, 34, tzinfo=UTC)
PARAMS = resolve_incident.Params()


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def seen(seconds: float = 0, status: str = "triggered", **more: Any) -> IncidentState:
    return IncidentState(at=at(seconds), incident="Q1", status=status, **more)


def alert(name: str, status: str = "triggered") -> Alert:
    return Alert(id=name, status=status, created_at=NOW, summary=f"{name} hurts")


class PagerDuty:
    """PagerDuty as values."""

    def __init__(self, answer: Incident | bool | RipcordError) -> None:
        self.answer, self.resolved = answer, list[str]()

    def incident(self, incident: str) -> Incident:
        if isinstance(self.answer, RipcordError):
            raise self.answer
        return cast(Incident, self.answer)

    def resolve(self, incident: str, resolution: str) -> bool:
        self.resolved.append(incident)
        if isinstance(self.answer, RipcordError):
            raise self.answer
        return cast(bool, self.answer)


def clients(pagerduty: PagerDuty) -> Clients:
    return Clients(kubernetes=cast(Any, None), pagerduty=cast(Any, pagerduty), now=lambda: NOW)


def incident(*alerts: Alert, **more: Any) -> Incident:
    given = {"id": "Q1", "number": 1, "title": "x", "status": "triggered", "created_at": NOW, "service": "PFLAG"}
    return Incident.model_validate({**given, "alerts": alerts, "read_at": NOW, **more})


def observe(answer: Incident | RipcordError) -> IncidentState:
    return resolve_incident.observe(IncidentTarget(name="Q1", alerts=("A1",)), clients(PagerDuty(answer)))


def test_open_alerts_that_the_run_was_not_about_are_seen() -> None:
    found = observe(incident(alert("A1"), alert("A2"), alert("A3", "resolved")))
    assert (found.status, found.others) == ("triggered", ("'A2 hurts'",))


def test_an_incident_that_is_gone_or_merged_is_a_value_and_one_that_cannot_be_read_is_asked_again() -> None:
    assert observe(Missing("404")).gone is True
    assert observe(incident(id="Q2", merged=("Q1",))).merged_into == "Q2"
    assert observe(incident(status="resolved", merged_into="Q3")).merged_into == "Q3"
    with pytest.raises(Transient):
        observe(Transient("500"))


def planned(*states: IncidentState) -> Plan:
    answer = plan(PARAMS, states, NOW)
    assert isinstance(answer, Plan), answer
    return answer


def test_the_plan_is_one_call() -> None:
    (call,) = planned(seen()).calls
    assert (call.method, call.path) == ("PUT", "/incidents/Q1")
    assert call.body["incident"]["status"] == "resolved"


def test_an_incident_that_is_resolved_already_needs_no_call() -> None:
    idle = planned(seen(status="resolved", others=("'x'",)))
    assert (idle.calls, idle.somebody) == ((), "the incident was resolved already")
    assert isinstance(move := proceed(idle, [seen(status="resolved")], [], NOW), Finished)
    assert move.outcome.kind == "noop"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (seen(others=("'a'",)), "it has other open alerts, so it stays open: 'a'"),
        (
            seen(others=("'a'", "'b'", "'c'", "'d'")),
            "it has other open alerts, so it stays open: 'a', 'b', 'c' and 1 more",
        ),
        (seen(gone=True), "incident Q1 is gone"),
        (seen(status="resolved", merged_into="Q2"), "incident Q1 was merged into Q2, which is left to a person"),
    ],
)
def test_it_stays_open(state: IncidentState, reason: str) -> None:
    assert plan(PARAMS, [state], NOW) == Refusal(reason=reason)


def end(kind: Any, seconds: float, cause: Any = "") -> Outcome:
    return Outcome(kind=kind, said=kind, n=1, at=at(seconds), cause=cause)


def test_it_is_written_once() -> None:
    first = proceed(planned(seen()), [seen()], [], NOW)
    assert isinstance(first, Write)
    assert first.n == 1
    for kind in ("done", "noop", "refused"):
        assert proceed(planned(seen()), [seen()], [end(kind, 1)], at(1)) == Finished(outcome=end(kind, 1))


def test_a_stop_switch_lets_nothing_out() -> None:
    move = proceed(planned(seen()), [seen()], [], NOW, True)
    assert isinstance(move, Finished)
    assert move.outcome.cause == "stopped"


def test_an_open_end_is_read_back_and_sent_once_more_after_five_seconds() -> None:
    plan_, act = planned(seen()), end("unknown", 1, "broken")
    assert isinstance(proceed(plan_, [seen()], [act], at(1)), LookAgain)
    assert isinstance(proceed(plan_, [seen(), seen(3)], [act], at(3)), LookAgain)
    found = proceed(plan_, [seen(), seen(3, "resolved")], [act], at(3))
    assert isinstance(found, Finished)
    assert found.outcome.kind == "done"
    again = proceed(plan_, [seen(), seen(7)], [act], at(7))
    assert isinstance(again, Write)
    assert again.n == 1
    twice = proceed(plan_, [seen(), seen(20)], [act, end("unknown", 12, "broken")], at(20))
    assert isinstance(twice, Finished)
    assert twice.outcome.kind == "unknown"


def test_an_alert_that_came_meanwhile_lets_no_second_copy_out() -> None:
    move = proceed(planned(seen()), [seen(), seen(7, others=("'new'",))], [end("unknown", 1, "broken")], at(7))
    assert isinstance(move, Finished)
    assert move.outcome.kind == "unknown"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (True, "done", "resolved incident Q1"),
        (False, "noop", "the incident was resolved already"),
        (Refused("pagerduty: PUT: 400", 400), "refused", "pagerduty: PUT: 400"),
        (
            Unknown("no answer", broken=True),
            "unknown",
            "resolve incident Q1: whether it was taken is not known (no answer)",
        ),
    ],
)
def test_an_answer_is_a_value(answer: bool | RipcordError, kind: str, said: str) -> None:
    pagerduty = PagerDuty(answer)
    whole = planned(seen())
    outcome = resolve_incident.write(whole, whole.calls[0], clients(pagerduty), "r-1/1/1", 1)
    assert (outcome.kind, outcome.said, pagerduty.resolved) == (kind, said, ["Q1"])


def test_it_is_never_opened_again() -> None:
    move = resolve_incident.put_back(planned(seen()), [seen()], [end("done", 1)], at(9))
    assert move.outcome.kind == "refused"

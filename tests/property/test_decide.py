"""Deciding for worlds nobody thought of: total, the same every time, and no runbook changes what another says."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core import match
from server.core.delivery import StoredDelivery
from server.core.incident import Incident
from server.core.library import Library
from server.core.match import Decision, Gone, Holds, Unread
from server.core.runbook import Runbook
from tests.unit.deciding import NOW, ago, alert, catalog, delivery, flag, incident, no_data, rollout, runbook

NAMES = ["web-frontend", "checkout", "api-backend"]
EVENTS = ["incident.triggered", "incident.reopened", "incident.workflow.started", "incident.resolved"]
CANARY = {"rollout": "web-frontend", "namespace": "production", "deployment_type": "canary"}


def mostly(usual: Any, *odd: Any) -> st.SearchStrategy[Any]:
    """Eight times out of ten or so the usual: a world in which nothing fits tests nothing."""
    return st.integers(0, 9).flatmap(lambda n: st.just(usual) if n < 8 or not odd else st.sampled_from(odd))


MODES = mostly("auto", "off", "observe", "approve")
SERVICES = mostly("PCANARY", "PFLAG")
VALUES = st.sampled_from([*NAMES, "canary", "blue-green", "production", "", 3, True, None]) | st.lists(
    st.integers(), max_size=1
)
ODD = st.dictionaries(st.sampled_from(["rollout", "namespace", "deployment_type", "flag"]), VALUES, max_size=4)
DETAILS = st.builds(
    lambda name, odd, n: {**CANARY, "rollout": name, **(odd if n == 0 else {})},
    st.sampled_from(NAMES),
    ODD,
    st.integers(0, 4),
)
CLEAR = st.builds(alert, st.just(CANARY), age=st.integers(0, 90), n=st.integers(1, 9))
MIXED = st.lists(
    st.builds(alert, DETAILS, age=st.integers(0, 90), status=mostly("triggered", "resolved"), n=st.integers(1, 9))
    | st.builds(no_data, st.integers(1, 9)),
    max_size=3,
)
ALERTS = (CLEAR.map(lambda one: [one]) | MIXED).map(tuple)
INCIDENTS = st.builds(
    lambda alerts, service, status, reopened: incident(
        alerts=alerts, service=service, status=status, reopened_at=ago(reopened) if reopened else None
    ),
    ALERTS,
    SERVICES,
    mostly("triggered", "acknowledged", "resolved"),
    st.integers(0, 60),
)
ABOUT = st.one_of(*[INCIDENTS] * 6, st.sampled_from([Gone(), Unread(since=NOW), None]))
BLOCKS = st.sampled_from([{"deployment_type": "canary"}, {"rollout": ["checkout", "web-frontend"]}]).map(
    lambda a: {"alert": a}
)
ANY = st.none() | st.lists(BLOCKS | st.just({"workflow": "PWF0001"}), min_size=1, max_size=2)


@st.composite
def runbooks(draw: st.DrawFn) -> tuple[Runbook, ...]:
    made = []
    for name in draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=4)):
        more = draw(st.lists(st.sampled_from(EVENTS), max_size=2))
        when: dict[str, Any] = {"events": list(dict.fromkeys([draw(mostly(EVENTS[0], *EVENTS)), *more]))}
        if (blocks := draw(ANY)) is not None:
            when["any"] = blocks
        target = draw(mostly({"kind": "rollout"}, {"kind": "rollout", "strategy": "canary"}, {"kind": "flag"}))
        made.append(
            runbook(name, mode=draw(MODES), when=when, target=target, teams=draw(mostly("all", ["web"], ["api"], None)))
        )
    return tuple(made)


@st.composite
def libraries(draw: st.DrawFn) -> Library:
    targets: dict[str, Any] = {}
    for name in sorted({"web-frontend", *draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))}):
        team, services = draw(mostly("web", "api")), [draw(SERVICES)]
        targets[name] = rollout(name, mode=draw(MODES), team=team, pagerduty_services=services)
    targets["new-checkout"] = flag(mode=draw(MODES), pagerduty_services=[draw(SERVICES)])
    return Library(runbooks=tuple(sorted(draw(runbooks()), key=lambda book: book.name)), catalog=catalog(**targets))


DELIVERIES = st.builds(
    lambda kind, age, workflow, pressed: delivery(
        kind,
        occurred_at=None if age is None else ago(age),
        workflow=workflow,
        **({"trigger": "pagerduty_action", "runbook": pressed} if pressed else {}),
    ),
    mostly(EVENTS[0], *EVENTS, "pagey.ping", ""),
    mostly(30, None, -600, 901, 1200),
    st.sampled_from([None, "PWF0001", "PWF0002"]),
    mostly(None, "a", "z"),
)


@st.composite
def holds(draw: st.DrawFn, known: Library, came: StoredDelivery, about: Incident | Gone | Unread | None) -> Holds:
    runs = [one.run for one in decide(known, came, about, Holds()) if one.kind == "run" and one.run]
    busy = draw(mostly({}, {"web-frontend": "r-other"}, {"checkout": "r-other"}))
    existing = draw(st.sets(st.sampled_from(runs))) if runs and draw(mostly(False, True)) else set()
    return Holds(stop=draw(mostly(None, "freeze")), busy=busy, existing=frozenset(existing))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Library, StoredDelivery, Incident | Gone | Unread | None, Holds]:
    known, came, about = draw(libraries()), draw(DELIVERIES), draw(ABOUT)
    return known, came, about, draw(holds(known, came, about))


def decide(
    known: Library, came: StoredDelivery, about: Incident | Gone | Unread | None, held: Holds
) -> tuple[Decision, ...]:
    return match.decide(came, about, about.alerts if isinstance(about, Incident) else (), known, held, NOW)


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_every_runbook_gets_one_decision_with_a_reason_and_the_same_every_time(world: Any) -> None:
    made = decide(*world)
    assert [one.runbook for one in made] == [book.name for book in world[0].runbooks]
    assert all(one.reason and "\n" not in one.reason for one in made)
    assert decide(*world) == made
    assert all(Decision.model_validate_json(one.model_dump_json()) == one for one in made)


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_what_is_not_no_has_a_target_of_the_incidents_service_and_an_allowed_mode(world: Any) -> None:
    known, _, about, _ = world
    for one in decide(*world):
        if one.kind == "no":
            continue
        assert isinstance(about, Incident)
        assert one.target is not None
        target = known.catalog.targets[one.target]
        book = next(book for book in known.runbooks if book.name == one.runbook)
        assert about.service in target.pagerduty_services
        assert target.kind == book.target.kind
        assert book.allows(target.team)
        assert "off" not in (book.mode, target.mode)
        if one.kind == "run" and not one.reason.startswith("already"):
            assert (book.mode, target.mode) == ("auto", "auto")


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_alone_a_runbook_says_what_it_says_among_others_unless_another_has_its_target(world: Any) -> None:
    known, came, about, held = world
    for one in decide(*world):
        book = next(book for book in known.runbooks if book.name == one.runbook)
        (alone,) = decide(known.model_copy(update={"runbooks": (book,)}), came, about, held)
        if one != alone:
            assert one.kind == "no"
            assert one.reason.endswith(" has it")
            assert alone.target == one.target


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_at_most_one_runbook_has_a_target(world: Any) -> None:
    having = [one.target for one in decide(*world) if one.kind != "no"]
    assert len(having) == len(set(having))


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_the_stop_switch_and_a_resolved_incident_start_nothing(world: Any) -> None:
    known, came, about, held = world
    stopped = held.model_copy(update={"stop": "freeze"})
    assert all(
        one.reason.startswith("already")
        for one in decide(known, came, about, stopped)
        if one.kind in ("run", "observed")
    )
    if isinstance(about, Incident):
        over = about.model_copy(update={"status": "resolved"})
        made = decide(known, came, over, held)
        assert all(one.reason.startswith("already") for one in made if one.kind in ("run", "observed", "joined"))


@settings(max_examples=100, deadline=None)
@given(libraries(), ABOUT, st.sampled_from(EVENTS))
def test_what_the_stored_row_says_starts_nothing_is_no_for_every_runbook(known: Library, about: Any, kind: str) -> None:
    came = delivery(kind)
    if not match.starts(known, came.delivery):
        assert all(one.kind == "no" for one in decide(known, came, about, Holds()))

"""The story of a delivery: re-read with patience, decide, start; the looks for late alerts and for a PagerDuty that is away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from server.db import stamp
from server.flow.delivery import tell_delivery
from tests.flow.inline import Clock, History, Inline, told

Json = dict[str, Any]


@dataclass
class Deliveries:
    """`alerts_at`: the second at which the alerts are there; `away_until`: PagerDuty answers from then on."""

    clock: Clock
    alerts_at: float = 0.0
    away_until: float = 0.0
    max_age: float = 900.0
    got: Json = field(default_factory=lambda: {"stored": {"id": "d1"}})
    reads: list[float] = field(default_factory=list)
    decided: list[tuple[Json, str | None]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    given_up: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False
    broken_for: str = ""

    def receive(self, delivery: str) -> Json:
        return self.got

    def read(self, stored: Json) -> Json:
        now = self.clock.seconds
        self.reads.append(now)
        away = now < self.away_until
        late = not away and now < self.alerts_at
        at = stamp(self.clock.now())
        return {"at": at, "reading": {}, "unread": away, "wants_alerts": late, "patience": self.max_age - now}

    def gave_up(self, delivery: str, said: str) -> None:
        self.given_up.append((delivery, said))

    def decide(self, stored: Json, read: Json, unread_since: str | None) -> Json:
        if self.broken or self.broken_for == stored["id"]:
            raise ZeroDivisionError
        self.decided.append((read, unread_since))
        self.order.append(stored["id"])
        if stored["id"] != "d1":
            return {"start": [{"id": f"r-{stored['id']}"}]}
        return {"start": [{"id": "r-1", "n": 1}, {"id": "r-2", "n": 2}]}


@pytest.fixture
def world() -> Deliveries:
    return Deliveries(Clock())


def tell(world: Deliveries, recorded: History | None = None) -> Inline:
    engine = Inline(world.clock, "d-d1", recorded)
    told(tell_delivery(engine, {"delivery": "d1"}, world))  # type: ignore[arg-type]
    return engine


def test_what_was_decided_is_started_under_the_runs_own_ids(world: Deliveries) -> None:
    assert tell(world).started == [("run", "r-1", {"id": "r-1", "n": 1}), ("run", "r-2", {"id": "r-2", "n": 2})]


def test_a_delivery_whose_signature_does_not_fit_starts_nothing(world: Deliveries) -> None:
    world.got = {"forged": "no"}
    assert (tell(world).started, world.reads, world.decided) == ([], [], [])


def test_alerts_that_come_late_are_looked_for_at_0_1_2_5_10_and_20_seconds(world: Deliveries) -> None:
    world.alerts_at = 99
    tell(world)
    assert world.reads == [0, 1, 2, 5, 10, 20]
    assert world.decided[0][0]["wants_alerts"] is True


def test_the_look_that_finds_them_is_the_last(world: Deliveries) -> None:
    world.alerts_at = 4
    tell(world)
    assert (world.reads, world.decided[0][0]["wants_alerts"]) == ([0, 1, 2, 5], False)


def test_a_pagerduty_that_is_away_is_asked_again_after_1_2_5_10_30_and_then_every_60_seconds(world: Deliveries) -> None:
    world.away_until = 200
    tell(world)
    assert world.reads == [0, 1, 3, 8, 18, 48, 108, 168, 228]
    assert world.decided[0][1] is None


def test_when_every_max_age_has_passed_it_is_decided_unread_since_the_first_look(world: Deliveries) -> None:
    world.away_until, world.max_age = 9999, 100.0
    tell(world)
    assert world.decided[0][0]["unread"] is True
    assert world.decided[0][1] == "2026-11-24T03:12:00.000000Z"
    assert 100 <= world.reads[-1] < 102


def test_told_again_over_its_record_a_delivery_reads_and_decides_nothing(world: Deliveries) -> None:
    world.away_until, world.alerts_at = 9, 30
    once = tell(world)
    again = Deliveries(Clock())
    twice = tell(again, once.history)
    assert twice.history.asked == once.history.asked
    assert (again.reads, again.decided) == ([], [])


def test_a_bug_while_deciding_is_recorded_where_people_look_for_the_reason(world: Deliveries) -> None:
    world.broken = True
    assert tell(world).started == []
    assert world.given_up == [("d1", "decide: ZeroDivisionError")]


def several(world: Deliveries) -> Deliveries:
    """A body with three messages."""
    world.got = {"stored": {"id": "d1"}, "more": [{"id": "m2"}, {"id": "m3"}]}
    return world


def test_the_messages_of_a_body_are_decided_in_their_order_each_after_a_look_of_its_own(world: Deliveries) -> None:
    engine = tell(several(world))
    assert world.order == ["d1", "m2", "m3"]
    assert [run for _story, run, _argument in engine.started] == ["r-1", "r-2", "r-m2", "r-m3"]
    assert len(world.reads) == 3


@pytest.mark.parametrize(("broken", "left", "said"), [
    ("d1", ["m2", "m3"], ("d1", "decide: ZeroDivisionError")),
    ("m2", ["d1", "m3"], ("d1.002", "message 2: decide: ZeroDivisionError")),
])  # fmt: skip
def test_a_bug_about_one_message_keeps_the_others_from_nothing(
    world: Deliveries, broken: str, left: list[str], said: tuple[str, str]
) -> None:
    world.broken_for = broken
    tell(several(world))
    assert (world.order, world.given_up) == (left, [said])


def test_an_answer_that_no_step_should_give_is_a_decision_too(world: Deliveries) -> None:
    world.got = {"stored": None}
    tell(world)
    assert world.given_up == [("d1", "decide: TypeError")]
    world.read = lambda stored: {}  # type: ignore[method-assign]
    tell(world)
    assert world.given_up[1:] == [("d1", "the story: KeyError")]


def test_told_again_over_its_record_a_body_of_several_messages_asks_for_the_same(world: Deliveries) -> None:
    once = tell(several(world))
    again = several(Deliveries(Clock()))
    assert tell(again, once.history).history.asked == once.history.asked
    assert (again.reads, again.order) == ([], [])

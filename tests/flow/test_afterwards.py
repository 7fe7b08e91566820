"""What follows the result: steps after the proof, our own step put back, and a write that was intended beside another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from server.core.outcome import Finished, LookAgain, Outcome, Plan, Refusal, Write
from server.core.run import StepSpec
from tests.flow.inline import Clock, History
from tests.flow.values import ALREADY, CALL, PLAN, WAKE, Json, Moves, Runs, Told, run, spec, unknown

RESOLVE = (StepSpec(action="resolve_incident"),)


@pytest.fixture
def world() -> Runs:
    return Runs(Clock())


def failed(seconds: float) -> Json:
    return {"kind": "failed", "said": "somebody turned it on again", "reached": []}


def remarks(told: Told) -> Any:
    assert told.world.report is not None
    return told.world.report.remarks


# ---- after the proof ----


def test_what_comes_after_the_proof_is_done_after_it_and_said(world: Runs) -> None:
    told = run(world, spec(after_proof=RESOLVE))
    assert told.state == "proven"
    assert [one[0] for one in world.did][-7:] == [
        "check", "look", "planned", "intended", "sent", "done", "look",
    ]  # fmt: skip
    assert remarks(told).done == "1 writes; then abort production/web"


def test_it_changes_nothing_of_the_result_and_not_its_time(world: Runs) -> None:
    world.writes = [{"kind": "done", "said": "ok"}, {"kind": "refused", "said": "403: this key may not"}]
    told = run(world, spec(after_proof=RESOLVE))
    assert (told.state, told.said) == ("proven", "on stable")
    assert remarks(told).mind == ("abort production/web, canary 7d9f: 403: this key may not",)
    assert world.report is not None
    assert world.report.seconds == 5.0


def test_an_answer_that_never_came_is_no_success(world: Runs) -> None:
    world.writes = [{"kind": "done", "said": "ok"}, {"kind": "unknown", "said": "whether it was taken is not known"}]
    assert remarks(run(world, spec(after_proof=RESOLVE))).mind == (
        "abort production/web, canary 7d9f: whether it was taken is not known",
    )


def test_a_refusal_is_said_to_a_person(world: Runs) -> None:
    world.later.plans = [Refusal(reason="2 other alerts of the incident are open")]
    told = run(world, spec(after_proof=RESOLVE))
    assert (told.state, world.times("sent")) == ("proven", 1)
    assert remarks(told).mind == ("resolve_incident: 2 other alerts of the incident are open",)


def test_a_thing_that_is_so_already_is_said_and_not_written(world: Runs) -> None:
    world.later.plans = [ALREADY]
    told = run(world, spec(after_proof=RESOLVE))
    assert (world.times("sent"), remarks(told).done) == (1, f"1 writes; then {ALREADY.somebody}")


def test_it_comes_after_nothing_to_do_as_well(world: Runs) -> None:
    world.moves_.plans = [ALREADY]
    told = run(world, spec(after_proof=RESOLVE))
    assert (told.state, world.times("sent")) == ("nothing_to_do", 1)


@pytest.mark.parametrize(
    ("verdict", "state"), [(failed, "failed"), (unknown("accepted"), "unproven")], ids=["failed", "unproven"]
)
def test_nothing_comes_after_what_is_not_proven(world: Runs, verdict: Any, state: str) -> None:
    world.verdict = verdict
    assert (run(world, spec(after_proof=RESOLVE)).state, world.times("sent")) == (state, 1)


def test_the_stop_switch_stops_it(world: Runs) -> None:
    world.stops = [None, "deploy freeze"]
    told = run(world, spec(after_proof=RESOLVE))
    assert (told.state, world.times("sent")) == ("proven", 1)
    assert remarks(told).mind == ("abort production/web, canary 7d9f: stop switch: deploy freeze",)


def test_a_bug_in_it_takes_nothing_from_the_proof(world: Runs) -> None:
    class Broken(Moves):
        def plan(self, seen: Sequence[Json], now: datetime) -> Plan | Refusal | LookAgain:
            raise KeyError("alerts")

    world.later = Broken()
    told = run(world, spec(after_proof=RESOLVE))
    assert (told.state, told.said) == ("proven", "on stable")
    assert remarks(told).mind == ("resolve_incident: a bug in Ripcord (plan: KeyError): look by hand",)


# ---- putting our own step back ----


def test_what_failed_is_put_back_where_the_runbook_says_so_under_a_number_of_its_own(world: Runs) -> None:
    world.verdict = failed
    told = run(world, spec(on_failure="put_back"))
    assert told.state == "failed"
    assert world.only("intended", "sent") == [("intended", 1), ("sent", 1), ("intended", 2), ("sent", 2)]
    assert remarks(told).mind == ("put back: put production/web back",)


@pytest.mark.parametrize("verdict", [failed, unknown("accepted")], ids=["not told to", "unknown"])
def test_otherwise_and_where_something_is_unknown_nothing_is_put_back(world: Runs, verdict: Any) -> None:
    world.verdict = verdict
    told = run(world, spec(on_failure="tell" if verdict is failed else "put_back"))
    assert (told.state, world.times("sent")) == ("failed" if verdict is failed else "unproven", 1)


def test_where_it_is_not_as_we_left_it_the_action_says_so(world: Runs) -> None:
    class Changed(Moves):
        def put_back(
            self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime
        ) -> Write | LookAgain | Finished:
            return Finished(outcome=Outcome(kind="noop", said="somebody changed it since, nothing is put back", at=now))

    world.moves_, world.verdict = Changed(), failed
    told = run(world, spec(on_failure="put_back"))
    assert (world.times("sent"), remarks(told).mind) == (
        1, ("put back: somebody changed it since, nothing is put back",),
    )  # fmt: skip


# ---- two writes that belong together ----


class Both(Moves):
    """The first write's intent is committed together with the second one's; `needed`: whether the second is then sent."""

    needed = True

    def proceed(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime, stopped: bool
    ) -> Write | LookAgain | Finished:
        second = Write(n=2, call=WAKE)
        if not done:
            return Write(n=1, call=CALL, look=False, also=(second,))
        return second if self.needed and len(done) == 1 and not stopped else Finished(outcome=done[-1])


def test_both_intents_stand_before_the_first_leaves_and_nothing_lies_between_the_two(world: Runs) -> None:
    world.moves_ = Both()
    assert run(world).state == "proven"
    did = [one for one in world.did if one[0] not in ("take", "planned", "guards")]
    assert did[1:8] == [
        ("intended", 1), ("intended", 2), ("sent", 1), ("done", 1), ("intended", 2), ("sent", 2), ("done", 2),
    ]  # fmt: skip


def test_who_takes_over_between_the_two_looks_before_the_second_is_sent(world: Runs) -> None:
    world.moves_ = Both()
    first = run(world).engine
    at = first.history.asked.index(("step", "0 intend 1"))
    died_there = History(first.history.asked[:at], first.history.answers[:at])

    later = Runs(world.clock, moves_=Both(), me="b")
    assert run(later, recorded=died_there).state == "proven"
    assert later.only("look", "sent")[:2] == [("look",), ("sent", 2)]


@pytest.mark.parametrize(("away", "state", "sent"), [(300, "proven", [2]), (9999, "unproven", [])])
def test_who_takes_over_while_nothing_can_be_read_waits_ten_minutes_to_send_the_second(
    world: Runs, away: float, state: str, sent: list[int]
) -> None:
    """The first alone can be the outage: what was intended beside it is owed for longer than a look is waited for elsewhere."""
    world.moves_ = Both()
    first = run(world).engine
    at = first.history.asked.index(("step", "0 intend 1"))
    died_there = History(first.history.asked[:at], first.history.answers[:at])

    later = Runs(world.clock, moves_=Both(), me="b")
    began = world.clock.seconds
    later.unread = lambda seconds: seconds < began + away
    assert run(later, recorded=died_there).state == state
    assert [n for _sent, n in later.only("sent")] == sent
    assert later.times("look") < 400


def test_a_plan_made_afresh_gives_no_number_twice(world: Runs) -> None:
    world.moves_ = Both()
    world.writes = [{"kind": "refused", "said": "it moved", "cause": "conflict"}]

    class Once(Both):
        def proceed(
            self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime, stopped: bool
        ) -> Write | LookAgain | Finished:
            if done and done[0].kind == "refused":
                return Finished(outcome=done[0])
            return super().proceed(plan, seen, done, now, stopped)

    world.moves_ = Once()
    assert run(world).state == "proven"
    intended = [one[1] for one in world.only("intended")]
    assert (intended, [one[1] for one in world.only("sent")]) == ([1, 2, 3, 4, 4], [1, 3, 4])
    assert ("refused", 2) in world.did


def test_what_is_proven_without_a_write_of_ours_was_somebody_elses(world: Runs) -> None:
    world.writes = [{"kind": "noop", "said": "it was aborted already, by kim; nothing was changed"}]
    told = run(world)
    assert (told.state, told.said) == ("nothing_to_do", "it was aborted already, by kim; nothing was changed")


def test_an_intent_that_was_not_needed_gets_its_outcome(world: Runs) -> None:
    world.moves_ = Both()
    world.moves_.needed = False
    assert run(world).state == "proven"
    assert world.only("sent", "refused") == [("sent", 1), ("refused", 2)]


def test_an_intent_that_the_stop_switch_stopped_gets_its_outcome(world: Runs) -> None:
    world.moves_, world.stops = Both(), [None, "deploy freeze"]
    run(world)
    assert world.only("sent", "refused", "guard stopped") == [("sent", 1), ("refused", 2)]


def test_a_plan_without_a_write_is_asked_for_none_of_this(world: Runs) -> None:
    world.moves_.plans = [PLAN.model_copy(update={"calls": ()})]
    assert (run(world).state, world.times("refused")) == ("nothing_to_do", 0)


def test_an_intent_whose_outcome_cannot_be_written_down_keeps_no_run_open(world: Runs) -> None:
    world.moves_, ordinary = Both(), world.outcome
    world.moves_.needed = False

    def outcome(about: Any, index: int, one: Outcome) -> None:
        return {}["a bug"] if one.n == 2 else ordinary(about, index, one)

    world.outcome = outcome  # type: ignore[method-assign]
    told = run(world)
    assert told.state == "proven"
    assert remarks(told).mind == (
        "a bug in Ripcord (0 not sent 2: KeyError): an intent that was not needed has no outcome",
    )

"""The story of a run over a world of values: when it plans, waits, writes, gives up, and what it ends as."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from server.core.outcome import LookAgain, Refusal
from server.core.run import CheckSpec
from server.errors import Unfit
from server.flow.run import carry_out
from tests.flow.inline import Clock, Inline, told
from tests.flow.values import ALREADY, PLAN, Moves, Runs, Told, passed, run, spec, unknown

CONFLICT = {"kind": "refused", "said": "it moved", "cause": "conflict"}


@pytest.fixture
def world() -> Runs:
    return Runs(Clock())


def within(seconds: float, settle: float = 5.0) -> Any:
    return spec(verify=(CheckSpec(check="rollout_traffic_on_stable", within=seconds, settle=settle),))


# ---- the ordinary story ----


def test_a_run_looks_plans_asks_its_guards_intends_writes_and_proves_twice(world: Runs) -> None:
    told = run(world)
    assert (told.state, told.said) == ("proven", "on stable")
    assert [one[0] for one in world.did] == [
        "take", "look", "planned", "guards", "intended", "sent", "done", "look", "check", "passed", "check",
    ]  # fmt: skip
    assert told.seconds == 5.0


def test_the_note_is_begun_with_the_first_write_and_told_the_end(world: Runs) -> None:
    engine = run(world).engine
    assert engine.started == [("note", "n-r-1", {"run": "r-1", "incident": "Q1", "early": True})]
    assert engine.told == [("n-r-1", "ended", {"joined": []})]


def test_a_run_that_tells_nobody_begins_no_note_and_tells_none(world: Runs) -> None:
    told = run(world, spec(tell=()))
    assert (told.state, told.engine.started, told.engine.told) == ("proven", [], [])


def test_a_plan_that_needs_another_look_gets_one(world: Runs) -> None:
    seen: list[int] = []

    class Twice(Moves):
        def plan(self, looks: Any, now: Any) -> Any:
            seen.append(len(looks))
            return PLAN if len(looks) == 2 else LookAgain(after=0.3)

    world.moves_ = Twice()
    assert (run(world).state, seen, round(world.clock.seconds, 1)) == ("proven", [1, 2], 5.3)


def test_a_refusal_touches_nothing(world: Runs) -> None:
    world.moves_.plans = [Refusal(reason="it is a first deploy")]
    told = run(world)
    assert (told.state, told.said, world.times("intended"), world.times("sent")) == (
        "refused", "it is a first deploy", 0, 0,
    )  # fmt: skip
    assert told.engine.started == [("note", "n-r-1", {"run": "r-1", "incident": "Q1", "early": False})]


def test_a_run_waits_for_its_turn_and_only_then_looks(world: Runs) -> None:
    world.locks = ["r-0", "r-0", "r-0", None]
    assert run(world).state == "proven"
    assert [one[0] for one in world.did][:5] == ["take"] * 4 + ["look"]
    assert world.clock.seconds == 3 + 5


# ---- proof and deadlines ----


@pytest.mark.parametrize(
    ("reached", "bound", "said", "seconds"),
    [
        ((), 300, "not acknowledged within 45 s: not yet", 45),
        (("accepted",), 300, "not acknowledged within 45 s: not yet", 45),
        (("accepted", "acknowledged"), 300, "not traffic within 60 s: not yet", 60),
        (("accepted", "acknowledged", "traffic"), 300, "not proven within 300 s: not yet", 300),
        ((), 10, "not proven within 10 s: not yet", 10),
        (("accepted", "acknowledged"), 50, "not proven within 50 s: not yet", 50),
    ],
)
def test_the_earliest_deadline_that_passed_ends_the_proof_unknown(
    world: Runs, reached: tuple[str, ...], bound: float, said: str, seconds: float
) -> None:
    world.verdict = unknown(*reached)
    told = run(world, within(bound))
    assert (told.state, told.said) == ("unproven", said)
    assert seconds <= told.seconds < seconds + 1.5


def test_of_two_deadlines_that_passed_between_two_looks_the_earlier_one_is_named(world: Runs) -> None:
    def slow(seconds: float) -> dict[str, Any]:
        world.clock.move(50)
        return unknown()(seconds)

    world.verdict = slow
    assert run(world, within(40)).said == "not proven within 40 s: not yet"
    assert run(Runs(Clock(), verdict=slow), within(50)).said == "not acknowledged within 45 s: not yet"


def test_what_was_acknowledged_stays_so_while_nothing_can_be_read(world: Runs) -> None:
    world.verdict = unknown("accepted", "acknowledged")
    world.unread = lambda seconds: 40 < seconds < 58
    told = run(world)
    assert told.said.startswith("not traffic within 60 s")


def test_an_acknowledgement_that_is_seen_to_be_gone_counts_no_more(world: Runs) -> None:
    world.verdict = lambda seconds: unknown(*(["acknowledged"] if seconds < 30 else []))(seconds)
    assert run(world).said.startswith("not acknowledged within 45 s")


def test_the_deadlines_count_from_the_answer_to_the_write(world: Runs) -> None:
    world.writes = [{"not_done": "429", "retry_after": 20.0}, {"kind": "done", "said": "x"}]
    world.verdict = unknown()
    assert 65 <= run(world).seconds < 66.5


def test_after_a_restart_the_deadlines_begin_at_the_first_look(world: Runs) -> None:
    ordinary = unknown()

    def dies_once(seconds: float) -> dict[str, Any]:
        if world.me == "a" and seconds >= 44:
            world.me = "b"
            world.clock.move(600)
        return ordinary(seconds)

    world.verdict = dies_once
    told = run(world)
    assert (told.state, told.said) == ("unproven", "not acknowledged within 45 s: not yet")
    (born,) = [after for before, after in pairs(world) if after - before > 500]
    assert 43.5 <= told.seconds - born < 46


def pairs(world: Runs) -> list[tuple[float, float]]:
    checks = [one[1] for one in world.only("check")]
    return list(itertools.pairwise(checks))


def test_no_run_ends_on_a_deadline_that_passed_while_nobody_looked(world: Runs) -> None:
    def dies_once(seconds: float) -> dict[str, Any]:
        if world.me == "a" and seconds >= 5:
            world.me = "b"
            world.clock.move(3600)
        return passed(seconds) if seconds > 3610 else unknown()(seconds)

    world.verdict = dies_once
    assert run(world, within(60)).state == "proven"


def test_what_held_once_is_looked_at_again_after_the_settle_time(world: Runs) -> None:
    answers = iter(["passed", "unknown", "passed", "passed"])
    world.verdict = lambda seconds: {**passed(seconds), "kind": next(answers)}
    assert run(world).state == "proven"
    looks = [one[1] for one in world.only("check")]
    assert (looks[1] - looks[0], looks[3] - looks[2]) == (5.0, 5.0)


def test_the_settle_time_lies_outside_the_deadline(world: Runs) -> None:
    world.verdict = lambda seconds: passed(seconds) if seconds > 9 else unknown(*["acknowledged", "traffic"])(seconds)
    assert run(world, within(10)).state == "proven"
    assert world.clock.seconds > 14


def test_what_does_not_settle_is_not_proven(world: Runs) -> None:
    world.verdict = lambda seconds: passed(seconds) if 55 < seconds < 57 else unknown("acknowledged")(seconds)
    assert run(world, within(60)).state == "unproven"


def test_without_a_settle_time_one_look_is_enough(world: Runs) -> None:
    assert (run(world, within(60, settle=0)).state, world.times("check")) == ("proven", 1)


def test_a_check_that_failed_ends_the_run_at_once(world: Runs) -> None:
    world.verdict = lambda seconds: {"kind": "failed", "said": "the abort was cleared", "reached": []}
    told = run(world)
    assert (told.state, told.said, told.seconds) == ("failed", "the abort was cleared", 0)


def test_a_check_that_can_never_tell_ends_the_run_unproven_at_once(world: Runs) -> None:
    world.verdict = lambda seconds: {"kind": "unknown", "said": "newer released", "stop": True}
    told = run(world)
    assert (told.state, told.said, told.seconds) == ("unproven", "newer released", 0)


def test_every_check_must_pass(world: Runs) -> None:
    two = (CheckSpec(check="a", within=60.0), CheckSpec(check="b", within=60.0))
    told = run(world, spec(verify=two))
    assert (told.state, [n for n in told.engine.names() if "look" in n and "check" in n]) == (
        "proven",
        ["0 check 0 look 0", "0 check 0 look 1", "0 check 1 look 0", "0 check 1 look 1"],
    )


def test_only_what_a_check_says_anew_is_written_down(world: Runs) -> None:
    world.verdict = lambda seconds: passed(seconds) if seconds > 20 else unknown(said=f"{seconds >= 10}")(seconds)
    run(world)
    said = [one for one in world.did if one[0] in ("unknown", "passed")]
    assert said == [("unknown", "False"), ("unknown", "True"), ("passed", "on stable")]


# ---- writes that were not done ----


def test_a_write_that_was_not_done_is_sent_again_under_its_number(world: Runs) -> None:
    world.writes = [{"not_done": "refused"}, {"not_done": "429", "retry_after": 7.0}]
    told = run(world)
    assert told.state == "proven"
    assert world.only("sent", "done") == [("sent", 1), ("sent", 1), ("sent", 1), ("done", 1)]
    assert told.seconds == 1 + 7 + 5


def test_it_is_given_up_when_the_budget_for_an_acknowledgement_is_spent(world: Runs) -> None:
    world.writes = [{"not_done": "connection refused"}] * 100
    told = run(world)
    assert (told.state, told.said) == ("refused", "never taken: connection refused")
    assert (told.seconds, world.only("done", "refused", "unknown")) == (45.0, [("refused", 1)])


def test_a_wait_that_would_outlast_the_budget_is_not_begun(world: Runs) -> None:
    world.writes = [{"not_done": "503", "retry_after": 50.0}]
    assert (run(world).state, world.clock.seconds) == ("refused", 0)


def test_a_refused_write_ends_the_run_refused(world: Runs) -> None:
    world.writes = [{"kind": "refused", "said": "403: no rights"}]
    told = run(world)
    assert (told.state, told.said) == ("refused", "403: no rights")


def test_an_unknown_write_is_proven_by_reading(world: Runs) -> None:
    world.writes = [{"kind": "unknown", "said": "504", "cause": "timeout"}]
    told = run(world)
    assert (told.state, world.times("sent")) == ("proven", 1)
    assert told.engine.started[0][2]["early"] is True


# ---- the stop switch and the guards ----


def test_the_stop_switch_between_look_and_write_ends_the_run_refused(world: Runs) -> None:
    world.stops = ["deploy freeze"]
    told = run(world)
    assert (told.state, told.said) == ("refused", "stop switch: deploy freeze")
    assert (world.times("sent"), world.only("guard stopped")) == (0, [("guard stopped", "stop switch: deploy freeze")])


def test_an_intent_that_the_stop_switch_overtook_has_its_outcome(world: Runs) -> None:
    world.writes = [{"not_done": "429"}]
    world.stops = [None, "deploy freeze"]
    told = run(world)
    assert (told.state, told.said) == ("refused", "stop switch: deploy freeze")
    assert world.only("intended", "sent", "refused") == [("intended", 1), ("sent", 1), ("refused", 1)]


def test_the_stop_switch_does_not_end_a_proof(world: Runs) -> None:
    def switched_on(seconds: float) -> dict[str, Any]:
        world.stop = "freeze"
        return passed(seconds)

    world.verdict = switched_on
    assert run(world).state == "proven"


def test_a_guard_that_holds_ends_the_run_before_anything_is_intended(world: Runs) -> None:
    world.guarded = [{"stop": "incident is 'resolved', wanted an open one"}]
    told = run(world)
    assert (told.state, told.said) == ("refused", "incident is 'resolved', wanted an open one")
    assert (world.times("intended"), world.times("guard stopped")) == (0, 1)


def test_guards_that_could_not_be_read_for_a_while_lead_to_a_fresh_plan(world: Runs) -> None:
    world.guarded = [{"unread": "503"}, {"unread": "503"}, {}]
    assert run(world).state == "proven"
    assert [one[0] for one in world.did][1:10] == [
        "look", "planned", "guards", "guards", "guards", "look", "planned", "guards", "intended",
    ]  # fmt: skip


def test_a_pagerduty_that_comes_and_goes_is_not_blamed_on_the_target(world: Runs) -> None:
    world.guarded = [{"unread": "503"}, {}] * 6
    assert run(world).state == "proven"


def test_no_guard_is_asked_once_something_was_written(world: Runs) -> None:
    run(world)
    asked = [one[0] for one in world.did]
    assert "guards" not in asked[asked.index("intended") :]


# ---- somebody else moves ----


def test_after_a_conflict_the_run_plans_afresh_under_a_new_number(world: Runs) -> None:
    world.writes = [CONFLICT]
    told = run(world)
    assert (told.state, world.times("planned")) == ("proven", 2)
    assert world.only("intended", "refused", "done") == [("intended", 1), ("refused", 1), ("intended", 2), ("done", 2)]


def test_after_four_conflicts_it_gives_up(world: Runs) -> None:
    world.writes = [CONFLICT] * 9
    told = run(world)
    assert (told.state, told.said) == ("refused", "the target changed each time between plan and write")
    assert world.only("sent") == [("sent", 1), ("sent", 2), ("sent", 3), ("sent", 4)]


def test_a_fresh_plan_may_refuse(world: Runs) -> None:
    world.writes = [CONFLICT]
    world.moves_.plans = [PLAN, Refusal(reason="it was promoted meanwhile")]
    told = run(world)
    assert (told.state, told.said) == ("refused", "it was promoted meanwhile")


# ---- observe, nothing to do ----


def test_an_observed_run_does_everything_but_the_write(world: Runs) -> None:
    told = run(world, spec(observed=True))
    assert (told.state, told.said) == ("observed", PLAN.said)
    assert [one[0] for one in world.did] == ["take", "look", "planned", "guards"]
    assert told.engine.started[0][2]["early"] is False


def test_an_observed_run_stops_at_the_guards_like_any_other(world: Runs) -> None:
    world.guarded = [{"stop": "cool-down until 03:40:00Z"}]
    assert run(world, spec(observed=True)).said == "cool-down until 03:40:00Z"


def test_what_was_done_already_is_proven_without_asking_the_guards(world: Runs) -> None:
    world.moves_.plans = [ALREADY]
    told = run(world)
    assert (told.state, told.said) == ("nothing_to_do", ALREADY.somebody)
    assert (world.times("guards"), world.times("intended"), world.times("check")) == (0, 0, 2)


def test_what_was_done_already_and_does_not_hold_needs_a_person(world: Runs) -> None:
    world.moves_.plans, world.verdict = [ALREADY], unknown()
    assert run(world).state == "unproven"


def test_a_wake_that_is_the_first_write_of_a_run_passes_the_guards(world: Runs) -> None:
    world.moves_.plans, world.moves_.wakes = [ALREADY], True
    assert run(world).state == "nothing_to_do" or world.times("guards") == 1
    world.verdict = lambda seconds: passed(seconds) if seconds > 3 else unknown("accepted")(seconds)
    world.clock, world.did, world.plans = Clock(), [], 0
    run(world)
    assert [one[0] for one in world.only("guards", "intended", "sent")] == ["guards", "intended", "sent"]


def test_a_guard_that_holds_there_ends_the_run_and_is_asked_once(world: Runs) -> None:
    world.moves_.plans, world.moves_.wakes, world.verdict = [ALREADY], True, unknown("accepted")
    world.guarded = [{"stop": "incident is 'resolved', wanted an open one"}] * 99
    told = run(world)
    assert (told.state, told.said) == ("refused", "incident is 'resolved', wanted an open one")
    assert (world.times("guards"), world.times("sent")) == (1, 0)


# ---- bugs ----


class Broken(Moves):
    """One pure function of the action has a bug, from the n-th time on that it is asked."""

    def __init__(self, what: str, after: int = 0) -> None:
        super().__init__()
        self.left = after
        ordinary = getattr(self, what)

        def breaks(*args: Any) -> Any:
            self.left -= 1
            return ordinary(*args) if self.left >= 0 else {}["a bug"]

        setattr(self, what, breaks)


def broken_step(world: Runs, what: str) -> Runs:
    def breaks(*args: Any) -> Any:
        raise KeyError("a bug")

    setattr(world, what, breaks)
    return world


@pytest.mark.parametrize("what", ["take_target", "look", "planned", "guards"])
def test_a_bug_before_the_first_intent_ends_the_run_refused(world: Runs, what: str) -> None:
    told = run(broken_step(world, what))
    assert (told.state, world.times("sent")) == ("refused", 0)
    assert told.said.startswith("a bug in Ripcord, nothing was touched (")


@pytest.mark.parametrize("what", ["write", "outcome", "check", "checked", "progress"])
def test_a_bug_after_it_ends_the_run_unproven(world: Runs, what: str) -> None:
    told = run(broken_step(world, what))
    assert (told.state, told.said.startswith("a bug in Ripcord (")) == ("unproven", True)


@pytest.mark.parametrize(("what", "after", "state"), [
    ("plan", 0, "refused"), ("proceed", 0, "refused"), ("proceed", 1, "unproven"), ("weigh", 0, "unproven"),
])  # fmt: skip
def test_a_bug_in_what_is_only_computed_ends_the_run_too(world: Runs, what: str, after: int, state: str) -> None:
    world.moves_ = Broken(what, after)
    told = run(world)
    assert (told.state, "KeyError" in told.said) == (state, True)


def test_a_report_that_cannot_be_written_down_closes_the_run_all_the_same(world: Runs) -> None:
    """Else it would hold its target for ever, and every later incident would join it."""
    ordinary, tried = world.ended, []

    def ended(about: Any, report: Any) -> Any:
        tried.append(report)
        return ordinary(about, report) if len(tried) == 2 else {}["a bug"]

    world.ended = ended  # type: ignore[method-assign]
    told = run(world)
    assert (told.state, told.said) == (
        "proven", "a bug in Ripcord (end: KeyError): it ended so, and what it saw could not be kept",
    )  # fmt: skip
    assert told.engine.told == [("n-r-1", "ended", {"joined": []})]


@pytest.mark.parametrize(("answered", "state"), [("look", "refused"), ("write", "unproven"), ("check", "unproven")])
def test_an_answer_that_no_step_should_give_ends_the_run_as_a_bug_does(world: Runs, answered: str, state: str) -> None:
    setattr(world, answered, lambda *args: {"at": "never"})
    told = run(world)
    assert (told.state, told.said.startswith("a bug in Ripcord")) == (state, True)


def test_a_run_that_another_version_began_is_unproven_whatever_is_remembered_of_it(world: Runs) -> None:
    """Its record may hold a write that this version has not come to."""

    class Upgraded(Inline):
        async def step(self, name: str, do: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "0 look 0":
                raise Unfit("another version of Ripcord began this")
            return await super().step(name, do, *args, **kwargs)

    engine = Upgraded(world.clock, "r-1")
    answer = told(carry_out(engine, spec().model_dump(mode="json"), world))  # type: ignore[arg-type]
    assert (answer, world.times("sent")) == ({"state": "unproven"}, 0)
    assert world.report is not None
    assert world.report.said == "a bug in Ripcord (another version of Ripcord began this): look at the target by hand"


def test_a_bug_in_the_wording_changes_no_result(world: Runs) -> None:
    world.moves_ = Broken("remarks")
    told = run(world)
    assert told.state == "proven"
    assert world.report is not None
    assert "a bug in Ripcord" in world.report.remarks.mind[0]


def test_an_unknown_action_or_target_is_a_bug_and_not_a_run_that_never_ends(world: Runs) -> None:
    for what in ("moves", "budgets"):
        fresh = broken_step(Runs(Clock()), what)
        assert run(fresh).state == "refused"


# ---- replay ----


def stories() -> dict[str, Any]:
    def conflict(world: Runs) -> None:
        world.writes = [CONFLICT, {"not_done": "429"}]

    def restart(world: Runs) -> None:
        world.verdict = lambda seconds: passed(seconds) if seconds > 30 else unknown()(seconds)
        world.guarded = [{"unread": "503"}, {}]

    def stopped(world: Runs) -> None:
        world.writes, world.stops = [{"not_done": "429"}], [None, "freeze"]

    def bug(world: Runs) -> None:
        broken_step(world, "check")

    def already(world: Runs) -> None:
        world.moves_.plans, world.moves_.wakes, world.locks = [ALREADY], True, ["r-0", None]
        world.verdict = lambda seconds: passed(seconds) if seconds > 8 else unknown()(seconds)

    return {"conflict": conflict, "late": restart, "stopped": stopped, "bug": bug, "already": already}


@pytest.mark.parametrize("name", sorted(stories()))
def test_told_again_over_its_record_a_run_asks_for_the_same_steps_and_touches_nothing(name: str) -> None:
    first = Runs(Clock())
    stories()[name](first)
    once = run(first)
    again = Runs(Clock(), moves_=first.moves_)
    twice = run(again, recorded=once.engine.history)
    assert twice.engine.history.asked == once.engine.history.asked
    assert (twice.state, again.did) == (once.state, [])


@pytest.mark.parametrize("name", sorted(stories()))
def test_told_again_over_half_its_record_it_goes_on_from_there(name: str) -> None:
    first = Runs(Clock())
    stories()[name](first)
    once = run(first)
    for cut in range(0, len(once.engine.history.asked), 3):
        half = once.engine.history.__class__(once.engine.history.asked[:cut], once.engine.history.answers[:cut])
        world = Runs(Clock(), moves_=first.moves_)
        told: Told = run(world, recorded=half)
        assert told.engine.history.asked[:cut] == half.asked
        assert told.state in ("proven", "nothing_to_do", "refused", "unproven")
        assert isinstance(told.engine, Inline)

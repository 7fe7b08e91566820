"""A world that does not answer, and writes whose fate only reading tells: how a run waits, and that it ends."""

from __future__ import annotations

from typing import Any

import pytest

from server.core.outcome import Finished, LookAgain, Outcome
from server.core.run import StepSpec
from tests.flow.inline import Clock
from tests.flow.values import ALREADY, Moves, Runs, passed, run, spec, unknown


@pytest.fixture
def world() -> Runs:
    return Runs(Clock())


# ---- a cluster that cannot be read ----


def test_planning_waits_a_minute_for_a_cluster_that_cannot_be_read(world: Runs) -> None:
    world.unread = lambda seconds: seconds < 50
    assert run(world).state == "proven"


def test_then_it_refuses(world: Runs) -> None:
    world.unread = lambda seconds: True
    told = run(world)
    assert (told.state, told.said, world.times("sent")) == ("refused", "it could not be read: away", 0)
    assert 60 <= told.seconds < 63


class Reads(Moves):
    """Decides what became of its write by a look that is younger, as the actions do: without one it can only ask for it."""

    def __init__(self, first: bool = False) -> None:
        super().__init__()
        self.first = first

    def proceed(self, plan: Any, seen: Any, done: Any, now: Any, stopped: bool) -> Any:
        if not done and self.first and len(seen) < 2:
            return LookAgain(after=0.0)
        return LookAgain(after=0.0) if done and len(seen) < 2 else super().proceed(plan, seen, done, now, stopped)


def away(world: Runs, after: str, until: float = 1e9) -> None:
    """From the first `after` on nothing can be read."""

    def unread(seconds: float) -> bool:
        assert world.times("look") < 150, "asked again and again without a pause"
        return world.times(after) > 0 and seconds < until

    world.unread = unread


def test_what_was_written_and_cannot_be_read_is_unproven_in_the_end_and_not_asked_for_without_a_pause(
    world: Runs,
) -> None:
    world.moves_ = Reads()
    world.writes = [{"kind": "unknown", "said": "the connection broke", "cause": "broken"}]
    away(world, "sent")
    told = run(world)
    assert (told.state, world.times("sent")) == ("unproven", 1)
    assert told.said == "not acknowledged within 45 s: cannot be read now: away"
    assert 60 <= told.seconds < 65


def test_what_can_be_read_again_in_time_is_read_and_proven(world: Runs) -> None:
    world.moves_ = Reads()
    world.writes = [{"kind": "unknown", "said": "the connection broke", "cause": "broken"}]
    away(world, "sent", until=30)
    assert run(world).state == "proven"


def test_a_look_that_is_wanted_before_the_first_write_and_never_comes_ends_the_run_refused(world: Runs) -> None:
    world.moves_ = Reads(first=True)
    away(world, "planned")
    told = run(world)
    assert (told.state, told.said, world.times("sent")) == ("refused", "it could not be read: away", 0)


# ---- writes whose fate only reading tells ----


def test_the_outcome_that_was_found_by_reading_has_its_own_row(world: Runs) -> None:
    class Finds(Moves):
        def proceed(self, plan: Any, seen: Any, done: Any, now: Any, stopped: bool) -> Any:
            move = super().proceed(plan, seen, done, now, stopped)
            if done and done[-1].kind == "unknown":
                found = done[-1].model_copy(update={"kind": "done", "cause": ""})
                return type(move)(outcome=Outcome.model_validate(found.model_dump()))
            return move

    world.moves_ = Finds()
    world.writes = [{"kind": "unknown", "said": "reset", "cause": "broken"}]
    assert run(world).state == "proven"
    assert world.only("sent", "unknown", "done") == [("sent", 1), ("unknown", 1), ("done", 1)]
    assert world.report is not None
    assert [one.kind for one in world.report.outcomes] == ["unknown", "done"]


@pytest.mark.parametrize("first", [0.0, 20.0])
def test_an_outcome_that_only_the_proof_has_read_has_its_own_row_too(world: Runs, first: float) -> None:
    """A patch that timed out may be applied later: the story goes on to its proof without it."""

    class Late(Moves):
        def proceed(self, plan: Any, seen: Any, done: Any, now: Any, stopped: bool) -> Any:
            if done and done[-1].kind == "unknown" and world.clock.seconds >= max(first, 1.0):
                return Finished(outcome=done[-1].model_copy(update={"kind": "done", "said": "found by reading"}))
            return super().proceed(plan, seen, done, now, stopped)

    world.moves_ = Late()
    world.writes = [{"kind": "unknown", "said": "no answer within 5 s", "cause": "timeout"}]
    world.verdict = lambda seconds: passed(seconds) if seconds >= first else unknown()(seconds)
    assert run(world).state == "proven"
    assert world.only("sent", "unknown", "done") == [
        ("sent", 1), ("unknown", 1), *([("unknown", "not yet")] if first else []), ("done", 1),
    ]  # fmt: skip


def test_a_run_whose_first_step_wrote_did_something_whatever_its_last_step_found(world: Runs) -> None:
    world.later.plans = [ALREADY]
    two = spec(steps=(StepSpec(action="abort_rollout"), StepSpec(action="abort_rollout")))
    assert (run(world, two).state, world.times("sent")) == ("proven", 1)

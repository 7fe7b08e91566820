"""After the plan: one bound patch; read before anything else where its fate is open; once more at most; put back only as we left it."""

from __future__ import annotations

import pytest

from server.core.flag.proceed import proceed, put_back
from server.core.flag.state import FlagState
from server.core.outcome import Finished, LookAgain, Outcome, Plan, Write
from tests.unit.flag.cases import at, first, look, outcome, planned

OFF = {"on": False, "version": 42}


def ask(seen: list[FlagState], done: list[Outcome], now: float, stopped: bool = False) -> Write | LookAgain | Finished:
    return proceed(planned(), [first(), *seen], done, at(now), stopped)


def finished(move: object) -> Outcome:
    assert isinstance(move, Finished), move
    return move.outcome


def test_the_first_write_carries_the_run_in_its_comment_and_wants_no_look_of_its_own() -> None:
    move = ask([], [], 0)
    assert isinstance(move, Write)
    assert (move.n, move.look) == (1, False)
    assert move.call.body["comment"].endswith("(Ripcord r-1)")
    assert move.call.body["patch"] == planned().calls[0].body["patch"]


def test_a_stop_switch_lets_nothing_out() -> None:
    assert finished(ask([], [], 0, stopped=True)).cause == "stopped"


def test_what_is_safe_already_wants_no_write() -> None:
    plan = planned(look(0, on=False))
    assert plan.calls == ()
    assert finished(proceed(plan, [look(0, on=False)], [], at(0))).kind == "noop"


def test_a_clear_answer_ends_the_step() -> None:
    for end in (outcome("done", 1), outcome("refused", 1, status=405), outcome("refused", 46, cause="not_done")):
        assert finished(ask([], [end], 1)) == end


# ---- no clear answer ----

open_ends = pytest.mark.parametrize("cause", ["timeout", "broken", "died"])


@open_ends
def test_an_open_end_is_looked_at_at_once(cause: str) -> None:
    move = ask([], [outcome("unknown", 1, cause=cause)], 1)
    assert isinstance(move, LookAgain)
    assert move.after == 0.0


@open_ends
def test_what_is_found_by_reading_is_ours(cause: str) -> None:
    found = finished(ask([look(2, **OFF)], [outcome("unknown", 1, cause=cause)], 2))
    assert (found.kind, found.n, found.evidence["version"], found.evidence["found"]) == ("done", 1, 42, True)
    assert found.said == "found by reading: new-checkout in production is off, version 42"


@open_ends
def test_nothing_is_sent_again_before_five_seconds_of_looking(cause: str) -> None:
    seen = [look(2), look(4), look(6.9)]
    assert isinstance(ask(seen, [outcome("unknown", 1, cause=cause)], 6.9), LookAgain)


@open_ends
def test_the_same_patch_goes_out_once_more_under_its_own_number_where_nothing_is_seen(cause: str) -> None:
    seen = [look(2), look(7)]
    again = ask(seen, [outcome("unknown", 1, cause=cause)], 7)
    once = ask([], [], 0)
    assert isinstance(again, Write)
    assert isinstance(once, Write)
    assert (again.n, again.call) == (1, once.call)
    twice = [outcome("unknown", 1, cause=cause), outcome("unknown", 12, cause=cause)]
    assert finished(ask([*seen, look(13), look(18)], twice, 18)).kind == "unknown"


def test_a_stop_switch_lets_no_second_copy_out() -> None:
    move = ask([look(2), look(7)], [outcome("unknown", 1, cause="broken")], 7, stopped=True)
    assert finished(move).kind == "unknown"


def test_a_second_copy_that_fails_its_test_means_that_the_first_one_arrived() -> None:
    done = [outcome("unknown", 1, cause="died"), outcome("refused", 8, cause="conflict", status=409)]
    assert isinstance(ask([look(2), look(7)], done, 8), LookAgain)
    found = finished(ask([look(2), look(7), look(9, **OFF)], done, 9))
    assert (found.kind, found.evidence["version"]) == ("done", 42)


def test_a_flag_that_somebody_changed_meanwhile_is_not_written_any_more() -> None:
    move = ask([look(2, version=43)], [outcome("unknown", 1, cause="broken")], 2)
    assert finished(move).kind == "unknown"


def test_where_nothing_can_be_read_after_it_the_step_waits_and_then_leaves_it_to_the_proof() -> None:
    act = outcome("unknown", 1, cause="timeout")
    early, late = ask([], [act], 5), ask([], [act], 47)
    assert isinstance(early, LookAgain)
    assert early.after > 0
    assert finished(late) == act
    gone = look(2).model_copy(update={"problem": "no such flag"})
    assert isinstance(ask([gone], [act], 2), LookAgain)


# ---- a test that did not hold ----


def refused(seconds: float, status: int = 409, n: int = 1) -> Outcome:
    return outcome("refused", seconds, n=n, cause="conflict", status=status)


@pytest.mark.parametrize("status", [400, 409, 422])
def test_another_version_is_judged_afresh(status: int) -> None:
    for seen in (look(2, version=42), look(2, **OFF)):
        assert finished(ask([seen], [refused(1, status)], 2)).cause == "conflict"


@pytest.mark.parametrize("status", [400, 409, 422])
def test_it_is_read_before_it_is_judged(status: int) -> None:
    assert isinstance(ask([], [refused(1, status)], 1), LookAgain)


@pytest.mark.parametrize("status", [400, 422])
def test_a_patch_that_is_refused_although_nothing_changed_is_not_sent_again(status: int) -> None:
    end = finished(ask([look(2)], [refused(1, status)], 2))
    assert (end.kind, end.cause) == ("refused", "")


def test_a_409_that_nothing_explains_is_tried_three_times_under_new_numbers() -> None:
    assert isinstance(ask([look(1.5)], [refused(1)], 1.5), LookAgain)
    second = ask([look(2)], [refused(1)], 2)
    assert isinstance(second, Write)
    assert second.n == 2
    third = ask([look(2), look(4)], [refused(1), refused(3, n=2)], 4)
    assert isinstance(third, Write)
    assert third.n == 3
    end = finished(ask([look(2), look(4), look(7)], [refused(1), refused(3, n=2), refused(6, n=3)], 7))
    assert (end.kind, end.cause) == ("refused", "")


def test_a_stop_switch_ends_the_tries() -> None:
    assert finished(ask([look(2)], [refused(1)], 2, stopped=True)).kind == "refused"


def test_a_flag_that_is_gone_by_then_says_so() -> None:
    gone = look(2).model_copy(update={"problem": "LaunchDarkly has no flag new-checkout"})
    end = finished(ask([gone], [refused(1)], 2))
    assert (end.cause, end.said) == ("", "LaunchDarkly has no flag new-checkout")


# ---- putting back ----


def back(seen: list[FlagState], done: list[Outcome], now: float, plan: Plan | None = None) -> object:
    return put_back(plan or planned(), [first(), *seen], done, at(now))


def test_it_is_put_back_bound_to_the_version_that_we_left() -> None:
    move = back([look(9, **OFF)], [outcome("done", 1)], 9)
    assert isinstance(move, Write)
    assert move.n == 2
    assert move.call.body["patch"] == [
        {"op": "test", "path": "/environments/production/version", "value": 42},
        {"op": "replace", "path": "/environments/production/on", "value": True},
    ]
    assert move.call.body["comment"] == "put back by Ripcord r-1"


@pytest.mark.parametrize("seen", [look(9, on=False, version=43), look(9, on=True, version=43)])
def test_what_somebody_changed_since_is_left_as_it_is(seen: FlagState) -> None:
    end = finished(back([seen], [outcome("done", 1)], 9))
    assert (end.kind, "changed since we switched it (version 43, ours was 42)" in end.said) == ("refused", True)


def test_it_is_looked_at_before_it_is_put_back() -> None:
    assert isinstance(back([look(0.5, **OFF)], [outcome("done", 1)], 9), LookAgain)


@pytest.mark.parametrize("done", [[], [outcome("unknown", 1)], [outcome("refused", 1)]])
def test_nothing_of_ours_means_nothing_to_put_back(done: list[Outcome]) -> None:
    assert finished(back([look(9, **OFF)], done, 9)).said == "nothing of ours stands there to be put back"
    idle = planned(look(0, on=False))
    assert finished(back([look(9, **OFF)], [], 9, idle)).kind == "refused"


def put(kind: str, seconds: float, cause: str = "") -> Outcome:
    return outcome(kind, seconds, n=2, cause=cause).model_copy(update={"evidence": {"kind": "put_back"}})


def test_putting_back_is_sent_once_and_read_back() -> None:
    act = outcome("done", 1)
    assert isinstance(back([look(9, **OFF)], [act, put("unknown", 10, "timeout")], 10), LookAgain)
    assert isinstance(back([look(11, **OFF)], [act, put("unknown", 10, "died")], 11), LookAgain)
    found = finished(back([look(11, version=43)], [act, put("unknown", 10, "died")], 11))
    assert (found.kind, found.n) == ("done", 2)
    assert finished(back([look(16, **OFF)], [act, put("unknown", 10, "died")], 16)).kind == "unknown"
    assert finished(back([look(11, version=43)], [act, put("done", 10)], 11)).kind == "done"
    assert finished(back([look(11, **OFF)], [act, put("refused", 10)], 11)).kind == "refused"

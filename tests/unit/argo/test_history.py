"""What a look adds to the memory of a target: roles, aborts, and that somebody went back."""

from __future__ import annotations

import pytest

from server.core.argo.history import History, Seen, note
from server.core.argo.state import RolloutState
from tests.unit.argo.bluegreen_cases import BlueGreen
from tests.unit.argo.cases import CUR, NEW, STA, World, at


def remembered(*looks: RolloutState) -> History:
    """What is known after these looks."""
    history = History()
    for look in looks:
        rows = {one.hash: one for one in history.seen} | {one.hash: one for one in note(history, look)}
        history = History(seen=tuple(rows.values()))
    return history


def seen(history: History, pod_hash: str) -> Seen:
    found = history.of(pod_hash)
    assert found is not None
    return found


def test_a_first_look_knows_current_stable_and_active() -> None:
    history = remembered(BlueGreen(active=STA).look(0))
    assert {one.hash for one in history.seen} == {CUR, STA}
    assert (seen(history, CUR).first_current, seen(history, CUR).first_stable) == (at(0), None)
    assert (seen(history, STA).first_stable, seen(history, STA).first_active) == (at(0), at(0))
    assert seen(history, STA).created == at(-86400)


def test_a_look_that_shows_nothing_new_adds_nothing() -> None:
    history = remembered(BlueGreen().look(0))
    assert note(history, BlueGreen().look(1)) == ()


def test_a_last_time_is_written_anew_after_a_while() -> None:
    history = remembered(BlueGreen().look(0), BlueGreen().look(60))
    assert (seen(history, STA).first_stable, seen(history, STA).last_stable) == (at(0), at(60))


@pytest.mark.parametrize("acknowledged", [False, True])
def test_whoever_aborted_a_version_it_is_remembered_for_good(acknowledged: bool) -> None:
    world = BlueGreen()
    if acknowledged:
        world.acknowledge(at(1))
    else:
        world.flag("kubectl")
    history = remembered(BlueGreen().look(0), world.look(2), BlueGreen().look(30))
    assert (history.bad(CUR), seen(history, CUR).aborted) == ("aborted", at(2))
    assert history.bad(STA) == ""


def test_a_flag_on_a_version_that_is_stable_already_says_nothing() -> None:
    world = BlueGreen().promoted()
    world.flag("kubectl")
    assert remembered(world.look(0)).bad(CUR) == ""


def test_going_back_marks_the_younger_as_undone_and_the_older_as_come_again() -> None:
    before, after = BlueGreen().promoted(), BlueGreen().promoted().taken_back()
    history = remembered(before.look(0), after.look(60))
    assert (history.bad(CUR), seen(history, CUR).undone) == ("undone", at(60))
    assert (history.bad(STA), seen(history, STA).returned) == ("", at(60))


def test_a_way_back_that_began_and_ended_between_two_looks_is_seen_too() -> None:
    after = BlueGreen().promoted().taken_back()
    after.status["stableRS"] = after.active = STA
    history = remembered(BlueGreen().promoted().look(0), after.look(60))
    assert history.bad(CUR) == "undone"
    assert seen(history, STA).returned == at(60)


def test_a_new_release_takes_nothing_back() -> None:
    world = BlueGreen().promoted()
    world.hotfix(seen=True)
    history = remembered(BlueGreen().promoted().look(0), world.look(60))
    assert [history.bad(pod_hash) for pod_hash in (CUR, STA, NEW)] == ["", "", ""]
    assert seen(history, NEW).returned is None


def test_a_version_whose_age_is_not_known_is_called_nothing() -> None:
    after = BlueGreen().promoted().taken_back().look(60)
    after = after.model_copy(update={"replica_sets": ()})
    before = BlueGreen().promoted().look(0).model_copy(update={"replica_sets": ()})
    assert remembered(before, after).bad(CUR) == ""


def test_a_look_that_saw_no_rollout_adds_nothing() -> None:
    state = World().look(0)
    for update in ({"exists": False}, {"problem": "403"}, {"cur": ""}):
        assert note(History(), state.model_copy(update=update)) == ()

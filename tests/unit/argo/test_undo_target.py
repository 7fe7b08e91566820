"""Which version an undo goes back to: only one that is certain to have been stable before, and never one that was taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo import undo_target
from server.core.argo.history import Seen
from server.core.argo.state import ReplicaSet
from tests.unit.argo.bluegreen_cases import OLDER, BlueGreen
from tests.unit.argo.cases import CUR, NEW, STA, at, stamp

BY_HAND = "kubectl argo rollouts undo web-frontend -n production --to-revision=N"


def chosen(world: BlueGreen) -> str:
    found = undo_target.choose(world.look(0))
    return found.hash if isinstance(found, ReplicaSet) else found


def stable(pod_hash: str, until: float, since: float = -90000) -> Seen:
    return Seen(hash=pod_hash, first_stable=at(since), last_stable=at(until))


def promoted(*others: str) -> BlueGreen:
    """7d9f is promoted since a minute; more versions are older than 5c4b, without running pods."""
    world = BlueGreen().promoted()
    for index, pod_hash in enumerate(others):
        world.created[pod_hash] = at(-100000 - index)
        world.available[pod_hash] = world.wanted[pod_hash] = 0
    return world


def test_without_a_history_the_only_one_whose_pods_still_run_is_it() -> None:
    assert chosen(promoted(OLDER)) == STA


def test_with_a_history_the_former_stable_is_it_whether_its_pods_run_or_not() -> None:
    world = promoted(OLDER).remembers(stable(STA, -60))
    del world.deadlines[STA]
    assert chosen(world) == STA


def test_of_several_former_stables_the_one_before_is_it_where_somebody_looked_at_the_handover() -> None:
    handed_over = (stable(OLDER, -50000), stable(STA, -70), stable(CUR, 0, since=-10))
    assert chosen(promoted(OLDER).remembers(*handed_over)) == STA


def _two_run(world: BlueGreen) -> None:
    world.wanted[OLDER] = world.available[OLDER] = 5
    world.deadlines[OLDER] = stamp(at(100))


def _expired(world: BlueGreen) -> None:
    world.deadlines[STA] = stamp(at(-1))


def _deadline_of_one_at_nothing(world: BlueGreen) -> None:
    world.wanted[STA] = world.available[STA] = 0


UNCERTAIN: list[tuple[str, Callable[[BlueGreen], object], str]] = [
    ("two run", _two_run, "is not certain (3aaa, 5c4b)"),
    ("its deadline has passed", _expired, "no older version of production/web-frontend is known to have been stable"),
    ("a deadline without pods is left over", _deadline_of_one_at_nothing, "no older version"),
    (
        "nobody looked when one took over from the other",
        lambda w: w.remembers(stable(OLDER, -50000), stable(STA, -700), stable(CUR, 0, since=-10)),
        "is not certain (3aaa, 5c4b)",
    ),
    (
        "the history names one and another one still runs",
        lambda w: w.remembers(stable(OLDER, -100)),
        "is not certain",
    ),
]


@pytest.mark.parametrize(("why", "bend", "said"), UNCERTAIN, ids=[why for why, _, _ in UNCERTAIN])
def test_what_is_not_certain_is_left_to_a_person(why: str, bend: Callable[[BlueGreen], object], said: str) -> None:
    world = promoted(OLDER)
    bend(world)
    answer = chosen(world)
    assert said in answer
    assert answer.endswith(f"a person chooses, {BY_HAND}")


@pytest.mark.parametrize("mark", ["aborted", "undone"])
def test_a_version_that_was_ever_aborted_or_undone_is_never_it(mark: str) -> None:
    bad = stable(STA, -60).model_copy(update={mark: at(-7000)})
    answer = chosen(promoted().remembers(bad))
    assert answer.startswith(
        f"no older version of production/web-frontend is known to have been stable (5c4b was {mark}"
    )


def test_the_second_highest_revision_that_was_aborted_is_passed_over() -> None:
    world = promoted(OLDER)
    aborted = Seen(hash=STA, aborted=at(-80000))
    assert chosen(world.remembers(aborted, stable(OLDER, -60))) == OLDER


def test_a_younger_version_is_never_it() -> None:
    world = promoted()
    world.created[NEW] = at(-10)
    world.wanted[NEW] = world.available[NEW] = 5
    world.deadlines[NEW] = stamp(at(100))
    world.remembers(stable(NEW, -5))
    del world.deadlines[STA]
    assert chosen(world).startswith("no older version")


def test_a_version_that_itself_came_by_going_back_is_a_persons_choice() -> None:
    said = "7d9f itself came by going back to it: going further back is a person's choice"
    assert chosen(promoted().remembers(Seen(hash=CUR, returned=at(-100)))) == said
    world = promoted()
    world.histories[CUR] = "2"
    assert chosen(world) == said


def test_without_an_older_one_there_is_nothing_to_go_back_to() -> None:
    world = promoted()
    world.created[STA] = at(-5)
    assert chosen(world).startswith("there is no ReplicaSet older than 7d9f")

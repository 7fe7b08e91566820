"""The story of a note: posted once, edited at the end, found by its marker before it is ever sent again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from server.core.note import another, marker
from server.flow.tell import GIVE_UP, keep_note
from tests.flow.inline import Clock, History, Inline, told

Json = dict[str, Any]
ENDED: Json = {"joined": []}


@dataclass
class Incidents:
    """PagerDuty as values. `answers`: what post says, one by one; `lost`: such a post stands there all the same."""

    clock: Clock
    answers: list[Json] = field(default_factory=list)
    lost: list[bool] = field(default_factory=list)
    edits: list[Json] = field(default_factory=list)
    finds: list[Json] = field(default_factory=list)
    late: float | None = None
    others: Json = field(default_factory=dict)
    me: str = "a"
    stands: list[list[str]] = field(default_factory=list)
    posts: list[tuple[float, str, str]] = field(default_factory=list)
    told_: list[tuple[str, int, str]] = field(default_factory=list)

    def about_to_tell(self, run: str, incident: str, ended: bool) -> Json:
        return {"by": self.me, "text": f"Ripcord:\n{'the last word' if ended else 'Proof follows'} {marker(run)}"}

    def post(self, run: str, incident: str, text: str, by: str) -> Json:
        self.posts.append((self.clock.seconds, incident, text))
        answer = self.answers.pop(0) if self.answers else {}
        if not answer or (self.lost and self.lost.pop(0)):
            self.stands.append([f"N{len(self.stands) + 1}", incident, text])
        return answer or {"note": self.stands[-1][0]}

    def find(self, run: str, incident: str, second: bool) -> Json:
        if self.finds:
            return self.finds.pop(0)
        mark = marker(run, second=second)
        return next(
            ({"note": one[0]} for one in self.stands if one[1] == incident and one[2].endswith(mark)), {"none": True}
        )

    def edit(self, incident: str, note: str, text: str) -> Json:
        answer = self.edits.pop(0) if self.edits else {"note": note}
        if "note" in answer:
            next(one for one in self.stands if one[0] == note)[2] = text
        return answer

    def meanwhile(self, incident: str) -> Json:
        return self.others

    def told(self, run: str, incident: str, n: int, note: str, said: str) -> None:
        self.told_.append((incident, n, note))

    def texts(self, incident: str = "Q1") -> list[str]:
        return [one[2] for one in self.stands if one[1] == incident]


LAST, FIRST = f"Ripcord:\nthe last word {marker('r-1')}", f"Ripcord:\nProof follows {marker('r-1')}"
Keep = Callable[..., Inline]


@pytest.fixture
def world() -> Incidents:
    return Incidents(Clock())


def keep(
    world: Incidents,
    *,
    early: bool = True,
    ends: float = 9.0,
    joined: tuple[str, ...] = (),
    recorded: History | None = None,
) -> Inline:
    engine = Inline(world.clock, "n-r-1", recorded)
    engine.messages.append((ends, "ended", {"joined": list(joined)}))
    told(keep_note(engine, {"run": "r-1", "incident": "Q1", "early": early}, world))  # type: ignore[arg-type]
    return engine


def test_a_run_that_acts_is_told_at_its_first_write_and_the_same_note_gets_the_last_word(world: Incidents) -> None:
    keep(world)
    assert (world.posts, world.texts()) == ([(0.0, "Q1", FIRST)], [LAST])
    assert world.told_ == [("Q1", 1, "N1"), ("Q1", 2, "N1")]


def test_a_run_that_did_not_act_is_told_once_at_its_end(world: Incidents) -> None:
    keep(world, early=False, ends=0.0)
    assert (world.texts(), len(world.posts), world.told_) == ([LAST], 1, [("Q1", 1, "N1")])


def test_a_first_note_that_comes_late_says_the_last_word_at_once(world: Incidents) -> None:
    world.answers = [{"not_done": "503"}] * 5
    keep(world, ends=20.0)
    assert (world.texts(), world.told_) == ([LAST], [("Q1", 1, "N1")])


@pytest.mark.parametrize(
    "answer", [{"not_done": "429", "retry_after": 7.0}, {"not_done": "refused", "retry_after": None}]
)
def test_a_note_that_was_not_done_is_posted_again(world: Incidents, answer: Json) -> None:
    world.answers = [answer]
    keep(world)
    assert [at for at, _, _ in world.posts] == [0.0, answer["retry_after"] or 1.0]
    assert world.texts() == [LAST]


@pytest.mark.parametrize("ends", [0.5, 3.0, 49.0, 300.0])
def test_a_note_whose_fate_is_unknown_is_looked_for_as_long_as_it_may_still_arrive(
    world: Incidents, ends: float
) -> None:
    world.answers = [{"unknown": "time-out", "patience": 120.0}]
    keep(world, ends=ends)
    assert len(world.posts) == 2
    assert world.posts[1][0] >= 120.0
    assert world.texts() == [LAST]


def test_a_note_that_arrived_all_the_same_is_found_and_not_posted_again(world: Incidents) -> None:
    world.answers, world.lost = [{"unknown": "reset", "patience": 15.0}], [True]
    keep(world)
    assert (len(world.posts), world.texts()) == (1, [LAST])


def test_no_list_no_second_post(world: Incidents) -> None:
    world.answers, world.lost = [{"unknown": "reset", "patience": 15.0}], [True]
    world.finds = [{"unread": "503"}] * 12
    keep(world)
    assert (len(world.posts), world.texts()) == (1, [LAST])


def test_an_incident_that_takes_no_note_is_left_alone(world: Incidents) -> None:
    world.answers = [{"refused": "404"}]
    keep(world)
    assert (world.texts(), world.told_) == ([], [])


def test_an_edit_is_repeated_until_it_stands(world: Incidents) -> None:
    world.edits = [{"again": "504", "retry_after": None}, {"again": "429", "retry_after": 9.0}]
    keep(world)
    assert (world.texts(), len(world.posts)) == ([LAST], 1)


def test_where_editing_is_refused_a_second_note_has_the_last_word(world: Incidents) -> None:
    world.edits = [{"refused": "403"}]
    keep(world)
    assert world.texts() == [FIRST, another(LAST, "r-1")]
    assert [n for _, n, _ in world.told_] == [1, 2]


@pytest.mark.parametrize("trouble", [{"not_done": "429"}, {"unknown": "504", "patience": 120.0}])
def test_a_second_note_is_as_sure_to_come_as_the_first(world: Incidents, trouble: Json) -> None:
    world.edits = [{"refused": "403"}]
    world.answers = [{}, trouble]
    keep(world)
    assert world.texts() == [FIRST, another(LAST, "r-1")]


def test_a_second_note_that_arrived_unseen_is_not_posted_again(world: Incidents) -> None:
    world.edits = [{"refused": "403"}]
    world.answers, world.lost = [{}, {"unknown": "504", "patience": 120.0}], [True]
    keep(world)
    assert world.texts() == [FIRST, another(LAST, "r-1")]


def test_every_incident_that_joined_gets_the_last_word(world: Incidents) -> None:
    keep(world, joined=("Q1", "Q2", "Q3"))
    assert (world.texts("Q1"), world.texts("Q2"), world.texts("Q3")) == ([LAST], [LAST], [LAST])
    assert [n for _, n, _ in world.told_] == [1, 2, 3, 4]


def test_a_joined_incident_that_takes_no_note_does_not_keep_it_from_the_next(world: Incidents) -> None:
    world.answers = [{}, {"refused": "404"}]
    keep(world, joined=("Q2", "Q3"))
    assert (world.texts("Q2"), world.texts("Q3")) == ([], [LAST])


def test_after_a_day_a_note_that_cannot_be_posted_is_given_up(world: Incidents) -> None:
    world.answers = [{"not_done": "503"}] * 3000
    keep(world)
    assert world.texts() == []
    assert GIVE_UP <= world.clock.seconds < GIVE_UP + 120


@pytest.mark.parametrize("trouble", [{"not_done": "429"}, {"unknown": "504", "patience": 15.0}, {"refused": "404"}])
def test_told_again_over_its_record_a_note_asks_for_the_same_and_posts_nothing(trouble: Json) -> None:
    first = Incidents(Clock(), answers=[trouble], edits=[{"again": "504"}, {"refused": "403"}])
    once = keep(first, joined=("Q2",))
    again = Incidents(Clock())
    twice = keep(again, joined=("Q2",), recorded=once.history)
    assert twice.history.asked == once.history.asked
    assert (again.posts, again.told_) == ([], [])


def test_an_incident_that_somebody_resolved_meanwhile_is_named_in_the_last_word_and_in_no_earlier_one(
    world: Incidents,
) -> None:
    world.others = {"mind": "the incident was resolved meanwhile (by 'Ana')", "also": None}
    keep(world, joined=("Q2",))
    minded = LAST.replace("\n", "\nMind: the incident was resolved meanwhile (by 'Ana')\n")
    assert (world.posts[0][2], world.texts(), world.texts("Q2")) == (FIRST, [minded], [minded])


@pytest.mark.parametrize("joined", [(), ("Q7",)])
def test_the_incident_that_ours_was_merged_into_gets_the_last_word_once(
    world: Incidents, joined: tuple[str, ...]
) -> None:
    world.others = {"mind": "the incident was merged into Q7", "also": "Q7"}
    keep(world, joined=joined)
    assert (len(world.texts()), len(world.texts("Q7"))) == (1, 1)


def test_a_run_that_did_not_act_looks_for_nothing_meanwhile(world: Incidents) -> None:
    world.others = {"mind": "the incident was resolved meanwhile", "also": None}
    keep(world, early=False, ends=0.0)
    assert world.texts() == [LAST]

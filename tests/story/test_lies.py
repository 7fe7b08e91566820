"""The lying 200: whatever is answered, nothing ends proven while traffic is not back, and the note says what is true instead.

One town plays all lies at once; each has its own line below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.story.lies import LIES, Lie
from tests.story.lying import Place, Stage, judged
from tests.support.waiting import eventually

Json = dict[str, Any]


@dataclass
class Told:
    """What became of one lie."""

    place: Place
    run: Json
    note: str
    back: bool
    plays: BaseException | None


def name_of(lie: Lie) -> str:
    return "lie-" + "".join(char if char.isalnum() else "-" for char in lie.id.lower()).strip("-").replace("--", "-")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Told]]:
    """All lies at once: built, told by one alert each, played, and read at the end."""
    stage = Stage(tmp_path_factory.mktemp("lies"))
    try:
        for lie in LIES:
            stage.add(name_of(lie), lie.shape, lie.spec, lie.patience)
        stage.build()
        yield tell(stage)
    finally:
        stage.close()


def tell(stage: Stage) -> dict[str, Told]:
    for lie in LIES:
        lie.before(stage.places[name_of(lie)])
    stage.pool.submit(stage.watch)
    plays = {lie.id: stage.pool.submit(lie.plays, stage.places[name_of(lie)]) for lie in LIES}
    backs = {lie.id: stage.pool.submit(judged, stage.places[name_of(lie)]) for lie in LIES}
    for place in stage.places.values():
        stage.alert(place)
    runs = stage.ended()
    notes = eventually(stage.notes, within=30, every=0.3, what="each run's note has its last word")
    found = {}
    for lie in LIES:
        place, back = stage.places[name_of(lie)], backs[lie.id].result(30)
        found[lie.id] = Told(place, runs[place.name], notes[place.name], back, plays[lie.id].exception(10))
    return found


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.id)
def test_an_accepted_write_is_no_proof(lie: Lie, told: dict[str, Told]) -> None:
    one = told[lie.id]
    assert one.plays is None, "the lie was played to its end"
    assert one.place.patches, "something was written"
    assert {row["status"] for row in one.place.patches[:1]} == {200}, "and was answered 200"
    assert not one.back, "the objects themselves say that traffic is not back"
    assert one.run["state"] == lie.ends, one.note
    first = one.note.splitlines()
    assert first[0] == f"Ripcord: {one.place.name}: tried, NOT PROVEN: a person is needed"
    words = lie.says.format(**one.place.words)
    assert words in "\n".join(first[1:-1]), one.note


def test_there_are_at_least_thirty_and_each_is_named_once() -> None:
    assert len({name_of(lie) for lie in LIES}) == len(LIES) >= 30
    assert all(len(name_of(lie)) <= 63 for lie in LIES), "a name must do as a namespace"

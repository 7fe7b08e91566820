"""The lying 200: whatever is answered, nothing ends proven while traffic is not back, and the note says what is true instead.

One town plays all lies at once, in one test: spread over workers, each would play all of them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def faults(lie: Lie, one: Told) -> list[str]:
    """What is not as it must be; each that is found names its lie."""
    first = one.note.splitlines()
    words = lie.says.format(**one.place.words)
    must = {
        f"the lie was played to its end ({one.plays!r})": one.plays is None,
        "something was written": bool(one.place.patches),
        "and was answered 200": {row["status"] for row in one.place.patches[:1]} == {200},
        "the objects themselves say that traffic is not back": not one.back,
        f"the run ends {lie.ends}": one.run["state"] == lie.ends,
        "the first line": first[0] == f"Ripcord: {one.place.name}: tried, NOT PROVEN: a person is needed",
        f"the note says {words!r}": words in "\n".join(first[1:-1]),
    }
    return [f"{lie.id}: not so: {what}\n{one.note}" for what, holds in must.items() if not holds]


def test_an_accepted_write_is_no_proof(tmp_path: Path) -> None:
    """All lies at once: built, told by one alert each, played, and read at the end."""
    stage = Stage(tmp_path)
    try:
        for lie in LIES:
            stage.add(name_of(lie), lie.shape, lie.spec, lie.patience)
        stage.build()
        told = tell(stage)
    finally:
        stage.close()
    wrong = [fault for lie in LIES for fault in faults(lie, told[lie.id])]
    assert wrong == [], "\n".join(wrong)


def test_there_are_at_least_thirty_and_each_is_named_once() -> None:
    assert len({name_of(lie) for lie in LIES}) == len(LIES) >= 30
    assert all(len(name_of(lie)) <= 63 for lie in LIES), "a name must do as a namespace"

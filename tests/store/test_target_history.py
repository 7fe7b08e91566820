"""What is remembered of a target survives, on both databases: first times stay, last times only grow, nothing is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from server import db
from server.store import history
from server.store.tables import runs
from tests.unit.argo.bluegreen_cases import BlueGreen
from tests.unit.argo.cases import CUR, STA, at


@pytest.fixture
def engine(migrated_url: str) -> Iterator[sa.Engine]:
    made = db.writing(migrated_url)
    yield made
    made.dispose()


def test_a_look_is_remembered_and_read_again(engine: sa.Engine) -> None:
    said = history.looked(engine, "api-backend", BlueGreen(active=STA).look(0))
    assert said == history.of(engine, "api-backend")
    stable = said.of(STA)
    assert stable is not None
    assert (stable.first_stable, stable.created) == (at(0), at(-86400))
    assert history.of(engine, "another").seen == ()


def test_a_look_that_shows_nothing_new_takes_no_write_lock(engine: sa.Engine, migrated_url: str) -> None:
    history.looked(engine, "api-backend", BlueGreen().look(0))
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    reading = db.reading(migrated_url)
    said = history.looked(engine, "api-backend", BlueGreen().look(1), reading=reading)
    reading.dispose()
    assert said.of(CUR) is not None
    assert asked == []


def test_what_was_aborted_stays_so(engine: sa.Engine) -> None:
    world = BlueGreen()
    world.flag("kubectl")
    history.looked(engine, "api-backend", world.look(0))
    said = history.looked(engine, "api-backend", BlueGreen().look(60))
    assert said.bad(CUR) == "aborted"
    aborted = said.of(CUR)
    assert aborted is not None
    assert (aborted.aborted, aborted.last_current) == (at(0), at(60))


def test_looks_at_the_same_moment_lose_nothing(engine: sa.Engine) -> None:
    flagged = BlueGreen()
    flagged.flag("kubectl")
    looks = [BlueGreen().look(30), flagged.look(0), BlueGreen().look(60), BlueGreen(active=STA).look(90)] * 3
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda look: history.looked(engine, "api-backend", look), looks))
    said = history.of(engine, "api-backend")
    current, stable = said.of(CUR), said.of(STA)
    assert current is not None
    assert stable is not None
    assert (said.bad(CUR), current.last_current, stable.last_stable) == ("aborted", at(90), at(90))


def test_versions_that_our_runs_wrote_on_are_named(engine: sa.Engine) -> None:
    fields = {
        "delivery": "d", "incident": "Q", "runbook": "b", "observed": False, "state": "proven", "said": "", "ticket": "t",
        "created_at": at(0), "spec": "{}", "target": "api-backend",
    }  # fmt: skip
    with engine.begin() as connection:
        for index, (judged, wrote) in enumerate([(CUR, at(1)), (CUR, at(2)), ("3aaa", None), (None, at(1))]):
            row = {"id": f"r-{index}", "key": f"k{index}", "judged": judged, "wrote_at": wrote, **fields}
            connection.execute(sa.insert(runs).values(row))
    assert history.of(engine, "api-backend").wrote == (CUR,)

"""Who writes next in one process: who waits comes to it, and a turn is never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import db, turn
from tests.support.waiting import eventually


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'turn.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = db.writing(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")
    yield engine
    engine.dispose()


def free(engine: sa.Engine) -> bool:
    """Whether the turn of this engine's file can be had at once."""
    one = turn.of(str(engine.url.database))
    if not one.take(0):
        return False
    one.give()
    return True


def test_one_who_has_waited_for_long_goes_before_whoever_comes_later() -> None:
    one, went = turn.Turn(), []
    assert one.take(0)

    def wait() -> None:
        one.take(10)
        went.append("the one who waited")
        one.give()

    waiting = threading.Thread(target=wait)
    waiting.start()
    since = time.monotonic()
    eventually(lambda: time.monotonic() - since > 5 * turn.PATIENT, within=5, every=0.01)
    one.give()
    assert one.take(10)
    went.append("the one who came later")
    waiting.join()
    assert went == ["the one who waited", "the one who came later"]


def test_a_turn_that_is_not_had_in_time_is_done_without_and_nobody_is_left_in_line() -> None:
    one = turn.Turn()
    assert one.take(0)
    assert not one.take(0.05)
    one.give()
    assert one.take(0)


def test_each_engine_on_one_file_stands_in_the_same_line(url: str, engine: sa.Engine) -> None:
    other = db.embedded(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert not free(engine)
        assert not free(other)
    assert free(other)
    with other.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (2)")
        assert not free(engine)
    assert free(engine)
    other.dispose()


def test_a_transaction_that_only_reads_stands_in_no_line(url: str, engine: sa.Engine) -> None:
    for reading in (db.reading(url), db.embedded(url)):
        with reading.begin() as connection:
            connection.exec_driver_sql("SELECT * FROM t")
            assert free(engine)
        reading.dispose()


@pytest.mark.parametrize("broken", [False, True], ids=["rolled back", "broken"])
def test_a_transaction_that_fails_gives_its_turn_back(engine: sa.Engine, broken: bool) -> None:
    def fail() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            if broken:
                connection.invalidate()
            connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(sa.exc.SQLAlchemyError):
        fail()
    assert free(engine)

"""Exactly one process executes on a database; the lock outlives nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.engine.lock import OneExecutor
from server.errors import Misconfigured
from tests.support.processes import Process
from tests.support.waiting import eventually

HOLDS = """
import sys, threading
from server.engine.lock import OneExecutor
OneExecutor(sys.argv[1], threading.Event().wait).take(5)
print("held", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def two(migrated_url: str, waited: list[float]) -> Iterator[tuple[OneExecutor, OneExecutor]]:
    pair = (OneExecutor(migrated_url, waited.append), OneExecutor(migrated_url, waited.append))
    yield pair
    for one in pair:
        one.release()


def test_the_second_one_is_told_in_one_sentence_what_to_do(two: tuple[OneExecutor, OneExecutor]) -> None:
    two[0].take(0)
    with pytest.raises(Misconfigured) as caught:
        two[1].take(0)
    assert caught.value.said == (
        "another process already executes runs on this database: stop it first, or start `web` here"
    )


def test_who_lets_go_makes_room_for_the_next(two: tuple[OneExecutor, OneExecutor], waited: list[float]) -> None:
    two[0].take(0)
    two[0].release()
    two[1].take(0)
    assert waited == []


def test_the_second_one_waits_a_while_for_a_first_that_is_ending(migrated_url: str) -> None:
    first = OneExecutor(migrated_url, lambda seconds: None)
    first.take(0)
    second = OneExecutor(migrated_url, lambda seconds: first.release())
    second.take(10)
    second.release()


def test_a_database_of_its_own_has_a_lock_of_its_own(sqlite_url: str) -> None:
    one, other = (
        OneExecutor(url, lambda seconds: None) for url in (sqlite_url, sqlite_url.replace("ripcord", "other"))
    )
    one.take(0)
    other.take(0)
    one.release()
    other.release()


def test_a_killed_process_holds_nothing(migrated_url: str) -> None:
    with Process.python("-c", HOLDS, migrated_url) as process:
        process.line("held")
        mine = OneExecutor(migrated_url, lambda seconds: None)
        with pytest.raises(Misconfigured):
            mine.take(0)
        process.kill()

        def free() -> bool:
            try:
                mine.take(0)
            except Misconfigured:
                return False
            return True

        eventually(free, within=10, what="the lock is free")
        mine.release()

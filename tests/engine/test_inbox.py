"""Group commit: nothing is answered before it is on disk, nothing is kept twice, and a dead database is said at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
import sqlalchemy as sa

from server.store import deliveries
from server.store.inbox import Busy, Inbox, Recorded
from server.store.tables import deliveries as table
from tests.engine.messages import engines, eventually, message, put


@dataclass
class Box:
    """An inbox with what it told others."""

    inbox: Inbox
    reading: sa.Engine
    writing: sa.Engine
    woken: list[int] = field(default_factory=list)

    def ids(self) -> list[str]:
        """What is stored, oldest first."""
        with self.reading.connect() as connection:
            return list(connection.execute(sa.select(table.c.id).order_by(table.c.id)).scalars())


@pytest.fixture
def box(database_url: str) -> Iterator[Box]:
    """An inbox on a fresh database."""
    reading, writing, accepting = engines(database_url)
    made = Box(Inbox(accepting), reading, writing)
    made.inbox._wake = made.woken.append
    yield made
    made.inbox.stop()
    for engine in (reading, writing, accepting):
        engine.dispose()


def test_what_was_recorded_is_committed_when_record_returns(box: Box) -> None:
    recorded = put(box.inbox, message())
    assert (box.ids(), recorded.duplicate) == ([recorded.id], False)


def test_a_second_copy_names_the_first_by_webhook_id_and_by_event(box: Box) -> None:
    first = put(box.inbox, message(event_key="E1", webhook_id="W1"))
    by_hook = put(box.inbox, message(event_key="E2", webhook_id="W1"))
    by_event = put(box.inbox, message(event_key="E1", webhook_id="W3"))
    assert by_hook == by_event == Recorded(first.id, True)


def test_of_many_copies_at_once_one_is_kept_and_all_name_it(box: Box) -> None:
    copy = message()
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _n: put(box.inbox, copy), range(200)))
    assert {answer.id for answer in answers} == set(box.ids())
    assert sum(not answer.duplicate for answer in answers) == 1


def test_messages_without_a_webhook_id_are_told_apart_by_their_event(box: Box) -> None:
    one, two = message().model_copy(update={"webhook_id": None}), message().model_copy(update={"webhook_id": None})
    assert not put(box.inbox, one).duplicate
    assert not put(box.inbox, two).duplicate
    assert put(box.inbox, one).duplicate


def test_many_at_once_share_commits_and_are_woken_for(box: Box) -> None:
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _n: put(box.inbox, message()), range(200)))
    assert len(box.ids()) == 200
    assert box.inbox.commits < 200
    assert sum(box.woken) == 200
    assert box.inbox.last_big_commit > 0


def test_a_duplicate_wakes_nobody(box: Box) -> None:
    copy = message()
    put(box.inbox, copy)
    put(box.inbox, copy)
    assert box.woken == [1]


def test_ids_sort_by_arrival_and_are_short() -> None:
    start = datetime(2026, 11, 24, 3, 12, 34, 123456, tzinfo=UTC)
    ids = [deliveries.new_id(start + timedelta(microseconds=n)) for n in (0, 1, 999, 1000, 10**6, 10**13)]
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {24}


def test_while_another_holds_the_lock_sixty_four_senders_are_sent_away_within_two_seconds(box: Box) -> None:
    put(box.inbox, message())
    with box.writing.begin() as connection:
        connection.exec_driver_sql(_LOCK[connection.dialect.name])
        with ThreadPoolExecutor(16) as pool:  # as many as the web has threads: the others wait behind them
            began = time.monotonic()
            waits = list(pool.map(lambda _n: _seconds_until_busy(box.inbox, began), range(64)))
    assert max(waits) < 2.0
    assert _recovers(box.inbox)


_LOCK = {"sqlite": "SELECT 1", "postgresql": "LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"}


def _seconds_until_busy(inbox: Inbox, began: float) -> float:
    with pytest.raises(Busy):
        put(inbox, message())
    return time.monotonic() - began


def _recovers(inbox: Inbox) -> bool:
    """Whether messages are taken in again within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            put(inbox, message())
        except Busy:
            time.sleep(0.05)
        else:
            return True
    return False


def test_newcomers_are_sent_away_at_once_when_a_batch_has_waited_a_second(box: Box) -> None:
    put(box.inbox, message())
    with box.writing.begin() as connection, ThreadPoolExecutor(1) as pool:
        connection.exec_driver_sql(_LOCK[connection.dialect.name])
        first = pool.submit(_seconds_until_busy, box.inbox, time.monotonic())
        assert eventually(lambda: box.inbox.shut() is not None, 3)
        began = time.monotonic()
        assert _seconds_until_busy(box.inbox, began) < 0.2
        assert first.result() < 2.0


def test_one_message_that_cannot_be_stored_does_not_take_its_neighbours_with_it(box: Box) -> None:
    bad = message().model_copy(update={"title": "cannot be stored"})
    put(box.inbox, message())
    with ThreadPoolExecutor(9) as pool:  # noqa: SIM117 - the lock goes first, then the pool waits
        with box.writing.begin() as connection:
            connection.exec_driver_sql(_LOCK[connection.dialect.name])
            good = [pool.submit(put, box.inbox, message()) for _ in range(8)]
            broken = pool.submit(box.inbox.record, bad, {}, 5, datetime.now(UTC))  # type: ignore[arg-type]
            eventually(lambda: box.inbox.waiting() >= 7, 0.5)  # those behind the one under way gather in one batch
    assert all(not one.result().duplicate for one in good)
    with pytest.raises(Busy):
        broken.result()


def test_what_nobody_waits_for_any_more_is_dropped_except_the_batch_that_was_under_way(box: Box) -> None:
    put(box.inbox, message())
    before = len(box.ids())
    with box.writing.begin() as connection:
        connection.exec_driver_sql(_LOCK[connection.dialect.name])
        with ThreadPoolExecutor(8) as pool:
            first = pool.submit(_seconds_until_busy, box.inbox, time.monotonic())
            assert eventually(lambda: box.inbox._batch_since is not None, 3)
            list(pool.map(lambda _n: _seconds_until_busy(box.inbox, time.monotonic()), range(7)))
            first.result()
    assert _recovers(box.inbox)
    assert len(box.ids()) - before <= 2  # the one that was under way, and the one that found the door open again


def test_a_lock_that_is_short_is_waited_for_and_shuts_no_door(box: Box) -> None:
    """The stories' own writes: hundreds of short turns, and a small periodical write of our own between them."""
    stop = Event()

    def busy() -> None:
        while not stop.is_set():
            with box.writing.begin() as connection:
                connection.exec_driver_sql(_LOCK[connection.dialect.name])
                stop.wait(0.005)
            stop.wait(0.002)

    def small() -> None:
        with box.inbox.engine.begin() as connection:
            connection.execute(sa.select(1))

    box.inbox._idle = small
    with ThreadPoolExecutor(4) as pool:
        try:
            for _ in range(2):
                pool.submit(busy)
            for _ in range(20):
                put(box.inbox, message())  # raises Busy where the door is shut
        finally:
            stop.set()
    assert len(box.ids()) == 20


def test_a_small_write_that_meets_a_lock_shuts_no_door(sqlite_url: str) -> None:
    reading, writing, accepting = engines(sqlite_url)
    inbox = Inbox(accepting)
    met: list[str] = []

    def small() -> None:
        try:
            with accepting.begin() as connection:
                connection.execute(sa.select(1))
        except sa.exc.OperationalError:
            met.append("locked")
            raise

    inbox._idle = small
    with writing.begin() as connection:
        connection.execute(sa.select(1))
        inbox.start()
        assert eventually(lambda: bool(met), 5)
        assert inbox.shut() is None
    assert not put(inbox, message()).duplicate
    inbox.stop()
    for engine in (reading, writing, accepting):
        engine.dispose()

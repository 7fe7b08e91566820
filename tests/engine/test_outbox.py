"""From the row to the started story: nothing is forgotten, nothing starts twice on its own, and what starts nothing costs one row."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.core.delivery import StoredDelivery
from server.engine.lock import OneExecutor
from server.engine.outbox import Dispatcher, Hooks, Slots
from server.engine.wake import Listener, bell, somebody_executes
from server.store import deliveries
from server.store.inbox import Inbox
from server.store.tables import CLAIMED, ENDED, NEW, STARTED, decisions
from server.store.tables import deliveries as table
from tests.engine.messages import engines, eventually, message, put


@dataclass
class House:
    """An inbox, a database, and stories that only note that they were started."""

    url: str
    inbox: Inbox
    reading: sa.Engine
    writing: sa.Engine
    started: list[str] = field(default_factory=list)
    over: dict[str, Callable[[], None]] = field(default_factory=dict)
    running: list[Dispatcher] = field(default_factory=list)

    def dispatcher(self, me: str = "me", size: int = 8, **hooks: Callable[..., object]) -> Dispatcher:
        """A dispatcher, not started yet."""
        told: dict[str, Callable[..., object]] = {"start": self.start, "settle": self.settle} | hooks
        made = Dispatcher(self.reading, self.writing, Hooks(**told), me, size)  # type: ignore[arg-type]
        self.running.append(made)
        return made

    def start(self, delivery: str, over: Callable[[], None]) -> None:
        """A story that goes on until the test says that it is over."""
        self.started.append(delivery)
        self.over[delivery] = over

    def settle(self, row: StoredDelivery) -> str | None:
        """As the product: from the row alone."""
        return (
            None
            if row.delivery.event_type == "incident.triggered"
            else f"no runbook starts on {row.delivery.event_type}"
        )

    def states(self) -> list[int]:
        """The rows' states, oldest first."""
        with self.reading.connect() as connection:
            return list(connection.execute(sa.select(table.c.state).order_by(table.c.id)).scalars())


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """A fresh database with an inbox."""
    reading, writing, accepting = engines(database_url)
    made = House(database_url, Inbox(accepting), reading, writing)
    yield made
    for one in made.running:
        one.stop()
    made.inbox.stop()
    for engine in (reading, writing, accepting):
        engine.dispose()


def test_a_committed_message_is_started_once_and_marked(house: House) -> None:
    recorded = put(house.inbox, message())
    house.dispatcher().start()
    assert eventually(lambda: house.states() == [STARTED])
    assert house.started == [recorded.id]


def test_messages_start_in_the_order_of_their_arrival(house: House) -> None:
    ids = [put(house.inbox, message()).id for _ in range(6)]
    house.dispatcher().start()
    assert eventually(lambda: len(house.started) == 6)
    assert house.started == ids


def test_a_message_that_starts_nothing_gets_one_decision_row_and_no_story(house: House) -> None:
    recorded = put(house.inbox, message("incident.acknowledged"))
    house.dispatcher().start()
    assert eventually(lambda: house.states() == [ENDED])
    with house.reading.connect() as connection:
        [row] = connection.execute(sa.select(decisions))
    assert (row.delivery, row.runbook, row.kind) == (recorded.id, "", "no")
    assert row.reason == "no runbook starts on incident.acknowledged"
    assert house.started == []


def test_many_messages_that_start_nothing_do_not_wait_for_slots_that_others_hold(house: House) -> None:
    for _ in range(3):
        put(house.inbox, message())
    for _ in range(200):
        put(house.inbox, message("incident.annotated"))
    last = put(house.inbox, message()).id
    house.dispatcher(size=4).start()
    assert eventually(lambda: house.states().count(ENDED) == 200)
    assert eventually(lambda: last in house.started)


def test_no_more_are_on_the_way_than_there_are_slots_and_the_others_follow_when_they_leave(house: House) -> None:
    ids = [put(house.inbox, message()).id for _ in range(10)]
    house.dispatcher(size=4).start()
    assert eventually(lambda: house.states().count(STARTED) == 4)
    assert house.started == ids[:4]
    for one in ids[:4]:
        house.over[one]()
    assert eventually(lambda: len(house.started) == 8)
    assert house.started == ids[:8]
    assert eventually(lambda: house.states().count(NEW) == 2)


def test_a_story_that_cannot_be_started_is_tried_again_and_does_not_hold_up_the_others(house: House) -> None:
    bad, good = put(house.inbox, message()).id, put(house.inbox, message()).id
    failures: list[str] = []

    def start(delivery: str, over: Callable[[], None]) -> None:
        if delivery == bad and len(failures) < 2:
            failures.append(delivery)
            raise RuntimeError("not now")
        house.start(delivery, over)

    house.dispatcher(start=start, exists=lambda _id: False).start()
    assert eventually(lambda: set(house.started) == {good, bad}, 20)
    assert house.started[0] == good
    assert eventually(lambda: house.states() == [STARTED, STARTED])


def test_a_bug_in_settling_leaves_the_message_to_its_story(house: House) -> None:
    put(house.inbox, message())

    def settle(_row: StoredDelivery) -> str | None:
        raise KeyError("bug")

    house.dispatcher(settle=settle).start()
    assert eventually(lambda: house.states() == [STARTED])


@pytest.mark.parametrize("changed", [{"parsed": "{}"}, {"parsed": "no JSON", "trigger": "nobody"}])
def test_a_row_that_somebody_damaged_keeps_no_other_from_being_started(house: House, changed: dict[str, str]) -> None:
    damaged, whole = put(house.inbox, message()), put(house.inbox, message())
    with house.writing.begin() as connection:
        connection.execute(sa.update(table).where(table.c.id == damaged.id).values(changed))
    house.dispatcher().start()
    assert eventually(lambda: house.started == [damaged.id, whole.id])
    with house.reading.connect() as connection:
        assert deliveries.load(connection, damaged.id) is not None


def test_a_burst_holds_a_start_back_for_a_tenth_of_a_second_at_most(house: House) -> None:
    put(house.inbox, message())
    house.dispatcher(last_big_commit=time.monotonic).start()
    assert eventually(lambda: house.states() == [STARTED], 1.0)


def test_it_is_alive_while_it_looks_and_not_afterwards(house: House) -> None:
    dispatcher = house.dispatcher()
    assert not dispatcher.alive()
    dispatcher.start()
    assert dispatcher.alive()
    dispatcher.stop()
    assert not dispatcher.alive()


def test_leaving_twice_gives_one_slot_back() -> None:
    refills: list[int] = []
    slots = Slots(2, lambda: refills.append(1))
    slots.enter("a")
    slots.enter("b")
    slots.leave("a")
    slots.leave("a")
    assert slots.free() == 1
    assert refills == [1]


def test_two_executing_processes_never_take_the_same_message(postgresql_house: House) -> None:
    for _ in range(60):
        put(postgresql_house.inbox, message())
    now, taken = datetime.now(UTC), []

    def take(me: str) -> None:
        taken.extend(row.id for _ in range(10) for row in deliveries.take(postgresql_house.writing, 5, me, now))

    threads = [threading.Thread(target=take, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 60


def test_a_claim_of_a_dead_process_is_started_by_another_unless_its_story_exists(postgresql_house: House) -> None:
    lost, told = put(postgresql_house.inbox, message()).id, put(postgresql_house.inbox, message()).id
    deliveries.take(postgresql_house.writing, 2, "dead", datetime.now(UTC) - timedelta(seconds=60))
    assert postgresql_house.states() == [CLAIMED, CLAIMED]
    postgresql_house.dispatcher(exists=lambda one: one == told).start()
    assert eventually(lambda: postgresql_house.states() == [STARTED, STARTED])
    assert postgresql_house.started == [lost]


@pytest.fixture
def postgresql_house(postgresql_url: str) -> Iterator[House]:
    """As house, on PostgreSQL."""
    reading, writing, accepting = engines(postgresql_url)
    made = House(postgresql_url, Inbox(accepting), reading, writing)
    yield made
    for one in made.running:
        one.stop()
    made.inbox.stop()
    for engine in (reading, writing, accepting):
        engine.dispose()


def test_a_message_committed_elsewhere_wakes_the_executing_process_at_once(house: House) -> None:
    awake = threading.Event()
    listener = Listener(house.url, awake)
    listener.start()
    assert awake.wait(5)  # it may have missed one while it was deaf
    awake.clear()
    house.inbox._wake = bell(house.url)
    put(house.inbox, message())
    assert awake.wait(0.5)
    listener.stop()


def test_ringing_where_nobody_listens_leaves_nothing_behind(tmp_path: Path) -> None:
    ring = bell(f"sqlite:///{tmp_path / 'none.db'}")
    ring(1)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        ring(1)
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path) == []


def test_a_path_too_long_for_a_socket_is_left_to_the_sweep(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / ('d' * 120) / 'ripcord.db'}"
    bell(url)(1)
    awake = threading.Event()
    listener = Listener(url, awake)
    listener.start()
    assert not awake.wait(0.2)
    listener.stop()


def test_the_web_can_tell_whether_anybody_executes(house: House) -> None:
    assert not somebody_executes(house.url, house.reading)
    lock = OneExecutor(house.url, threading.Event().wait)
    lock.take()
    assert somebody_executes(house.url, house.reading)
    lock.release()
    assert eventually(lambda: not somebody_executes(house.url, house.reading))

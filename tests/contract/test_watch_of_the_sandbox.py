"""What life does not offer of watches: silence on demand, an end by the clock, many at once, and what is forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox.kubernetes import watch as kept
from tests.cluster.api import Object
from tests.contract.watching import ENDED, TORN, Watch, watching
from tests.contract.wire import Place
from tests.contract.worlds import SandboxWorld
from tests.support.waiting import eventually


@pytest.fixture
def world() -> Iterator[SandboxWorld]:
    one = SandboxWorld("v1.10.1", ticking=False)
    yield one
    one.end()


@pytest.fixture
def at(world: SandboxWorld) -> Place:
    return Place(world).with_web()


def _write(world: SandboxWorld, at: Place, times: int) -> None:
    """Past the door, so that many are quick."""
    store = world.sandbox.world.kubernetes.store
    with world.sandbox.world.lock:
        for number in range(times):
            store.update("rollouts", at.name, "web", _labelled(str(number)), manager="tester")


def _labelled(text: str) -> Callable[[Object], None]:
    return lambda obj: obj["metadata"].update(labels={"write": text})


def _serving() -> int:
    return sum("process_request" in one.name for one in threading.enumerate())


def test_a_hundred_silent_watches_hold_up_neither_a_request_nor_the_end(world: SandboxWorld, at: Place) -> None:
    before = _serving()
    watches = [Watch(world, at.rollouts, resourceVersion=at.version) for _ in range(100)]
    began = time.monotonic()
    assert world.get(at.web).code == 200
    world.sandbox.end()
    assert time.monotonic() - began < 5
    for watch in watches:
        watch.until_it_is(TORN)
        watch.close()
    eventually(lambda: _serving() <= before, what="no thread is left")


def test_a_client_that_leaves_a_silent_watch_leaves_no_thread_behind(world: SandboxWorld, at: Place) -> None:
    before = _serving()
    watch = Watch(world, at.rollouts, resourceVersion=at.version)
    assert _serving() > before
    watch.close()
    eventually(lambda: _serving() <= before, what="its thread has ended")


@pytest.mark.parametrize("how", ["released", "its seconds are over"])
def test_a_silent_watch_has_its_headers_at_once_hears_nothing_and_ends_as_if_nothing_had_been(
    world: SandboxWorld, at: Place, how: str
) -> None:
    seconds = 60 if how == "released" else 1
    fault = {"match": {"path": "*/rollouts"}, "do": "silent_watch", "seconds": seconds, "times": 1}
    world.sandbox.world.faults.append([fault])
    with watching(world, at.rollouts) as watch:
        assert watch.code == 200
        _write(world, at, 1)
        watch.hears_nothing()
        if how == "released":
            assert world.sandbox.world.faults.release() == 1
        watch.until_it_is(ENDED, within=3)
        assert watch.events == []
    assert world.sandbox.world.faults.state()["held"] == 0


def test_the_fault_of_silence_leaves_everything_but_watches_alone(world: SandboxWorld, at: Place) -> None:
    world.sandbox.world.faults.append([{"match": {"path": "*/rollouts"}, "do": "silent_watch"}])
    assert world.get(at.rollouts).json["items"][0]["metadata"]["name"] == "web"


def test_a_watch_without_a_time_of_its_own_ends_by_the_clock(world: SandboxWorld, at: Place) -> None:
    with watching(world, at.rollouts, resourceVersion=at.version) as watch:
        world.sandbox.world.clock.advance(kept.LONGEST - 10)
        watch.hears_nothing(for_seconds=0.3)
        world.sandbox.world.clock.advance(11)
        watch.until_it_is(ENDED)


def test_a_bookmark_comes_each_minute_of_the_clock(world: SandboxWorld, at: Place) -> None:
    with watching(world, at.rollouts, resourceVersion=at.version, allowWatchBookmarks="true") as watch:
        for minute in range(1, 4):
            world.sandbox.world.clock.advance(61)
            watch.until_heard(*[("BOOKMARK", "")] * minute)


def test_a_server_told_to_stop_ends_its_watches_after_a_minute_and_not_before(world: SandboxWorld, at: Place) -> None:
    with watching(world, at.rollouts, resourceVersion=at.version) as watch:
        world.control(apiserver="stopping")
        with pytest.raises(Exception, match="aborted"):
            world.get(at.web)
        _write(world, at, 1)
        world.sandbox.world.clock.advance(58)
        watch.hears_nothing(for_seconds=0.3)
        world.sandbox.world.clock.advance(3)
        watch.until_it_is(ENDED)
        assert watch.events == []


def test_what_is_young_is_kept_and_what_is_old_only_while_it_is_little(world: SandboxWorld, at: Place) -> None:
    first = at.version
    _write(world, at, kept.FEW + 50)
    assert _is_known(world, at, first)
    world.sandbox.world.clock.advance(kept.FRESH.total_seconds() + 1)
    _write(world, at, 1)
    assert not _is_known(world, at, first)
    assert _is_known(world, at, str(int(at.version) - kept.FEW))
    assert not _is_known(world, at, str(int(at.version) - kept.FEW - 1))


def test_more_than_so_much_is_never_kept(world: SandboxWorld, at: Place) -> None:
    first = at.version
    _write(world, at, kept.MANY)
    assert _is_known(world, at, first)
    _write(world, at, 1)
    assert not _is_known(world, at, first)


def test_what_happens_to_another_kind_makes_nothing_old(world: SandboxWorld, at: Place) -> None:
    with watching(world, at.services, resourceVersion=at.version) as watch:
        first = at.version
        _write(world, at, kept.MANY + 1)
        watch.hears_nothing(for_seconds=0.3)
        with watching(world, at.services, resourceVersion=first) as again:
            again.hears_nothing(for_seconds=0.3)


def _is_known(world: SandboxWorld, at: Place, version: str) -> bool:
    with watching(world, at.rollouts, resourceVersion=version, timeoutSeconds=1) as watch:
        eventually(lambda: watch.events or watch.state == ENDED, what="something is told, or it ends")
        return "ERROR" not in {one["type"] for one in watch.events}

"""How many stories of one kind are busy at a time."""

from __future__ import annotations

import asyncio

from server.engine.lane import LONG, Lane


def test_no_more_go_in_than_there_are_places_and_the_first_that_waits_is_next() -> None:
    async def story() -> list[str]:
        lane, order = Lane(1), []

        async def one(name: str) -> None:
            await lane.enter(name)
            order.append(f"in {name}")
            await asyncio.sleep(0)
            order.append(f"out {name}")
            lane.leave(name)

        await asyncio.gather(one("a"), one("b"), one("c"))
        return order

    assert asyncio.run(story()) == ["in a", "out a", "in b", "out b", "in c", "out c"]


def test_who_is_inside_for_long_keeps_nobody_out() -> None:
    now = [0.0]
    lane = Lane(1, monotonic=lambda: now[0])
    assert lane._try("hangs")
    assert not lane._try("next")
    now[0] = LONG + 0.1
    assert lane._try("next")


def test_in_a_storm_one_at_a_time_goes_in() -> None:
    storm = [True]
    lane = Lane(4, storm=lambda: storm[0])
    assert [lane._try(name) for name in "ab"] == [True, False]
    storm[0] = False
    assert [lane._try(name) for name in "bcde"] == [True, True, True, False]


def test_leaving_twice_gives_one_place_back() -> None:
    lane = Lane(1)
    assert lane._try("a")
    lane.leave("a")
    lane.leave("a")
    assert [lane._try(name) for name in "bc"] == [True, False]

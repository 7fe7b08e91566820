"""The story of one delivery: check it again, re-read what it is about, decide, start the runs; of a body with several messages
each in its turn."""

from __future__ import annotations

from typing import Any

from server.core.delivery import part_of
from server.engine.durable import Verbs
from server.flow.needs import World
from server.flow.trail import BUGS, as_bug

Json = dict[str, Any]

ALERTS_AFTER = (1.0, 1.0, 3.0, 5.0, 10.0)
"""Pauses between the looks for alerts at 0, 1, 2, 5, 10 and 20 s."""
UNREAD_AFTER = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses while PagerDuty cannot be read; then every 60 s."""


async def tell_delivery(verbs: Verbs, argument: Json, world: World) -> Json:
    """argument: {"delivery": id}. A bug of ours is a decision too: no story ends without one."""
    try:
        return await _tell(verbs, argument, world)
    except BUGS as error:
        await verbs.step("bug", world.gave_up, argument["delivery"], as_bug(error).said)
        return {}


async def _tell(verbs: Verbs, argument: Json, world: World) -> Json:
    got = await verbs.step("receive", world.receive, argument["delivery"])
    if "stored" not in got:
        return {}
    started: list[str] = []
    for n, stored in enumerate((got["stored"], *got.get("more", ())), start=1):
        which = "" if n == 1 else f"message {n}: "
        try:
            started += await _decide(verbs, world, stored, which)
        except BUGS as error:  # the messages of one body are decided by themselves: none keeps the others from it
            await verbs.step(f"{which}bug", world.gave_up, part_of(argument["delivery"], n), as_bug(error).said)
    return {"runs": started}


async def _decide(verbs: Verbs, world: World, stored: Json, which: str) -> list[str]:
    """One message, decided; the ids of the runs that it starts."""
    read, unread_since = await _re_read(verbs, world, stored, which)
    decided = await verbs.step(f"{which}decide", world.decide, stored, read, unread_since)
    for spec in decided["start"]:
        await verbs.start("run", spec["id"], spec)
    return [spec["id"] for spec in decided["start"]]


async def _re_read(verbs: Verbs, world: World, stored: Json, which: str) -> tuple[Json, str | None]:
    """The incident as it is now, with patience for alerts that come late and for a PagerDuty that does not answer."""
    unread_since: str | None = None
    late = unread = looks = 0
    while True:
        read = await verbs.step(f"{which}read {looks}", world.read, stored)
        looks += 1
        if read["unread"]:
            unread_since = unread_since or str(read["at"])
            if read["patience"] <= 0:
                return read, unread_since
            pause = UNREAD_AFTER[unread] if unread < len(UNREAD_AFTER) else 60.0
            unread += 1
            await verbs.sleep(min(pause, read["patience"] + 0.5))
            continue
        unread_since, unread = None, 0
        if not read["wants_alerts"] or late == len(ALERTS_AFTER):
            return read, None
        await verbs.sleep(ALERTS_AFTER[late])
        late += 1

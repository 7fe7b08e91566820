"""`/`: what is happening, and does anything need me?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask import Blueprint, Response

from server.core.states import State
from server.store import queries
from server.store.queries import RunRow
from server.web import headline
from server.web.frame import Frame
from server.web.parts import Parts

_NEEDS = (State.FAILED, State.UNPROVEN)
_FIXED = (State.PROVEN, State.NOTHING_TO_DO)
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def add(pages: Blueprint, parts: Parts, frame: Frame) -> None:
    """Hangs the page."""

    @pages.get("/")
    def home() -> Response:
        now = parts.now()
        with parts.reading.connect() as connection:
            under_way, finished = queries.under_way(connection), queries.finished(connection)
            braked = queries.braked(connection, queries.a_day_before(now))
            last = queries.last_delivery(connection)
        needs = open_ones([run for run in finished if run.created_at > now - timedelta(hours=24)], finished)
        rest = sorted((run for run in finished if run not in needs), key=_over_at, reverse=True)
        return frame.page(
            "home.html",
            current="now",
            refresh=bool(under_way),
            title=title(len(needs), len(under_way), bool(finished)),
            needs=needs,
            under_way=under_way,
            finished=rest,
            braked=braked,
            last=last,
            short=headline.short,
        )


def _over_at(run: RunRow) -> datetime:
    """The time that the list shows."""
    return run.ended_at or run.created_at


def open_ones(lately: Sequence[RunRow], all_finished: Sequence[RunRow]) -> list[RunRow]:
    """Runs that still need a person: tried and not proven, and no later run proved its target."""
    fixed: dict[str, RunRow] = {}
    for run in all_finished:  # newest first
        if run.state in _FIXED:
            fixed.setdefault(run.target, run)
    return [
        run
        for run in lately
        if run.state in _NEEDS and (run.target not in fixed or fixed[run.target].created_at < run.created_at)
    ]


def title(needs: int, under_way: int, any_run: bool) -> str:
    """The page's sentence."""
    said = []
    if needs:
        said.append(f"{_number(needs)} {'run needs' if needs == 1 else 'runs need'} you now.")
    if under_way:
        said.append(f"{_number(under_way)} {'run is' if under_way == 1 else 'runs are'} under way.")
    if said:
        return " ".join(said)
    return "Nothing needs you, nothing is under way." if any_run else "No run yet."


def _number(n: int) -> str:
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)

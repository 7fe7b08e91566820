"""A metric against its limit, as numbers for an SVG: places across in percent, down in pixels, so that text keeps its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.web.view import clock

TOP, BOTTOM, STRETCH = 22.0, 150.0, 1200.0
_LEFT, _RIGHT = 4.0, 94.0


@dataclass(frozen=True)
class Limit:
    """What a value must not pass. above: too much is bad (else too little)."""

    value: float
    above: bool

    @property
    def said(self) -> str:
        """As people say it."""
        return f"{'limit' if self.above else 'at least'} {self.value:g}"


@dataclass(frozen=True)
class Dot:
    """One measured value."""

    x: str
    y: str
    label: str


@dataclass(frozen=True)
class Plot:
    """Everything that the template places. line: points in an inner drawing of 1200 by 128. over: top and height of the bad side.
    limit: height, words, and how far below it the words stand: on the good side, where no bad value is.
    """

    title: str
    told: str
    dots: tuple[Dot, ...]
    line: str
    limit: tuple[str, str, str] | None
    over: tuple[str, str] | None
    act: tuple[str, str] | None
    ticks: tuple[tuple[str, str], ...]


def draw(
    name: str, values: Sequence[tuple[datetime, float]], limit: Limit | None, acted: datetime | None
) -> Plot | None:
    """None where fewer than two values would make a line."""
    if len(values) < 2 or values[0][0] >= values[-1][0]:
        return None
    first, last = values[0][0], max(values[-1][0], acted or values[-1][0])
    heights = [value for _, value in values] + ([limit.value] if limit else [])
    low, high = min(0.0, *heights), max(heights)
    span = (high - low) * 1.15 or 1.0

    def x(at: datetime) -> float:
        return _LEFT + (_RIGHT - _LEFT) * ((at - first) / (last - first))

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - low) / span

    dots = tuple(Dot(f"{x(at):.2f}%", f"{y(value):.1f}", f"{value:g}") for at, value in values)
    line = " ".join(f"{x(at) / 100 * STRETCH:.1f},{y(value) - TOP:.1f}" for at, value in values)
    return Plot(
        title=f"{name} from {clock(first)} to {clock(last)} UTC",
        told=_told(name, values, limit, acted),
        dots=dots,
        line=line,
        limit=None if limit is None else (f"{y(limit.value):.1f}", limit.said, "15" if limit.above else "-6"),
        over=None if limit is None else _over(y(limit.value), limit.above),
        act=None if acted is None or acted < first else (f"{x(acted):.2f}%", clock(acted)),
        ticks=tuple((f"{x(at):.2f}%", clock(at)) for at in (values[0][0], values[-1][0])),
    )


def _over(y: float, above: bool) -> tuple[str, str]:
    return (f"{TOP:.1f}", f"{y - TOP:.1f}") if above else (f"{y:.1f}", f"{BOTTOM - y:.1f}")


def _told(name: str, values: Sequence[tuple[datetime, float]], limit: Limit | None, acted: datetime | None) -> str:
    """The story for somebody who does not see the plot."""
    read = ", ".join(f"{value:g} at {clock(at)}" for at, value in values)
    bound = f", {limit.said}" if limit else ""
    return f"{name}: {read}{bound}." + (f" Ripcord acted at {clock(acted)}." if acted else "")

"""What `bench --runbooks` makes of a story that was played: its moments in order, its requests beside the least, and the page."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.page import say
from bench.planes import Asked, moment
from bench.stories import Story

TICK = 0.2
"""Seconds between two passes of the sandbox's controllers."""
SIDE_BY_SIDE = 3
_INCIDENT = re.compile(r"/pagerduty/incidents/[^/]+(/alerts|/notes)?(/[^/]+)?")


@dataclass(frozen=True)
class Span:
    """One step of the engine. kind: d the delivery's story, r the run."""

    kind: str
    name: str
    began: float
    ended: float


@dataclass
class Played:
    """One story, played once. All times are seconds since 1970."""

    story: Story
    alert: float
    seen: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    run: str = ""
    delivery: str = ""
    state: str = "not over"
    said: str = ""
    settle: float = 0.0
    received: float | None = None
    answered: float | None = None

    def row(self, tag: str) -> float | None:
        """When the first row of this kind was written."""
        return next((moment(one["at"]) for one in self.rows if one["tag"] == tag), None)

    def decided(self) -> float | None:
        """When this runbook's decision was written."""
        rows = [one for one in self.rows if one["tag"] == "decided" and one["runbook"] == self.story.runbook]
        return moment(rows[0]["at"]) if rows else None

    def told(self) -> float | None:
        """When the last version of the note stood in the incident, and was written down."""
        return max((moment(one["at"]) for one in self.rows if one["tag"] == "told"), default=None)

    def span(self, kind: str, name: str, *, last: bool = False) -> Span | None:
        """The first step of the engine with such a name, or the last."""
        found = [one for one in self.spans if one.kind == kind and re.fullmatch(name, one.name)]
        return (found[-1] if last else found[0]) if found else None

    def observed(self) -> float | None:
        """The end of the look that the plan was made from."""
        planned = self.span("r", "0 planned .*")
        looks = [one for one in self.spans if one.kind == "r" and re.fullmatch("0 look .*", one.name)]
        before = [one for one in looks if planned is not None and one.ended <= planned.began]
        return before[-1].ended if before else None

    def patch(self) -> float | None:
        """When the upstream had read the first write of the target."""
        return next((moment(one["at"]) for one in self.requests if is_write(one)), None)

    def looked(self) -> float | None:
        """When the upstream had read the first question after that."""
        at = self.patch()
        after = [moment(one["at"]) for one in self.requests if one["method"] == "GET" and not about_incident(one)]
        return next((one for one in after if at is not None and one > at), None)


def is_write(row: Mapping[str, Any]) -> bool:
    """Whether a request was to change a target."""
    return row["method"] == "PATCH" and not about_incident(row) and "dryRun" not in row["query"]


def about_incident(row: Mapping[str, Any]) -> bool:
    """Whether it went to PagerDuty."""
    return str(row["path"]).startswith("/pagerduty/")


def _end(span: Span | None) -> float | None:
    return span.ended if span else None


def _begin(span: Span | None) -> float | None:
    return span.began if span else None


Moment = Callable[[Played], float | None]
MOMENTS: tuple[tuple[str, Moment], ...] = (
    ("webhook at our door", lambda one: one.received),
    ("committed, its story begun", lambda one: _begin(one.span("d", "receive"))),
    ("incident and alerts re-read", lambda one: _end(one.span("d", "read .*", last=True))),
    ("decided", lambda one: one.decided()),
    ("run has its target", lambda one: _end(one.span("r", "take target .*", last=True))),
    ("observed", lambda one: one.observed()),
    ("planned", lambda one: one.row("step_planned")),
    ("guards let it pass", lambda one: _end(one.span("r", "guards .*|.* guards .*"))),
    ("intent committed", lambda one: _end(one.span("r", "0 intend .*"))),
    ("PATCH at the upstream", lambda one: one.patch()),
    ("PATCH answered", lambda one: one.answered),
    ("first look after it", lambda one: one.looked()),
    ("controller acknowledged (outside)", lambda one: one.seen.get("acknowledged")),
    ("everybody on stable (outside)", lambda one: one.seen.get("on stable")),
    ("first proof", lambda one: one.row("check_passed")),
    ("proven, after the settle time", lambda one: one.row("run_proven")),
    ("note has its last word", lambda one: one.told()),
)

FROM_PATCH: tuple[tuple[str, Moment], ...] = (
    ("  the controller acknowledged", lambda one: one.seen.get("acknowledged")),
    ("  everybody on stable", lambda one: one.seen.get("on stable")),
    ("  first proof", lambda one: one.row("check_passed")),
    ("  proven, less the settle time", lambda one: _less(one.row("run_proven"), one.settle)),
)


def _less(at: float | None, seconds: float) -> float | None:
    return None if at is None else at - seconds


def since(played: Sequence[Played], moment_: Moment, start: Moment) -> list[float]:
    """Seconds between two moments, where both are known."""
    pairs = [(moment_(one), start(one)) for one in played if one.state == "proven"]
    return [at - begin for at, begin in pairs if at is not None and begin is not None]


def words(row: Mapping[str, Any]) -> str:
    """'get rollouts', 'patch services (dry)', 'post incident/notes', 'get flags'."""
    method, path = str(row["method"]).lower(), str(row["path"])
    if found := _INCIDENT.fullmatch(path):
        return f"{method} incident{found[1] or ''}"
    if path.startswith("/launchdarkly/"):
        last = path.rsplit("/", 1)[-1]
        return f"{method} {last if last in ('scheduled-changes', 'dependent-flags') else 'flags'}"
    path = path.removeprefix("/kubernetes")
    named = len(path.partition("/namespaces/")[2].split("/")) > 2
    verb = {"get": "get" if named else "list"}.get(method, method)
    return Asked(0.0, verb, path).what + (" (dry)" if "dryRun" in row["query"] else "")


# ---- the page ----


def report(stories: Sequence[Story], played: Mapping[str, list[Played]]) -> None:
    """Three stories beside one another, then three more."""
    for at in range(0, len(stories), SIDE_BY_SIDE):
        some = stories[at : at + SIDE_BY_SIDE]
        rounds = [played[story.name] for story in some]
        say()
        for text in _block(some, rounds):
            say(text)


def _block(stories: Sequence[Story], rounds: Sequence[Sequence[Played]]) -> Iterator[str]:
    yield _line("", [story.name for story in stories])
    yield _line("runbook", [story.runbook for story in stories])
    yield _line("proven", [_proven(one) for one in rounds])
    yield from _unproven(rounds)
    yield _line("seconds since the alert", ["at, this hop"] * len(stories))
    for at, (what, moment_) in enumerate(MOMENTS):
        yield _line(f"  {what}", [_hop(one, at, moment_) for one in rounds])
    yield _line("settle time that the runbook asks for", [_settle(one) for one in rounds])
    yield _line(f"from the PATCH, p50 and most (tick {TICK:g} s)", [""] * len(stories))
    for what, moment_ in FROM_PATCH:
        yield _line(what, [_spread(since(one, moment_, Played.patch)) for one in rounds])
    yield _line("requests: p50, most (least)", [""] * len(stories))
    yield from _requests(stories, rounds)


def _line(what: str, cells: Sequence[str]) -> str:
    return (f"{what:<40}" + "".join(f"{one:<26}" for one in cells)).rstrip()


def _proven(rounds: Sequence[Played]) -> str:
    return f"{sum(one.state == 'proven' for one in rounds)} of {len(rounds)}"


def _unproven(rounds: Sequence[Sequence[Played]]) -> Iterator[str]:
    for one in [each for some in rounds for each in some if each.state != "proven"]:
        yield f"  {one.story.name}: {one.state}: {one.said}"


def _hop(rounds: Sequence[Played], at: int, moment_: Moment) -> str:
    """The moment, and how long after the last one that this story knows."""
    here = since(rounds, moment_, lambda one: one.alert)
    if not here:
        return "-"
    before = next((one for _, one in reversed(MOMENTS[:at]) if since(rounds, one, lambda each: each.alert)), None)
    hops = since(rounds, moment_, before or (lambda one: one.alert))
    return f"{statistics.median(here):7.3f}  {statistics.median(hops):+.3f}"


def _settle(rounds: Sequence[Played]) -> str:
    return ", ".join(f"{one:g} s" for one in sorted({each.settle for each in rounds}))


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):7.3f}  {max(seconds):.3f}" if seconds else "-"


def _requests(stories: Sequence[Story], rounds: Sequence[Sequence[Played]]) -> Iterator[str]:
    counts = [[Counter(map(words, one.requests)) for one in some if one.state == "proven"] for some in rounds]
    named = {what for story in stories for what in story.least} | {w for some in counts for one in some for w in one}
    for what in sorted(named, key=lambda one: one.split()[::-1]):
        cells = [
            _many([one[what] for one in some], story.least.get(what, 0))
            for story, some in zip(stories, counts, strict=True)
        ]
        yield _line(f"  {what}", cells)
    totals = [
        _many([sum(one.values()) for one in some], sum(story.least.values()))
        for story, some in zip(stories, counts, strict=True)
    ]
    yield _line("  together", totals)


def _many(counts: Sequence[int], least: int) -> str:
    if not counts or (not any(counts) and not least):
        return "-"
    return f"{statistics.median(counts):g}, {max(counts)} ({least})"

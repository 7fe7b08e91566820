"""kill -9 at chosen moments × stories, and the judge's count: lost, twice, unfinished.

The vendors' world holds a request before or after it took effect; the whole server dies meanwhile. One kill hits all stories that
are held at that moment: no more than four first writes (so many runs are busy at a time), or what follows a write. Judged from the vendors' log and notes,
and from the audit. What has nothing to be held, the gap between an answer and its record, is hit by chance, and counted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import select
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server import db
from server.audit.verify import verify
from tests.story import deaths_scene
from tests.story.deaths_scene import BLUE
from tests.story.town import FINAL, Town, assert_every_effect_has_its_rows
from tests.support.waiting import eventually

Json = dict[str, Any]
COMMITTED = "committed, no answer yet"
ASKED = "asked, not done yet"
DONE = "done, no answer yet"
ANSWERED = "answered a moment ago"
HELD = 4.5
"""Seconds after which a held call has timed out by itself, or nearly: no death at that moment any more."""
SOON = 0.25
"""Seconds from an answer until it is written down, on a machine that has other things to do too."""
END = 120.0
"""Seconds for everything to end after the last restart."""


@dataclass(frozen=True)
class Story:
    """One thing that is written, and what is held to die there: a request's method and path ({name}, {incident})."""

    name: str
    kind: str
    method: str
    path: str
    row: str
    """The end of the key of the audit row that writes it down."""
    ahead: bool = False
    """It dies in the first kill of its moment, the others in the second: no more than four runs are busy with a first write."""


STATUS, NOTES = "/kubernetes/*/rollouts/{name}/status", "/pagerduty/incidents/{incident}/notes"
ABORT = Story("canary: abort", "canary", "PATCH", STATUS, "0/1/step_done")
BLUE_ABORT = Story("blue-green: abort", "blue-green", "PATCH", STATUS, "0/1/step_done")
SERVICES = f"/kubernetes/api/v1/namespaces/{BLUE}/services/{{name}}"
SERVICE = Story("blue-green: Service", "blue-green", "PATCH", SERVICES, "0/2/step_done")
UNDOES = f"/kubernetes/apis/argoproj.io/v1alpha1/namespaces/{BLUE}/rollouts/{{name}}"
UNDO = Story("blue-green: undo", "undo", "PATCH", UNDOES, "0/1/step_done", ahead=True)
FLAG = Story("flag", "flag", "PATCH", "/launchdarkly/api/v2/flags/default/{name}", "0/1/step_done")
NOTE = Story("note: posted", "flag", "POST", NOTES, "note/1/told", ahead=True)
LAST_WORD = Story("note: last word", "flag", "PUT", f"{NOTES}/*", "note/2/told", ahead=True)
RESOLVE = Story("resolve", "resolve", "PUT", "/pagerduty/incidents/{incident}", "1/1/step_done", ahead=True)
WRITES = (ABORT, BLUE_ABORT, SERVICE, UNDO, FLAG, NOTE, LAST_WORD, RESOLVE)

TABLE: tuple[tuple[str, tuple[Story, ...]], ...] = (
    (COMMITTED, (ABORT, BLUE_ABORT, UNDO, FLAG)),
    (ASKED, WRITES),
    (DONE, WRITES),
    (ANSWERED, WRITES),
)


@dataclass
class Play:
    """One story on a target of its own, which dies at one moment."""

    moment: str
    story: Story
    name: str
    incident: str = ""
    event: bytes = b""
    webhook: str = ""
    reached: bool = False
    written: bool = True
    """Whether it stood in the audit when the server died."""
    lost: int = 0
    twice: int = 0
    unfinished: int = 0
    said: str = ""

    @property
    def path(self) -> str:
        """Of the request that is held."""
        return self.story.path.format(name=self.name, incident=self.incident)


@dataclass
class Game:
    """What was played in one town. audit: what does not fit there, or nothing."""

    plays: list[Play]
    audit: str = ""


@dataclass
class Cell:
    """What came of one moment × story."""

    moment: str
    story: str
    rounds: int = 0
    lost: int = 0
    twice: int = 0
    unfinished: int = 0


def play(folder: Path, database_url: str, rounds: int, chance: random.Random) -> Game:
    """So many rounds of the whole table in one town."""
    plays = [
        Play(moment, story, f"t{n}-{moment[:2]}{number}")
        for n in range(rounds)
        for moment, stories in TABLE
        for number, story in enumerate(stories)
    ]
    town = Town(folder, database_url)
    try:
        _prepare(town, plays)
        town.start()
        _die_everywhere(town, plays, rounds, chance)
        return Game(plays, _judge(town, plays))
    finally:
        town.close()


def _prepare(town: Town, plays: Sequence[Play]) -> None:
    """Incidents stand open and PagerDuty has told nobody: each story's delivery is sent when its moment comes."""
    named: dict[str, list[str]] = {"canary": [], "blue-green": [], "undo": [], "flag": [], "resolve": []}
    for one in plays:
        named[one.story.kind].append(one.name)
    deaths_scene.build(town, named)
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.control("clock", {"advance": 2})  # every alert is younger than what it is about
    for one in plays:
        one.incident = deaths_scene.alert(town, one.story.kind, one.name)


def _die_everywhere(town: Town, plays: Sequence[Play], rounds: int, chance: random.Random) -> None:
    for n in range(rounds):
        mine = [one for one in plays if one.name.startswith(f"t{n}-")]
        _die_unanswered(town, [one for one in mine if one.moment == COMMITTED])
        for moment in (ASKED, DONE, ANSWERED):
            now = [one for one in mine if one.moment == moment]
            for ahead in (True, False):
                group = [one for one in now if one.story.ahead is ahead]
                _die_held(town, moment, group, chance, at_once=moment != ASKED or n % 2 == 1)


# ---- the deaths ----


def _die_held(town: Town, moment: str, plays: Sequence[Play], chance: random.Random, at_once: bool) -> None:
    """All of them stand at the moment, then the server dies. at_once: what was asked and not done is done before the restart, else
    while the next process looks."""
    do = "hold_before" if moment == ASKED else "hold_after_apply"
    for one in plays:
        town.control("faults", _faults(one, do))
    after = len(town.log())
    _tell_all(town, plays, after)
    since: dict[str, float] = {}
    with suppress(AssertionError):  # what did not come to its moment in time is no round, and is judged all the same
        eventually(lambda: _held(town, after, plays, since), within=15, every=0.05)
    if moment == ANSWERED:
        town.control("release", {})
        time.sleep(SOON * chance.random() ** 2)
    town.kill()
    killed = time.monotonic()
    keys = [f"{row['target']}/{row['key']}" for row in town.audit()]
    for one in plays:
        one.reached = one.name in since and killed - since[one.name] < HELD
        one.written = any(key.startswith(f"{one.name}/") and key.endswith(f"/{one.story.row}") for key in keys)
    town.control("faults", None, "DELETE")
    if at_once:
        town.control("release", {})
    town.start()
    town.control("release", {})


def _faults(one: Play, do: str) -> list[Json]:
    match = {"method": one.story.method, "path": one.path}
    # The Service is tried dry before the abort leaves; that one passes.
    dry = [{"match": match, "do": "delay", "seconds": 0, "times": 1}] if one.story is SERVICE else []
    return [*dry, {"match": match, "do": do, "seconds": 60, "times": 1}]


def _tell_all(town: Town, plays: Sequence[Play], after: int) -> None:
    """Those that take longest to their moment go first, so that all are held at about the same time."""
    slow = [one for one in plays if one.story in (BLUE_ABORT, SERVICE, LAST_WORD, RESOLVE)]
    for one in slow:
        _tell(town, one)
    with suppress(AssertionError):
        eventually(lambda: _well_on_their_way(_log(town, after), slow), within=10, every=0.05)
    for one in plays:
        if one not in slow:
            _tell(town, one)


def _well_on_their_way(log: Sequence[Json], plays: Iterable[Play]) -> bool:
    """Flags have been switched; a Rollout has been looked at."""
    looked = {row["path"].rpartition("/")[2] for row in log if row["method"] == "GET" and "/rollouts/" in row["path"]}
    return all(one.name in looked if one.story.kind == "blue-green" else _effects(log, one, "act") for one in plays)


def _log(town: Town, after: int) -> list[Json]:
    answer = town.http.request("GET", f"{town.world}/_sandbox/log?after={after}", timeout=10)
    return [json.loads(line) for line in answer.data.splitlines() if line]


def _held(town: Town, after: int, plays: Iterable[Play], since: dict[str, float]) -> bool:
    """Whether each has its request held now, or has had it for so long that the others are not waited for."""
    waiting = [row for row in _log(town, after) if row["status"] is None]
    now = time.monotonic()
    for one in plays:
        if any(_is(row, one.story.method, one.path) and "dryRun" not in row["query"] for row in waiting):
            since.setdefault(one.name, now)
    return all(one.name in since for one in plays) or any(now - begun > HELD - 0.4 for begun in since.values())


def _tell(town: Town, one: Play) -> None:
    """Its delivery, answered 202 at once."""
    one.webhook = str(uuid.uuid4())
    one.event = json.dumps({"event": Town.event(one.incident, title=one.name)}).encode()
    answer = town.webhook(one.event, webhook_id=one.webhook)
    assert answer.status == 202, (answer.status, answer.data)


def _die_unanswered(town: Town, plays: Sequence[Play]) -> None:
    """PagerDuty has sent and read nothing; the server dies as the first byte of the last answer shows. Then PagerDuty sends again."""
    with ExitStack() as stack:
        lines = [stack.enter_context(_sent(town, one)) for one in plays]
        for line in lines:
            select.select([line], [], [], 10)
        town.kill()
    town.start()
    for one in plays:
        answer = town.webhook(one.event, webhook_id=one.webhook)
        assert answer.status == 202, (answer.status, answer.data)
        one.reached = bool(answer.json()["duplicate"])


def _sent(town: Town, one: Play) -> socket.socket:
    """Its delivery, on the wire."""
    one.webhook = str(uuid.uuid4())
    one.event = json.dumps({"event": Town.event(one.incident, title=one.name)}).encode()
    key = town.exports["RIPCORD_PAGERDUTY_WEBHOOK_SECRETS"].encode()
    signature = hmac.new(key, one.event, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/pagerduty HTTP/1.1\r\nHost: ripcord\r\nContent-Type: application/json\r\n"
        f"X-Webhook-Id: {one.webhook}\r\nX-PagerDuty-Signature: v1={signature}\r\nContent-Length: {len(one.event)}\r\n\r\n"
    )
    line = socket.create_connection(("127.0.0.1", town.port), 10)
    line.sendall(head.encode() + one.event)
    return line


# ---- the judge ----


def _judge(town: Town, plays: Sequence[Play]) -> str:
    """Counts, story by story; what does not fit in the audit."""
    with suppress(AssertionError):
        eventually(lambda: _all_over(town, plays), within=END, every=1.0)
    runs = {run["target"]: run for run in town.runs()}
    log = town.log()
    for one in plays:
        run = runs.get(one.name)
        one.said = f"{run['state']}: {run['said']}" if run else "no run"
        one.lost = int(run is None or not _effects(log, one, "act"))
        one.twice = sum(len(_effects(log, one, what)) > 1 for what in ("act", "service", "note", "resolve"))
        one.unfinished = int(run is None or run["state"] != "proven" or not _last_word(town, one))
    return _audit(town)


def _audit(town: Town) -> str:
    """The chain is whole, and it holds each write's intent and outcome, and each note."""
    try:
        assert_every_effect_has_its_rows(town)
    except AssertionError as problem:
        return str(problem)
    engine = db.reading(town.database_url)
    try:
        return verify(engine).wrong or ""
    finally:
        engine.dispose()


def _all_over(town: Town, plays: Sequence[Play]) -> bool:
    runs = {run["target"]: run["state"] for run in town.runs()}
    if not all(runs.get(one.name) in FINAL for one in plays):
        return False
    return all(_last_word(town, one) for one in plays)


def _last_word(town: Town, one: Play) -> bool:
    notes = [note["content"] for note in town.pagerduty("GET", f"/incidents/{one.incident}/notes")["notes"]]
    return len(notes) >= 1 and all("Proof follows" not in note for note in notes)


def _effects(log: Iterable[Json], one: Play, what: str) -> list[Json]:
    """What took effect for this story, of one kind."""
    wanted: dict[str, tuple[str, Callable[[Json], bool]]] = {
        "note": ("POST", lambda row: row["path"] == f"/pagerduty/incidents/{one.incident}/notes"),
        "resolve": ("PUT", lambda row: row["path"] == f"/pagerduty/incidents/{one.incident}"),
        "service": (
            "PATCH",
            lambda row: (
                "fieldManager=ripcord" in row["query"] and _is(row, "PATCH", SERVICE.path.format(name=one.name))
            ),
        ),
        "act": ("PATCH", lambda row: _acts(row, one)),
    }
    method, fits = wanted[what]
    return [row for row in log if row["method"] == method and row["applied"] and fits(row)]


def _acts(row: Json, one: Play) -> bool:
    if one.story.kind in ("flag", "resolve"):
        return row["path"] == FLAG.path.format(name=one.name) and "ignoreConflicts" in row["query"]
    if one.story.kind == "undo":
        return _is(row, "PATCH", UNDOES.format(name=one.name)) and '"/spec/template"' in row["body"]
    return row["path"].endswith(f"/rollouts/{one.name}/status") and '"/status/abort"' in row["body"]


def _is(row: Json, method: str, pattern: str) -> bool:
    """Whether a request is the one at that path; `*` stands for any middle or end."""
    if row["method"] != method:
        return False
    begin, star, end = pattern.partition("*")
    path = str(row["path"])
    return path.startswith(begin) and path.endswith(end) and len(path) > len(begin) if star else path == pattern


# ---- the table ----


def cells(plays: Iterable[Play]) -> list[Cell]:
    """In the order of the table."""
    found = {(moment, story.name): Cell(moment, story.name) for moment, stories in TABLE for story in stories}
    for one in plays:
        cell = found[one.moment, one.story.name]
        cell.rounds += one.reached
        cell.lost += one.lost
        cell.twice += one.twice
        cell.unfinished += one.unfinished
    return list(found.values())


def broken(plays: Iterable[Play]) -> list[str]:
    """One line for each broken promise."""
    return [
        f"{one.moment} / {one.story.name} ({one.name}): lost {one.lost}, twice {one.twice}, unfinished {one.unfinished}; {one.said}"
        for one in plays
        if one.lost or one.twice or one.unfinished
    ]


def lines(counted: Sequence[Cell]) -> list[str]:
    """The table in words, its sums last."""
    total = Cell("all", "")
    for cell in counted:
        for name in ("rounds", "lost", "twice", "unfinished"):
            setattr(total, name, getattr(total, name) + getattr(cell, name))
    top = f"{'moment':<28}{'story':<22}{'rounds':>8}{'lost':>8}{'twice':>8}{'unfinished':>12}"
    rows = [
        f"{cell.moment:<28}{cell.story:<22}{cell.rounds:>8}{cell.lost:>8}{cell.twice:>8}{cell.unfinished:>12}"
        for cell in [*counted, total]
    ]
    return [top, *rows]


def unwritten(plays: Iterable[Play]) -> str:
    """How many of the deaths after an answer came before it was written down."""
    mine = [one for one in plays if one.moment == ANSWERED and one.reached]
    return (
        f"{len(mine)} deaths after an answer, {sum(not one.written for one in mine)} of them before it was written down"
    )

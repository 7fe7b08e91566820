"""Thousands of damaged messages on every route: the figure of the suite is a thousand, `--rounds 1000000` is the large one.

From a grammar (events and presses with any field of any shape), from real messages with bits flipped, bytes cut or doubled, and from
bytes of chance; signed and not. Judged: 0 × 5xx, none slower than a second, no traceback, and what was kept is read again the same.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.app import create_app
from server.store import deliveries
from server.triggers import TRIGGERS
from tests.conftest import ROUNDS
from tests.web.conftest import Door, close_door, open_door
from tests.web.signing import SECRET, body, event, signed
from tests.web.test_press import press

FEW = 1000
A_STRETCH = 10_000
"""So many inputs go to one installation: its disk is not what is tried here."""
ACTION_SECRET = "an-action-secret-of-the-tests"
V3, BUTTON = "/webhooks/pagerduty", "/webhooks/pagerduty/actions/abort-canary"
STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1e300,
    2**70,
    "",
    "\x00",
    "\ud800",
    "\u202e",
    "é" * 300,
    "{{7*7}}",
    "${jndi:ldap://x}",
    "%(x)s%n",
    "{0.__class__}",
    "!!python/object:os.system",
    "a\nb: c",
    "$(reboot)",
    ";reboot",
    "-rf",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    [],
    [[]],
    {},
    {"id": {}},
    [1, "x", None],
]
TIMES = [
    "2026-11-24T03:12:34.000Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59",
    "yesterday",
    "2026-13-01",
    "1e9",
]


def corpus() -> list[dict[str, Any]]:
    """Messages as PagerDuty sends them."""
    note = event("incident.annotated")
    note["event"]["data"] = {"id": "PN1", "type": "incident_note", "content": "é", "incident": {"id": "QINC1"}}
    note["event"]["agent"] = {"id": "P1", "type": "user_reference", "summary": "Ana"}
    flow = event("incident.workflow.started")
    flow["event"]["data"] = {"type": "incident_workflow_instance", "incident_workflow": {"id": "PWF0001"}}
    ping = event("pagey.ping")
    ping["event"]["data"] = {"message": "héllo", "type": "ping"}
    return [event(title="é {{7*7}}"), note, flow, ping, json.loads(press("M1")), {"messages": [{}, 7, None]}]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inside for place in places(one, (*path, key)))]


def changed(chance: random.Random, value: Any) -> Any:
    """The same message with one to three places of another shape, gone, doubled or renamed."""
    made = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 3)):
        *above, last = chance.choice(places(made)[1:] or [("x",)])
        inside = made
        for key in above:
            inside = inside[key]
        what = chance.random()
        if what < 0.2 and isinstance(inside, dict):
            inside.pop(last, None)
        elif what < 0.3 and isinstance(inside, list):
            inside.extend(inside * chance.randint(1, 3))
        else:
            inside[last] = chance.choice(TIMES) if "at" in str(last) else copy.deepcopy(chance.choice(STRANGE))
    return made


def damaged(chance: random.Random, raw: bytes) -> bytes:
    """Bits flipped, bytes cut, doubled or put in."""
    made = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0 if at < len(made):
                made[at] ^= 1 << chance.randrange(8)
            case 1:
                del made[at : at + chance.randint(1, 20)]
            case 2:
                made[at:at] = made[at : at + chance.randint(1, 40)]
            case _:
                made[at:at] = chance.choice(
                    [b"\x00", b"\xff", b"\xef\xbb\xbf", b"[" * 70, b'"', b"\\ud800", b"NaN", b"9" * 50]
                )
    return bytes(made)


def message(chance: random.Random) -> bytes:
    """One input."""
    one = chance.choice(corpus())
    match chance.randrange(4):
        case 0:
            return body(one)
        case 1:
            return json.dumps(changed(chance, one)).encode()
        case 2:
            return damaged(chance, body(one))
        case _:
            return chance.randbytes(chance.randint(0, 300))


def headers(chance: random.Random, raw: bytes) -> dict[str, str]:
    """Signed nine times out of ten, with strange ids."""
    if chance.random() < 0.1:
        odd = chance.choice(["", "v1=", "v1=é", ",,,", "v1=" + "0" * 64, "\x7f", "Basic !!!", "a" * 3000])
        return {"X-PagerDuty-Signature": odd, "X-Ripcord-Secret": odd, "Authorization": odd}
    made = {**signed(raw, SECRET), "X-Ripcord-Secret": ACTION_SECRET}
    if chance.random() < 0.1:
        made["X-Webhook-Id"] = chance.choice(["", "é", "x" * 500, " ", "'; DROP TABLE deliveries; --"])
    if chance.random() < 0.1:
        made["Content-Type"] = chance.choice(["", "multipart/form-data", "text/xml; charset=utf-7", "\u00e9"])
    return made


def others(door: Door) -> list[str]:
    """Every other route of the table, and some that are none."""
    rules = {str(rule) for rule in door.client.application.url_map.iter_rules()}
    known = sorted(rule for rule in rules if not rule.startswith("/webhooks/"))
    return [*known, "/%00", "/webhooks", "//x", "/audit?at=%ff"]


@contextmanager
def opened(folder: Path) -> Iterator[Door]:
    """A new installation whose door knows both kinds of secret; nothing of it is left."""
    folder.mkdir()
    door = open_door(folder)
    settings = replace(door.parts.settings, pagerduty_action_secrets=(ACTION_SECRET,))
    parts = replace(door.parts, settings=settings)
    try:
        yield replace(door, parts=parts, client=create_app(settings, parts).test_client())
    finally:
        close_door(door)
        shutil.rmtree(folder)


class Figures:
    """What came of all of them."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.routes = 0
        self.slowest = 0.0

    def play(self, door: Door, inputs: range) -> None:
        """These inputs, one after the other."""
        elsewhere = others(door)
        self.routes = len(elsewhere) + 2
        for n in inputs:
            chance = random.Random(n)
            raw = message(chance)
            route = chance.choice([V3, V3, V3, BUTTON, BUTTON, chance.choice(elsewhere)])
            method = (
                "POST" if route in (V3, BUTTON) else chance.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"])
            )
            began = time.monotonic()
            answer = door.client.open(_filled(chance, route), method=method, data=raw, headers=headers(chance, raw))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.codes[answer.status_code] += 1
            assert answer.status_code < 500 or (answer.status_code == 503 and route == "/readyz"), (n, route, raw)
            assert b"Traceback" not in answer.data, n
            if answer.status_code == 202:
                _read_again(door, answer.json["delivery"], n)


def test_no_damage_makes_an_error_of_ours_on_any_route(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    rounds = int(pytestconfig.getoption("--rounds"))
    count, figures = FEW if rounds == ROUNDS else rounds, Figures()
    for start in range(0, count, A_STRETCH):
        with opened(tmp_path / f"door-{start}") as door:
            figures.play(door, range(start, min(start + A_STRETCH, count)))
    said = ", ".join(f"{figures.codes[code]} x {code}" for code in sorted(figures.codes))
    slowest = f"{figures.slowest * 1000:.0f} ms"
    print(f"mutations: {count} inputs on {figures.routes} routes: {said}; slowest {slowest}")  # noqa: T201 - the figure
    assert figures.slowest < 1.0
    assert {202, 400, 403} <= set(figures.codes)


def _filled(chance: random.Random, route: str) -> str:
    """A route with something in its places."""
    while "<" in route:
        before, _, rest = route.partition("<")
        route = before + chance.choice(["x", "%2e%2e", "é", "0" * 200, "%00", "{{7*7}}"]) + rest.partition(">")[2]
    return route


def _read_again(door: Door, delivery: str, n: int) -> None:
    """What was kept: authentic, and read by the executing process as the door read it."""
    with door.parts.reading.connect() as connection:
        loaded = deliveries.load(connection, delivery)
    assert loaded is not None
    trigger = TRIGGERS[loaded.stored.delivery.trigger]
    secrets = {"pagerduty_v3": (SECRET,), "pagerduty_action": (ACTION_SECRET,)}[loaded.stored.delivery.trigger]
    auth = trigger.authentic(loaded.headers, loaded.raw, secrets)
    assert auth is not None, n
    told, _left = trigger.messages(loaded.headers, loaded.raw, auth)
    assert told[0] == loaded.stored.delivery, n

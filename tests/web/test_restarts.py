"""A sender that posts every tenth of a second through restarts of two replicas never meets a 4xx: those are thrown away for good."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.conftest import ROUNDS
from tests.support.processes import free_port
from tests.web.signing import body, event, signed
from tests.web.test_http import DOOR, serving

EVERY = 0.1


class Sender:
    """Posts new events to both replicas in turn, until it is told to stop."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.codes: Counter[str] = Counter()
        self.kept: set[str] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        n = 0
        while not self.over.wait(EVERY):
            n += 1
            self._post(self.ports[n % len(self.ports)])

    def _post(self, port: int) -> None:
        raw = body(event())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", DOOR, raw, signed(raw))
            answer = connection.getresponse()
            self.codes[str(answer.status)] += 1
            if answer.status == 202:
                self.kept.add(json.loads(answer.read())["delivery"])
        except (OSError, http.client.HTTPException):
            self.codes["nobody"] += 1
        finally:
            with suppress(OSError):
                connection.close()


def test_through_restarts_of_two_replicas_a_sender_meets_202_503_or_nobody_and_loses_nothing(
    migrated_sqlite_url: str, pytestconfig: pytest.Config
) -> None:
    rounds = int(pytestconfig.getoption("--rounds"))
    restarts = 2 if rounds == ROUNDS else rounds
    database, ports = Path(migrated_sqlite_url.removeprefix("sqlite:///")), [free_port(), free_port()]
    sender = Sender(ports)
    with ExitStack() as end:
        replicas = [end.enter_context(serving(database, port)) for port in ports]
        sender.thread.start()
        for n in range(restarts):
            replicas[n % 2].process.stop()
            replicas[n % 2] = end.enter_context(serving(database, ports[n % 2]))
        sender.over.set()
        sender.thread.join(15)
        stored = {one for one, _key in replicas[0].rows()}
    print(f"restarts: {restarts}, answers {dict(sender.codes)}, {len(sender.kept)} kept")  # noqa: T201 - the figure
    assert set(sender.codes) <= {"202", "503", "nobody"}
    assert sender.kept <= stored
    assert sender.kept

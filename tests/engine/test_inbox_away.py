"""The database goes away under traffic: refused, reset, or silent. Senders are told within two seconds, and nothing is lost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa

from server import db
from server.store.inbox import Busy, Inbox
from server.store.tables import deliveries as table
from tests.engine.messages import engines, message, put


class Wire:
    """A TCP way to PostgreSQL that can be cut or made silent."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.mode = "open"
        self.pairs: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _address = self.listener.accept()
                if self.mode == "cut":
                    near.close()
                    continue
                far = socket.create_connection(self.target)
                self.pairs += [near, far]
                for one, other in ((near, far), (far, near)):
                    pump = threading.Thread(target=self._pump, args=(one, other), daemon=True)
                    pump.start()
                    self.threads.append(pump)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                while self.mode == "silent":
                    time.sleep(0.02)
                other.sendall(data)

    def cut(self) -> None:
        """As a database that was stopped."""
        self.mode = "cut"
        for one in self.pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends everything."""
        self.cut()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.threads:
            one.join(2)
        for one in self.pairs:
            one.close()


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[Wire]:
    """The way to a database that has its tables."""
    for engine in engines(postgresql_url):
        engine.dispose()
    url = sa.make_url(postgresql_url)
    made = Wire(url.host or "127.0.0.1", url.port or 5432)
    yield made
    made.close()


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_database_that_goes_away_is_said_within_two_seconds_and_what_was_accepted_is_there(
    wire: Wire, postgresql_url: str, how: str
) -> None:
    through = sa.make_url(postgresql_url).set(host="127.0.0.1", port=wire.port)
    engine = db.writing(through.render_as_string(hide_password=False), patience=1.5)
    inbox, accepted, waits = Inbox(engine), [], []

    def post() -> bool:
        began = time.monotonic()
        try:
            accepted.append(put(inbox, message()).id)
        except Busy:
            return False
        finally:
            waits.append(time.monotonic() - began)
        return True

    assert post()
    wire.cut() if how == "cut" else setattr(wire, "mode", "silent")
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        assert not post()
    wire.mode = "open"
    back = time.monotonic()
    while not post():
        assert time.monotonic() - back < 10
        time.sleep(0.05)
    assert max(waits) < 2.0
    inbox.stop()
    engine.dispose()
    direct = db.reading(postgresql_url)
    with direct.connect() as connection:
        assert set(accepted) <= set(connection.execute(sa.select(table.c.id)).scalars())
    direct.dispose()

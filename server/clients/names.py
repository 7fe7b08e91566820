"""Names looked up within a time: the system's own lookup knows none, so a thread that may be left behind does it.

One lookup at a time for each name, so a resolver that hangs costs one thread, however often it is asked. An answer that comes too
late for whoever asked is kept for the next one: where the first of two resolvers is dead, every lookup takes its five seconds.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from urllib3.util.connection import allowed_gai_family

KEPT_SECONDS = 30.0
Address = tuple[socket.AddressFamily, socket.SocketKind, int, Any]
"""What a socket is made and connected with."""


class _Lookup:
    """One lookup under way, or over."""

    def __init__(self, host: str, port: int) -> None:
        self.over = threading.Event()
        self.found: list[Address] = []
        self.error: OSError | None = None
        self.ended = 0.0
        threading.Thread(target=self._run, args=(host, port), name="name lookup", daemon=True).start()

    def _run(self, host: str, port: int) -> None:
        try:
            listed = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
            self.found = [(family, kind, protocol, address) for family, kind, protocol, _name, address in listed]
        except OSError as error:
            self.error = error
        except UnicodeError:
            self.error = socket.gaierror(socket.EAI_NONAME, "it is no name")
        finally:
            self.ended = time.monotonic()
            self.over.set()

    def stale(self) -> bool:
        """An old answer that nobody waited for; an old failure is worth nothing at all."""
        return self.over.is_set() and (not self.found or time.monotonic() - self.ended > KEPT_SECONDS)


_under_way: dict[tuple[str, int], _Lookup] = {}
_lock = threading.Lock()


def addresses(host: str, port: int, within: float) -> list[Address]:
    """Where that name leads, as the system says. Raises gaierror, also when nobody answers `within` so many seconds."""
    asked = (host, port)
    with _lock:
        lookup = _under_way.get(asked)
        if lookup is None or lookup.stale():
            lookup = _under_way[asked] = _Lookup(host, port)
    if not lookup.over.wait(within):
        raise socket.gaierror(socket.EAI_AGAIN, "no resolver answered in time")
    with _lock:
        if _under_way.get(asked) is lookup:
            del _under_way[asked]
    if lookup.error is not None:
        raise lookup.error
    return lookup.found

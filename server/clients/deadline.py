"""A total deadline for one outside call: name, connection, handshake, request and answer together.

A library's time-outs count from address to address and from byte to byte, so a server that drips would never run into them; and a
lookup has none. When the deadline passes, the call's own socket is cut, wherever the call has got to.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from types import TracebackType
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from server.clients.names import Address, addresses

_here = threading.local()


class Deadline:
    """`with Deadline(5) as deadline:` one call of this thread; afterwards `passed` says whether it was cut."""

    def __init__(self, seconds: float) -> None:
        self.passed = self._over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _here.deadline = self
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        _here.deadline = None
        with self._lock:
            self._over = True

    def left(self) -> float:
        """Seconds that remain; 0 when it has passed."""
        return max(self._ends - time.monotonic(), 0.0)

    def watch(self, connected: socket.socket | None) -> None:
        """The socket that this call goes through."""
        with self._lock:
            self._socket = connected
            if self.passed:
                self._cut()

    def _pass(self) -> None:
        with self._lock:
            if not self._over:
                self.passed = True
                self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own shutdown, which takes the TLS state away under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _deadline() -> Deadline | None:
    found: Deadline | None = getattr(_here, "deadline", None)
    return found


def _watch(connected: Any) -> None:
    if (deadline := _deadline()) is not None:
        deadline.watch(connected)


def _connected(connection: HTTPConnection, deadline: Deadline) -> socket.socket:
    """A socket to the connection's host. Raises what urllib3 itself would raise."""
    try:
        found = addresses(connection._dns_host.strip("[]"), connection.port, deadline.left())
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    try:
        made = _first(found, connection, deadline)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, f"Connection to {connection.host} timed out") from error
    except OSError as error:
        raise NewConnectionError(connection, f"Failed to establish a new connection: {error}") from error
    sys.audit("http.client.connect", connection, connection.host, connection.port)
    deadline.watch(made)
    return made


def _first(found: list[Address], connection: HTTPConnection, deadline: Deadline) -> socket.socket:
    """To the first address that takes us. Each has the connection's own time-out, all together the deadline."""
    last: OSError = OSError("the name leads nowhere")
    each = connection.timeout if isinstance(connection.timeout, int | float) else deadline.left()
    for family, kind, protocol, address in found:
        if (left := deadline.left()) == 0:
            raise TimeoutError
        made = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                made.setsockopt(*option)
            made.settimeout(min(each, left))
            made.connect(address)
            # For the handshake, which counts as a whole.
            made.settimeout(max(min(each, deadline.left()), 0.001))
            return made
        except OSError as error:
            made.close()
            last = error
    raise last


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        deadline = _deadline()
        return super()._new_conn() if deadline is None else _connected(self, deadline)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Sends; a connection that was kept is watched from here on."""
        _watch(self.sock)
        super().request(*args, **kwargs)


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        deadline = _deadline()
        return super()._new_conn() if deadline is None else _connected(self, deadline)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """As above."""
        _watch(self.sock)
        super().request(*args, **kwargs)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


POOLS = {"http": _PlainPool, "https": _SecurePool}
"""For a PoolManager's pool_classes_by_scheme: its connections then obey the deadline of the thread that uses them."""

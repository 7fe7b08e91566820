"""A total deadline for one outside call: when it passes, the call's own socket is cut, wherever the answer is being read.

A library's time-outs count from byte to byte, so a server that drips would never run into them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_here = threading.local()


class Deadline:
    """`with Deadline(5) as deadline:` one call of this thread; afterwards `passed` says whether it was cut."""

    def __init__(self, seconds: float) -> None:
        self.passed = self._over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
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


def _watch(connected: Any) -> None:
    deadline: Deadline | None = getattr(_here, "deadline", None)
    if deadline is not None:
        deadline.watch(connected)


class _Plain(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        """Sends; the socket stands from here on (a kept one did before)."""
        _watch(self.sock)
        super().request(*args, **kwargs)
        _watch(self.sock)


class _Secure(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        """As above."""
        _watch(self.sock)
        super().request(*args, **kwargs)
        _watch(self.sock)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


POOLS = {"http": _PlainPool, "https": _SecurePool}
"""For a PoolManager's pool_classes_by_scheme: its connections then obey the deadline of the thread that uses them."""

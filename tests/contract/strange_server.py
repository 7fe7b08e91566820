"""Servers that no vendor is: they drip, or answer with bytes of the test's choice; each counts the requests it got."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Strange:
    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def answering(head: bytes, drip: bytes = b"", every: float = 0.5) -> Iterator[Strange]:
    """Sends `head` at once, then `drip` byte by byte, for ever where it is repeated by the caller."""
    listener = socket.create_server(("127.0.0.1", 0))
    one = Strange(listener.getsockname()[1])
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            one.requests.append(connection.recv(65536))
            connection.sendall(head)
            for byte in drip:
                if over.wait(every):
                    return
                connection.sendall(bytes([byte]))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield one
    finally:
        over.set()
        listener.close()


def http(status: str, body: bytes = b"{}", *headers: str, kind: str = "application/json") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body

"""A closed loop over kept-alive connections in a process of its own: one thread, one selector, bytes made beforehand.

`python -m bench.load PORT CONNECTIONS FILE`: FILE holds the requests (pickle), the answer is one JSON line: for each request its
status, when it was sent (seconds since 1970) and how long its answer took.
"""

from __future__ import annotations

import json
import pickle
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """One answered request."""

    status: int
    sent_at: float
    seconds: float


@dataclass
class _Line:
    sock: socket.socket
    number: int = -1
    sent_at: float = 0.0
    began: float = 0.0
    heard: bytearray = field(default_factory=bytearray)


def blast(port: int, connections: int, requests: Sequence[bytes]) -> tuple[list[Answer], float]:
    """Sends all requests, as fast as the other side answers; the answers, and the seconds from first to last."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps(list(requests)))
        file.flush()
        argv = [sys.executable, "-m", "bench.load", str(port), str(connections), file.name]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return [Answer(*one) for one in told["answers"]], told["seconds"]


def run(port: int, connections: int, requests: Sequence[bytes]) -> tuple[dict[int, Answer], float]:
    """The loop."""
    answers: dict[int, Answer] = {}
    waiting = iter(enumerate(requests))
    selector = selectors.DefaultSelector()
    for _ in range(min(connections, len(requests))):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, _Line(sock))
    began = time.perf_counter()
    for key in list(selector.get_map().values()):
        _send(key.data, next(waiting, None))
    while len(answers) < len(requests):
        for key, _events in selector.select(30):
            line: _Line = key.data
            line.heard += line.sock.recv(65536)
            if (status := _complete(line.heard)) is not None:
                answers[line.number] = Answer(status, line.sent_at, time.perf_counter() - line.began)
                _send(line, next(waiting, None))
    return answers, time.perf_counter() - began


def _send(line: _Line, request: tuple[int, bytes] | None) -> None:
    if request is None:
        return
    line.number, raw = request
    line.heard.clear()
    line.sent_at, line.began = time.time(), time.perf_counter()
    line.sock.sendall(raw)


def _complete(heard: bytearray) -> int | None:
    head, found, rest = bytes(heard).partition(b"\r\n\r\n")
    if not found:
        return None
    length = next(int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length"))
    return int(head.split(b" ", 2)[1]) if len(rest) >= length else None


if __name__ == "__main__":
    with open(sys.argv[3], "rb") as given:
        messages = pickle.loads(given.read())  # noqa: S301 - written by `blast`, a moment ago
    found, seconds = run(int(sys.argv[1]), int(sys.argv[2]), messages)
    ordered = [found[n] for n in range(len(messages))]
    print(json.dumps({"seconds": seconds, "answers": [[a.status, a.sent_at, a.seconds] for a in ordered]}))

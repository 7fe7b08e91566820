"""Five seconds for each call, whatever takes them: the name, the connection, the handshake. All three clients, over real sockets.

A resolver that hangs cannot be staged without root, so here the system's own lookup is a function that does not return.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.kubernetes import kubeconfig
from server.clients.kubernetes import KubernetesApi
from server.clients.launchdarkly import LaunchDarklyApi
from server.clients.pagerduty import PagerDutyApi
from server.errors import RipcordError, Transient, Unknown
from tests.contract.strange_server import answering, http

NAME = "hangs.example.com"
LOOKUP = socket.getaddrinfo
Found = list[tuple[Any, ...]]


class Writers:
    """One write of each of our three clients to a server of some URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def calls(self, url: str) -> dict[str, Callable[[], object]]:
        config = self.folder / "kubeconfig"
        config.write_text(kubeconfig(url).replace("/kubernetes", ""), encoding="utf-8")
        kubernetes = KubernetesApi(str(config))
        pagerduty = PagerDutyApi(url, "key", "", lambda: datetime.now(UTC))
        launchdarkly = LaunchDarklyApi(url, "token")
        return {
            "kubernetes": lambda: kubernetes.patch("default", "/api/v1/x", [], "application/json-patch+json"),
            "pagerduty": lambda: pagerduty.add_note("Q1", "hello"),
            "launchdarkly": lambda: launchdarkly.patch("/api/v2/flags/default/x", [], "application/json"),
        }

    def at_once(self, url: str) -> list[tuple[str, RipcordError, float]]:
        """What each raises, and how long it took to; all at the same time."""
        with ThreadPoolExecutor() as pool:
            waiting = {name: pool.submit(failed, call) for name, call in self.calls(url).items()}
            return [(name, *one.result()) for name, one in waiting.items()]


@pytest.fixture
def writers(tmp_path: Path) -> Writers:
    return Writers(tmp_path)


class Resolver:
    """In the place of the system's lookup: NAME leads to `found`, once it is let go; every other name as always."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), 0
        self.found: Found = []

    def __call__(self, host: Any, *more: Any, **named: Any) -> Found:
        if host != NAME:
            return LOOKUP(host, *more, **named)
        self.asked += 1
        self.go.wait()
        return self.found


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    one = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", one)
    yield one
    one.go.set()


def failed(call: Callable[[], object]) -> tuple[RipcordError, float]:
    """What the call raises, and how long it took to."""
    began = time.monotonic()
    with pytest.raises(RipcordError) as caught:
        call()
    return caught.value, time.monotonic() - began


def leads_to(port: int, times: int = 1) -> Found:
    return LOOKUP("127.0.0.1", port, socket.AF_INET, socket.SOCK_STREAM) * times


def test_a_lookup_that_hangs_is_given_up_after_five_seconds_and_nothing_was_sent(
    writers: Writers, resolver: Resolver
) -> None:
    for name, error, took in writers.at_once(f"http://{NAME}:8080"):
        assert type(error) is Transient, name
        assert 4.5 < took < 6.5, name


def test_a_resolver_that_hangs_costs_one_thread_and_its_late_answer_serves_the_next_call(
    writers: Writers, resolver: Resolver
) -> None:
    with answering(http("201 Created", b'{"note": {"id": "N1"}}')) as server:
        url = f"http://{NAME}:{server.port}"
        assert len(writers.at_once(url)) == 3
        assert (resolver.asked, server.requests) == (1, [])
        resolver.found = leads_to(server.port)
        resolver.go.set()
        assert writers.calls(url)["pagerduty"]() == "N1"
        assert (resolver.asked, len(server.requests)) == (1, 1)


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port
        for one in waiting:
            one.close()


def test_a_name_with_many_dead_addresses_is_given_up_after_five_seconds_in_all(
    writers: Writers, resolver: Resolver
) -> None:
    """Each address has two seconds of its own."""
    resolver.go.set()
    with deaf() as port:
        resolver.found = leads_to(port, times=6)
        for name, error, took in writers.at_once(f"http://{NAME}:{port}"):
            assert type(error) is Transient, name
            assert 4.5 < took < 6.5, name


def test_where_the_first_address_is_dead_the_second_answers(writers: Writers, resolver: Resolver) -> None:
    resolver.go.set()
    with deaf() as dead, answering(http("201 Created", b'{"note": {"id": "N1"}}')) as server:
        resolver.found = [*leads_to(dead), *leads_to(server.port)]
        assert writers.calls(f"http://{NAME}:{server.port}")["pagerduty"]() == "N1"
        assert len(server.requests) == 1


def test_a_handshake_that_drips_ends_in_time(writers: Writers) -> None:
    """The head of a long TLS record at once, its body byte by byte."""
    with answering(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x03" * 60) as server:
        for name, error, took in writers.at_once(server.url.replace("http://", "https://")):
            assert type(error) in (Transient, Unknown), name
            assert took < 6.5, name


def test_what_is_no_name_at_all_was_certainly_not_asked(writers: Writers) -> None:
    for name, error, took in writers.at_once(f"http://{'x' * 64}.example.com"):
        assert (type(error), took < 2) == (Transient, True), name

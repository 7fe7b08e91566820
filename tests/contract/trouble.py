"""Verbs of trouble that both worlds offer: a line that breaks, an API server that is killed, that is away, that starts."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from sandbox.http import Server
from tests.cluster.api import MERGE, Answer, Api, Object
from tests.cluster.start import PRODUCT
from tests.contract.relay import Relay, What
from tests.contract.worlds import ClusterWorld, SandboxWorld, World
from tests.support.waiting import eventually

REFUSED = "refused"


def token(world: World, user: str = PRODUCT) -> str:
    """How a user other than the admin is told by the API server."""
    return world.plane.tokens[user] if isinstance(world, ClusterWorld) else user


@contextmanager
def only_the_shipped_role(world: World, seen: str) -> Iterator[None]:
    """The product's user has the rights of deploy/kubernetes/ and no others; `seen` is what it may read."""
    if isinstance(world, ClusterWorld):
        # Granted in each namespace as it comes.
        eventually(lambda: world.call("GET", seen, token=token(world)).code == 200, what="the Role is granted")
        yield
        return
    assert isinstance(world, SandboxWorld)
    # There a user may do everything but what is denied: of what the scenarios ask, the Role lacks this.
    world.control(deny=[{"user": PRODUCT, "verb": "patch", "group": "argoproj.io", "resource": "rollouts"}])
    try:
        yield
    finally:
        world.control(deny=None)


# ---- a line that breaks ----


def over_a_breaking_line(world: World, method: str, path: str, body: object, kind: str, lost: What) -> Answer:
    """Sends it; the request or its answer is lost on the way, and the connection with it. Raises what the caller would see."""
    if isinstance(world, ClusterWorld):
        with tempfile.TemporaryDirectory() as folder:
            return _over_the_relay(world, Path(folder), method, path, body, kind, lost)
    assert isinstance(world, SandboxWorld)
    do = "reset_before" if lost == "request" else "reset_after_apply"
    world.sandbox.world.faults.append([{"match": {"method": method}, "do": do, "times": 1}])
    return world.call(method, path, body, kind)


def _over_the_relay(
    world: ClusterWorld, folder: Path, method: str, path: str, body: object, kind: str, lost: What
) -> Answer:
    relay = Relay(world.plane, folder)
    api = Api(relay.url, world.plane.tokens[world.user], str(world.plane.certificate))
    try:
        with relay.hold(path, lost, method) as held:

            def lose() -> None:
                held.arrives()
                held.lose()

            threading.Thread(target=lose, daemon=True).start()
            return api.call(method, path, body, kind)
    finally:
        api.close()
        relay.close()


@contextmanager
def slow_line(world: World, path: str) -> Iterator[Callable[[object, float], Answer]]:
    """Over it a merge patch (and how long its answer is waited for) stands still in this block, and arrives after it all the same.

    As with a balancer in between: it goes on with what its client has given up.
    """
    if isinstance(world, ClusterWorld):
        with tempfile.TemporaryDirectory() as folder:
            relay = Relay(world.plane, Path(folder))
            api = Api(relay.url, world.plane.tokens[world.user], str(world.plane.certificate))
            try:
                with relay.hold(path) as held:
                    yield lambda body, seconds: api.call("PATCH", path, body, MERGE, timeout=seconds)
                held.over()
            finally:
                api.close()
                relay.close()
        return
    with world.stalled():
        yield lambda body, seconds: world.call("PATCH", path, body, MERGE, timeout=seconds)


# ---- an API server that is killed, and that starts ----


@contextmanager
def apiserver_away(world: World) -> Iterator[None]:
    """Killed for the length of the block; ready again after it."""
    stop_apiserver(world)
    try:
        yield
    finally:
        start_apiserver(world)
        ready(world)


def stop_apiserver(world: World) -> None:
    """Its connections break, and nobody listens at its port."""
    if isinstance(world, ClusterWorld):
        world.plane.stop_apiserver()
        return
    assert isinstance(world, SandboxWorld)
    _control(world, apiserver="down")
    server = world.sandbox.server
    server.shutdown()
    server.close_connections()
    server.server_close()


@contextmanager
def apiserver_told_to_stop(world: World) -> Iterator[None]:
    """SIGTERM at the beginning of the block: nobody new is let in, what is open stays open. Killed and ready again after it."""
    if isinstance(world, ClusterWorld):
        world.plane.send("kube-apiserver", signal.SIGTERM)
    else:
        assert isinstance(world, SandboxWorld)
        _control(world, apiserver="stopping")
        world.sandbox.server.shutdown()
        world.sandbox.server.server_close()
    try:
        yield
    finally:
        stop_apiserver(world)
        start_apiserver(world)
        ready(world)


def start_apiserver(world: World) -> None:
    """Started; nothing is waited for."""
    if isinstance(world, ClusterWorld):
        world.plane.start_apiserver(wait=False)
        return
    assert isinstance(world, SandboxWorld)
    _control(world, apiserver="up")
    world.sandbox.server = Server(world.sandbox.world, world.sandbox.server.server_address[1])
    threading.Thread(target=world.sandbox.server.serve_forever, args=(0.05,), daemon=True).start()


def ready(world: World, path: str = "/apis/argoproj.io/v1alpha1/rollouts") -> None:
    """It says so itself, and lists custom resources."""

    def look() -> bool:
        try:
            return world.get("/readyz").code == 200 and world.get(path).code == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    eventually(look, within=90, every=0.05, what="the API server is ready")


def killed_while_it_waits(world: World, path: str, body: object, kind: str) -> None:
    """A PATCH lies with the API server when that is killed. Raises what its sender sees; the server is away afterwards."""
    line = line_to(world)
    try:
        line.request("GET", path, headers=headers_of(world.user, world))
        line.getresponse().read()
        with _frozen(world):
            line.request("PATCH", path, json.dumps(body), {**headers_of(world.user, world), "Content-Type": kind})
            _wait_for_it(world)
            stop_apiserver(world)
        line.getresponse()
    finally:
        line.close()


@contextmanager
def _frozen(world: World) -> Iterator[None]:
    """It reads nothing more. (What was sent over a connection that stands has arrived when `send` returns.)"""
    if isinstance(world, ClusterWorld):
        world.plane.send("kube-apiserver", signal.SIGSTOP)
        try:
            yield
        except BaseException:
            world.plane.send("kube-apiserver", signal.SIGCONT)
            raise
        return
    assert isinstance(world, SandboxWorld)
    world.sandbox.world.faults.append([{"match": {"method": "PATCH"}, "do": "hold_before", "seconds": 60, "times": 1}])
    try:
        yield
    finally:
        world.sandbox.world.faults.release()


def _wait_for_it(world: World) -> None:
    if isinstance(world, SandboxWorld):
        eventually(lambda: world.sandbox.world.faults.state()["held"], what="the request is held")


# ---- what is answered while it starts ----


@dataclass(frozen=True)
class Ask:
    """One request, made again and again: by whom, what for."""

    method: str
    path: str
    user: str
    body: Object | None = None
    kind: str = MERGE


@dataclass
class Heard:
    """What one of them was answered, one after the other, the same in a row but once."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def codes(self) -> list[int | str]:
        """Codes; REFUSED where nobody listened."""
        codes = [one.code or REFUSED for one in self.answers]
        return [code for at, code in enumerate(codes) if at == 0 or codes[at - 1] != code]

    def of(self, code: int) -> list[Answer]:
        return [one for one in self.answers if one.code == code]


def answers_of_a_start(
    world: World, asks: Mapping[str, Ask], over: Callable[[Mapping[str, Heard]], bool]
) -> Mapping[str, Heard]:
    """The API server is killed and started again, and each is asked without a pause until `over` holds of all that was heard."""
    heard = {name: Heard() for name in asks}
    done = threading.Event()

    def ask_on(name: str) -> None:
        while not done.is_set():
            answer = _ask(world, asks[name])
            last = heard[name].answers[-1] if heard[name].answers else None
            if last is None or (answer.code, answer.text) != (last.code, last.text):
                heard[name].answers.append(answer)
            time.sleep(0.03 / world.pace)

    stop_apiserver(world)
    threads = [threading.Thread(target=ask_on, args=(name,), daemon=True) for name in asks]
    try:
        for thread in threads:
            thread.start()
        eventually(lambda: all(one.answers for one in heard.values()), what="all have asked once")
        start_apiserver(world)
        eventually(lambda: over(heard), within=90, what="all are answered as always")
    finally:
        done.set()
        for thread in threads:
            thread.join(20)
        ready(world)
    return heard


def _ask(world: World, ask: Ask) -> Answer:
    """On a connection of its own; code 0 where there is none."""
    line = line_to(world)
    raw = None if ask.body is None else json.dumps(ask.body)
    try:
        line.request(ask.method, ask.path, raw, {**headers_of(ask.user, world), "Content-Type": ask.kind})
        answer = line.getresponse()
        text = "" if answer.status < 300 else answer.read().decode()
        return Answer(answer.status, dict(answer.getheaders()), text)
    except OSError:
        return Answer(0, {}, "")
    finally:
        line.close()


# ---- small things ----


class _Below(http.client.HTTPConnection):
    """The sandbox's API server lies below a prefix."""

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:
        super().putrequest(method, f"/kubernetes{url}", skip_host, skip_accept_encoding)


def line_to(world: World) -> http.client.HTTPConnection:
    """A connection of its own, not yet opened."""
    if isinstance(world, ClusterWorld):
        trusted = ssl.create_default_context(cafile=str(world.plane.certificate))
        return http.client.HTTPSConnection("127.0.0.1", urlsplit(world.plane.url).port, timeout=15, context=trusted)
    assert isinstance(world, SandboxWorld)
    return _Below("127.0.0.1", world.sandbox.server.server_address[1], timeout=15)


def headers_of(user: str, world: World) -> dict[str, str]:
    """Who asks."""
    return {"Authorization": f"Bearer {token(world, user)}"}


def _control(world: SandboxWorld, **settings: str) -> None:
    """Not through its port, which may be closed."""
    with world.sandbox.world.lock:
        world.sandbox.world.kubernetes.control(dict(settings))


def killed(world: World) -> None:
    """The controller, as a node that fails kills it."""
    world.controller_down()


def told_to_stop(world: World) -> None:
    """The controller gets SIGTERM, as each rolling update of it sends one."""
    if isinstance(world, ClusterWorld):
        world.plane.stop_controller(how=signal.SIGTERM)
    else:
        world.controller_down()

"""`ripcord demo`: incidents played from alert to note, on a sandbox of its own. It never touches the world."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.demo_button import press
from sandbox.demo_doors import Doors
from sandbox.demo_faults import FAULTS
from sandbox.demo_incidents import BLUE_GREEN, CANARY, FLAG, Incident
from sandbox.demo_release import IMAGE, Application, NotReleased, release
from sandbox.demo_server import CannotPlay, Server, ignored, must_be_free, place, start_anew
from sandbox.demo_story import Story
from sandbox.exports import settings, write_kubeconfig
from sandbox.start import Sandbox, start

LONGEST = 120.0


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    # SIGINT too: a shell starts what it runs in the background with SIGINT ignored.
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _interrupt)
    try:
        return play(given.once, given.fault)
    except (CannotPlay, NotReleased) as sentence:
        print(f"ripcord demo: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130 if given.once else 0


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, FAULTS))
    named = "\n".join(f"  {name:<{width}}  {fault.says}" for name, fault in sorted(FAULTS.items()))
    parser = argparse.ArgumentParser(
        prog="ripcord demo",
        description="Three incidents, one for each shipped runbook, and one press of a button, on this machine alone.",
        epilog=f"faults, each played on one incident (exit 0 only where it is proven all the same):\n{named}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="end after the story; exit 0 only if all of it is proven")
    parser.add_argument("--fault", choices=sorted(FAULTS), metavar="NAME", help="what goes wrong, see below")
    return parser


def play(once: bool, fault: str | None) -> int:
    where = place(os.environ)
    must_be_free(where)
    for name in ignored(os.environ):
        say(f"{name} is set: ignored in the demo")
    start_anew(where)
    incidents = (CANARY, BLUE_GREEN, FLAG) if fault is None else (FAULTS[fault].incident,)
    with _world(f"{where.base_url}/webhooks/pagerduty") as (sandbox, doors, upstreams):
        say(f"The vendors' world stands on {sandbox.base_url}; starting Ripcord on {where.base_url} ...")
        server = Server(where, upstreams)
        try:
            with _released(doors, incidents):
                server.wait_until_ready()
                return _play(Story(doors, say, 4 if fault is None else 1), server, incidents, once, fault)
        finally:
            server.end()


@contextmanager
def _world(webhook_url: str) -> Iterator[tuple[Sandbox, Doors, dict[str, str]]]:
    """The sandbox, its doors, and what a server must be told of it."""
    sandbox = start(webhook_url=webhook_url)
    kubeconfig = write_kubeconfig(sandbox)
    upstreams = {f"RIPCORD_{name}": text for name, text in settings(sandbox, kubeconfig).items()}
    # As ids and pod hashes do: a database that the caller named may know the flag from an earlier demo, and cool down.
    for environment in sandbox.world.launchdarkly.account.flags["default", FLAG.target].environments.values():
        environment.version = random.randrange(100, 100_000)
    try:
        yield sandbox, Doors(sandbox.base_url, upstreams["RIPCORD_LAUNCHDARKLY_TOKEN"]), upstreams
    finally:
        sandbox.end()
        kubeconfig.unlink(missing_ok=True)


@contextmanager
def _released(doors: Doors, incidents: tuple[Incident, ...]) -> Iterator[None]:
    """While the server starts: a bad version of api-backend goes live. The canary and the flag hurt already."""
    if BLUE_GREEN not in incidents:
        yield
        return
    application = Application()
    try:
        new = release(doors, application.url)
        say(f"People release {IMAGE} ({new}): smoke test passed, promoted, everybody has it")
        yield
    finally:
        application.end()


def _play(story: Story, server: Server, incidents: tuple[Incident, ...], once: bool, fault: str | None) -> int:
    over = threading.Event()
    if fault is not None:
        chosen = FAULTS[fault]
        say(f"Fault: {fault}: {chosen.says}")
        chosen.start(story.doors, over, lambda words: story.tell(chosen.incident, words))
    story.open(*incidents)
    finished = story.follow(LONGEST, lambda: server.ended, press(story) if fault is None else None)
    if not finished:
        why = "the server ended" if server.ended else f"not every note was final within {LONGEST:g} s"
        say(f"NOT PROVEN: {why}; the server's log is {server.log}")
    _tell_the_end(story, server)
    proven = finished and story.proven
    if once:
        over.set()
        return 0 if proven else 1
    say("\nRipcord stays up for you to look around. Ctrl-C ends the demo.")
    while not server.ended:
        time.sleep(0.2)
    raise CannotPlay(f"the server ended, its log is {server.log}")


def _tell_the_end(story: Story, server: Server) -> None:
    for part in story.parts.values():
        say(f"\nThe note in the incident about {part.incident.summary.partition(':')[0]}:\n")
        say("\n".join(f"    {line}" for line in (part.note or "(none)").splitlines()))
    say("")
    for part in story.parts.values():
        if part.run_url:
            say(f"Run page:  {part.run_url}")
    proven = [part.incident.label for part in story.parts.values() if part.proven]
    say(f"Proven:    {len(proven)} of {story.wanted}{': ' if proven else ''}{', '.join(proven)}")
    if server.link:
        say(f"Sign in:   {server.link}  (good once, for 15 minutes)")


def say(words: str) -> None:
    print(words, flush=True)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt

"""`ripcord demo`: an incident played from alert to note, on a sandbox of its own. It never touches the world."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping

from sandbox.demo_server import CannotPlay, Server, ignored, must_be_free, place, start_anew
from sandbox.demo_story import Doors, Story
from sandbox.exports import settings, write_kubeconfig
from sandbox.start import start

# Name of a fault -> what is ordered before the alert: the vendor, and its control.
FAULTS: Mapping[str, tuple[str, dict[str, object]]] = {"controller-down": ("kubernetes", {"controller": "down"})}
LONGEST = 120.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="ripcord demo", description="The whole story on one machine.")
    parser.add_argument("--once", action="store_true", help="end after the story; exit 0 only if it is proven")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="what goes wrong before the alert")
    given = parser.parse_args(arguments)
    # SIGINT too: a shell starts what it runs in the background with SIGINT ignored.
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _interrupt)
    try:
        return play(given.once, given.fault)
    except CannotPlay as sentence:
        print(f"ripcord demo: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130 if given.once else 0


def play(once: bool, fault: str | None) -> int:
    where = place(os.environ)
    must_be_free(where)
    for name in ignored(os.environ):
        say(f"{name} is set: ignored in the demo")
    start_anew(where)
    sandbox = start(webhook_url=f"{where.base_url}/webhooks/pagerduty")
    kubeconfig = write_kubeconfig(sandbox)
    say(f"The vendors' world stands on {sandbox.base_url}; starting Ripcord on {where.base_url} ...")
    upstreams = {f"RIPCORD_{name}": text for name, text in settings(sandbox, kubeconfig).items()}
    server = Server(where, upstreams)
    try:
        server.wait_until_ready()
        return _play(Story(Doors(sandbox.base_url), say), server, once, fault)
    finally:
        server.end()
        sandbox.end()
        kubeconfig.unlink(missing_ok=True)


def _play(story: Story, server: Server, once: bool, fault: str | None) -> int:
    if fault is not None:
        vendor, order = FAULTS[fault]
        story.doors.post(f"/_sandbox/{vendor}", order)
        say(f"Fault: {fault}")
    story.begin()
    if not story.follow(LONGEST, lambda: server.ended):
        why = "the server ended" if server.ended else f"no final note within {LONGEST:g} s"
        say(f"NOT PROVEN: {why}; the server's log is {server.log}")
    _tell_the_end(story, server)
    if once:
        return 0 if story.proven else 1
    say("\nRipcord stays up for you to look around. Ctrl-C ends the demo.")
    while not server.ended:
        time.sleep(0.2)
    raise CannotPlay(f"the server ended, its log is {server.log}")


def _tell_the_end(story: Story, server: Server) -> None:
    if story.note:
        say("\nThe note in the incident:\n")
        say("\n".join(f"    {line}" for line in story.note.splitlines()))
    say("")
    if story.run_url:
        say(f"Run page:  {story.run_url}")
    if server.link:
        say(f"Sign in:   {server.link}  (good once, for 15 minutes)")


def say(words: str) -> None:
    print(words, flush=True)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt

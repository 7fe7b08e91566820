"""`python -m sandbox`: hold the scene until somebody ends it; `python -m sandbox demo` plays the story on one."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from sandbox import demo
from sandbox.exports import export_lines, settings, write_kubeconfig
from sandbox.start import start
from sandbox.world import DEFAULT_WEBHOOK


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["demo"]:
        return demo.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="ripcord sandbox", description="The vendors' APIs on loopback.")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--webhook", default=DEFAULT_WEBHOOK, metavar="URL", help=f"default: {DEFAULT_WEBHOOK}")
    given = parser.parse_args(arguments)
    if not given.webhook.startswith(("http://", "https://")):
        parser.error(f"--webhook: an http or https URL is wanted, not {given.webhook!r}")
    return hold(given.port, given.webhook)


def hold(port: int, webhook: str) -> int:
    # Blocked before any thread starts, so that one sigwait below gets them whatever thread the kernel would pick.
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs us in the background
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        sandbox = start(port, webhook_url=webhook)
    except (OSError, OverflowError) as bad:
        print(f"port {port} cannot be used: {bad}", file=sys.stderr)
        return 1
    kubeconfig = write_kubeconfig(sandbox)
    sys.stdout.write(export_lines(settings(sandbox, kubeconfig)))
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    kubeconfig.unlink(missing_ok=True)
    # At once: held requests and webhooks under way are nobody's any more.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

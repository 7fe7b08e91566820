"""`./ripcord cluster`: the real control plane on loopback, for as long as it is wanted (Ctrl-C ends it)."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from tests.cluster import parts
from tests.cluster.scene import play_seed
from tests.cluster.start import ADMIN, PRODUCT, ControlPlane, NotStarted


def main(argv: list[str]) -> int:
    """0 when ended by hand; 1 with one sentence where it could not start."""
    parser = argparse.ArgumentParser(
        prog="ripcord cluster",
        description="etcd, kube-apiserver, kube-controller-manager and the Argo Rollouts controller on loopback.",
        epilog=f"{parts.VARIABLE}: {' or '.join(parts.MODULES)} (the first is the default).",
    )
    parser.add_argument("--scene", action="store_true", help="with the scene's canary, paused at 25 %%")
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)  # also where a shell that runs us in the background has it ignored
    try:
        _hold(given.scene)
    except (parts.Missing, NotStarted) as problem:
        print(f"ripcord cluster: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("ended")
    return 0


def _end(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _hold(scene: bool) -> None:
    with ControlPlane(parts.get(parts.chosen_release(), _say), _say) as plane:
        if scene:
            _say("releasing web-frontend up to 25 %")
            play_seed(plane.api())
        # Set after the sandbox's lines: the product's user holds the shipped abort-only Role, the other may do anything.
        print(f"export RIPCORD_KUBECONFIG='{plane.kubeconfig(PRODUCT)}'")
        print(f"export KUBECONFIG='{plane.kubeconfig(ADMIN)}'", flush=True)
        told: set[str] = set()
        while True:
            for name in set(plane.ended()) - told:
                _say(f"{name} has ended; what is left goes on")
                told.add(name)
            time.sleep(0.5)


def _say(line: str) -> None:
    print(f"ripcord cluster: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

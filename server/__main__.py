"""`python -m server VERB …`: finds the verb's module and turns errors into one clear line and an exit code.

Exit 0 done · 1 expected failure, one line · 2 usage · 3 a bug.
"""

from __future__ import annotations

import importlib
import sys
import traceback

from server.errors import Misconfigured, RipcordError
from server.settings import Settings

VERBS = {
    "serve": "web and executor in one process",
    "web": "the web alone; never executes a run",
    "worker": "the executor alone",
    "migrate": "bring the database to this version",
    "lint": "check runbooks and catalog",
    "explain": "what each runbook would decide about a payload",
    "audit": "verify the chain, or export it",
    "token": "a one-time sign-in link",
}
LATER = ("preview", "run", "replay", "preflight", "drill", "pagerduty")


def main(argv: list[str]) -> int:
    """Runs one verb."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: ripcord VERB …\n" + "\n".join(f"  {verb:<8} {what}" for verb, what in VERBS.items()))
        return 0 if argv else 2
    verb = argv[0]
    if verb in LATER:
        print(f"ripcord {verb}: not built yet", file=sys.stderr)
        return 1
    if verb not in VERBS:
        print(f"ripcord: unknown verb {verb!r}; one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(f"server.cli.{verb}")
        return int(module.main(argv[1:], Settings.from_env(web=verb == "web")))
    except Misconfigured as error:
        print(error.said, file=sys.stderr)
        return 1
    except RipcordError as error:
        print(f"ripcord {verb}: {error.said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001 - the last line of defence: a bug is said as one
        traceback.print_exc()
        print(f"ripcord {verb}: a bug in Ripcord, please report the lines above", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

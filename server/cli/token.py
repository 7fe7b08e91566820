"""`token link`: prints one sign-in link. `create`, `revoke` and `list` come with the API."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from server import db
from server.errors import Misconfigured
from server.settings import Settings
from server.store import people

LATER = ("create", "revoke", "list")
USAGE = "usage: ripcord token link"


def main(args: Sequence[str], settings: Settings) -> int:
    """Prints the link, one line, nothing else."""
    if list(args) == ["link"]:
        print(new_link(settings))
        return 0
    if args and args[0] in LATER:
        print(f"ripcord token {args[0]}: not built yet, `token link` is", file=sys.stderr)
        return 1
    print(USAGE, file=sys.stderr)
    return 2


def new_link(settings: Settings) -> str:
    """The URL of a new link."""
    engine = db.writing(settings.database_url)
    try:
        return people.link_url(settings.public_url, people.new_link(engine, datetime.now(UTC)))
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        said = "the database does not answer, or has no tables yet: start the server, or run ./ripcord migrate"
        raise Misconfigured(f"token link: {said}") from error
    finally:
        engine.dispose()

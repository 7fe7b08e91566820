"""`audit verify [--anchor SEQ:HASH]`: is the chain what it was? `audit export`: every row as JSON lines."""

from __future__ import annotations

import argparse
import json
import sys

import sqlalchemy as sa

from server import db
from server.audit.tables import audit
from server.audit.verify import Anchor, verify
from server.errors import Transient
from server.settings import Settings


def main(argv: list[str], settings: Settings) -> int:
    """Exit 1 names the first wrong row."""
    parser = argparse.ArgumentParser(prog="ripcord audit")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verifying = verbs.add_parser("verify", help="compute every hash anew and name the first wrong row")
    verifying.add_argument("--anchor", metavar="SEQ:HASH", help="a row as a note prints it: finds a cut-off tail")
    verbs.add_parser("export", help="every row as JSON lines, oldest first")
    args = parser.parse_args(argv)
    engine = db.reading(settings.database_url)
    try:
        return _export(engine) if args.verb == "export" else _verify(engine, args.anchor)
    except sa.exc.DBAPIError as error:
        raise Transient(
            f"the audit cannot be read ({type(error.orig).__name__}): is this the right database?"
        ) from error


def _verify(engine: sa.Engine, anchor: str | None) -> int:
    found = verify(engine, Anchor.parse(anchor) if anchor else None)
    if found.wrong:
        print(found.wrong, file=sys.stderr)
        return 1
    print(
        f"unbroken: rows 1 to {found.seq}, head {found.seq}:{found.hash[:16]}" if found.seq else "unbroken: no rows yet"
    )
    return 0


def _export(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=1000)
        for row in streaming.execute(sa.select(audit).order_by(audit.c.seq)).mappings():
            print(json.dumps(dict(row), ensure_ascii=True))
    return 0

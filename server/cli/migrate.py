"""`migrate`: bring the database to this version, under a lock."""

from __future__ import annotations

import argparse

import sqlalchemy as sa

from server import migrate
from server.errors import Transient
from server.settings import Settings


def main(argv: list[str], settings: Settings) -> int:
    """Migrates; running it twice changes nothing."""
    argparse.ArgumentParser(prog="ripcord migrate").parse_args(argv)
    try:
        migrate.upgrade(settings.database_url)
    except sa.exc.OperationalError as error:
        raise Transient(
            f"the database does not answer ({type(error.orig).__name__}): is it running, is the URL right?"
        ) from error
    print("the database is at this version")
    return 0

"""`migrate`: bring the database to this version, under a lock."""

from __future__ import annotations

import argparse

from server import migrate
from server.settings import Settings


def main(argv: list[str], settings: Settings) -> int:
    """Migrates; running it twice changes nothing."""
    argparse.ArgumentParser(prog="ripcord migrate").parse_args(argv)
    migrate.upgrade(settings.database_url)
    print("the database is at this version")
    return 0

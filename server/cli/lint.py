"""`lint`: check runbooks and catalog with the server's own code. `lint --schema`: the JSON Schemas for editors."""

from __future__ import annotations

import argparse
import json

from server import bootstrap
from server.library import load
from server.library.schema import schemas
from server.settings import Settings


def main(argv: list[str], settings: Settings) -> int:
    """Exit 1 with one line for each error."""
    parser = argparse.ArgumentParser(prog="ripcord lint")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schemas of a runbook and of the catalog")
    if parser.parse_args(argv).schema:
        print(json.dumps(schemas(bootstrap.known()), indent=1))
        return 0
    library = load(settings.runbooks, bootstrap.known())
    names = ", ".join(runbook.name for runbook in library.runbooks)
    print(
        f"{settings.runbooks}: {len(library.runbooks)} runbooks ({names}), {len(library.catalog.targets)} targets, all well"
    )
    return 0

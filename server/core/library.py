"""All runbooks, in file-name order, and the catalog: what a decision is made from."""

from __future__ import annotations

from dataclasses import dataclass

from server.core.catalog import Catalog
from server.core.runbook import Runbook


@dataclass(frozen=True)
class Library:
    """One good set."""

    runbooks: tuple[Runbook, ...]
    catalog: Catalog

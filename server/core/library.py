"""All runbooks and the catalog, as one frozen value."""

from __future__ import annotations

from server.core.catalog import Catalog
from server.core.outcome import Model
from server.core.runbook import Runbook


class Library(Model):
    """What one decision is made from. runbooks: in the order of their file names."""

    runbooks: tuple[Runbook, ...]
    catalog: Catalog

"""`worker`: the executor alone."""

from __future__ import annotations

from server.cli.serve import worker as main

__all__ = ["main"]

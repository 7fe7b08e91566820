"""`web`: the web alone."""

from __future__ import annotations

from server.cli.serve import web as main

__all__ = ["main"]

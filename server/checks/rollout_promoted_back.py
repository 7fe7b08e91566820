"""After a switch back or an undo: is the version before current and stable, the live active Service on it, its pods alone behind it?"""

from __future__ import annotations

from server.checks.rollouts import look

__all__ = ["look"]

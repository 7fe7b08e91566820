"""After an abort: is all traffic on stable? The flag, the acknowledgement, both kinds of weights, stable's pods and Service.

Where the plan is an undo, it looks as `rollout_promoted_back` does.
"""

from __future__ import annotations

from server.checks.rollouts import look

__all__ = ["look"]

"""What a race found is told although it passed, and whichever worker played it."""

from __future__ import annotations

import os
from pathlib import Path

SAID = "RIPCORD_TEST_SAID"
"""Names the file whose lines are printed at the end of a run."""


def say(line: str) -> None:
    """Into that file; where there is none, onto the terminal."""
    if file := os.environ.get(SAID):
        with Path(file).open("a", encoding="utf-8") as end:
            end.write(f"{line}\n")
    else:
        print(f"\n{line}")  # noqa: T201

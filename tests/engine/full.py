"""A process that tells a story of many steps while its disk is full for as long as the file `full` is there, for tests. Not a test.

python -m tests.engine.full URL FOLDER
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server.engine.durable import Engine, Verbs

STEPS = 30


def main(url: str, folder: Path) -> None:
    def step(n: int) -> str:
        (folder / "step").write_text(str(n))
        return "x" * 20_000

    async def story(verbs: Verbs, argument: Any) -> Any:
        for n in range(STEPS):
            await verbs.step(f"step {n}", step, n)
            await verbs.sleep(0.05)
        (folder / "finished").touch()

    engine = Engine(url, {"story": story}, poll=0.05)
    engine.launch()
    assert engine._own is not None

    @sa.event.listens_for(engine._own, "before_cursor_execute")
    def _size(_connection: Any, cursor: Any, *_more: Any) -> None:
        pages = 1 if (folder / "full").exists() else 1_000_000
        cursor.connection.execute(f"PRAGMA max_page_count={pages}")

    engine.start("story", "the-story", {}, lambda: None)
    threading.Event().wait(60)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

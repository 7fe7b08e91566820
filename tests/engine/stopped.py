"""A process that is told to stop in the middle of a step that cannot be done, for tests. Not a test.

    python -m tests.engine.stopped URL FOLDER

The step fails while the file `trouble` is there: with the database's own error, or with any other, as the file says. On SIGTERM the
engine is stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server.engine.durable import Engine, Verbs

DATABASE, OTHER = sa.exc.OperationalError("SELECT 1", {}, OSError("away")), RuntimeError("torn down")


def main(url: str, folder: Path) -> None:
    over, trouble = threading.Event(), folder / "trouble"
    signal.signal(signal.SIGTERM, lambda *_: over.set())

    def step() -> str:
        (folder / "tried").touch()
        if trouble.exists():
            if trouble.read_text() == "database":
                raise DATABASE
            while engine.alive:  # what fails for any other reason fails once the process is being torn down
                threading.Event().wait(0.02)
            raise OTHER
        return "done"

    async def story(verbs: Verbs, argument: Any) -> Any:
        (folder / "finished").write_text(await verbs.step("a", step))
        return {}

    engine = Engine(url, {"story": story}, poll=0.05)
    engine.launch()
    engine.start("story", "the-story", {}, lambda: None)
    over.wait(60)
    engine.stop(1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

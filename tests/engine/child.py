"""A process that executes one small story, for tests that end it in the middle. Not a test.

    python -m tests.engine.child URL FOLDER

The story: step "a" writes a line, step "b" writes a line and waits for the file `go`, a durable sleep, a message box, step "c".
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from server.engine.durable import Engine, Verbs
from server.engine.lock import OneExecutor


def main(url: str, folder: Path) -> None:
    lock = OneExecutor(url, threading.Event().wait)
    lock.take()

    def effect(name: str) -> dict[str, str]:
        with (folder / "effects").open("a") as file:
            file.write(f"{name}\n")
        while name == "b" and not (folder / "go").exists():
            threading.Event().wait(0.02)
        return {"by": engine.me}

    def broken() -> None:
        raise ValueError("a bug in a step")

    began, finished, over = threading.Event(), threading.Event(), threading.Event()

    async def story(verbs: Verbs, argument: Any) -> Any:
        from server.errors import Bug

        began.set()
        first = await verbs.step("a", effect, "a")
        second = await verbs.step("b", effect, "b")
        await verbs.sleep(0.05)
        await verbs.start("other", "the-other", {"to": verbs.workflow})
        message = await verbs.wait("news", 30)
        try:
            await verbs.step("broken", broken)
        except Bug as bug:
            said = bug.said
        await verbs.step("c", effect, f"c {message['hello']} {said} {'same' if first == second else 'another'} process")
        finished.set()
        return {}

    async def other(verbs: Verbs, argument: Any) -> Any:
        await verbs.step("o", effect, "o")
        await verbs.tell(argument["to"], "news", {"hello": "world"})
        return {}

    engine = Engine(url, {"story": story, "other": other}, poll=0.05)
    engine.launch()
    engine.start("story", "the-story", {}, over.set)
    (folder / "started").touch()
    over.wait(60)  # it is over, or waits for long, or is there already
    if began.is_set():
        finished.wait(60)
    (folder / "over").touch()
    threading.Event().wait(60)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

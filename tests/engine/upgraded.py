"""A process that tells one story in the words of version 1 or 2, for tests of what an upgrade leaves. Not a test.

    python -m tests.engine.upgraded URL FOLDER

The version stands in the file `version`. Version 1 waits in the middle of its story; version 2 would have asked for something else.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from server.engine.durable import Engine, Verbs
from server.errors import Bug


def main(url: str, folder: Path) -> None:
    def said(text: str) -> str:
        with (folder / "effects").open("a") as file:
            file.write(f"{text}\n")
        return text

    async def first(verbs: Verbs, argument: Any) -> Any:
        for name in ("look", "intend", "write"):
            await verbs.step(name, said, name)
            await verbs.sleep(0.01)
        await verbs.wait("news", 600)

    async def second(verbs: Verbs, argument: Any) -> Any:
        await verbs.step("look", said, "look again")
        try:
            await verbs.step("guards", said, "guards")
        except Bug as bug:
            await verbs.step("end", said, f"{type(bug).__name__}: {bug.said}")
        await verbs.start("other", "the-other", {"to": verbs.workflow})
        await verbs.step("told", said, str(await verbs.wait("news", 30)))

    async def other(verbs: Verbs, argument: Any) -> Any:
        await verbs.tell(argument["to"], "news", "hello")

    old = (folder / "version").read_text() == "1"
    engine = Engine(url, {"story": first if old else second, "other": other}, poll=0.05)
    engine.launch()
    if old:
        engine.start("story", "the-story", {}, lambda: None)
    threading.Event().wait(60)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

"""The story of one note: posted once, kept up to date, found by its marker before it is ever sent again.

It runs beside its run and is never waited for: a PagerDuty that hangs delays no write and no look.
"""

from __future__ import annotations

from typing import Any

from server.core.note import another, minding
from server.engine.durable import Verbs
from server.flow.needs import World

Json = dict[str, Any]

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
GIVE_UP = 24 * 3600.0
"""Seconds for which a note that cannot be posted is tried; it never changes the run."""


class Keeper:
    """What one note's workflow knows. argument: {"run", "incident", "early"}."""

    def __init__(self, verbs: Verbs, world: World, argument: Json) -> None:
        self.verbs, self.world = verbs, world
        self.run, self.incident = str(argument["run"]), str(argument["incident"])
        self.ended = not argument["early"]
        self.looked = not argument["early"]  # a run that did not act has read the incident just now
        self.mind = ""
        self.also: list[str] = []
        self.joined: list[str] | None = None
        self.waited = 0.0
        self.number = 0
        self.last_word = False
        self._count = 0

    def name(self, what: str) -> str:
        """A checkpoint's name."""
        self._count += 1
        return f"{what} {self._count}"

    async def pause(self, tries: int, at_least: float = 0.0) -> float:
        """Waits before the next try; the run's end is heard meanwhile. The seconds that have certainly passed."""
        seconds = max(PAUSES[tries] if tries < len(PAUSES) else 60.0, at_least)
        self.waited += seconds
        if self.joined is None:
            return 0.0 if await self.listen(seconds) else seconds
        await self.verbs.sleep(seconds)
        return seconds

    async def listen(self, seconds: float) -> bool:
        """Waits for the run's end at most so long; whether it was heard."""
        message = await self.verbs.wait("ended", seconds)
        if message is not None:
            self.ended, self.joined = True, list(message["joined"])
        return message is not None

    async def post(self, incident: str, *, second: bool = False) -> str | None:
        """Posts the note as it should be now; its id, or None where the incident takes no note. second: under another marker."""
        tries = 0
        while self.waited < GIVE_UP:
            ended = self.ended
            kept, text = await self._worded(incident, ended)
            text = another(text, self.run) if second else text
            said = await self.verbs.step(self.name("post"), self.world.post, self.run, incident, text, kept["by"])
            if "note" in said:
                self.last_word = ended
                return await self._stands(incident, str(said["note"]), text)
            if "refused" in said:
                return None
            if "unknown" in said:
                note = await self._find(incident, float(said["patience"]), second)
                if note is not None:
                    return await self._stands(incident, note, "")
            else:
                await self.pause(tries, float(said.get("retry_after") or 0))
            tries += 1
        return None

    async def _worded(self, incident: str, ended: bool) -> tuple[Json, str]:
        """The note as it should be now; its last word says what others did to the incident while the run acted."""
        if ended and not self.looked:
            self.looked = True
            found = await self.verbs.step(self.name("meanwhile"), self.world.meanwhile, self.incident)
            self.mind, self.also = str(found.get("mind") or ""), [found["also"]] if found.get("also") else []
        kept = await self.verbs.step(self.name("keep"), self.world.about_to_tell, self.run, incident, ended)
        return kept, minding(kept["text"], self.mind) if self.mind else kept["text"]

    async def _find(self, incident: str, patience: float, second: bool) -> str | None:
        """Looks for the marker until it is there, or a list without it was read after `patience` seconds."""
        spent, tries = 0.0, 0
        while self.waited < GIVE_UP:
            found = await self.verbs.step(self.name("find"), self.world.find, self.run, incident, second)
            if "note" in found:
                return str(found["note"])
            if "none" in found and spent >= patience:
                return None
            spent += await self.pause(tries)
            tries += 1
        return None

    async def _stands(self, incident: str, note: str, text: str) -> str:
        self.number += 1
        said = text.split("\n", 1)[0] if text else "the note was found by its marker"
        await self.verbs.step(self.name("told"), self.world.told, self.run, incident, self.number, note, said)
        return note

    async def edit(self, incident: str, note: str) -> bool:
        """Edits the note to its last word; False where editing is refused."""
        tries = 0
        while self.waited < GIVE_UP:
            _kept, text = await self._worded(incident, True)
            said = await self.verbs.step(self.name("edit"), self.world.edit, incident, note, text)
            if "note" in said:
                await self._stands(incident, note, text)
                return True
            if "refused" in said:
                return False
            await self.pause(tries, float(said.get("retry_after") or 0))
            tries += 1
        return False


async def keep_note(verbs: Verbs, argument: Json, world: World) -> Json:
    """One note for each run and incident: at the first write, and its last word at the end."""
    keeper = Keeper(verbs, world, argument)
    note = await keeper.post(keeper.incident)
    while keeper.joined is None:
        await keeper.listen(600.0)
    if note is not None and not keeper.last_word and not await keeper.edit(keeper.incident, note):
        await keeper.post(keeper.incident, second=True)
    for incident in sorted({*(keeper.joined or []), *keeper.also}):
        if incident != keeper.incident:
            await keeper.post(incident)
    return {"note": note}

"""What the story needs from the world: step bodies (each may run twice, each returns JSON), and the pure action it interprets.

`bootstrap` supplies them. A *look* is `{"at": stamp, "by": process, "stopped": reason | None, "state": JSON}` or
`{"at", "by", "stopped", "unread": sentence}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from server.core.outcome import Call, Finished, LookAgain, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.core.run import Report, RunSpec

Json = dict[str, Any]


class Moves(Protocol):
    """The pure part of one action, with its options and target bound."""

    def plan(self, seen: Sequence[Json], now: datetime) -> Plan | Refusal | LookAgain:
        """From the states seen so far."""
        ...

    def proceed(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime, stopped: bool
    ) -> Write | LookAgain | Finished:
        """What now."""
        ...

    def put_back(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime
    ) -> Write | LookAgain | Finished:
        """What now, where our own step is to be taken back."""
        ...

    def weigh(self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
        """A check's verdict on one look, in the light of all looks and writes before it."""
        ...

    def remarks(
        self, plan: Plan | None, seen: Sequence[Json], done: Sequence[Outcome], verdict: Verdict | None, stopped: bool
    ) -> Remarks:
        """What the note says beside the result. plan None: refused while planning."""
        ...


class Runs(Protocol):
    """What a run asks of the world. All but `moves` are step bodies."""

    def moves(self, spec: RunSpec, index: int) -> Moves:
        """The action of a step (pure)."""
        ...

    def budgets(self, spec: RunSpec) -> dict[str, float]:
        """Seconds for each truth: acknowledge, traffic (pure)."""
        ...

    def take_target(self, spec: RunSpec) -> str | None:
        """The target's lock, or the run to wait for."""
        ...

    def look(self, spec: RunSpec, index: int) -> Json:
        """One look of the action."""
        ...

    def planned(self, spec: RunSpec, index: int, plan: Plan) -> None:
        """Writes the plan down."""
        ...

    def guards(self, spec: RunSpec, plan: Plan) -> Json:
        """{} = may act; {"stop": reason} = may not; {"unread": sentence} = PagerDuty cannot be read now."""
        ...

    def guard_stopped(self, spec: RunSpec, reason: str) -> None:
        """Writes down which guard ended the run."""
        ...

    def intend(self, spec: RunSpec, index: int, write: Write) -> Json:
        """Commits the intent: {"by": process}; or {"stopped": reason} and nothing is intended."""
        ...

    def write(self, spec: RunSpec, index: int, plan: Plan, call: Call, n: int, by: str) -> Json:
        """Sends once: {"outcome": Outcome} or {"not_done": sentence, "retry_after": seconds}. by ≠ me: sends nothing."""
        ...

    def outcome(self, spec: RunSpec, index: int, outcome: Outcome) -> None:
        """Writes the outcome down."""
        ...

    def check(self, spec: RunSpec, check: int, plan: Plan) -> Json:
        """A look with "verdict" beside "state"."""
        ...

    def checked(self, spec: RunSpec, check: int, look: int, verdict: Verdict) -> None:
        """Writes a verdict down that says something new."""
        ...

    def progress(self, spec: RunSpec, report: Report) -> None:
        """Shows how far the run is."""
        ...

    def ended(self, spec: RunSpec, report: Report) -> Json:
        """Closes the run: {"head": [seq, hash], "joined": [incident], "state"}."""
        ...


class Deliveries(Protocol):
    """What the story of a delivery asks of the world; all are step bodies."""

    def receive(self, delivery: str) -> Json:
        """Checks the stored signature again and writes the first row: {"stored": …} or {"forged": sentence}."""
        ...

    def read(self, stored: Json) -> Json:
        """Incident and alerts now: {"at", "reading", "unread": bool, "wants_alerts": bool, "patience": seconds left}."""
        ...

    def gave_up(self, delivery: str, said: str) -> None:
        """Records that a bug of ours kept everybody from deciding."""
        ...

    def decide(self, stored: Json, read: Json, unread_since: str | None) -> Json:
        """Every runbook's decision, recorded: {"start": [RunSpec]}."""
        ...


class Notes(Protocol):
    """What the note's workflow asks of the world; all are step bodies."""

    def about_to_tell(self, run: str, incident: str, ended: bool) -> Json:
        """Words the note as it should be now and keeps it: {"by": process, "text": text}."""
        ...

    def post(self, run: str, incident: str, text: str, by: str) -> Json:
        """Posts once: {"note": id} | {"not_done": said, "retry_after"} | {"unknown": said, "patience": s} | {"refused": said}."""
        ...

    def find(self, run: str, incident: str, second: bool) -> Json:
        """Looks for the marker (of the second note): {"note": id} | {"none": true} | {"unread": said}."""
        ...

    def edit(self, incident: str, note: str, text: str) -> Json:
        """Edits: {"note": id} | {"again": said, "retry_after"} | {"refused": said}."""
        ...

    def meanwhile(self, incident: str) -> Json:
        """What others did to it while the run acted: {"mind": sentence, "also": incident it was merged into | None} or {}."""
        ...

    def told(self, run: str, incident: str, n: int, note: str, said: str) -> None:
        """Writes down that it stands there."""
        ...


class World(Runs, Deliveries, Notes, Protocol):
    """All of it."""

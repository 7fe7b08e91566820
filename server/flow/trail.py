"""What a run has seen and done so far: kept in memory, rebuilt by replay, never read from a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from server.core.outcome import Finished, LookAgain, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.core.run import Report, RunSpec, Truth
from server.core.states import State
from server.db import unstamp
from server.engine.durable import Verbs
from server.errors import Bug, Unfit
from server.flow.needs import Moves, World

Json = dict[str, Any]
T = TypeVar("T")


def pure(what: str, do: Callable[[], T]) -> T:
    """What is only computed can have bugs too: they end the run, and never the story that has to close it."""
    try:
        return do()
    except Exception as error:
        raise Bug(f"{what}: {type(error).__name__}") from error


BUGS = (Bug, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a story raises where it is wrong itself. The engine's own exceptions are none of these: they belong to it."""


def as_bug(error: Exception) -> Bug:
    """The same, as the error that ends a run in words."""
    return error if isinstance(error, Bug) else Bug(f"the story: {type(error).__name__}")


class Trail:
    """One run's memory. Names of checkpoints are numbered by `name`, so that they are the same in every replay."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.index = 0
        self.plan: Plan | None = None
        self.seen: list[Json] = []
        self.done: list[Outcome] = []
        self.all_done: list[Outcome] = []
        self.intended = self.note_begun = False
        self.acted = False  # whether a write that was planned took effect, or may have; a wake alone was nobody's plan
        self.pending: dict[int, tuple[int, str]] = {}  # n -> step, process: intended beside another write, not sent yet
        self.stopped: str | None = None
        self.guarded: str | None = None
        self.now: datetime = spec.received_at
        self.unread_since: datetime | None = None
        self.budget_from: datetime | None = None
        self.budgets: dict[str, float] = {}
        self.truths: dict[str, Truth] = {}
        self.verdict: Verdict | None = None
        self._moves: Moves | None = None
        self._by = self._read_by = ""  # the processes of the last look, and of the last one that could read
        self._base = 0
        self._count: dict[str, int] = {}

    # Steps and plans --------------------------------------------------------------------------------------------------

    def begin_step(self, index: int, moves: Moves, budgets: dict[str, float]) -> None:
        """A new step has its own looks and outcomes."""
        self.index, self._moves, self.budgets, self._base = index, moves, budgets, 0
        self.plan, self.seen, self.done = None, [], []

    def begin_plan(self) -> None:
        """A plan made afresh starts from new looks; effect numbers go on, so that none is used twice."""
        self._base = max([self._base, *(outcome.n for outcome in self.all_done), *self.pending])
        self.seen, self.done = [], []

    @property
    def moves(self) -> Moves:
        """The pure part of the step's action."""
        if self._moves is None:
            raise Bug("a trail without a step")
        return self._moves

    @property
    def the_plan(self) -> Plan:
        """The plan that stands."""
        if self.plan is None:
            raise Bug("a trail without a plan")
        return self.plan

    @property
    def wrote(self) -> bool:
        """Whether any write took effect, or may have."""
        return any(outcome.kind in ("done", "unknown") for outcome in self.all_done)

    def name(self, what: str) -> str:
        """A checkpoint's name: '<step> <what> <count>'."""
        key = f"{self.index} {what}"
        self._count[key] = self._count.get(key, -1) + 1
        return f"{key} {self._count[key]}"

    # Looks ------------------------------------------------------------------------------------------------------------

    async def look(self, verbs: Verbs, world: World) -> Json:
        """One look of the action."""
        look: Json = await verbs.step(self.name("look"), world.look, self.spec, self.index)
        self.looked(look)
        return look

    def looked(self, look: Json) -> None:
        """Takes a look in. The first look of a new process starts the budgets anew: nobody looked while we were away."""
        self.now = unstamp(look["at"])
        if self._by and look["by"] != self._by:
            self.unread_since = None
            if self.budget_from is not None:
                self.budget_from = max(self.budget_from, self.now)
        self._by = look["by"]
        self.unread_since = (self.unread_since or self.now) if "unread" in look else None
        self.stopped = look.get("stopped")
        if "state" in look and look["state"] is not None:
            self.seen.append(look["state"])
            self._read_by = look["by"]

    @property
    def unread_for(self) -> float:
        """Seconds since the first of the looks that could not read, the last one included."""
        return 0.0 if self.unread_since is None else (self.now - self.unread_since).total_seconds()

    def proceed(self) -> Write | LookAgain | Finished:
        """What the action wants now."""
        stopped = self.stopped is not None
        return pure("proceed", lambda: self.moves.proceed(self.the_plan, self.seen, self.done, self.now, stopped))

    def putting_back(self) -> Write | LookAgain | Finished:
        """What the action wants now, where its own step is to be taken back."""
        return pure("put_back", lambda: self.moves.put_back(self.the_plan, self.seen, self.done, self.now))

    def afterwards(self, index: int, moves: Moves, budgets: dict[str, float]) -> Trail:
        """The memory of a step that comes after the proof: its own looks and outcomes, the same clock and note."""
        after = Trail(self.spec)
        after.now, after.note_begun, after.intended = self.now, True, self.intended
        after.begin_step(index, moves, budgets)
        return after

    def planning(self) -> Plan | Refusal | LookAgain:
        """What the action makes of the looks so far."""
        return pure("plan", lambda: self.moves.plan(self.seen, self.now))

    def weigh(self, verdict: Verdict) -> Verdict:
        """A check's verdict in the light of everything before it."""
        return pure("weigh", lambda: self.moves.weigh(self.the_plan, self.seen, self.done, verdict))

    def reached(self, truth: str) -> bool:
        """Whether it held when it was last read: a look that could not read takes nothing away."""
        found = self.truths.get(truth)
        return found is not None and found.held is True

    # Writes -----------------------------------------------------------------------------------------------------------

    def number(self, move: Write) -> Write:
        """The write under its run-wide number, and those that are intended with it."""
        also = tuple(self.number(one) for one in move.also)
        return move.model_copy(update={"n": move.n + self._base, "also": also})

    def intend(self, write: Write, by: str) -> bool:
        """Its intent stands in the chain, and those of the writes that go with it. False = an earlier process intended it
        beside another write, and this one has read nothing yet: the world may have moved, so look before it is sent."""
        self.intended = True
        self.pending.update({one.n: (self.index, by) for one in write.also})
        known = self.pending.get(write.n)
        if known is not None and known[1] != by and self._read_by != by:
            return False
        self.pending.pop(write.n, None)
        return True

    def numbered(self, outcome: Outcome) -> Outcome:
        """The outcome under its run-wide number."""
        return outcome.model_copy(update={"n": outcome.n + self._base})

    def add(self, outcome: Outcome, n: int) -> None:
        """An outcome came; the action knows it under its own number n."""
        self.all_done.append(outcome)
        self.done.append(outcome.model_copy(update={"n": n}))
        self.now = max(self.now, outcome.at)
        self.acted |= bool(self.the_plan.calls) and outcome.kind in ("done", "unknown")
        if self.budget_from is None and outcome.kind in ("done", "noop", "unknown"):
            self.budget_from = outcome.at

    @property
    def unclear(self) -> bool:
        """Whether it is open what became of a write."""
        clear = {one.n for one in self.all_done if one.kind == "done"}
        return any(one.kind == "unknown" and one.n not in clear for one in self.all_done)

    def found(self, outcome: Outcome) -> None:
        """What became of a write whose answer never came, as reading shows it."""
        self.all_done.append(self.numbered(outcome))
        self.done.append(outcome)

    def stop(self, reason: str, n: int) -> None:
        """The stop switch came on between look and write: nothing was intended."""
        self.stopped = reason
        if not self.wrote and self.the_plan.calls:
            said = f"stop switch: {reason}"
            self.done.append(Outcome(kind="refused", said=said, n=n, at=self.now, cause="stopped"))

    def over_budget(self, first: datetime, at: str, wait: float) -> bool:
        """Whether a write that is not done has no time left to be sent again."""
        return (unstamp(at) - first).total_seconds() + wait > self.budgets.get("acknowledge", 45.0)

    def not_done(self, n: int, at: str, said: str) -> Json:
        """The outcome of a write that was never taken."""
        outcome = Outcome(kind="refused", said=f"never taken: {said}", n=n, at=unstamp(at), cause="not_done")
        return outcome.model_dump(mode="json")

    # Reports ----------------------------------------------------------------------------------------------------------

    def refused(self, reason: str) -> Report:
        """Nothing was touched; where something was, a person is needed."""
        return self.ended(State.UNPROVEN if self.wrote else State.REFUSED, reason)

    def bug(self, bug: Bug) -> Report:
        """A bug of ours: before the first intent nothing was touched, after it nobody knows."""
        if not self.intended and not isinstance(bug, Unfit):
            return self.ended(State.REFUSED, f"a bug in Ripcord, nothing was touched ({bug.said})", with_remarks=False)
        return self.ended(
            State.UNPROVEN, f"a bug in Ripcord ({bug.said}): look at the target by hand", with_remarks=False
        )

    def _remarks(self) -> Remarks:
        """Words that cannot be found change no result."""
        moves = self._moves
        if moves is None:
            return Remarks()
        stopped = self.stopped is not None
        try:
            return pure("remarks", lambda: moves.remarks(self.plan, self.seen, self.done, self.verdict, stopped))
        except Bug as bug:
            return Remarks(mind=(f"a bug in Ripcord ({bug.said}): more cannot be said here",))

    def ended(self, state: State, said: str, *, with_remarks: bool = True) -> Report:
        """The report as of now."""
        remarks = self._remarks() if with_remarks else Remarks()
        seconds = (self.now - self.spec.received_at).total_seconds()
        return Report(
            state=state,
            said=said,
            plan=self.plan,
            outcomes=tuple(self.all_done),
            truths=tuple(self.truths.values()),
            remarks=remarks,
            before=self.seen[0] if self.seen else {},
            after=self.seen[-1] if self.seen else {},
            seconds=round(seconds, 3),
            ended_at=self.now,
        )

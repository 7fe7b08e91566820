"""The looks and writes of one step, read as a story: what stands now compared with what was judged, and what became of the act.

Shared by `proceed.py` (what now?), `prove.py` (does it hold?) and `remarks.py` (what to say); pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from server.core.argo import template
from server.core.argo.state import RolloutState
from server.core.outcome import Json, Outcome, Plan

Row = Literal["gone", "other", "acknowledged", "unseen", "hotfix", "newer aborted", "newer unseen", "no flag"]


def judged_template(facts: Json, state: RolloutState) -> bool:
    """Whether spec still holds what was judged: everything of it stands there, and RS(cur) carries spec both ways.

    The controller itself only adds (it writes templates back normalised).
    """
    if state.template == facts["template"]:
        return True
    return state.differs == "" and not template.missing(facts["template"], state.template)


def row(facts: Json, state: RolloutState) -> Row:
    """Where the live Rollout stands, by its flag, hash and template."""
    if not state.exists or state.problem:
        return "gone"
    if state.uid != facts["uid"]:
        return "other"
    if state.abort is not True:
        return "no flag"
    if state.cur != facts["cur"]:
        return "newer aborted" if state.aborted_at else "newer unseen"
    if not judged_template(facts, state):
        return "hotfix"
    return "acknowledged" if state.aborted_at else "unseen"


@dataclass(frozen=True)
class Story:
    """One step so far. Outcomes come oldest first; several may carry one number (sent again under it)."""

    plan: Plan
    seen: Sequence[RolloutState]
    done: Sequence[Outcome]

    @property
    def facts(self) -> Json:
        """What the plan judged."""
        return self.plan.facts

    @property
    def last(self) -> RolloutState:
        """The newest look."""
        return self.seen[-1]

    @property
    def now(self) -> Row:
        """Where it stands at the newest look."""
        return row(self.facts, self.last)

    def of_kind(self, kind: str) -> list[Outcome]:
        """The outcomes of acts, wakes or clean-ups. One without evidence (we died) is what was next at that moment."""
        return [one for index, one in enumerate(self.done) if self._kind(index) == kind]

    def _kind(self, index: int) -> str:
        """What the n-th outcome was. Flow's own outcomes (died, never taken) do not say."""
        one = self.done[index]
        said = [other for other in self.done if other.n == one.n and "kind" in other.evidence]
        if said:
            return str(said[0].evidence["kind"])
        if reserved := self.reserved.get(str(one.n)):
            return reserved
        if not self.plan.calls:
            return "wake"
        acts = [other for other in self.done[:index] if other.evidence.get("kind") == "act" or other.n == 1]
        return "act" if one.n == 1 or (acts and acts[-1].cause == "conflict") else self._after_the_act(one)

    @property
    def main(self) -> str:
        """The kind of write that the step begins with."""
        return str(self.facts.get("main", "act"))

    @property
    def reserved(self) -> dict[str, str]:
        """Numbers that belong to one kind of write, whenever it comes."""
        return dict(self.facts.get("numbers", {}))

    @property
    def next_number(self) -> int:
        """The number of a write that has none yet."""
        taken = [one.n for one in self.done]
        return max([*taken, *(int(n) for n in self.reserved)], default=0) + 1

    def _after_the_act(self, one: Outcome) -> str:
        before = [state for state in self.seen if state.at <= one.at]
        return "cleanup" if before and row(self.facts, before[-1]) == "newer unseen" else "wake"

    @property
    def act(self) -> Outcome | None:
        """The newest outcome of the abort itself (of an undo: of what it began with)."""
        acts = self.of_kind(self.main)
        return acts[-1] if acts else None

    @property
    def latest(self) -> Outcome | None:
        """The newest write that the controller has to act on, if it was not refused."""
        sent = [one for kind in (self.main, "promote", "release") for one in self.of_kind(kind)[-1:]]
        taken = [one for one in sent if one.kind != "refused"]
        return max(taken, key=lambda one: one.at) if taken else None

    @property
    def open(self) -> Outcome | None:
        """The newest of them whose fate was not known when its answer failed to come."""
        unknown = [one for one in self.of_kind(self.main) if one.kind == "unknown"]
        return unknown[-1] if unknown else None

    @property
    def began(self) -> datetime | None:
        """When our abort may first have stood there; where somebody else aborted, when that was planned upon."""
        if not self.plan.calls:
            return datetime.fromisoformat(self.facts["at"])
        return next((one.at for one in self.of_kind(self.main) if one.kind != "refused"), None)

    @property
    def after_act(self) -> Sequence[RolloutState]:
        """The looks since then."""
        began = self.began
        return () if began is None else [state for state in self.seen if state.at >= began]

    @property
    def flag_seen(self) -> bool:
        """Whether our abort (or somebody's, where we found it) ever stood on the judged version, by an answer or a look."""
        if any(one.kind in ("done", "noop") for one in self.of_kind("act")):
            return True
        cur, uid = self.facts["cur"], self.facts["uid"]
        return any(state.abort is True and state.cur == cur and state.uid == uid for state in self.after_act)

    @property
    def ours(self) -> bool:
        """Whether the flag that stands may be ours: our abort was taken, or may have been, and nobody else's name is on it."""
        taken = any(one.kind in ("done", "unknown") for one in self.of_kind("act"))
        return taken and self.last.abort_by in ("", "ripcord")

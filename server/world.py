"""The step bodies of a run and of a note: each joins clients, actions and ledger for one checkpoint, and may run twice.

A write is only sent by the process that intended it: when `by` is somebody else, that process died with the intent written, nobody
knows whether the request left, and the answer is `unknown` until somebody has looked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from server.actions import ABOUT_THE_INCIDENT, ACTIONS, UPSTREAM, Action
from server.annotations import pagerduty_note
from server.checks import CHECKS
from server.clients import Clients
from server.core import guards, match
from server.core.argo import undo_decide
from server.core.argo.state import RolloutState
from server.core.catalog import RolloutTarget, Target
from server.core.note import marker, without_words
from server.core.outcome import Call, Finished, LookAgain, Model, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.core.run import IncidentTarget, Report, RunSpec
from server.db import stamp, unstamp
from server.errors import Misconfigured, Missing, Refused, Transient, Unknown
from server.flow.trail import BUGS
from server.ledger import Ledger

Json = dict[str, Any]
log = logging.getLogger("ripcord.world")
_TARGET: TypeAdapter[Target] = TypeAdapter(Target)


def target_of(spec: RunSpec) -> Target:
    """The target as it was declared when the run was decided."""
    return _TARGET.validate_python(spec.target_spec)


def _about(spec: RunSpec, action: str) -> Target | IncidentTarget:
    """What a step looks at and acts on."""
    if action in ABOUT_THE_INCIDENT:
        return IncidentTarget(name=spec.incident, alerts=tuple(alert.id for alert in spec.alerts))
    return target_of(spec)


@dataclass(frozen=True)
class BoundMoves:
    """The pure part of one action, with its options bound; states come in as JSON."""

    action: Action
    options: Json

    def _states(self, seen: Sequence[Json]) -> list[Model]:
        return [self.action.state(state) for state in seen]

    def plan(self, seen: Sequence[Json], now: datetime) -> Plan | Refusal | LookAgain:
        """From the states seen so far."""
        return self.action.plan(self.action.Params.model_validate(self.options), self._states(seen), now)

    def proceed(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime, stopped: bool
    ) -> Write | LookAgain | Finished:
        """What now."""
        return self.action.proceed(plan, self._states(seen), done, now, stopped)

    def put_back(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime
    ) -> Write | LookAgain | Finished:
        """What now, where our own step is to be taken back."""
        return self.action.put_back(plan, self._states(seen), done, now)

    def weigh(self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
        """A check's verdict on one look, in the light of all looks and writes before it."""
        return self.action.weigh(plan, self._states(seen), done, verdict)

    def remarks(
        self, plan: Plan | None, seen: Sequence[Json], done: Sequence[Outcome], verdict: Verdict | None, stopped: bool
    ) -> Remarks:
        """What the note says beside the result."""
        return self.action.remarks(plan, self._states(seen), done, verdict, stopped)


class RunWorld:
    """What `flow/run.py` and `flow/prove.py` ask of the world."""

    def __init__(
        self, clients: Clients, ledger: Ledger, stop_file: Path, actions: Mapping[str, Action] = ACTIONS
    ) -> None:
        self.clients, self.ledger, self.stop_file, self.actions = clients, ledger, stop_file, actions

    def stopped(self) -> str | None:
        """The stop switch's reason while it is on: read at every decision and before every write."""
        try:
            with self.stop_file.open(encoding="utf-8", errors="replace") as file:
                return file.readline(300).strip() or "on"
        except FileNotFoundError:
            return None
        except OSError as error:  # a switch that cannot be read is on
            return f"var/stop cannot be read ({type(error).__name__})"

    def moves(self, spec: RunSpec, index: int) -> BoundMoves:
        """The action of a step."""
        step = spec.step(index)
        return BoundMoves(self.actions[step.action], step.options)

    def budgets(self, spec: RunSpec) -> dict[str, float]:
        """Seconds for each truth."""
        target = target_of(spec)
        if not isinstance(target, RolloutTarget):
            return {}
        return {"acknowledge": target.budgets.acknowledge, "traffic": target.budgets.traffic}

    def take_target(self, spec: RunSpec) -> str | None:
        """The target's lock, or the run to wait for."""
        return self.ledger.take_target(spec)

    def look(self, spec: RunSpec, index: int) -> Json:
        """One look of the action."""
        name = spec.step(index).action
        action, target = self.actions[name], _about(spec, name)

        def look() -> Json:
            state = action.observe(target, self.clients)
            if isinstance(state, RolloutState):
                state = state.model_copy(update={"history": self.ledger.remembered(spec.target, state)})
            return {"state": state.model_dump(mode="json")}

        return self._looking(look, UPSTREAM.get(name, "kubernetes"))

    def check(self, spec: RunSpec, check: int, plan: Plan) -> Json:
        """One look of a check."""

        def look() -> Json:
            verdict = CHECKS[spec.verify[check].check].look(plan, self.clients, target_of(spec))
            return {
                "state": verdict.state,
                "verdict": verdict.model_copy(update={"state": None}).model_dump(mode="json"),
            }

        return self._looking(look, "kubernetes" if spec.target_spec.get("kind") != "flag" else "launchdarkly")

    def _looking(self, look: Callable[[], Json], upstream: str) -> Json:
        try:
            seen = look()
        except (Transient, Refused, Unknown, Misconfigured) as error:
            seen = {"unread": error.said}
            self.clients.upstreams.failed(upstream, error.said)
        else:
            self.clients.upstreams.answered(upstream)
        return {"at": stamp(self.clients.now()), "by": self.ledger.me, "stopped": self.stopped(), **seen}

    def planned(self, spec: RunSpec, index: int, plan: Plan) -> None:
        """Writes the plan down."""
        self.ledger.planned(spec, index, plan)

    def guards(self, spec: RunSpec, plan: Plan) -> Json:
        """Everything that may stop the first write, read now."""
        try:
            incident = self.clients.pagerduty.incident(spec.incident)
        except Missing:
            return {"stop": "incident gone"}
        except Transient as error:
            self.clients.upstreams.failed("pagerduty", error.said)
            late = guards.too_old(spec.occurred_at, spec.max_age, self.clients.now())
            return {"stop": late} if late else {"unread": error.said}
        self.clients.upstreams.answered("pagerduty")
        now = self.clients.now()
        reason = guards.before_write(
            observed=spec.observed,
            occurred_at=spec.occurred_at,
            max_age=spec.max_age,
            incident=incident,
            stop=self.stopped(),
            now=now,
        )
        if reason is None:
            alerts = match.naming(target_of(spec), incident.alerts)
            reason = guards.younger(plan.judged, alerts)
            reason = reason or undo_decide.too_long_ago(plan, max((one.created_at for one in alerts), default=None))
        if reason is None and (last := self.ledger.wrote_last(spec, plan.judged.revision)):
            reason = guards.cooldown(unstamp(last), target_of(spec).cooldown, now)
        return {} if reason is None else {"stop": reason}

    def guard_stopped(self, spec: RunSpec, reason: str) -> None:
        """Writes down which guard ended the run."""
        self.ledger.guard_stopped(spec, reason)

    def intend(self, spec: RunSpec, index: int, write: Write) -> Json:
        """No row, no write; the stop switch is read here for the last time."""
        if not write.despite_stop and (reason := self.stopped()) is not None:
            return {"stopped": reason}
        return self.ledger.intend(spec, index, write)

    def write(self, spec: RunSpec, index: int, plan: Plan, call: Call, n: int, by: str) -> Json:
        """Sends once, if this is the process that intended it."""
        now = self.clients.now()
        if by != self.ledger.me:
            said = "Ripcord itself was ended with the intent written; whether the request left is not known"
            died = Outcome(kind="unknown", said=said, n=n, at=now, cause="died")
            return {"outcome": died.model_dump(mode="json")}
        action = self.actions[spec.step(index).action]
        try:
            outcome = action.write(plan, call, self.clients, f"{spec.id}/{index}/{n}", n)
        except Transient as error:
            return {"not_done": error.said, "retry_after": error.retry_after, "at": stamp(self.clients.now())}
        return {"outcome": outcome.model_dump(mode="json")}

    def outcome(self, spec: RunSpec, index: int, outcome: Outcome) -> None:
        """Writes the outcome down."""
        self.ledger.outcome(spec, index, outcome)

    def checked(self, spec: RunSpec, check: int, look: int, verdict: Verdict) -> None:
        """Writes a verdict down."""
        self.ledger.checked(spec, check, look, verdict)

    def progress(self, spec: RunSpec, report: Report) -> None:
        """Shows how far the run is."""
        self.ledger.progress(spec, report)

    def ended(self, spec: RunSpec, report: Report) -> Json:
        """Closes the run."""
        return self.ledger.ended(spec, report)


class NoteWorld:
    """What `flow/tell.py` asks of the world."""

    UNCLEAR_SECONDS, BROKEN_SECONDS = 120.0, 15.0
    """How long a note whose fate is unknown is looked for before it is sent again: a request that timed out on our side may be
    taken much later; a broken connection is clear soon."""

    def __init__(self, clients: Clients, ledger: Ledger, words: Callable[[str, bool], str]) -> None:
        self.clients, self.ledger, self.words = clients, ledger, words

    def about_to_tell(self, run: str, incident: str, ended: bool) -> Json:
        """Words the note and keeps it."""
        try:
            text = self.words(run, ended)
        except BUGS:  # a report that another version kept, for one: people are told all the same
            log.exception("a bug in the words of a note", extra={"run": run})
            text = without_words(run, ended)
        return {**self.ledger.about_to_tell(run, incident, text), "text": text}

    def post(self, run: str, incident: str, text: str, by: str) -> Json:
        """Posts once, if this is the process that kept it."""
        if by != self.ledger.me:
            return {"unknown": "Ripcord itself was ended while it told", "patience": self.BROKEN_SECONDS}
        unclear, broken = self.UNCLEAR_SECONDS, self.BROKEN_SECONDS
        return pagerduty_note.post(self.clients.pagerduty, incident, text, unclear, broken)

    def find(self, run: str, incident: str, second: bool = False) -> Json:
        """Looks for the marker."""
        return pagerduty_note.find(self.clients.pagerduty, incident, marker(run, second=second))

    def edit(self, incident: str, note: str, text: str) -> Json:
        """Edits."""
        return pagerduty_note.edit(self.clients.pagerduty, incident, note, text)

    def meanwhile(self, incident: str) -> Json:
        """Looks what others did to the incident."""
        return pagerduty_note.meanwhile(self.clients.pagerduty, incident)

    def told(self, run: str, incident: str, n: int, note: str, said: str) -> None:
        """Writes down that it stands there."""
        self.ledger.told(self.ledger.spec(run), incident, n, note, said)

"""A world of values for one run: what is seen, judged and answered is said by the test; what was asked for is kept in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from server.core.outcome import Call, Finished, Judged, LookAgain, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.core.run import CheckSpec, Report, RunSpec, StepSpec
from server.core.states import State
from server.db import stamp
from server.flow.run import carry_out
from tests.flow.inline import START, Clock, History, Inline, told

Json = dict[str, Any]
CALL = Call(method="PATCH", path="/web", body=[], said="abort production/web")
WAKE = Call(method="PATCH", path="/web", body=[1], said="wake production/web")
BACK = Call(method="PATCH", path="/web", body=[2], said="put production/web back")
PLAN = Plan(said="abort production/web, canary 7d9f", calls=(CALL,), judged=Judged(revision="7d9f", since=None))
ALREADY = Plan(said="already", calls=(), judged=PLAN.judged, somebody="aborted already at 03:11:00Z, by kim")
ALL = ("accepted", "acknowledged", "traffic")


def spec(**changed: Any) -> RunSpec:
    fields: Json = {
        "id": "r-1", "key": "Q1/e/abort/web", "delivery": "d1", "received_at": START, "event_type": "incident.triggered",
        "occurred_at": START, "auth": "v3_hmac", "actor": "PagerDuty", "incident": "Q1", "incident_number": 1,
        "incident_title": "web hurts", "service": "P1", "alerts": (), "runbook": "abort", "runbook_hash": "0" * 64,
        "max_age": 900.0, "mode": "auto", "observed": False, "target": "web", "target_spec": {},
        "steps": (StepSpec(action="abort_rollout"),),
        "verify": (CheckSpec(check="rollout_traffic_on_stable", within=300.0, settle=5.0),), **changed,
    }  # fmt: skip
    return RunSpec(**fields)


class Moves:
    """An action of two lines: write once, then no more. Tests replace the parts that they are about."""

    def __init__(self) -> None:
        self.plans: list[Plan | Refusal | LookAgain] = []
        self.wakes = False

    def plan(self, seen: Sequence[Json], now: datetime) -> Plan | Refusal | LookAgain:
        return self.plans[min(seen[-1]["plan"], len(self.plans) - 1)] if self.plans else PLAN

    def proceed(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime, stopped: bool
    ) -> Write | LookAgain | Finished:
        if done:
            return Finished(outcome=done[-1])
        if not plan.calls:
            if self.wakes and not stopped and len(seen) > 1:
                return Write(n=1, call=WAKE, woken=True)
            return Finished(outcome=Outcome(kind="noop", said=plan.somebody, at=now))
        if stopped:
            return Finished(outcome=Outcome(kind="refused", said="stop switch", n=1, at=now, cause="stopped"))
        return Write(n=1, call=plan.calls[0])

    def put_back(
        self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], now: datetime
    ) -> Write | LookAgain | Finished:
        if done[-1].n == 1:
            return Write(n=2, call=BACK)
        return Finished(outcome=done[-1])

    def weigh(self, plan: Plan, seen: Sequence[Json], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
        return verdict

    def remarks(
        self, plan: Plan | None, seen: Sequence[Json], done: Sequence[Outcome], verdict: Verdict | None, stopped: bool
    ) -> Remarks:
        return Remarks(done=f"{len(done)} writes", proof=f"{len(seen)} looks")


def passed(seconds: float) -> Json:
    return {"kind": "passed", "said": "on stable", "reached": list(ALL)}


def unknown(*reached: str, said: str = "not yet") -> Callable[[float], Json]:
    return lambda seconds: {"kind": "unknown", "said": said, "reached": list(reached)}


@dataclass
class Runs:
    """`verdict`: what a check sees at that second. The lists are answered one by one; empty = the ordinary answer."""

    clock: Clock
    moves_: Moves = field(default_factory=Moves)
    later: Moves = field(default_factory=Moves)
    verdict: Callable[[float], Json] = passed
    me: str = "a"
    stop: str | None = None
    locks: list[str | None] = field(default_factory=list)
    guarded: list[Json] = field(default_factory=list)
    stops: list[str | None] = field(default_factory=list)
    writes: list[Json] = field(default_factory=list)
    unread: Callable[[float], bool] = lambda seconds: False
    did: list[tuple[Any, ...]] = field(default_factory=list)
    report: Report | None = None
    plans = 0

    def moves(self, spec: RunSpec, index: int) -> Moves:
        return self.moves_ if index == 0 else self.later

    def budgets(self, spec: RunSpec) -> dict[str, float]:
        return {"acknowledge": 45.0, "traffic": 60.0}

    def take_target(self, spec: RunSpec) -> str | None:
        self.did.append(("take",))
        return self.locks.pop(0) if self.locks else None

    def _look(self, **seen: Any) -> Json:
        look = {"at": stamp(self.clock.now()), "by": self.me, "stopped": self.stop}
        return {**look, "unread": "away"} if self.unread(self.clock.seconds) else {**look, **seen}

    def look(self, spec: RunSpec, index: int) -> Json:
        self.did.append(("look",))
        return self._look(state={"plan": self.plans})

    def planned(self, spec: RunSpec, index: int, plan: Plan) -> None:
        self.plans += 1
        self.did.append(("planned", plan.said))

    def guards(self, spec: RunSpec, plan: Plan) -> Json:
        self.did.append(("guards",))
        return self.guarded.pop(0) if self.guarded else {}

    def guard_stopped(self, spec: RunSpec, reason: str) -> None:
        self.did.append(("guard stopped", reason))

    def intend(self, spec: RunSpec, index: int, write: Write) -> Json:
        if self.stops and (reason := self.stops.pop(0)) is not None:
            return {"stopped": reason}
        self.did += [("intended", one.n) for one in (write, *write.also)]
        return {"by": self.me}

    def write(self, spec: RunSpec, index: int, plan: Plan, call: Call, n: int, by: str) -> Json:
        self.did.append(("sent", n))
        answer = self.writes.pop(0) if self.writes else {"kind": "done", "said": call.said}
        if "not_done" in answer:
            return {"retry_after": None, "at": stamp(self.clock.now()), **answer}
        return {"outcome": {"n": n, "at": stamp(self.clock.now()), "evidence": {"kind": "act"}, **answer}}

    def outcome(self, spec: RunSpec, index: int, outcome: Outcome) -> None:
        self.did.append((outcome.kind, outcome.n))

    def check(self, spec: RunSpec, check: int, plan: Plan) -> Json:
        self.did.append(("check", round(self.clock.seconds, 2)))
        at = stamp(self.clock.now())
        verdict = {"at": at, "evidence": {"seen": 1}, **self.verdict(self.clock.seconds)}
        return self._look(state={"plan": self.plans}, verdict=verdict)

    def checked(self, spec: RunSpec, check: int, look: int, verdict: Verdict) -> None:
        self.did.append((verdict.kind, verdict.said))

    def progress(self, spec: RunSpec, report: Report) -> None:
        assert report.state is State.PROVING

    def ended(self, spec: RunSpec, report: Report) -> Json:
        self.report = report
        return {"head": [1, "0" * 64], "joined": [], "state": report.state.value}

    def times(self, what: str) -> int:
        return sum(one[0] == what for one in self.did)

    def only(self, *what: str) -> list[tuple[Any, ...]]:
        return [one for one in self.did if one[0] in what]


@dataclass
class Told:
    """One run, told to its end."""

    world: Runs
    engine: Inline
    state: str
    said: str
    seconds: float


def run(world: Runs, about: RunSpec | None = None, recorded: History | None = None) -> Told:
    about = about or spec()
    engine = Inline(world.clock, about.id, recorded)
    answer = told(carry_out(engine, about.model_dump(mode="json"), world))  # type: ignore[arg-type]
    report = world.report
    return Told(world, engine, answer["state"], report.said if report else "", world.clock.seconds)

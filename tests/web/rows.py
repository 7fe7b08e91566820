"""Rows as a story leaves them, written by hand: a delivery, what was decided, a run in any state, its audit rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from server.audit import journal
from server.audit.journal import Entry
from server.audit.tags import Tag
from server.core.delivery import Delivery
from server.core.incident import Alert
from server.core.outcome import Call, Judged, Outcome, Plan, Remarks
from server.core.run import CheckSpec, Report, RunSpec, StepSpec, Truth
from server.core.states import FINAL, State
from server.db import stamp
from server.store.tables import STARTED, decisions, deliveries, joins, notes, runs

AT = datetime(2026, 11, 24, 3, 7, 14, 302_000, tzinfo=UTC)
BAD, GOOD = "7d9f6c5b84", "5c4b8c9d6f"
PATH = "/apis/argoproj.io/v1alpha1/namespaces/production/rollouts/web-frontend/status"


def after(seconds: float) -> datetime:
    """So long after the delivery came."""
    return AT + timedelta(seconds=seconds)


def look(canary: int, *, aborted: bool, phase: str = "Progressing") -> dict[str, Any]:
    """A look at the rollout as it is stored: only what a page reads."""
    return {
        "at": stamp(AT),
        "date": stamp(AT),
        "cluster": "default",
        "namespace": "production",
        "name": "web-frontend",
        "replicas": 10,
        "cur": BAD,
        "sta": GOOD,
        "phase": phase,
        "abort": aborted or None,
        "aborted_at": "2026-11-24T03:07:15Z" if aborted else "",
        "weights": {"canary": canary, "stable": 100 - canary, "verified": True},
        "router": {"name": "web-frontend", "routes": [{"name": "primary", "canary": canary, "stable": 100 - canary}]},
        "replica_sets": [
            {"name": f"web-frontend-{BAD}", "hash": BAD, "created": None, "available": 3},
            {"name": f"web-frontend-{GOOD}", "hash": GOOD, "created": None, "available": 10},
        ],
        "analysis": [
            {
                "name": f"web-frontend-{BAD}-42-2",
                "phase": "Failed",
                "metrics": [
                    {
                        "name": "error-rate",
                        "phase": "Failed",
                        "count": 2,
                        "failed": 2,
                        "limit": "1",
                        "value": "[0.087]",
                        "finished": "2026-11-24T03:06:40Z",
                        "required": "result[0] <= 0.05",
                        "query": "sum(rate(http_requests_total[1m]))",
                        "measured": [
                            ["2026-11-24T03:05:40Z", "[0.059]", "Failed"],
                            ["2026-11-24T03:06:40Z", "[0.087]", "Failed"],
                        ],
                    }
                ],
            }
        ],
    }


@dataclass
class World:
    """Writes rows. Every id is made of the number of the story, so that two stories never meet."""

    engine: sa.Engine
    at: datetime = AT
    made: list[str] = field(default_factory=list)

    def delivery(self, n: int = 1, *, body: bytes = b'{"event":{"id":"01K"}}', **parsed: Any) -> str:
        """A stored delivery."""
        values: dict[str, Any] = {
            "trigger": "pagerduty_v3",
            "auth": "v3_hmac",
            "webhook_id": f"hook-{n}",
            "event_key": f"event-{n}",
            "event_type": "incident.triggered",
            "occurred_at": after(-16),
            "incident": f"QINC{n}",
            "title": "web-frontend 5xx above 5 %",
            "body_sha256": "230d8358dc8e" + "0" * 52,
            **parsed,
        }
        found = Delivery(**values)
        row = {
            "id": f"0000000000{n:04d}",
            "received_at": self.at,
            "trigger": found.trigger,
            "webhook_id": found.webhook_id,
            "event_key": found.event_key,
            "event_type": found.event_type,
            "incident": found.incident,
            "parsed": found.model_dump_json(),
            "headers": json.dumps({"X-PagerDuty-Signature": "v1=the-signature"}),
            "body": body,
            "state": STARTED,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.insert(deliveries).values(row))
        return str(row["id"])

    def decision(self, delivery: str, runbook: str, kind: str, reason: str, **more: Any) -> None:
        """What one runbook decided."""
        detail = {"runbook": runbook, "kind": kind, "reason": reason, "checked": more.pop("checked", [])}
        row = {"target": None, "run": None, **more, "detail": json.dumps(detail), "at": self.at}
        with self.engine.begin() as connection:
            values = {"delivery": delivery, "runbook": runbook, "kind": kind, "reason": reason, **row}
            connection.execute(sa.insert(decisions).values(values))

    def audit(self, seconds: float, key: str, tag: Tag, said: str, **more: Any) -> None:
        """One row at the end of the chain."""
        with self.engine.begin() as connection:
            journal.append(connection, self.at + timedelta(seconds=seconds), Entry(key, tag, said, **more))

    def run(self, state: State, n: int = 1, *, delivery: str | None = None, **more: Any) -> str:
        """A run in this state. more: fields of RunSpec, or `report`, `plan`, `said`, `waiting_for`, `created_at`."""
        run = f"r-{n:016x}"
        given = {
            name: more.pop(name) for name in ("report", "plan", "said", "waiting_for", "created_at") if name in more
        }
        made = spec(run, delivery or f"0000000000{n:04d}", n, **more)
        created = given.get("created_at", self.at)
        report: Report | None = given.get("report")
        the_plan: Plan | None = given.get("plan", report.plan if report else None)
        row = {
            "id": run,
            "key": made.key,
            "delivery": made.delivery,
            "incident": made.incident,
            "incident_number": made.incident_number,
            "runbook": made.runbook,
            "target": made.target,
            "observed": made.observed,
            "state": state.value,
            "said": given.get("said", report.said if report else "looking at the target"),
            "waiting_for": given.get("waiting_for"),
            "ticket": f"{stamp(created)} {made.delivery}",
            "created_at": created,
            "ended_at": created + timedelta(seconds=10) if state in FINAL else None,
            "spec": made.model_dump_json(),
            "plan": the_plan.model_dump_json() if the_plan else None,
            "report": report.model_dump_json() if report else None,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.insert(runs).values(row))
        return run

    def ended(self, n: int, at: datetime) -> None:
        """That run ended at another hour."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(runs).where(runs.c.id == f"r-{n:016x}").values(ended_at=at))

    def note(self, run: str, incident: str, body: str, posted: str | None = "PNOTE1") -> None:
        """The note of a run."""
        with self.engine.begin() as connection:
            connection.execute(sa.insert(notes).values(run=run, incident=incident, note=posted, body=body, at=self.at))

    def join(self, run: str, incident: str, delivery: str) -> None:
        """Another incident that joined."""
        with self.engine.begin() as connection:
            connection.execute(sa.insert(joins).values(run=run, incident=incident, delivery=delivery, at=self.at))


def spec(run: str, delivery: str, n: int = 1, **more: Any) -> RunSpec:
    """What a run of the shipped abort was started with."""
    alert = Alert(
        id=f"QALERT{n}",
        status="triggered",
        created_at=after(-16),
        summary="web-frontend: error rate 8.3 %",
        details={"alertname": "CanaryHighErrorRate", "error_rate": "8.3 %", "limit": "5 %", "rollout": "web-frontend"},
    )
    values: dict[str, Any] = {
        "id": run,
        "key": f"QINC{n}/2026-11-24T03:06:58Z/abort-canary/web-frontend",
        "delivery": delivery,
        "received_at": AT,
        "event_type": "incident.triggered",
        "occurred_at": after(-16),
        "auth": "v3_hmac",
        "actor": "PagerDuty",
        "incident": f"QINC{n}",
        "incident_number": 4181 + n,
        "incident_title": "web-frontend 5xx above 5 %",
        "incident_url": f"https://acme.pagerduty.com/incidents/QINC{n}",
        "service": "PCANARY",
        "alerts": (alert,),
        "runbook": "abort-canary",
        "runbook_hash": "e18cdc4" + "0" * 57,
        "max_age": 900.0,
        "mode": "auto",
        "observed": False,
        "target": "web-frontend",
        "target_spec": {"kind": "rollout", "strategy": "canary", "namespace": "production"},
        "steps": (StepSpec(action="abort_rollout"),),
        "verify": (CheckSpec(check="rollout_traffic_on_stable", within=60),),
        **more,
    }
    return RunSpec(**values)


def plan(*, nothing: bool = False) -> Plan:
    """The abort, bound to what was judged."""
    body = [
        {"op": "test", "path": "/metadata/uid", "value": "4f0c8f0e-9a1b-4a6e-8d0c-0b6a1c2d3e4f"},
        {"op": "test", "path": "/status/currentPodHash", "value": BAD},
        {"op": "test", "path": "/status/stableRS", "value": GOOD},
        {
            "op": "test",
            "path": "/spec/template",
            "value": {"metadata": {"labels": {"app": "web-frontend"}}, "spec": {"x": "y" * 200}},
        },
        {"op": "add", "path": "/status/abort", "value": True},
    ]
    call = Call(
        method="PATCH",
        path=PATH,
        body=body,
        content_type="application/json-patch+json",
        said="abort production/web-frontend",
    )
    return Plan(
        said="abort production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b",
        calls=() if nothing else (call,),
        judged=Judged(revision=BAD, since=after(-250)),
        facts={"cur": BAD, "sta": GOOD},
        somebody="aborted already at 03:07:01Z" if nothing else "",
    )


def proven(**more: Any) -> Report:
    """The report of a run that ended well."""
    values: dict[str, Any] = {
        "state": State.PROVEN,
        "said": "traffic is on stable, read twice",
        "plan": plan(),
        "outcomes": (Outcome(kind="done", said="200, resourceVersion 88412911", n=1, at=after(0.2)),),
        "truths": (
            Truth(name="accepted", held=True, at=after(0.2)),
            Truth(name="acknowledged", held=True, at=after(1.6)),
            Truth(name="traffic", held=True, at=after(4.9)),
        ),
        "remarks": Remarks(
            proof="controller 03:07:15Z; traffic 0 % canary, 10/10 stable",
            done="aborted production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b",
        ),
        "before": look(25, aborted=False),
        "after": look(0, aborted=True, phase="Degraded"),
        "seconds": 9.4,
        "ended_at": after(10),
        **more,
    }
    return Report(**values)


def unproven(**more: Any) -> Report:
    """The report of a run whose abort nobody acknowledged."""
    values: dict[str, Any] = {
        "state": State.UNPROVEN,
        "said": "not acknowledged within 45 s: the controller has not answered",
        "truths": (
            Truth(name="accepted", held=True, at=after(0.2)),
            Truth(name="acknowledged", held=None, at=after(45), said="the controller has not answered"),
            Truth(name="traffic", held=None, at=after(45), said="canary still has 25 %"),
        ),
        "remarks": Remarks(
            held=("no controller has renewed since 03:06:40Z",),
            mind=(
                "stopped: the abort stands unseen by the controller, kubectl -n production annotate rollout web-frontend wake=1 --overwrite",
            ),
            done="aborted production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b",
        ),
        "after": look(25, aborted=False),
        "seconds": None,
        "ended_at": after(46),
        **more,
    }
    return proven(**values)


def simple(state: State, said: str, **more: Any) -> Report:
    """A report of a run that wrote nothing."""
    return proven(state=state, said=said, outcomes=(), truths=(), remarks=Remarks(), seconds=None, **more)


def tell(world: World, run: str, delivery: str, state: State = State.PROVEN, n: int = 1) -> None:
    """The audit rows of a run that acted, from the delivery to its end."""
    about: dict[str, Any] = {"delivery": delivery, "incident": f"QINC{n}"}
    own = {**about, "run": run, "runbook": "abort-canary", "runbook_hash": "e18cdc4", "target": "web-frontend"}
    step = {**own, "step": "0 abort_rollout"}
    end = {
        State.PROVEN: "traffic is on stable, read twice",
        State.UNPROVEN: "not acknowledged within 45 s: the controller has not answered",
    }.get(state, state.value)
    world.audit(
        0.01,
        f"d-{delivery}/delivery_received",
        Tag.DELIVERY_RECEIVED,
        f"incident.triggered for incident QINC{n}",
        actor_kind="pagerduty",
        actor="PagerDuty",
        auth="v3_hmac",
        **about,
    )
    world.audit(
        0.04, f"d-{delivery}/abort-canary/decided", Tag.DECIDED, "run: every condition holds", **{**own, "run": None}
    )
    world.audit(0.05, f"{run}/run_started", Tag.RUN_STARTED, "abort-canary on web-frontend", **own)
    world.audit(0.1, f"{run}/0/step_planned", Tag.STEP_PLANNED, plan().said, **step)
    world.audit(
        0.16, f"{run}/0/1/step_intended", Tag.STEP_INTENDED, "intends to: abort production/web-frontend", **step
    )
    world.audit(0.22, f"{run}/0/1/step_done", Tag.STEP_DONE, "200, resourceVersion 88412911", **step)
    world.audit(0.4, f"{run}/check/0/0/check_unknown", Tag.CHECK_UNKNOWN, "the controller has not answered yet", **own)
    if state is State.PROVEN:
        world.audit(4.9, f"{run}/check/0/3/check_passed", Tag.CHECK_PASSED, "0 % canary, 10 of 10 stable pods", **own)
    world.audit(10, f"{run}/run_{state.value}", Tag(f"run_{state.value}"), end, **own)
    world.audit(10.4, f"{run}/note/1/told", Tag.TOLD, "one note in the incident", **own)

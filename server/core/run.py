"""A run as data: what it was started with (RunSpec) and how it ended (Report). Both are JSON in the store and in checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.core.incident import Alert
from server.core.outcome import Json, Model, Outcome, Plan, Remarks
from server.core.states import State


class StepSpec(Model):
    """One step, resolved and validated: editing a runbook never touches a run under way."""

    action: str
    options: Json = Field(default_factory=dict)


class CheckSpec(Model):
    """One check. within: seconds, counted from the act's answer; settle: seconds before it is looked at once more."""

    check: str
    within: float
    settle: float = 5.0


class IncidentTarget(Model):
    """What an action about the incident itself is given in a target's place. alerts: ids of those that name the run's target."""

    kind: Literal["incident"] = "incident"
    name: str = Field(description="the incident's id")
    alerts: tuple[str, ...] = ()


class RunSpec(Model):
    """What a run was started with."""

    id: str
    key: str
    delivery: str
    received_at: datetime
    event_type: str
    occurred_at: datetime | None
    auth: str
    actor: str = Field(description="who asked: 'PagerDuty', or the person who pressed")
    incident: str
    incident_number: int | None
    incident_title: str
    incident_url: str = ""
    service: str
    alerts: tuple[Alert, ...] = Field(description="the alerts that name the target, oldest first")
    runbook: str
    runbook_hash: str
    max_age: float
    mode: str = Field(description="the effective mode when it was decided")
    observed: bool
    target: str
    target_spec: Json = Field(description="the target as the catalog declared it when it was decided")
    steps: tuple[StepSpec, ...]
    verify: tuple[CheckSpec, ...]
    on_failure: str = "tell"
    after_proof: tuple[StepSpec, ...] = ()
    tell: tuple[str, ...] = ("pagerduty_note",)

    def step(self, index: int) -> StepSpec:
        """A step by its number; what comes after the proof is numbered on."""
        return (*self.steps, *self.after_proof)[index]


class Truth(Model):
    """One of the four truths. held: True, False (waiting cannot help), or None = not known."""

    name: str
    held: bool | None
    at: datetime | None = None
    said: str = ""


class Report(Model):
    """How a run ended, or how far it is: what the note and the page are made of."""

    state: State
    said: str = Field(description="one sentence: why it ended so")
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()
    truths: tuple[Truth, ...] = ()
    remarks: Remarks = Remarks()
    before: Json = Field(default_factory=dict, description="the state that the plan was made from")
    after: Json = Field(default_factory=dict, description="the state of the last look")
    seconds: float | None = Field(default=None, description="from the delivery to the proof")
    ended_at: datetime

"""A runbook's types (runbooks/<name>.yaml), strict; and what a runbook may name: actions with their options, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from server.core.catalog import Kind, Mode, Name, Strategy, Text, Version
from server.core.durations import Seconds, SomeSeconds
from server.core.outcome import Json, Model

EVENTS = frozenset(
    {
        "incident.acknowledged",
        "incident.action_invocation.created",
        "incident.action_invocation.terminated",
        "incident.action_invocation.updated",
        "incident.annotated",
        "incident.conference_bridge.updated",
        "incident.custom_field_values.updated",
        "incident.delegated",
        "incident.escalated",
        "incident.incident_type.changed",
        "incident.priority_updated",
        "incident.reassigned",
        "incident.reopened",
        "incident.resolved",
        "incident.responder.added",
        "incident.responder.replied",
        "incident.role.assigned",
        "incident.service_updated",
        "incident.status_update_published",
        "incident.task.completed",
        "incident.task.created",
        "incident.task.updated",
        "incident.triggered",
        "incident.unacknowledged",
        "incident.workflow.completed",
        "incident.workflow.started",
    }
)
"""The v3 webhook events that name an incident: nothing else can start a runbook."""

WORKFLOW_STARTED = "incident.workflow.started"


class Options(BaseModel):
    """The base of an action's options (`with:`). Options only: the place comes from the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _event(text: str) -> str:
    if text not in EVENTS:
        raise ValueError("expected an incident event of PagerDuty's v3 webhooks, for example 'incident.triggered'")
    return text


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return value
    raise ValueError("expected a text or a list of texts (in quotes where YAML would read something else)")


def _teams(value: Any) -> Any:
    if (
        value is None
        or value == "all"
        or (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value))
    ):
        return value
    raise ValueError("expected 'all' or a list of teams")


Event = Annotated[str, AfterValidator(_event)]
Wanted = Annotated[
    tuple[Text, ...],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
"""A text, or a list of which one must be equal."""
Teams = Annotated[
    Literal["all"] | tuple[Text, ...] | None,
    BeforeValidator(_teams),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Block(Model):
    """One block of `when.any`: holds when every line holds. With `workflow` it answers to incident.workflow.started alone."""

    alert: dict[Text, Wanted] = Field(default_factory=dict, description="details of the oldest open alert")
    workflow: Wanted | None = Field(default=None, description="the id of the incident workflow that a person started")

    @model_validator(mode="after")
    def _not_empty(self) -> Block:
        if not self.alert and self.workflow is None:
            raise ValueError("expected at least one line: alert or workflow")
        return self


class When(Model):
    """When a runbook starts. any: the first block that holds; absent = always."""

    events: tuple[Event, ...] = Field(min_length=1)
    any: Annotated[tuple[Block, ...], Field(min_length=1)] | None = None


class Selector(Model):
    """Which kind of target."""

    kind: Kind
    strategy: Strategy | None = None

    @model_validator(mode="after")
    def _only_rollouts_have_one(self) -> Selector:
        if self.strategy is not None and self.kind != "rollout":
            raise ValueError("expected no strategy: only a rollout has one")
        return self


class Step(Model):
    """One action. Its options are checked against the action's own when the library is read."""

    action: Text
    options: Json = Field(default_factory=dict, alias="with")


class Verify(Model):
    """One check. within: seconds from the act's answer; absent = the target's `traffic` budget."""

    check: Text
    within: SomeSeconds | None = None
    settle: Seconds = 5.0


class RunbookFile(Model):
    """runbooks/<name>.yaml."""

    version: Version
    owner: Text = Field(description="the team that answers for this file")
    teams: Teams = Field(default=None, description="whose targets it may touch; absent = the owner's own")
    summary: Annotated[str, StringConstraints(max_length=500)] = ""
    mode: Mode = "observe"
    when: When
    target: Selector
    max_age: SomeSeconds = 900.0
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    verify: Annotated[tuple[Verify, ...], Field(min_length=1)]
    on_failure: Literal["tell", "put_back"] = "tell"
    after_proof: tuple[Step, ...] = ()
    tell: tuple[Literal["pagerduty_note"], ...] = ("pagerduty_note",)


class Runbook(RunbookFile):
    """A runbook as the server holds it. hash: SHA-256 of the file's bytes; source: its text."""

    name: Name
    hash: str
    source: str = Field(repr=False)

    def allows(self, team: str) -> bool:
        """Whether it may touch that team's targets."""
        if self.teams == "all":
            return True
        return team in ((self.owner,) if self.teams is None else self.teams)


@dataclass(frozen=True)
class Known:
    """What a runbook may name. kinds: the kinds of target that an action or a check is about; absent = every kind."""

    actions: Mapping[str, type[Options]]
    checks: frozenset[str]
    irreversible: frozenset[str]
    kinds: Mapping[str, frozenset[str]]

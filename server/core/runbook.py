"""A runbook: when, on which kind of target, under which guards, which steps, how to verify, whom to tell. Strict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from server.core.durations import Seconds

Mode = Literal["off", "observe", "approve", "auto"]
MODES: tuple[Mode, ...] = ("off", "observe", "approve", "auto")
"""From the most careful on."""

Event = Literal[
    "incident.triggered",
    "incident.acknowledged",
    "incident.unacknowledged",
    "incident.escalated",
    "incident.delegated",
    "incident.reassigned",
    "incident.priority_updated",
    "incident.service_updated",
    "incident.incident_type.changed",
    "incident.reopened",
    "incident.resolved",
    "incident.custom_field_values.updated",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.workflow.started",
    "incident.workflow.completed",
]


class Strict(BaseModel):
    """An unknown key or a wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


class Options(Strict):
    """What `with:` may hold for one action: options, never a place."""


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _tuple(value)


Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
"""One text, or a list = one of."""


class Block(Strict):
    """One way to match: every line must hold. workflow: the id of the incident workflow that a person started."""

    alert: dict[str, Texts] = Field(default_factory=dict)
    workflow: Texts | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Block:
        if not self.alert and self.workflow is None:
            raise ValueError("expected alert: {…} or workflow: an id")
        return self


class When(Strict):
    """On which event types, and the blocks of which one must hold; no blocks = always."""

    events: Annotated[tuple[Event, ...], BeforeValidator(_tuple), Field(min_length=1)]
    any: Annotated[tuple[Block, ...], BeforeValidator(_tuple)] = ()


class Selector(Strict):
    """Which targets."""

    kind: Literal["rollout", "flag", "service", "canary"]
    strategy: Literal["canary", "blue-green"] | None = None


class Step(Strict):
    """One action and its options."""

    action: str
    options: dict[str, Any] = Field(default_factory=dict, alias="with")

    @field_validator("options", mode="before")
    @classmethod
    def _given(cls, value: Any) -> Any:
        return {} if value is None else value


class Verify(Strict):
    """One check. within: seconds, None = the target's traffic budget."""

    check: str
    within: Seconds | None = None
    settle: Seconds = 5.0


class Runbook(Strict):
    """One file. name, hash and source come from the file itself, never from its text."""

    version: Literal[1]
    owner: str = Field(min_length=1)
    teams: Literal["all"] | Annotated[tuple[str, ...], BeforeValidator(_tuple)] | None = None
    summary: str = ""
    mode: Mode = "observe"
    when: When
    target: Selector
    max_age: Seconds
    steps: Annotated[tuple[Step, ...], BeforeValidator(_tuple), Field(min_length=1)]
    verify: Annotated[tuple[Verify, ...], BeforeValidator(_tuple), Field(min_length=1)]
    on_failure: Literal["tell", "put_back"] = "tell"
    after_proof: Annotated[tuple[Step, ...], BeforeValidator(_tuple)] = ()
    tell: Annotated[tuple[Literal["pagerduty_note"], ...], BeforeValidator(_tuple)] = ("pagerduty_note",)
    name: str = ""
    hash: str = ""
    source: str = ""

    def may_touch(self, team: str) -> bool:
        """Whether a target of this team is this runbook's business."""
        if self.teams == "all":
            return True
        return team in (self.teams if self.teams is not None else (self.owner,))


@dataclass(frozen=True)
class Known:
    """Which names exist: actions with their options, checks, and the actions that cannot be put back."""

    actions: Mapping[str, type[Options]]
    checks: frozenset[str]
    irreversible: frozenset[str]

"""What one look at a flag saw."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.core.outcome import Model


class Change(Model):
    """A scheduled change that waits for its hour. kinds: its instructions, as LaunchDarkly names them."""

    at: datetime | None
    kinds: tuple[str, ...]


class Around(Model):
    """What hangs on the flag in that environment, read once, when the plan is made."""

    pending: tuple[Change, ...] = ()
    dependents: tuple[str, ...] = Field(default=(), description="flags that have this one as a prerequisite")
    unread: tuple[str, ...] = Field(default=(), description="what of this could not be read: 'scheduled changes (403)'")


class FlagState(Model):
    """One look at one flag in one environment. `problem`: a sentence why it says nothing; then the rest means nothing."""

    at: datetime
    project: str
    environment: str
    flag: str
    safe: Literal["on", "off"]
    problem: str = ""
    passing: bool = Field(default=False, description="the problem may pass: a token that is being changed")
    on: bool = False
    version: int = Field(default=0, description="of the flag in this environment: every change there raises it")
    flag_version: int = Field(default=0, description="of the whole flag, over all environments")
    modified: datetime | None = Field(default=None, description="when `version` came to be")
    archived: bool = False
    off_variation: int | None = None
    off_served: str = Field(default="", description="what 'off' serves: \"'old' (false)\"; '' = no off variation")
    fallthrough: str = Field(default="", description="what 'on' serves by default, as JSON, cut")
    rollout: str = Field(default="", description="the kind of an automated rollout that owns the default rule")
    targets: int = 0
    rules: int = 0
    prerequisites: tuple[str, ...] = ()
    site: str = Field(default="", description="its page, without the host")
    around: Around | None = None

    @property
    def where(self) -> str:
        """'new-checkout in production'."""
        return f"{self.flag} in {self.environment}"

    @property
    def is_safe(self) -> bool:
        """Whether it stands in its safe state."""
        return self.on is (self.safe == "on")


def word(on: bool) -> str:
    """'on' or 'off'."""
    return "on" if on else "off"


def clock(at: datetime, now: datetime | None = None) -> str:
    """'03:12:34Z', with the day where it is not today's."""
    other_day = now is not None and at.date() != now.date()
    return f"{at:%Y-%m-%d %H:%M:%SZ}" if other_day else f"{at:%H:%M:%SZ}"

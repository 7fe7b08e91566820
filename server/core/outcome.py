"""What an action says: Plan, Refusal, LookAgain, Write, Finished, Outcome; what a check says: Verdict.

All are frozen pydantic models, because all of them are stored as JSON in a checkpoint and replayed from it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Json = dict[str, Any]


class Model(BaseModel):
    """A frozen value that survives JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Call(Model):
    """One outside write, exactly as it will be sent."""

    method: str
    path: str = Field(description="path as sent, without host: what the audit shows")
    body: Any = Field(description="the JSON body")
    content_type: str = "application/json"
    said: str = Field(description="one clause for people: 'abort production/web-frontend'")


class Judged(Model):
    """The version that a plan is about: what the alert must be older than, and what the cool-down belongs to."""

    revision: str = Field(description="pod hash or flag version")
    since: datetime | None = Field(description="when it started to take traffic; None = not known")


class Plan(Model):
    """Computed once from the live state, before anything is touched."""

    said: str = Field(description="one clause: 'abort production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b'")
    calls: tuple[Call, ...] = Field(description="the exact first calls; empty = already so, nothing to write")
    judged: Judged
    predicted: Json = Field(default_factory=dict, description="what will be read as proof")
    was: Json = Field(default_factory=dict, description="what was read before")
    facts: Json = Field(
        default_factory=dict, description="what proceed, write and look need again: uid, hashes, template, paths"
    )
    somebody: str = Field(
        default="", description="who did it before us, where calls is empty: 'aborted already at 03:12:01Z'"
    )
    undo: bool = False


class Refusal(Model):
    """Nothing will be touched; the reason is a sentence."""

    reason: str


class LookAgain(Model):
    """Not decidable yet, or nothing to do before the next look, `after` seconds from now."""

    after: float
    why: str = ""


class Outcome(Model):
    """What became of one write. `unknown` = read before anything else; never an exception."""

    kind: Literal["done", "noop", "refused", "unknown"]
    said: str
    n: int = 0
    at: datetime
    evidence: Json = Field(default_factory=dict)
    cause: Literal["", "conflict", "timeout", "broken", "died", "not_done", "stopped"] = Field(
        default="",
        description=(
            "why: conflict = a bound test failed (422); timeout = ours or a 5xx (never repeat); broken = connection lost after sending; "
            "died = our own process died with the intent written; not_done = certainly not done until the deadline; stopped = stop switch"
        ),
    )


class Write(Model):
    """Do this now: intend number n, send it, and look afterwards (`look=False`: the next write follows at once)."""

    n: int
    call: Call
    look: bool = True
    also: tuple[Write, ...] = Field(
        default=(), description="writes that will follow this one: their intents are committed together with its own"
    )
    woken: bool = Field(default=False, description="a wake: its intent is the row step_woken")
    despite_stop: bool = Field(
        default=False, description="goes out while the stop switch is on: it takes our own flag off"
    )


class Finished(Model):
    """The step wants no further write (while proving: no further write now and never again)."""

    outcome: Outcome


class Verdict(Model):
    """What a check saw. `unknown` is also *not yet*; `failed` only where waiting cannot help."""

    kind: Literal["passed", "failed", "unknown"]
    said: str
    at: datetime
    reached: tuple[str, ...] = Field(default=(), description="truths that hold: accepted, acknowledged, traffic")
    evidence: Json = Field(default_factory=dict)
    state: Json | None = Field(
        default=None, description="the state that was looked at, for the action's proceed; None = look separately"
    )
    stop: bool = Field(default=False, description="unknown, and no waiting will change it: end the run unproven now")


class Remarks(Model):
    """What the note and the page say beside the result, computed from all looks."""

    held: tuple[str, ...] = ()
    mind: tuple[str, ...] = ()
    wrong: str = Field(
        default="", description="metric, value, limit from an AnalysisRun; empty = say the alert's own numbers"
    )
    proof: str = Field(default="", description="'controller 03:12:34Z; traffic 0 % canary, 10/10 stable'")
    done: str = Field(default="", description="'aborted production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b'")
    back: str = Field(
        default="is back on stable", description="what a proven note says of the target in its first line"
    )
    plot: Json = Field(default_factory=dict, description="numbers for the page: weights, measurements")

"""A flag as LaunchDarkly answers it, at moments that a test chooses; and a door that answers with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from server.core.catalog import FlagTarget
from server.core.flag import decide, read
from server.core.flag.state import Around, FlagState
from server.core.outcome import Outcome, Plan
from server.errors import Missing

Json = dict[str, Any]
START = datetime(2026, 11, 24, 3, 12, 0, tzinfo=UTC)
TURNED = datetime(2026, 11, 24, 3, 1, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def target(**changed: Any) -> FlagTarget:
    given = {
        "name": "checkout",
        "team": "web",
        "project": "default",
        "environment": "production",
        "flag": "new-checkout",
        "pagerduty_services": ["PFLAG"],
        "named_by": {"flag": "new-checkout"},
    }
    return FlagTarget.model_validate(given | changed)


def raw(on: bool = True, version: int = 41, modified: datetime = TURNED, **here: Any) -> Json:
    """The flag's JSON; `here` overrides fields of the environment, None takes them away."""
    environment: Json = {
        "on": on,
        "version": version,
        "lastModified": milliseconds(modified),
        "archived": False,
        "offVariation": 1,
        "fallthrough": {"variation": 0},
        "rules": [],
        "targets": [],
        "contextTargets": [],
        "prerequisites": [],
        "_site": {"href": "/default/production/features/new-checkout", "type": "text/html"},
    }
    environment.update(here)
    return {
        "key": "new-checkout",
        "kind": "boolean",
        "_version": 57,
        "archived": False,
        "variations": [
            {"_id": "v0", "value": True, "name": "new"},
            {"_id": "v1", "value": False, "name": "old"},
        ],
        "environments": {"production": {key: value for key, value in environment.items() if value is not None}},
    }


def look(seconds: float, on: bool = True, version: int = 41, *, safe: str = "off", **here: Any) -> FlagState:
    """A look that was read from such an answer."""
    bare = FlagState.model_validate(
        {"at": at(seconds), "project": "default", "environment": "production", "flag": "new-checkout", "safe": safe}
    )
    return read.flag(bare, raw(on, version, **here))


def first(**around: Any) -> FlagState:
    """The look that a plan is made from."""
    return look(0).model_copy(update={"around": Around.model_validate(around)})


def planned(seen: FlagState | None = None) -> Plan:
    """The plan to turn it off, as a run knows it."""
    plan = decide.plan([seen or first()], at(0))
    assert isinstance(plan, Plan)
    return plan.model_copy(update={"facts": {**plan.facts, "run": "r-1"}})


def outcome(kind: Any, seconds: float, n: int = 1, cause: Any = "", **evidence: Any) -> Outcome:
    if kind == "done" and "version" not in evidence:
        evidence |= {"version": 42}
    return Outcome(kind=kind, said=kind, n=n, at=at(seconds), cause=cause, evidence={"kind": "act", **evidence})


class Door:
    """LaunchDarkly as values by the beginning of a path; an exception is raised. Anything else is missing."""

    def __init__(self, answers: Mapping[str, Json | Exception]) -> None:
        self.answers, self.asked = answers, list[tuple[str, bool]]()

    def get(self, path: str, *, beta: bool = False) -> tuple[Json, datetime]:
        self.asked.append((path, beta))
        found = next((one for start, one in self.answers.items() if path.startswith(start)), None)
        if found is None:
            raise Missing(f"launchdarkly: GET {path}: 404")
        if isinstance(found, Exception):
            raise found
        return found, START

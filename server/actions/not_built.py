"""What an action does whose name is known from the first day and which is not built yet: it reads nothing and refuses aloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from server.clients import Clients
from server.core.outcome import Call, Finished, Json, LookAgain, Model, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.errors import Bug


class Nothing(Model):
    """A look that read nothing."""

    at: datetime


def observe(target: Any, clients: Clients) -> Nothing:
    """Reads nothing."""
    return Nothing(at=clients.now())


def state(seen: Json) -> Nothing:
    """A look that was stored as JSON."""
    return Nothing.model_validate(seen)


def refusing(name: str) -> Callable[[Any, Sequence[Nothing], datetime], Plan | Refusal | LookAgain]:
    """The plan of the action `name`."""

    def plan(params: Any, seen: Sequence[Nothing], now: datetime) -> Plan | Refusal | LookAgain:
        return Refusal(reason=f"{name} is not built yet, nothing was touched")

    return plan


def proceed(
    plan: Plan, seen: Sequence[Nothing], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """Never comes to it: there is no plan."""
    return Finished(outcome=Outcome(kind="refused", said="not built yet, nothing was touched", at=now))


def write(plan: Plan, call: Call, clients: Clients, key: str, n: int) -> Outcome:
    """Never comes to it: there is no call."""
    raise Bug("a write of an action that is not built")


def put_back(plan: Plan, seen: Sequence[Nothing], done: Sequence[Outcome], now: datetime) -> Finished:
    """Nothing was touched."""
    return Finished(outcome=Outcome(kind="noop", said="nothing was touched", at=now))


def weigh(plan: Plan, seen: Sequence[Nothing], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """Adds nothing."""
    return verdict


def remarks(
    plan: Plan | None,
    seen: Sequence[Nothing],
    done: Sequence[Outcome],
    verdict: Verdict | None,
    stopped: bool = False,
) -> Remarks:
    """Says nothing."""
    return Remarks()

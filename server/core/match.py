"""Where it is matched: one Decision with its reason for every runbook, from values alone.

Order: event type, mode off, the targets that this PagerDuty service may name, which of them the alert names, the first block
that holds, then the guards. The reason names the first condition that does not hold, and both values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from server.core import guards
from server.core.catalog import CAREFUL, Mode, RolloutTarget, Target
from server.core.delivery import Delivery, StoredDelivery
from server.core.incident import Alert, Incident
from server.core.library import Library
from server.core.outcome import Model
from server.core.runbook import Block, Runbook
from server.core.text import clean, quoted

Kind = Literal["run", "observed", "joined", "braked", "no"]
WORKFLOW = "incident.workflow.started"
PRESS = "pagerduty_action"


class Gone(Model):
    """PagerDuty does not know the incident."""


class Unread(Model):
    """PagerDuty could not be read until every runbook's max_age had passed."""

    since: datetime


class Holds(Model):
    """What may stop a run: the stop switch (its reason), the runs under way by target, the run ids that exist."""

    stop: str | None = None
    busy: dict[str, str] = Field(default_factory=dict)
    existing: frozenset[str] = frozenset()


class Condition(Model):
    """One condition that was looked at, with what was seen."""

    what: str
    held: bool
    seen: str = ""


class Decision(Model):
    """What one runbook says of one delivery. run: its own run, or the one that it joined or that exists already."""

    runbook: str
    kind: Kind
    reason: str
    target: str | None = None
    key: str | None = None
    run: str | None = None
    checked: tuple[Condition, ...] = ()


class _No(Exception):
    """Not an error: the first condition that does not hold."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decide(
    delivery: StoredDelivery,
    incident: Incident | Gone | Unread | None,
    alerts: Sequence[Alert],
    library: Library,
    holds: Holds,
    now: datetime,
) -> tuple[Decision, ...]:
    """One decision for every runbook, in the runbooks' order (two on one target: the first has it)."""
    made: list[Decision] = []
    taken: dict[str, str] = {}
    for runbook in library.runbooks:
        one = _one(delivery, incident, alerts, runbook, library, holds, now)
        if one.target in taken and one.kind != "no":
            one = one.model_copy(
                update={"kind": "no", "reason": f"{taken[one.target]} has it", "run": None, "key": None}
            )
        elif one.target is not None and one.kind != "no":
            taken[one.target] = runbook.name
        made.append(one)
    return tuple(made)


def _one(
    delivery: StoredDelivery,
    incident: Incident | Gone | Unread | None,
    alerts: Sequence[Alert],
    runbook: Runbook,
    library: Library,
    holds: Holds,
    now: datetime,
) -> Decision:
    checked: list[Condition] = []
    target: Target | None = None
    try:
        if delivery.messages > 1:
            _check(
                checked,
                "message",
                True,
                f"{delivery.message} of {delivery.messages}, {_q(delivery.delivery.event_key)}",
            )
        _starts(delivery.delivery, runbook, checked)
        known = _known(incident)
        if known.merged:
            _check(checked, "merged", True, f"{', '.join(known.merged)} merged into {known.id}")
        if not _open(alerts) and (over := guards.resolved(known)) is not None:
            raise _No(guards.too_old(delivery.delivery.occurred_at, runbook.max_age, now) or over)
        target = _target(known, alerts, runbook, library, checked)
        _when(delivery.delivery, alerts, runbook, checked)
        return _guarded(delivery, known, runbook, target, holds, now, checked)
    except _No as no:
        name = target.name if target is not None else None
        return Decision(runbook=runbook.name, kind="no", reason=no.reason, target=name, checked=tuple(checked))


# Matching -------------------------------------------------------------------------------------------------------------


def _starts(delivery: Delivery, runbook: Runbook, checked: list[Condition]) -> None:
    if delivery.trigger == PRESS:
        _check(
            checked,
            "button",
            delivery.runbook == runbook.name,
            f"button is {_q(delivery.runbook)}, wanted {_q(runbook.name)}",
        )
    else:
        wanted = _wanted(runbook.when.events)
        said = f"event type is {_q(delivery.event_type)}, wanted {wanted}"
        _check(checked, "event type", delivery.event_type in runbook.when.events, said)
    _check(checked, "mode", runbook.mode != "off", "mode is 'off'")


def _known(incident: Incident | Gone | Unread | None) -> Incident:
    if isinstance(incident, Incident):
        return incident
    if isinstance(incident, Unread):
        raise _No(f"PagerDuty could not be read since {incident.since:%H:%M:%S}Z")
    raise _No("incident gone" if isinstance(incident, Gone) else "the event names no incident")


def _target(
    incident: Incident, alerts: Sequence[Alert], runbook: Runbook, library: Library, checked: list[Condition]
) -> Target:
    wanted = runbook.target
    targets = list(library.catalog.targets.values())
    bound = [t for t in targets if incident.service in t.pagerduty_services]
    _check(checked, "service", bool(bound), f"service is {_q(incident.service)}, no target is bound to it")
    fitting = [t for t in bound if t.kind == wanted.kind and wanted.strategy in (None, _strategy(t))]
    kind = f"{wanted.kind}{f' {wanted.strategy}' if wanted.strategy else ''}"
    seen = ", ".join(f"{t.name} is a {t.kind}{_said_strategy(t)}" for t in bound)
    _check(checked, "kind", bool(fitting), f"{seen}, wanted {kind}")
    mine = [t for t in fitting if runbook.allows(t.team)]
    _check(checked, "team", bool(mine), "; ".join(f"target {t.name} belongs to team {t.team}" for t in fitting))
    target = _named(mine, alerts, checked)
    # Asked of the named one alone: a target that is off must not make a vague alert look clear.
    _check(checked, "target mode", target.mode != "off", f"target {target.name}: mode is 'off'")
    return target


def _strategy(target: Target) -> str | None:
    return target.strategy if isinstance(target, RolloutTarget) else None


def _said_strategy(target: Target) -> str:
    return f" {target.strategy}" if isinstance(target, RolloutTarget) else ""


def _named(targets: Sequence[Target], alerts: Sequence[Alert], checked: list[Condition]) -> Target:
    """Which target the open alerts name. Every key that an alert has must be equal; several left: every key must be there."""
    told = [alert.details for alert in _open(alerts) if alert.details]
    if not told:
        raise _No("no alert data")
    chosen = {_choose(targets, details, checked).name for details in told}
    _check(checked, "target", len(chosen) == 1, f"ambiguous ({', '.join(sorted(chosen))})")
    return next(t for t in targets if t.name in chosen)


def _choose(targets: Sequence[Target], details: Mapping[str, object], checked: list[Condition]) -> Target:
    left = [t for t in targets if not _contradiction(t, details)]
    if not left:
        said = "; ".join(_contradiction(t, details) for t in targets)
        _check(checked, "named by", False, said)
    if len(left) > 1:
        sure = [t for t in left if all(key in details for key in t.named_by)]
        if len(sure) != 1:
            _check(checked, "named by", False, f"ambiguous ({', '.join(sorted(t.name for t in left))})")
        left = sure
    _check(checked, "named by", True, left[0].name)
    return left[0]


def _contradiction(target: Target, details: Mapping[str, object]) -> str:
    """The first key that the alert has with another value; '' = none."""
    for key, wanted in target.named_by.items():
        if key in details and as_text(details[key]) != wanted:
            return f"{key} is {_seen(details, key)}, wanted {_q(wanted)}"
    return ""


def _when(delivery: Delivery, alerts: Sequence[Alert], runbook: Runbook, checked: list[Condition]) -> None:
    """The first block whose every line holds, on the oldest open alert. A press replaces only this."""
    if delivery.trigger == PRESS or not runbook.when.any:
        return
    workflow = delivery.event_type == WORKFLOW
    mine = [block for block in runbook.when.any if (block.workflow is not None) == workflow]
    if not mine:
        _check(checked, "when", False, f"no block answers to {_q(delivery.event_type)}")
    details = next((alert.details for alert in _open(alerts) if alert.details), None) or {}
    misses = [_miss(block, details, delivery.workflow) for block in mine]
    _check(checked, "when", "" in misses, next((miss for miss in misses if miss), ""))


def _miss(block: Block, details: Mapping[str, object], workflow: str | None) -> str:
    """The first line of a block that does not hold; '' = all hold."""
    if block.workflow is not None and (workflow is None or workflow not in block.workflow):
        return f"workflow is {_q(workflow)}, wanted {_wanted(block.workflow)}"
    for key, wanted in block.alert.items():
        seen = as_text(details[key]) if key in details else None
        if seen is None or seen not in wanted:
            return f"{key} is {_seen(details, key)}, wanted {_wanted(wanted)}"
    return ""


# Guards ---------------------------------------------------------------------------------------------------------------


def _guarded(
    delivery: StoredDelivery,
    incident: Incident,
    runbook: Runbook,
    target: Target,
    holds: Holds,
    now: datetime,
    checked: list[Condition],
) -> Decision:
    key = run_key(incident, epoch(delivery.delivery, incident), runbook.name, target.name)
    run = run_id(key)

    def decision(kind: Kind, reason: str, about: str | None) -> Decision:
        return Decision(
            runbook=runbook.name,
            kind=kind,
            reason=reason,
            target=target.name,
            key=key,
            run=about,
            checked=tuple(checked),
        )

    if run in holds.existing:
        return decision("run", f"already {run}", run)
    if holds.stop is not None:
        return decision("braked", f"stop switch: {clean(holds.stop, 200)}", None)
    happened = delivery.delivery.occurred_at
    if (late := guards.too_old(happened, runbook.max_age, now)) is not None:
        raise _No(late)
    if (over := guards.resolved(incident)) is not None:
        raise _No(over)
    if target.name in holds.busy:
        return decision("joined", f"{holds.busy[target.name]} is under way on {target.name}", holds.busy[target.name])
    mode = effective_mode(runbook, target)
    if mode == "approve":
        raise _No("mode is 'approve', which is not built yet: nothing was done")
    why = f"{target.name} is named, {_because(delivery.delivery, runbook)}{_future(happened, now)}"
    if mode == "observe":
        return decision("observed", f"mode is 'observe'; {why}", run)
    return decision("run", why, run)


def _because(delivery: Delivery, runbook: Runbook) -> str:
    if delivery.trigger == PRESS:
        return "the button was pressed"
    return "a block holds" if runbook.when.any else "no block is asked for"


def _future(happened: datetime | None, now: datetime) -> str:
    ahead = (happened - now).total_seconds() if happened is not None else 0.0
    return f" (the event's time is {round(ahead)} s in the future)" if ahead > guards.FUTURE else ""


# What others ask ------------------------------------------------------------------------------------------------------


def starts(library: Library, delivery: Delivery) -> bool:
    """Whether any runbook starts on this event type, from the stored row alone."""
    if delivery.trigger == PRESS:
        return any(runbook.name == delivery.runbook for runbook in library.runbooks)
    return any(delivery.event_type in runbook.when.events for runbook in library.runbooks)


def wants_alerts(incident: Incident, library: Library) -> bool:
    """Whether alert data are missing that a decision needs: a target is bound to the service, and no open alert says anything."""
    bound = any(incident.service in target.pagerduty_services for target in library.catalog.targets.values())
    return bound and incident.status != "resolved" and not any(alert.details for alert in _open(incident.alerts))


def longest_max_age(library: Library, delivery: Delivery) -> float:
    """Seconds until the last runbook that starts on this event stops doing so."""
    ages = [
        runbook.max_age
        for runbook in library.runbooks
        if runbook.name == delivery.runbook or delivery.event_type in runbook.when.events
    ]
    return max(ages, default=0.0)


def naming(target: Target, alerts: Sequence[Alert]) -> tuple[Alert, ...]:
    """The open alerts that name the target, oldest first: data, and no key with another value."""
    return tuple(alert for alert in _open(alerts) if alert.details and not _contradiction(target, alert.details))


def effective_mode(runbook: Runbook, target: Target) -> Mode:
    """The more careful of the two."""
    return min(runbook.mode, target.mode, key=CAREFUL.index)


def traffic_budget(target: Target) -> float:
    """Seconds for a check that declares none."""
    return target.budgets.traffic if isinstance(target, RolloutTarget) else 60.0


def epoch(delivery: Delivery, incident: Incident) -> str:
    """The incident's beginning, or its latest reopening; a press is an epoch of its own."""
    if delivery.trigger == PRESS:
        return delivery.event_key
    began = incident.created_at
    if incident.reopened_at is not None:
        began = max(began, incident.reopened_at)
    elif delivery.event_type == "incident.reopened" and delivery.occurred_at is not None:
        began = max(began, delivery.occurred_at)
    return f"{began:%Y-%m-%dT%H:%M:%SZ}"


def run_key(incident: Incident, of: str, runbook: str, target: str) -> str:
    """`<incident>/<epoch>/<runbook>/<target>`."""
    return f"{incident.id}/{of}/{runbook}/{target}"


def run_id(key: str) -> str:
    """`r-` and 16 hex digits of the key's SHA-256."""
    return f"r-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def as_text(value: object) -> str | None:
    """A detail's value as it is compared: text as it is, numbers and truth as JSON writes them; the rest is no text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) else None


def _open(alerts: Sequence[Alert]) -> list[Alert]:
    return sorted(
        (alert for alert in alerts if alert.status != "resolved"), key=lambda alert: (alert.created_at, alert.id)
    )


def _check(checked: list[Condition], what: str, held: bool, said: str) -> None:
    checked.append(Condition(what=what, held=held, seen=said))
    if not held:
        raise _No(said)


def _q(value: str | None) -> str:
    return "absent" if value is None else quoted(value, 100)


def _seen(details: Mapping[str, object], key: str) -> str:
    """The value for a reason: in quotes, or why there is none."""
    value = as_text(details[key]) if key in details else None
    return "no text" if value is None and key in details else _q(value)


def _wanted(values: Sequence[str]) -> str:
    return _q(values[0]) if len(values) == 1 else f"one of {', '.join(_q(value) for value in values)}"

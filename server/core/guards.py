"""Reasons not to act, each as a sentence or None: tested when a decision is made and again right before the first write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.incident import Alert, Incident
from server.core.outcome import Judged
from server.core.text import quoted

FUTURE = 300.0
"""Seconds that an event's time may lie ahead of ours before that is named."""


def too_old(occurred_at: datetime | None, max_age: float, now: datetime) -> str | None:
    """Older than `max_age`; a time in the future counts as now."""
    if occurred_at is None:
        return "the event carries no time, so its age is not known"
    age = max((now - occurred_at).total_seconds(), 0.0)
    if age <= max_age:
        return None
    return f"the event is {round(age)} s old ({_clock(occurred_at)}), max_age is {round(max_age)} s (now {_clock(now)})"


def resolved(incident: Incident) -> str | None:
    """The incident is over; a merge is named, because it ends nothing."""
    if incident.status != "resolved":
        return None
    return f"incident is 'resolved', wanted an open one{resolved_by(incident)}"


def resolved_by(incident: Incident) -> str:
    """' (by 'Ana Person' at 03:12:34Z)', as far as PagerDuty says it."""
    merge = incident.resolve_reason is not None
    into = f"merged into {incident.merged_into}" if incident.merged_into else "merged"
    who = f"by {quoted(incident.changed_by)}" if incident.changed_by else ""
    when = f"at {_clock(incident.changed_at)}" if incident.changed_at else ""
    said = " ".join(part for part in (into if merge else "", who, when) if part)
    return f" ({said})" if said else ""


def before_write(
    *, observed: bool, occurred_at: datetime | None, max_age: float, incident: Incident, stop: str | None, now: datetime
) -> str | None:
    """The list of the decision, looked at again: stop switch, age, incident still open."""
    if stop is not None and not observed:
        return f"stop switch: {stop}"
    return too_old(occurred_at, max_age, now) or resolved(incident)


def younger(judged: Judged, alerts: Sequence[Alert]) -> str | None:
    """A version that did not start before the newest open alert that names the target is not its cause.

    Compared in whole seconds, because both sides are written so; equal counts as younger.
    """
    newest = max((alert.created_at for alert in alerts), default=None)
    name = _short(judged.revision)
    if newest is None:
        return "no open alert names the target any more"
    if judged.since is None:
        return f"{name}: when it started is not known, so the alert cannot be about it"
    if judged.since.replace(microsecond=0) < newest.replace(microsecond=0):
        return None
    return f"{name} ({_clock(judged.since)}) is younger than the alert ({_clock(newest)})"


def _short(revision: str) -> str:
    """A pod hash by its first four characters; a flag's version is short as it is."""
    return revision[:4] if len(revision) > 6 and revision.isalnum() else revision


def cooldown(wrote_at: datetime, seconds: float, now: datetime) -> str | None:
    """Somebody's run wrote there a short while ago."""
    until = wrote_at + timedelta(seconds=seconds)
    return f"cool-down until {_clock(until)}" if now < until else None


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}Z"

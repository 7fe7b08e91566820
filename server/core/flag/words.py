"""What LaunchDarkly refuses, and what hangs on a flag, in the words of the person who is on call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.core.flag.state import Change, FlagState, clock, word
from server.core.outcome import Json

MOST = 3
"""So many of one kind are named; the rest is counted."""
NO_OFF = "no variation of its own (the default in the caller's code)"
NOT_TAKEN = "LaunchDarkly does not take our token: RIPCORD_LAUNCHDARKLY_TOKEN is wrong, revoked or expired"


def unreadable(state: FlagState, status: int, said: str) -> str:
    """Why it cannot be read."""
    if status == 401:
        return NOT_TAKEN
    if status == 403:
        return f"LaunchDarkly does not let our token read {state.where}: its role needs viewProject on {state.project}"
    if status == 404:
        return f"LaunchDarkly has no flag {state.flag} in project {state.project} (or our token may not see it)"
    return f"LaunchDarkly does not show {state.where}: {said}"


def refused(facts: Json, status: int, said: str) -> str:
    """Why a write was not taken."""
    project, environment, flag = (str(facts[name]) for name in ("project", "environment", "flag"))
    place = str(facts.get("site") or f"/{project}/{environment}/features/{flag}")
    table = {
        400: f"LaunchDarkly does not take the patch: {said}",
        401: NOT_TAKEN,
        403: f"LaunchDarkly does not let our token switch it: its role needs updateOn on proj/{project}:env/{environment}:flag/{flag}",
        404: f"LaunchDarkly has no flag {flag} in project {project} any more",
        405: f"changes of {flag} in {environment} require approval: a person must ask for it in LaunchDarkly, {place}",
        409: f"LaunchDarkly says that somebody else is writing {flag} in {environment} (409): an experiment or a rollout can hold it as well",
        422: f"LaunchDarkly does not understand the patch: {said}",
    }
    return table.get(status, said)


def serves(state: FlagState) -> str:
    """What everybody gets in the safe state."""
    if state.safe == "on":
        return "what its rules say"
    return state.off_served or NO_OFF


def consequences(state: FlagState, now: datetime) -> tuple[str, ...]:
    """What a person must know beside the switch itself: what may undo it, what else it switches, what it cannot mend."""
    lines = []
    if state.safe == "off" and not state.off_served:
        lines.append("it has no off variation: SDKs serve the default in the caller's code")
    if state.rollout:
        lines.append(f"its default rule is held by a running {state.rollout}: end that before it is turned on again")
    if state.around is None:
        return tuple(lines)
    lines += [_pending(one, state, now) for one in state.around.pending[:MOST]]
    if (more := len(state.around.pending) - MOST) > 0:
        lines.append(f"scheduled beside these: {more} more")
    if state.around.dependents and state.safe == "off":
        lines.append(f"{state.flag} off switches off what depends on it: {_some(state.around.dependents)}")
    lines += [f"not known: {one}" for one in state.around.unread]
    return tuple(lines)


def _pending(change: Change, state: FlagState, now: datetime) -> str:
    when = clock(change.at, now) if change.at else "an unknown hour"
    other, same = ("turnFlagOn", "turnFlagOff") if state.safe == "off" else ("turnFlagOff", "turnFlagOn")
    if other in change.kinds:
        return f"a scheduled change at {when} turns it {word(state.safe != 'on')} again"
    if same in change.kinds:
        return f"a scheduled change at {when} turns it {state.safe} as well"
    return f"a change is scheduled at {when} ({_some(change.kinds) or 'without instructions'})"


def _some(names: Sequence[str]) -> str:
    """At most so many, and how many more."""
    rest = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {rest} more" if rest > 0 else "")

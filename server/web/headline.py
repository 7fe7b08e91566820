"""The sentence a person reads first, and why: from a run's row, what it was started with, and its report."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from server.core import note
from server.core.argo.state import short as short_hash
from server.core.outcome import Plan, Remarks
from server.core.run import Report
from server.core.states import State
from server.store.queries import RunPage, RunRow
from server.web import metrics
from server.web.view import visible

_SHORT: Mapping[State, str] = MappingProxyType(
    {
        State.WAITING: "{target} waits for another run",
        State.PLANNING: "{target}: looking at it, nothing is touched yet",
        State.ACTING: "{target}: taking it back",
        State.PROVING: "{target}: taken back, the proof is not complete",
        State.PROVEN: "{target} is back on stable",
        State.NOTHING_TO_DO: "{target}: nothing to do",
        State.REFUSED: "{target}: did nothing",
        State.FAILED: "{target}: tried, and it did not hold",
        State.UNPROVEN: "{target}: tried, and it is not proven",
        State.OBSERVED: "{target}: observed, nothing was touched",
    }
)

_WHOLE: Mapping[State, str] = MappingProxyType(
    {
        State.WAITING: "{target} waits: another run has it. Nothing is touched yet.",
        State.PLANNING: "Looking at {target}. Nothing is touched yet.",
        State.ACTING: "Taking {target} back. The proof follows.",
        State.PROVING: "{target} was taken back. Whether traffic is back on stable is being read.",
        State.PROVEN: "{Did}. All traffic is back on {stable}.",
        State.NOTHING_TO_DO: "{target} was fixed already, and that is proven. {Sent}",
        State.REFUSED: "Ripcord did nothing to {target}.",
        State.FAILED: "{Did}, but it did not hold: a person is needed.",
        State.UNPROVEN: "{Did}, but nothing proves that traffic is back: a person is needed.",
        State.OBSERVED: "Ripcord only observed {target}: nothing was touched.",
    }
)

_DID: Mapping[str, str] = MappingProxyType(
    {
        "abort_rollout": "Aborted the canary of {target}",
        "switch_blue_green_back": "Switched {target} back",
        "disable_flag": "Turned the flag {target} off",
        "undo": "Undid the promoted version of {target}",
    }
)

_ASKED: Mapping[str, str] = MappingProxyType(
    {
        "abort_rollout": "Asked to abort the canary of {target}",
        "switch_blue_green_back": "Asked to switch {target} back",
        "disable_flag": "Asked to turn the flag {target} off",
        "undo": "Asked to undo the promoted version of {target}",
    }
)
"""Accepted is not done: what is said while nothing shows that it took effect."""


_OF_A_FLAG: Mapping[State, str] = MappingProxyType(
    {
        State.PROVING: "{Did}. Whether LaunchDarkly says so too is being read.",
        State.PROVEN: "{Did}. LaunchDarkly was read to prove it.",
        State.UNPROVEN: "{Did}, but nothing proves that it is there: a person is needed.",
    }
)
"""What a flag's page says otherwise: it has no traffic and no stable version."""


def short(row: RunRow) -> str:
    """For lists."""
    if row.kind == "flag" and row.state is State.PROVEN:
        return f"{visible(row.target)} is in its safe state"
    return _SHORT[row.state].format(target=visible(row.target))


def sentence(page: RunPage) -> str:
    """For the top of a run's page."""
    target = visible(page.row.target)
    action = page.spec.steps[0].action if page.spec.steps else ""
    plan = _plan(page)
    if plan is not None and plan.undo:
        action = "undo"
    done, asked = _DID.get(action, "Took {target} back"), _ASKED.get(action, "Asked to take {target} back")
    did = (asked if page.row.state is State.UNPROVEN and not _answered(page) else done).format(target=target)
    if page.row.state in (State.FAILED, State.UNPROVEN) and not sent(page):
        did = f"Ripcord sent nothing to {target}"
    nothing = "Ripcord only woke the controller." if sent(page) else "Ripcord sent nothing."
    words = {**_WHOLE, **_OF_A_FLAG} if page.row.kind == "flag" else _WHOLE
    return words[page.row.state].format(target=target, Did=did, stable=_stable(page), Sent=nothing)


def _stable(page: RunPage) -> str:
    """The version that has the traffic again, by the short form of its hash. An undo went to its target: what was stable was the bad one."""
    plan = _plan(page)
    good = "target" if plan and plan.undo else "sta"
    stable, bad = (str(plan.facts.get(name) or "") for name in (good, "cur")) if plan else ("", "")
    return f"stable {visible(short_hash(stable, bad))}" if stable else "stable"


def _plan(page: RunPage) -> Plan | None:
    return page.report.plan if page.report and page.report.plan else page.plan


def _answered(page: RunPage) -> bool:
    """Whether the other side acted on the call, beyond taking it."""
    return page.report is not None and any(t.held and t.name == "acknowledged" for t in page.report.truths)


def sent(page: RunPage) -> bool:
    """Whether a write of ours took effect, or may have."""
    return page.report is not None and any(o.kind in ("done", "unknown") for o in page.report.outcomes)


def why(page: RunPage) -> str:
    """What hurts: metric, value and limit where an AnalysisRun says it, else the alert's own numbers in the words of the note."""
    measured = metrics.worst(page.report.before) if page.report else ""
    said = note.wrong(page.spec, page.report.remarks if page.report else Remarks())
    return measured or visible(said.split("; query ")[0], 400)


def so(page: RunPage) -> str:
    """Why it ended so, or where it stands; empty where the sentence says it all."""
    row, report = page.row, page.report
    said = visible(report.said if report and row.over else row.said, 500)
    if row.state is State.PROVEN and report:
        return _proof(report)
    if row.state is State.WAITING and row.waiting_for:
        return f"It goes on when {row.waiting_for} is over, and looks afresh then."
    if row.state is State.OBSERVED:
        return f"Would have: {said}"
    return said[:1].upper() + said[1:]


def _proof(report: Report) -> str:
    said = f"Proof: {visible(report.remarks.proof or report.said, 500)}"
    if report.seconds is None:
        return said
    return f"{said}. Proven {max(1, round(report.seconds))}\u00a0s after the message came"


def next_step(page: RunPage) -> str:
    """What happens if nobody acts."""
    state = page.row.state
    if state in (State.FAILED, State.UNPROVEN):
        return "Ripcord touches nothing more in this run. The incident is left as it is."
    if state is State.REFUSED:
        return "Nothing was touched, and nothing will be by this run. The incident is left as it is."
    if state is State.OBSERVED:
        return "Its runbook or its target is in mode observe. The incident is left as it is."
    if state is State.PROVEN:
        return "Finished: nothing is left to stop."
    return ""

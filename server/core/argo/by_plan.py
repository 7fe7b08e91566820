"""The pure parts of the Argo actions and checks, chosen by what was planned: an abort of a canary, a switch back, an undo."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.core.argo import (
    bluegreen_proceed,
    bluegreen_prove,
    bluegreen_remarks,
    prove,
    undo_proceed,
    undo_prove,
    undo_remarks,
)
from server.core.argo import proceed as canary
from server.core.argo import remarks as words
from server.core.argo.state import RolloutState
from server.core.outcome import Finished, LookAgain, Outcome, Plan, Remarks, Verdict, Write


def _blue_green(plan: Plan) -> bool:
    return plan.facts.get("strategy") == "blue-green"


def proceed(
    plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """What now?"""
    if plan.undo:
        return undo_proceed.proceed(plan, seen, done, now, stopped)
    if _blue_green(plan):
        return bluegreen_proceed.proceed(plan, seen, done, now, stopped)
    return canary.proceed(plan, seen, done, now, stopped)


def judge(plan: Plan, state: RolloutState) -> Verdict:
    """What one look says by itself."""
    if plan.undo:
        return undo_prove.judge(plan, state)
    return bluegreen_prove.judge(plan, state) if _blue_green(plan) else prove.judge(plan, state)


def weigh(plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """The same verdict in the light of what was seen and written before."""
    if plan.undo:
        return undo_prove.weigh(plan, seen, done, verdict)
    if _blue_green(plan):
        return bluegreen_prove.weigh(plan, seen, done, verdict)
    return prove.weigh(plan, seen, done, verdict)


def remarks(
    plan: Plan | None,
    seen: Sequence[RolloutState],
    done: Sequence[Outcome],
    verdict: Verdict | None,
    stopped: bool = False,
) -> Remarks:
    """What the note says beside the result. plan None: the run was refused while planning."""
    if plan is None and seen and seen[-1].strategy == "blue-green":
        return bluegreen_remarks.refused(seen)
    if plan is not None and plan.undo:
        return undo_remarks.remarks(plan, seen, done, verdict, stopped)
    if plan is not None and _blue_green(plan):
        return bluegreen_remarks.remarks(plan, seen, done, verdict, stopped)
    return words.remarks(plan, seen, done, verdict, stopped)

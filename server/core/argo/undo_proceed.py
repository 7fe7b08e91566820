"""What now, in an undo? The old template once; then, towards that version and no other, the pause ended or the gates skipped.

A template that the API took and the controller overlooked is woken by an annotation. Nothing is ever retried or promoted that is
not this run's target.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.argo import patches, template, wake
from server.core.argo.state import RolloutState
from server.core.argo.story import Story
from server.core.argo.undo_decide import PAUSE, PROMOTE, RELEASE
from server.core.outcome import Call, Finished, LookAgain, Outcome, Plan, Write

LOOKS = timedelta(seconds=5)
SENDS = 3
LOOK_PAUSE = 0.3
NUMBERS = {"undo": 1, "promote": PROMOTE, "release": RELEASE}


def proceed(
    plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """The next move."""
    story = Story(plan, seen, done)
    if not seen:
        return LookAgain(after=0.0)
    act = story.act
    if act is None:
        if stopped:
            return Finished(outcome=Outcome(kind="refused", said="the stop switch is on", n=1, at=now, cause="stopped"))
        return Write(n=NUMBERS[story.main], call=plan.calls[0])
    if story.open is not None and act.kind in ("unknown", "refused"):
        return _unclear(story, story.open, act, stopped)
    if act.kind == "refused":
        return Finished(outcome=act)
    return _then(story, act, stopped)


def ours(story: Story) -> bool:
    """Whether the version that we go back to is what stands in spec."""
    state, facts = story.last, story.facts
    return (
        state.exists
        and not state.problem
        and state.uid == facts["uid"]
        and not template.difference(state.template, facts["to"])
    )


def arrived(story: Story) -> bool:
    """Whether the controller has made that version the current one."""
    return ours(story) and story.last.cur == story.facts["target"]


def _applied(story: Story) -> bool:
    """Whether the effect of a write without an answer is there to be seen."""
    state = story.last
    if story.main == "release":
        return arrived(story) and PAUSE not in state.pauses
    if story.main == "promote":
        return arrived(story) and (state.promote_full or state.active.selects == story.facts["target"])
    return ours(story)


def _unclear(story: Story, before: Outcome, act: Outcome, stopped: bool) -> Write | LookAgain | Finished:
    """It may have happened: read before anything else."""
    looks = [state for state in story.seen if state.at >= act.at]
    if looks and _applied(story):
        said = f"found by reading: {story.plan.calls[0].said}"
        found = before.model_copy(update={"kind": "done", "cause": "", "at": story.last.at, "said": said})
        return _then(story, found, stopped)
    if not looks or looks[-1].at - looks[0].at < LOOKS:
        return LookAgain(after=LOOK_PAUSE, why="whether the template was taken is not known yet")
    sends = [one for one in story.of_kind(story.main) if one.n == act.n]
    if act.kind == "unknown" and act.cause in ("broken", "died") and len(sends) < SENDS and not stopped:
        return Write(n=act.n, call=story.plan.calls[0])
    return Finished(outcome=act)


def _then(story: Story, outcome: Outcome, stopped: bool) -> Write | Finished:
    """The act is through: a gate towards our target, or a wake."""
    newer = not story.done or story.last.at >= story.done[-1].at
    if stopped or not newer:
        return Finished(outcome=outcome)
    return _gate(story) or wake.due(story, _asleep, patches.nudge) or Finished(outcome=outcome)


def _gate(story: Story) -> Write | None:
    """What stands between our target and the traffic, and may be moved away by us."""
    state, facts = story.last, story.facts
    if not arrived(story) or state.abort is True:
        return None
    if facts["skip_gates"] and state.cur != state.sta and not state.promote_full:
        return _send(story, "promote", patches.promote(state))
    if PAUSE in state.pauses and story.main != "release":
        return _send(story, "release", patches.release(state))
    return None


def _send(story: Story, kind: str, call: Call) -> Write | None:
    """Once; again where it was certainly refused, or under its number where nothing of it is to be seen."""
    sent = story.of_kind(kind)
    if not sent:
        return Write(n=NUMBERS[kind], call=call)
    last = sent[-1]
    if len(sent) >= SENDS:
        return None
    if last.kind == "unknown" and last.cause in ("broken", "died") and story.last.at - last.at >= LOOKS:
        return Write(n=last.n, call=call)
    conflict = last.kind == "refused" and last.cause == "conflict"
    return Write(n=story.next_number, call=call) if conflict else None


def _asleep(story: Story) -> bool:
    """What we wrote stands there, and the controller has not taken it up."""
    state, facts = story.last, story.facts
    if not ours(story):
        return False
    if state.cur != facts["target"]:
        return bool(state.cur == facts["cur"])
    if story.of_kind("release") and PAUSE not in state.pauses and state.controller_pause:
        return True
    return bool(story.of_kind("promote")) and state.promote_full and not _live(story)


def _live(story: Story) -> bool:
    """Whether the target is stable and, where there is an active Service, behind that."""
    state = story.last
    return state.cur == state.sta and state.active.selects in ("", state.cur)

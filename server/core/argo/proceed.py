"""What now? Asked after every look and every write, also while the proof runs: act, wake, clean up, look again, or nothing more.

The abort is sent once. It is sent again under its own number only where a broken connection or our own death leaves open whether
it left, and 5 s of looking showed nothing. An abort that the API took and the controller overlooked is woken (wake.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.argo import patches, wake
from server.core.argo.decide import PATIENCE, taken_over
from server.core.argo.state import RolloutState, short
from server.core.argo.story import Story, judged_template, row
from server.core.outcome import Call, Finished, LookAgain, Outcome, Plan, Write

LOOKS = timedelta(seconds=5)
"""How long is looked after a write whose fate is open."""
SENDS = 3
"""How often one number is sent at most, and how often the abort is bound anew."""
PAUSE = 0.3


def proceed(
    plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """The next move."""
    story = Story(plan, seen, done)
    if not seen:
        return LookAgain(after=0.0)
    if not plan.calls:
        return _watch(story, now, stopped, Outcome(kind="noop", said=plan.somebody or plan.said, at=now))
    act = story.act
    if act is None:
        if stopped:
            return Finished(outcome=Outcome(kind="refused", said="the stop switch is on", n=1, at=now, cause="stopped"))
        return Write(n=1, call=plan.calls[0])
    if act.kind == "unknown":
        return _unclear(story, act, now, stopped)
    if act.kind in ("refused", "noop") and story.open is not None:
        return _after_open(story, act, story.open, now, stopped)
    if act.kind == "refused":
        return _conflict(story, act, now) if act.cause == "conflict" else Finished(outcome=act)
    if act.kind == "noop":
        # Somebody's abort stood there before ours: nothing was changed, so the plan is made afresh on that.
        return Finished(outcome=act.model_copy(update={"kind": "refused", "cause": "conflict"}))
    return _watch(story, now, stopped, act)


def _unclear(story: Story, act: Outcome, now: datetime, stopped: bool) -> Write | LookAgain | Finished:
    """It may have happened: read before anything else."""
    looks = [state for state in story.seen if state.at >= act.at]
    if story.flag_seen:
        return _watch(story, now, stopped, _found(story, act))
    if not looks:
        return LookAgain(after=0.0)
    if stand_down(story.facts, story.last):
        return _watch(story, now, stopped, act)
    if looks[-1].at - looks[0].at < LOOKS:
        return LookAgain(after=PAUSE, why="whether the abort was taken is not known yet")
    sends = [one for one in story.of_kind("act") if one.n == act.n]
    if act.cause in ("broken", "died") and len(sends) < SENDS and not stopped:
        return Write(n=act.n, call=_bound(story, act))
    # A time-out is never sent again: a patch that timed out was applied later. The proof goes on reading.
    return Finished(outcome=act)


def _after_open(
    story: Story, act: Outcome, before: Outcome, now: datetime, stopped: bool
) -> Write | LookAgain | Finished:
    """The second sending was refused, or changed nothing: then the first one may have arrived after all."""
    if story.flag_seen:
        return _watch(story, now, stopped, _found(story, before))
    if story.last.at < act.at:
        return LookAgain(after=0.0)
    if act.cause != "conflict" or stand_down(story.facts, story.last):
        return _watch(story, now, stopped, before)
    return _conflict(story, act, now)


def _found(story: Story, act: Outcome) -> Outcome:
    """The effect is there: it is ours, because its intent is in the chain and the live state is what was predicted."""
    said = f"found by reading: {story.plan.calls[0].said}"
    at = max(story.last.at, act.at)
    return act.model_copy(update={"kind": "done", "cause": "", "at": at, "said": said})


def _bound(story: Story, act: Outcome) -> Call:
    """The very patch that went under this number: the plan's, or the one bound anew after a conflict."""
    conflicts = [one for one in story.of_kind("act") if one.cause == "conflict" and one.n < act.n]
    if not conflicts:
        return story.plan.calls[0]
    first = next(one for one in story.of_kind("act") if one.n == act.n)
    looks = [state for state in story.seen if conflicts[-1].at <= state.at <= first.at]
    return patches.abort(looks[-1]) if looks else story.plan.calls[0]


def _conflict(story: Story, act: Outcome, now: datetime) -> Write | LookAgain | Finished:
    """A bound test failed: nothing was changed. What stands there now decides."""
    state, facts = story.last, story.facts
    if state.at < act.at:
        return LookAgain(after=0.0)
    conflicts = [one for one in story.of_kind("act") if one.cause == "conflict"]
    if reason := stand_down(facts, state):
        return Finished(outcome=_refused(act, reason, now))
    if not judged_template(facts, state) or taken_over(state):
        if state.at - conflicts[0].at < PATIENCE:
            return LookAgain(after=PAUSE, why="something newer stands in spec and the controller has not taken it over")
        return Finished(
            outcome=_refused(
                act, f"something newer stands in spec of {state.where}, not taken over by the controller", now
            )
        )
    if state.abort is True:
        return Finished(outcome=act)
    if len({one.n for one in conflicts}) >= SENDS + 1:
        return Finished(outcome=_refused(act, f"{state.where} changed each time before the abort arrived", now))
    return Write(n=story.next_number, call=patches.abort(state))


def stand_down(facts: dict[str, object], state: RolloutState) -> str:
    """Why the judgement no longer stands; '' = it does."""
    cur, sta = str(facts["cur"]), str(facts["sta"])
    if not state.exists or state.problem:
        return f"{state.where} is gone or cannot be read: {state.problem or 'deleted meanwhile'}"
    if state.uid != facts["uid"]:
        return f"{state.where} was deleted and made anew meanwhile"
    if state.sta == cur:
        return f"{short(cur, sta)} was promoted meanwhile"
    if state.cur and state.cur != cur:
        return f"{short(state.cur, cur, sta)} was released meanwhile; {short(cur, state.cur, sta)} is no longer the current version"
    if state.sta and state.sta != sta:
        return f"stable changed meanwhile from {short(sta, state.sta)} to {short(state.sta, sta)}"
    return ""


def _refused(act: Outcome, reason: str, now: datetime) -> Outcome:
    return act.model_copy(update={"kind": "refused", "cause": "", "said": reason, "at": now})


def _watch(story: Story, now: datetime, stopped: bool, outcome: Outcome) -> Write | LookAgain | Finished:
    """The act is through. Only a wake, or taking our own sleeping flag off a newer version, may still be written."""
    if (move := _clean_up(story)) is not None:
        return move
    if not stopped and (move := wake.due(story)) is not None:
        return move
    return Finished(outcome=outcome)


def _clean_up(story: Story) -> Write | None:
    """Our flag is never left on a newer version: while the controller has not seen it, it comes off."""
    state = story.last
    if row(story.facts, state) != "newer unseen" or not story.ours:
        return None
    tries = story.of_kind("cleanup")
    last = tries[-1] if tries else None
    if last is not None and last.at > state.at:
        return None
    if last is not None and last.kind == "unknown":
        if last.cause == "timeout" or state.at - last.at < LOOKS or sum(one.n == last.n for one in tries) >= SENDS:
            return None
        return Write(n=last.n, call=patches.take_off(state), despite_stop=True)
    if len({one.n for one in tries}) >= SENDS:
        return None
    return Write(n=story.next_number, call=patches.take_off(state), despite_stop=True)

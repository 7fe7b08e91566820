"""What now, in a blue-green switch back? The abort as for a canary (proceed.py), and beside it the one write on the Service.

Where the controller would leave the Service on the aborted version, both intents stand before the first write leaves: the abort
first, the Service right after, with no look between. Never the Service alone or first: when the pods recover in that gap, the
controller makes the bad version stable. Elsewhere the Service is written only under an abort that the controller has seen, that
nobody is there to see, or that it will not carry out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.argo import lease, patches
from server.core.argo.bluegreen import capacity, hazard, situation
from server.core.argo.bluegreen_decide import SWITCH
from server.core.argo.decide import taken_over
from server.core.argo.proceed import proceed as abort_proceeds
from server.core.argo.proceed import stand_down
from server.core.argo.state import RolloutState
from server.core.argo.story import Story, judged_template
from server.core.outcome import Call, Finished, LookAgain, Outcome, Plan, Write

CLOSE = 0.1
"""Seconds between looks while a short deadline runs."""
CLOSE_FOR = timedelta(seconds=15)
SHORT = 5
SENDS = 3


def abort_part(plan: Plan) -> Plan:
    """The plan as far as the abort is concerned."""
    return plan.model_copy(update={"calls": tuple(one for one in plan.calls if patches.kind(one) == "act")})


def proceed(
    plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """The next move."""
    story = Story(abort_part(plan), seen, done)
    if not seen or (plan.calls and not done and story.last.at == datetime.fromisoformat(story.facts["at"])):
        # What was planned upon is older than the guards: saturation and capacity are read again right before the first write.
        # Any other look is newer, also where its time is earlier because the clock was set back meanwhile.
        return LookAgain(after=0.0)
    if half := _right_after(story):
        return half
    move = abort_proceeds(story.plan, seen, done, now, stopped)
    if isinstance(move, Write) and patches.kind(move.call) == "act":
        return _stopped(move, now) if stopped else _with_service(story, move, now)
    if again := _again_at_once(story, stopped):
        return again
    if isinstance(move, Finished) and move.outcome.cause == "conflict":
        return move
    if service := _service(story, stopped):
        return service
    if not isinstance(move, Write) and _close(story):
        return LookAgain(after=CLOSE)
    return _found(story) or move


# The abort ------------------------------------------------------------------------------------------------------------------------


def _stopped(move: Write, now: datetime) -> Finished:
    return Finished(outcome=Outcome(kind="refused", said="the stop switch is on", n=move.n, at=now, cause="stopped"))


def _with_service(story: Story, move: Write, now: datetime) -> Write | Finished:
    """The abort, if what was planned upon still stands; with the Service where the controller would leave that."""
    state = story.last
    if not story.done and (said := _changed(story)):
        return Finished(outcome=Outcome(kind="refused", said=said, n=move.n, at=now, cause="conflict"))
    if situation(state) != "b":
        return move
    if said := capacity(state):
        return Finished(outcome=Outcome(kind="refused", said=said, n=move.n, at=now))
    return _pair(story, move) if hazard(state) else move


def _pair(story: Story, move: Write) -> Write:
    also = Write(n=SWITCH, call=_switch(story), despite_stop=True)
    return move.model_copy(update={"look": False, "also": (also,)})


def _changed(story: Story) -> str:
    """What is other than when it was planned, in the look right before the first write; '' = nothing that counts."""
    state, facts = story.last, story.facts
    if reason := stand_down(facts, state):
        return reason
    if not judged_template(facts, state) or taken_over(state) or state.promote_full != facts["promote_full"]:
        return f"{state.where} changed while it was decided"
    if state.abort is True:
        return f"{state.where} was aborted meanwhile"
    if situation(state) != facts["situation"]:
        return f"Service {state.active.name} was moved meanwhile"
    if situation(state) == "b" and hazard(state) and not facts["pair"]:
        return f"{state.where} is no longer whole, or was paused: the controller would leave the Service where it is"
    return ""


def _again_at_once(story: Story, stopped: bool) -> Write | None:
    """We died with both intents written, and the abort is not there: nothing is waited for."""
    act, state = story.act, story.last
    if stopped or act is None or act.cause != "died" or not story.facts["pair"] or state.at < act.at:
        return None
    sends = [one for one in story.of_kind("act") if one.n == act.n]
    if story.flag_seen or len(sends) >= SENDS or _not_as_judged(story) or capacity(state):
        return None
    call = story.plan.calls[0]
    return _pair(story, Write(n=act.n, call=call)) if hazard(state) else Write(n=act.n, call=call)


def _not_as_judged(story: Story) -> bool:
    state = story.last
    return bool(stand_down(story.facts, state)) or not judged_template(story.facts, state) or situation(state) != "b"


# The Service ----------------------------------------------------------------------------------------------------------------------


def _right_after(story: Story) -> Write | None:
    """The second half of the pair: the abort was just taken, and nobody has looked since."""
    act = story.act
    if act is None or act.kind not in ("done", "noop") or story.of_kind("switch"):
        return None
    if story.last.at >= act.at or situation(story.last) != "b" or not hazard(story.last):
        return None
    return Write(n=SWITCH, call=_switch(story), despite_stop=True)


def _service(story: Story, stopped: bool) -> Write | LookAgain | None:
    """The fallback, or whichever half is missing after a restart; bound to the hash that it replaces."""
    state, facts = story.last, story.facts
    if any(state.at < one.at for one in story.done[-1:]):
        return None
    pair = bool(facts["pair"]) and hazard(state)
    if stopped and not pair:
        return None
    if story.now not in ("acknowledged", "unseen") or stand_down(facts, state):
        return None
    if state.active.selects != facts["cur"] or not _due(story) or capacity(state):
        return None
    return _send(story, pair)


def _due(story: Story) -> bool:
    """Whether waiting for the controller would not help, or could come too late."""
    return story.now == "acknowledged" or hazard(story.last) or lease.movement(story.seen) == "standing"


def _send(story: Story, pair: bool) -> Write | LookAgain | None:
    """Once; again under its number where it is not known whether it arrived (it changes nothing if it did)."""
    sent = story.of_kind("switch")
    if not sent:
        return Write(n=SWITCH, call=_switch(story), despite_stop=pair)
    last, numbers = sent[-1], {one.n for one in sent}
    if last.kind == "unknown" or last.cause == "stopped":
        sends = sum(one.n == last.n for one in sent)
        if sends >= SENDS:
            return None
        if last.cause not in ("died", "stopped") and story.last.at - last.at < _patience(story):
            return LookAgain(after=CLOSE)
        return Write(n=last.n, call=_switch(story), despite_stop=pair)
    if last.kind == "refused" and last.cause != "conflict":
        return None
    if len(numbers) >= SENDS or story.last.at - last.at < timedelta(seconds=1):
        return None
    return Write(n=story.next_number, call=_switch(story), despite_stop=pair)


def _patience(story: Story) -> timedelta:
    """How long is looked for a Service write whose answer never came: shorter where the deadline is near."""
    delay = int(story.facts["delay"])
    return timedelta(seconds=5.0 if delay == 0 or delay > 2 * SHORT else min(1.0, delay / 4))


def _close(story: Story) -> bool:
    """Whether a short deadline runs over a Service that still stands on the aborted version."""
    state, facts = story.last, story.facts
    if not 0 < int(facts["delay"]) <= SHORT or story.now not in ("acknowledged", "unseen"):
        return False
    began = story.began
    lately = began is not None and state.at - began < CLOSE_FOR
    return lately and state.active.selects == facts["cur"] and not story.of_kind("switch")


def _found(story: Story) -> Finished | None:
    """A Service write without an answer, found by reading; the abort's own answer comes first."""
    sent = story.of_kind("switch")
    if not sent or sent[-1].kind != "unknown" or story.last.at < sent[-1].at:
        return None
    if story.last.active.selects != story.facts["sta"] or (story.act is not None and story.act.kind == "unknown"):
        return None
    said = f"found by reading: {_switch(story).said}"
    return Finished(
        outcome=sent[-1].model_copy(update={"kind": "done", "cause": "", "at": story.last.at, "said": said})
    )


def _switch(story: Story) -> Call:
    facts = story.facts
    return patches.switch(str(facts["namespace"]), str(facts["service"]), str(facts["cur"]), str(facts["sta"]))

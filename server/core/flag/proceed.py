"""What now? Asked after every look and every write: switch, read back, switch once more, or nothing further.

The patch is bound to the version that was judged, so it takes effect at most once however often it is sent: whichever copy
arrives second fails its test. A write whose fate is open is looked for first, and goes out once more under its own number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.flag import patches
from server.core.flag.state import FlagState
from server.core.outcome import Call, Finished, LookAgain, Outcome, Plan, Write

LOOKS = timedelta(seconds=5)
"""How long is looked after a write whose fate is open."""
GIVE_UP = timedelta(seconds=45)
"""Where nothing can be read for so long after it, the proof goes on reading."""
SENDS, TRIES = 2, 3
"""How often one number is sent at most; how often a 409 that nothing explains is tried again."""
PAUSE = 0.3


def proceed(
    plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome], now: datetime, stopped: bool = False
) -> Write | LookAgain | Finished:
    """The next move."""
    if not seen:
        return LookAgain(after=0.0)
    if not plan.calls:
        return Finished(outcome=Outcome(kind="noop", said=plan.somebody or plan.said, at=now))
    if not done:
        if stopped:
            return Finished(outcome=Outcome(kind="refused", said="the stop switch is on", n=1, at=now, cause="stopped"))
        return Write(n=1, call=call(plan), look=False)
    act = done[-1]
    if act.kind in ("done", "noop"):
        return Finished(outcome=act)
    open_ones = [one for one in done if one.kind == "unknown"]
    if open_ones:
        return _unclear(plan, seen, done, open_ones, now, stopped)
    return _conflict(plan, seen, done, now, stopped) if act.cause == "conflict" else Finished(outcome=act)


def call(plan: Plan) -> Call:
    """The planned patch with the run's id in its comment."""
    return patches.named(plan.calls[0], str(plan.facts.get("run", "")))


def _unclear(
    plan: Plan,
    seen: Sequence[FlagState],
    done: Sequence[Outcome],
    open_ones: Sequence[Outcome],
    now: datetime,
    stopped: bool,
) -> Write | LookAgain | Finished:
    """It may have happened: read before anything else."""
    act, last = open_ones[-1], seen[-1]
    if last.at < done[-1].at or last.problem:
        return _not_read(act, done[-1], now)
    if last.is_safe:
        return Finished(outcome=found(plan, act, last))
    if last.version != plan.facts["version"]:
        # Somebody changed it, before our patch or after it: the patch can no longer take effect, and nobody knows whether it did.
        return Finished(outcome=act)
    looks = [state for state in seen if state.at >= act.at and not state.problem]
    if last.at - looks[0].at < LOOKS:
        return LookAgain(after=PAUSE, why="whether it was switched is not known yet")
    if len(open_ones) < SENDS and act is done[-1] and not stopped:
        return Write(n=act.n, call=call(plan), look=False)
    return Finished(outcome=act)


def _not_read(act: Outcome, newest: Outcome, now: datetime) -> LookAgain | Finished:
    """No look since the newest answer. The first one comes at once."""
    if now - newest.at > GIVE_UP:
        return Finished(outcome=act)
    return LookAgain(after=0.0 if now <= newest.at else PAUSE, why="it was not read since")


def found(plan: Plan, act: Outcome, state: FlagState) -> Outcome:
    """It stands as was planned: it is ours, because its intent is in the chain and the live state is what was predicted."""
    said = f"found by reading: {state.where} is {state.safe}, version {state.version}"
    evidence = {**act.evidence, "kind": "act", "version": state.version, "on": state.on, "found": True}
    at = max(state.at, act.at)
    return act.model_copy(update={"kind": "done", "cause": "", "at": at, "said": said, "evidence": evidence})


def _conflict(
    plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome], now: datetime, stopped: bool
) -> Write | LookAgain | Finished:
    """Nothing was changed. What stands there now decides: another version is judged afresh, the same one is tried again."""
    act, last = done[-1], seen[-1]
    if last.at < act.at:
        return _not_read(act.model_copy(update={"cause": ""}), act, now)
    if last.problem:
        return Finished(outcome=act.model_copy(update={"cause": "", "said": last.problem}))
    if last.version != plan.facts["version"] or last.is_safe:
        return Finished(outcome=act)
    if act.evidence.get("status") != 409 or act.n >= TRIES or stopped:
        return Finished(outcome=act.model_copy(update={"cause": ""}))
    if last.at - act.at < timedelta(seconds=1):
        return LookAgain(after=1.0, why="somebody else is writing there")
    return Write(n=act.n + 1, call=call(plan), look=False)


# Putting back ---------------------------------------------------------------------------------------------------------------------


def put_back(
    plan: Plan, seen: Sequence[FlagState], done: Sequence[Outcome], now: datetime
) -> Write | LookAgain | Finished:
    """Our own switch taken back, once, and only while the flag stands as we left it. Asked like `proceed`, until it finishes.

    `done` goes on from the step's own outcomes: what comes after the switch is the putting back.
    """
    acts = [one for one in done if one.kind == "done" and one.evidence.get("kind") == "act"]
    if not plan.calls or not acts:
        return _kept("nothing of ours stands there to be put back", now)
    act, last = acts[-1], seen[-1] if seen else None
    back = [one for one in done if one.n > act.n]
    newest = back[-1] if back else act
    if last is None or last.at < newest.at or last.problem:
        unread = newest if back else _kept("it cannot be read, so nothing was put back", now).outcome
        return _not_read(unread, newest, now)
    left = act.evidence.get("version")
    if back:
        return _after_putting_back(last, back, left, now)
    if last.version != left or not last.is_safe:
        said = (
            f"changed since we switched it (version {last.version}, ours was {left}): left as it is, a person decides"
        )
        return _kept(f"{last.where} was {said}", now)
    comment = f"put back by Ripcord {plan.facts.get('run', '')}"
    return Write(n=act.n + 1, call=patches.turn(last, bool(plan.facts["on"]), comment), look=False)


def _after_putting_back(last: FlagState, back: Sequence[Outcome], left: object, now: datetime) -> LookAgain | Finished:
    """Its answer came, or never came: the live state says which. It is not sent a second time."""
    act = back[-1]
    if act.kind != "unknown":
        return Finished(outcome=act)
    if not last.is_safe and last.version != left:
        return Finished(
            outcome=act.model_copy(update={"kind": "done", "cause": "", "said": f"found by reading: {act.said}"})
        )
    if now - act.at < LOOKS:
        return LookAgain(after=PAUSE, why="whether it was put back is not known yet")
    return Finished(outcome=act)


def _kept(said: str, now: datetime) -> Finished:
    return Finished(outcome=Outcome(kind="refused", said=said, at=now))

"""When to wake a controller that overlooked a write: at 3, 6, 12 and 24 s after the act's answer, four times in all.

An accepted abort can stay invisible to the controller for ever; the same body again is a no-op and wakes nobody, a write that
changes something does. A controller that is starting, gone, or held up by a notification receiver is not woken: it needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from server.core.argo import lease, patches
from server.core.argo.state import RolloutState
from server.core.argo.story import Story, row
from server.core.outcome import Call, Outcome, Write

TIMES = (3.0, 6.0, 12.0, 24.0)
MOST = 4
GAP = timedelta(seconds=10)
"""Nobody looked for so long: we were away, and the times are counted from the first look after it."""
STILL = timedelta(seconds=1)
LOOKS = timedelta(seconds=5)
SENDS = 3

Waking = Callable[[RolloutState, str, int], Call]


def due(story: Story, needed: Callable[[Story], bool] | None = None, call: Waking = patches.wake) -> Write | None:
    """A wake, if one is due at the newest look. needed, call: what asks for it, and how, where it is no abort that sleeps."""
    wakes = story.of_kind("wake")
    if not (needed or wanted)(story):
        return None
    last = wakes[-1] if wakes else None
    if last is not None and last.at > story.last.at:
        return None
    if last is not None and last.cause in ("broken", "died") and last.kind == "unknown":
        move = _open(story, last, call)
        if move != "settled":
            return None if move == "looking" else move
    if len({one.n for one in wakes}) >= MOST or not _at_a_time(story):
        return None
    n = story.next_number
    if not lease.lives(story.seen) or patches.is_wake(story.last.message, run_of(story), n):
        return None
    return _wake(story, n, call)


def wanted(story: Story) -> bool:
    """Whether the live state is one that a wake can help."""
    now = story.now
    if now == "unseen":
        return story.flag_seen and not router_moved(story.facts, story.last) and not service_moved(story)
    return now == "hotfix" and story.flag_seen and _still(story)


def router_moved(facts: dict[str, object], state: RolloutState) -> bool:
    """Traffic has left the canary: the controller saw the abort and is held up. At 0 from the start, the router says nothing."""
    return isinstance(facts["weight"], int) and facts["weight"] > 0 and state.router.canary == 0


def service_moved(story: Story) -> bool:
    """The controller itself has switched the active Service: it saw the abort. Where we switched it, that says nothing."""
    promoted = story.facts.get("situation") == "b"
    ours = any(one.kind in ("done", "unknown") for one in story.of_kind("switch"))
    return promoted and not ours and story.last.active.selects == story.facts["sta"]


def run_of(story: Story) -> str:
    """The run's id, where the plan or an earlier write says it; `write` fills it in where neither does."""
    known = [one.evidence["run"] for one in story.done if "run" in one.evidence]
    return str(story.facts.get("run") or (known[0] if known else ""))


def start(story: Story) -> datetime:
    """What the times are counted from: the act's answer, or the first look after nobody looked for a while."""
    act = story.latest
    began = act.at if act is not None else story.began
    before = began or story.last.at
    for state in story.after_act:
        if state.at - before > GAP:
            began = state.at
        before = max(before, state.at)
    return began or story.last.at


def _at_a_time(story: Story) -> bool:
    """Whether this look is the first at or after one of the times (one that finds no living controller waits for the next)."""
    began = start(story)
    looks = [state for state in story.after_act if state.at >= began]
    before = looks[-2].at if len(looks) > 1 else began
    times = story.facts.get("wakes", TIMES)
    return any(before < began + timedelta(seconds=seconds) <= story.last.at for seconds in times)


def _still(story: Story) -> bool:
    """The same foreign template stood there a second ago too."""
    since = story.last.at
    for state in reversed(story.seen):
        if row(story.facts, state) != "hotfix" or state.template != story.last.template:
            break
        since = state.at
    return story.last.at - since >= STILL


def _open(story: Story, last: Outcome, call: Waking) -> Write | Literal["looking", "settled"]:
    """Whether the last wake left is not known: 5 s of looking, then the same number once more."""
    sends = [one for one in story.of_kind("wake") if one.n == last.n]
    looks = [state for state in story.seen if state.at >= sends[-1].at]
    applied = any(patches.is_wake(state.message, run_of(story), last.n) for state in looks)
    if applied or len(sends) >= SENDS:
        return "settled"
    if not looks or looks[-1].at - looks[0].at < LOOKS or not lease.lives(story.seen):
        return "looking"
    return _wake(story, last.n, call)


def _wake(story: Story, n: int, call: Waking) -> Write:
    return Write(n=n, call=call(story.last, run_of(story), n), woken=True)

"""What the note says beside the result of an undo."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.argo import lease
from server.core.argo import remarks as words
from server.core.argo.state import RolloutState, short
from server.core.argo.story import Story
from server.core.argo.undo_proceed import arrived
from server.core.argo.undo_prove import on
from server.core.argo.undo_target import runs_until
from server.core.outcome import Outcome, Plan, Remarks, Verdict


def remarks(
    plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], verdict: Verdict | None, stopped: bool = False
) -> Remarks:
    """From all looks."""
    if not seen:
        return Remarks()
    story = Story(plan, seen, done)
    return Remarks(
        held=_held(story),
        mind=_mind(story),
        wrong=words.wrong(seen),
        proof=_proof(story),
        done=_done(story),
        plot=words.plot(seen),
    )


def _held(story: Story) -> tuple[str, ...]:
    """Whether nobody was there to carry it out."""
    if story.latest is None or arrived(story):
        return ()
    if story.last.lease.problem:
        return ("the controller's Lease cannot be read",)
    silent = lease.silent_since(story.last)
    return (f"no controller has renewed since {words.clock(silent)}",) if silent is not None else ()


def _mind(story: Story) -> tuple[str, ...]:
    """What is left to happen, or to do."""
    state, facts = story.last, story.facts
    target = short(facts["target"], facts["cur"])
    lines = []
    if arrived(story) and state.sta != facts["target"]:
        waits = f", now waiting: {', '.join(state.pauses)}" if state.pauses else ""
        lines.append(f"the way back to {target} is not at its end{waits}")
    if state.exists and state.cur not in ("", facts["cur"], facts["target"]):
        lines.append(f"{short(state.cur, facts['cur'], facts['target'])} was released meanwhile")
    if story.act is not None:
        lines += _gates(story)
    if story.of_kind("undo"):
        bad = short(facts["cur"], facts["target"])
        lines.append(f"spec no longer holds what was released: whatever applies {bad} again brings it back")
    return tuple(lines)


def _gates(story: Story) -> list[str]:
    """While the bad version's pods run, the controller asks no gate for them, whatever a pipeline that runs once more does."""
    state, facts = story.last, story.facts
    left = state.replica_set(str(facts["cur"]))
    until = runs_until(left, state.date) if left is not None and arrived(story) else None
    return [words.without_gate(until)] if until is not None and facts["strategy"] == "blue-green" else []


def _done(story: Story) -> str:
    """'undid production/api-backend, 6948 -> 6558, fast, its pods are all ready'."""
    facts, act = story.facts, story.act
    if act is None or act.kind == "refused":
        return "nothing"
    cur, target = short(facts["cur"], facts["target"]), short(facts["target"], facts["cur"])
    parts = []
    if story.main == "undo":
        verb = "undid" if act.kind == "done" or arrived(story) else "tried to undo (no clear answer)"
        parts.append(f"{verb} {story.last.where}, {cur} -> {target}, {facts['how']}")
    if any(one.kind == "done" for one in story.of_kind("release")):
        parts.append(f"ended the pause before {target}")
    if any(one.kind == "done" for one in story.of_kind("promote")):
        parts.append(f"skipped the gates before {target}")
    return "; ".join([*parts, *words.wakes(story)]) or "tried to release (no clear answer)"


def _proof(story: Story) -> str:
    """'current and stable 6558; Service api-backend-active on 6558, 5/5 endpoints ready'."""
    state = story.last
    if not state.exists or state.problem:
        return f"none: {state.where} cannot be read"
    hashes = tuple(one.hash for one in state.replica_sets)
    cur, sta = short(state.cur, *hashes), short(state.sta, *hashes)
    where = f"current and stable {cur}" if cur == sta else f"current {cur}, stable {sta}"
    return f"{where}; {on(story.facts, state)}"

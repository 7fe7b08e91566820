"""What the note says beside the result of a blue-green switch back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from server.core.argo import remarks as words
from server.core.argo.bluegreen import delay, situation
from server.core.argo.bluegreen_proceed import abort_part
from server.core.argo.bluegreen_prove import on
from server.core.argo.dig import time
from server.core.argo.state import RolloutState, short
from server.core.argo.story import Story
from server.core.outcome import Outcome, Plan, Remarks, Verdict


def remarks(
    plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], verdict: Verdict | None, stopped: bool = False
) -> Remarks:
    """From all looks."""
    if not seen:
        return Remarks()
    story = Story(abort_part(plan), seen, done)
    return Remarks(
        held=words.held(story),
        mind=(*words.mind(story, stopped), *_service(story, stopped), *_gates(story)),
        wrong=words.wrong(seen),
        proof=_proof(story),
        done=_done(story),
        plot=words.plot(seen),
    )


def refused(seen: Sequence[RolloutState]) -> Remarks:
    """Where the run was refused while planning: what comes although nothing was touched."""
    found = words.remarks(None, seen, (), None)
    return found.model_copy(update={"mind": (*found.mind, *_left_there(seen[-1]))})


def _left_there(state: RolloutState) -> tuple[str, ...]:
    """Somebody's abort stands, and the Service is on the aborted version: at the deadline nobody is behind it."""
    own, aborted, wait = state.replica_set(state.cur), time(state.aborted_at), delay(state)
    if state.abort is not True or aborted is None or situation(state) != "b" or state.problem:
        return ()
    until = (time(own.deadline) if own is not None else None) or (aborted + timedelta(seconds=wait) if wait else None)
    if until is None:
        return ()
    cur, sta = short(state.cur, state.sta), short(state.sta, state.cur)
    still = (
        f"an abort stands, and Service {state.active.name} still selects {cur}, whose pods go at {words.clock(until)}"
    )
    return (f"{still}: before that stable {sta} needs its pods, and the Service a switch to it",)


def goes_at(story: Story) -> datetime | None:
    """When the aborted version's pods go: as its ReplicaSet says, else counted from the abort; None = never, or not aborted."""
    sets = (state.replica_set(str(story.facts["cur"])) for state in reversed(story.after_act))
    written = next((found for one in sets if one is not None and (found := time(one.deadline))), None)
    aborted, delay = time(story.last.aborted_at), int(story.facts["delay"])
    if written is not None or aborted is None or delay == 0:
        return written
    return aborted + timedelta(seconds=delay)


def _gates(story: Story) -> tuple[str, ...]:
    """The aborted version still has its deadline: until then the controller takes it back without asking anybody."""
    until = goes_at(story)
    if story.now != "acknowledged" or until is None:
        return ()
    return (words.without_gate(until),)


def _service(story: Story, stopped: bool) -> tuple[str, ...]:
    """An abort stands, and the requests still reach the aborted version."""
    state, facts = story.last, story.facts
    if story.now not in ("acknowledged", "unseen") or state.active.selects != facts["cur"]:
        return ()
    until = goes_at(story)
    go = f", whose pods go at {words.clock(until)}" if until is not None else ""
    why = "stopped: " if stopped else ""
    name, cur = state.active.name, short(facts["cur"], facts["sta"])
    return (f"{why}Service {name} still selects {cur}{go}: {by_hand(story)}",)


def by_hand(story: Story) -> str:
    """The Service write as a command, bound as ours is."""
    facts = story.facts
    path = "/spec/selector/rollouts-pod-template-hash"
    test = f'{{"op":"test","path":"{path}","value":"{facts["cur"]}"}}'
    change = f'{{"op":"replace","path":"{path}","value":"{facts["sta"]}"}}'
    return f"kubectl -n {facts['namespace']} patch service {facts['service']} --type=json -p '[{test},{change}]'"


def _done(story: Story) -> str:
    """'aborted production/api-backend, new version 6948; switched Service api-backend-active 6948 -> 6558'."""
    facts, state, act = story.facts, story.last, story.act
    cur, sta = short(facts["cur"], facts["sta"]), short(facts["sta"], facts["cur"])
    parts = []
    if not story.plan.calls:
        parts.append(story.plan.somebody)
    elif act is not None and act.kind != "refused":
        verb = "aborted" if act.kind != "unknown" or story.flag_seen else "tried to abort (no clear answer)"
        parts.append(f"{verb} {state.where}, new version {cur}")
    switches = story.of_kind("switch")
    if any(one.kind == "done" for one in switches):
        parts.append(f"switched Service {facts['service']} {cur} -> {sta}")
    elif switches and switches[-1].kind in ("refused", "unknown"):
        parts.append(f"could not switch Service {facts['service']}: {switches[-1].said}")
    return "; ".join([*parts, *words.wakes(story)]) or "nothing"


def _proof(story: Story) -> str:
    """'controller 03:12:34Z; Service api-backend-active on 6558, 5/5 endpoints ready'."""
    state = story.last
    if not state.exists or state.problem:
        return f"none: {state.where} cannot be read"
    controller = f"controller {state.aborted_at[11:19]}Z" if state.aborted_at else "the controller has not acknowledged"
    return f"{controller}; {on(state, state.active.selects)}"

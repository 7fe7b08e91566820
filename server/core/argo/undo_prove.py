"""Does an undo hold? The old template stands in spec, is current and stable, and all requests reach it."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.argo import bluegreen_prove, prove, template
from server.core.argo.decide import taken_over
from server.core.argo.prove import end, verdict_of
from server.core.argo.state import RolloutState, percent, short
from server.core.argo.story import Story
from server.core.outcome import Json, Outcome, Plan, Verdict


def judge(plan: Plan, state: RolloutState) -> Verdict:
    """What one look says by itself."""
    facts = plan.facts
    why = _not_there(facts, state) or "; ".join(_traffic(facts, state))
    reached = _reached(facts, state, back=not why)
    if why:
        return verdict_of("unknown", why, state, reached)
    return verdict_of("passed", on(facts, state), state, reached)


def weigh(plan: Plan, seen: Sequence[RolloutState], done: Sequence[Outcome], verdict: Verdict) -> Verdict:
    """The same verdict in the light of what was written before: where waiting cannot help, it says so."""
    if verdict.kind == "passed" or not seen or (verdict.state is None and verdict.evidence == {}):
        return verdict
    story = Story(plan, seen, done)
    state, facts = story.last, story.facts
    if state.problem:
        return verdict
    if not state.exists or state.uid != facts["uid"]:
        return end(verdict, f"{state.where} was deleted meanwhile")
    target, name = str(facts["target"]), short(state.cur, facts["target"], facts["cur"])
    if state.cur not in (facts["cur"], target):
        if not template.difference(state.template, facts["to"]):
            return end(verdict, f"the template of {short(target, state.cur)} became a new version, {name}")
        return end(verdict, f"{name} was released meanwhile")
    if state.cur == target and state.abort is True:
        return end(verdict, f"the way back to {short(target, facts['cur'])} was aborted, whoever did it")
    written = any(one.kind == "done" for one in story.of_kind(story.main))
    if written and template.difference(state.template, facts["to"]) and state.at >= story.done[-1].at:
        return end(verdict, _in_its_place(story))
    return verdict


def _in_its_place(story: Story) -> str:
    """What stands in spec instead of the template that was accepted. That somebody put it there is said only where it is so."""
    state, facts = story.last, story.facts
    if template.difference(state.template, facts["template"]):
        return "another template was put into spec meanwhile"
    target, cur = str(facts["target"]), str(facts["cur"])
    bad = f"the template of {short(cur, target)} stands in spec"
    if any(not template.difference(one.template, facts["to"]) for one in story.after_act):
        return f"{bad} again: it was put back there meanwhile"
    return f"the template of {short(target, cur)} was accepted, and {bad}, again or still"


def on(facts: Json, state: RolloutState) -> str:
    """Where the requests go."""
    if facts["strategy"] == "blue-green":
        return bluegreen_prove.on(state, state.active.selects)
    canary = state.router.canary
    share = "not readable" if canary is None else f"{percent(canary, state.max_weight)} canary"
    return f"traffic {share}, {state.stable_available}/{state.replicas} stable"


def _not_there(facts: Json, state: RolloutState) -> str:
    """Why the version that we go back to is not (or not yet) current and stable; '' = it is."""
    if state.problem:
        return f"{state.where} cannot be read: {state.problem}"
    if not state.exists or state.uid != facts["uid"]:
        return f"{state.where} was deleted meanwhile"
    target = str(facts["target"])
    if template.difference(state.template, facts["to"]):
        return f"the template of {short(target, state.cur)} does not stand in spec (yet)"
    if state.cur != target:
        return f"current is {short(state.cur, target)}, not (yet) {short(target, state.cur)}"
    if why := taken_over(state):
        return why
    if state.abort is True:
        return f"an abort stands on {short(target, state.sta)}"
    if state.sta != target:
        return "; ".join(
            [f"stable is {short(state.sta, target)}, not (yet) {short(target, state.sta)}", *_held_by(state)]
        )
    return ""


def _held_by(state: RolloutState) -> list[str]:
    return [f"the controller waits: {', '.join(state.pauses)}"] if state.pauses else []


def _traffic(facts: Json, state: RolloutState) -> list[str]:
    target = str(facts["target"])
    if facts["strategy"] == "blue-green":
        return bluegreen_prove.elsewhere(state, target)
    return prove.traffic({"cur": target, "sta": target}, state)


def _reached(facts: Json, state: RolloutState, *, back: bool) -> tuple[str, ...]:
    """The truths that hold at this look, in order."""
    if not state.exists or state.problem or state.uid != facts["uid"]:
        return ()
    if template.difference(state.template, facts["to"]):
        return ()
    if state.cur != facts["target"]:
        return ("accepted",)
    return ("accepted", "acknowledged", "traffic") if back else ("accepted", "acknowledged")

"""What proves an undo, and everything that does not; and what the note then says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo.undo_decide import Options
from server.core.argo.undo_prove import judge, weigh
from server.core.argo.undo_remarks import remarks
from server.core.outcome import Plan
from tests.unit.argo.bluegreen_cases import ACTIVE, BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, NEW, STA, at, outcome, stamp

UNDO = Options(when_promoted="undo")
DONE = [outcome("done", 1, what="undo")]


def plan() -> Plan:
    return planned_switch(BlueGreen().promoted(), UNDO)[0]


def back() -> BlueGreen:
    """The old version is current, stable and active again."""
    world = BlueGreen().promoted().taken_back()
    world.status["stableRS"] = world.active = STA
    return world


def test_template_hash_stable_service_and_endpoints_prove_it() -> None:
    verdict = judge(plan(), back().look(3))
    assert (verdict.kind, verdict.said) == ("passed", f"Service {ACTIVE} on 5c4b, 5/5 endpoints ready")
    assert verdict.reached == ("accepted", "acknowledged", "traffic")


def _again(world: BlueGreen) -> None:
    world.hotfix()


def _other_hash(world: BlueGreen) -> None:
    world.taken_back(NEW)
    world.created[NEW], world.available[NEW] = at(1), 5


LIES: list[tuple[str, Callable[[BlueGreen], object], str]] = [
    ("the hash is still the old one", lambda w: w.status.update(currentPodHash=CUR), "current is 7d9f"),
    ("stable is still the bad version", lambda w: w.status.update(stableRS=CUR), "stable is 7d9f"),
    ("the Service is on the bad version", lambda w: setattr(w, "active", CUR), f"Service {ACTIVE} selects 7d9f"),
    ("a pod is missing", lambda w: w.short_by(1, STA), "4 of 5 endpoints"),
    ("nobody is behind the Service", lambda w: setattr(w, "ready", {}), "0 of 5 endpoints"),
    ("another template stands in spec", _again, "does not stand in spec"),
    ("the template became another version", _other_hash, "current is 8abc"),
    ("the controller has not taken spec over", lambda w: w.status.update(observedGeneration="1"), "generation"),
    ("it was made anew", lambda w: w.meta.update(uid="u-2"), "deleted"),
    ("somebody aborted the way back", lambda w: w.flag("kubectl"), "an abort stands"),
]


@pytest.mark.parametrize(("why", "bend", "said"), LIES, ids=[why for why, _, _ in LIES])
def test_nothing_else_does(why: str, bend: Callable[[BlueGreen], object], said: str) -> None:
    world = back()
    bend(world)
    verdict = judge(plan(), world.look(3))
    assert verdict.kind == "unknown"
    assert said in verdict.said
    assert "traffic" not in verdict.reached


ENDS: list[tuple[Callable[[BlueGreen], object], str]] = [
    (_other_hash, "the template of 5c4b became a new version, 8abc"),
    (lambda w: w.hotfix(seen=True), "8abc was released meanwhile"),
    (_again, "another template was put into spec meanwhile"),
    (lambda w: w.flag("kubectl"), "the way back to 5c4b was aborted, whoever did it"),
]


@pytest.mark.parametrize(("bend", "said"), ENDS, ids=[said for _, said in ENDS])
def test_where_waiting_cannot_help_it_ends_and_says_why(bend: Callable[[BlueGreen], object], said: str) -> None:
    made, seen = planned_switch(BlueGreen().promoted(), UNDO)
    world = back()
    bend(world)
    state = world.look(3)
    verdict = weigh(made, [seen, state], DONE, judge(made, state))
    assert (verdict.kind, verdict.stop, verdict.said) == ("unknown", True, said)


def test_the_old_template_that_never_left_spec_is_nobodys_doing() -> None:
    made, seen = planned_switch(BlueGreen().promoted(), UNDO)
    state = BlueGreen().promoted().look(3)
    verdict = weigh(made, [seen, state], DONE, judge(made, state))
    said = "the template of 5c4b was accepted, and the template of 7d9f stands in spec, again or still"
    assert (verdict.kind, verdict.stop, verdict.said) == ("unknown", True, said)


def test_the_bad_template_is_called_put_back_only_where_ours_was_seen_to_stand_there() -> None:
    made, seen = planned_switch(BlueGreen().promoted(), UNDO)
    there, state = BlueGreen().promoted().taken_back().look(2), BlueGreen().promoted().look(3)
    verdict = weigh(made, [seen, there, state], DONE, judge(made, state))
    said = "the template of 7d9f stands in spec again: it was put back there meanwhile"
    assert (verdict.kind, verdict.stop, verdict.said) == ("unknown", True, said)


def test_the_note_says_what_was_done_and_where_it_stands() -> None:
    made, seen = planned_switch(BlueGreen().promoted(), UNDO)
    words = remarks(made, [seen, back().look(3)], DONE, None)
    assert words.done == "undid production/web-frontend, 7d9f -> 5c4b, fast, its pods are all ready"
    assert words.proof == f"current and stable 5c4b; Service {ACTIVE} on 5c4b, 5/5 endpoints ready"
    assert words.mind == ("spec no longer holds what was released: whatever applies 7d9f again brings it back",)


def test_while_the_bad_versions_pods_run_the_note_says_until_when_no_gate_asks_for_them() -> None:
    made, seen = planned_switch(BlueGreen().promoted(), UNDO)
    world = back()
    world.deadlines[CUR] = stamp(at(240))
    words = remarks(made, [seen, world.look(3)], DONE, None)
    until = f"{at(240):%H:%M:%S}Z"
    assert words.mind[0] == f"until {until} a retry, or applying the bad version again, makes it live without any gate"
    assert len(words.mind) == 2


def test_a_way_back_that_is_not_at_its_end_is_said() -> None:
    made, seen = planned_switch(BlueGreen().promoted(), UNDO)
    world = BlueGreen().promoted().taken_back()
    world.status["pauseConditions"] = [{"reason": "BlueGreenPause"}]
    words = remarks(made, [seen, world.look(3)], DONE, None)
    assert words.mind[0] == "the way back to 5c4b is not at its end, now waiting: BlueGreenPause"


def test_so_it_does_where_only_the_pause_of_somebodys_restore_was_ended() -> None:
    world = BlueGreen().taken_back().remembers(wrote=(CUR,))
    world.status["pauseConditions"] = [{"reason": "BlueGreenPause", "startTime": stamp(at(-5))}]
    made, seen = planned_switch(world)
    world.status["pauseConditions"], world.active = [], STA
    world.deadlines[CUR] = stamp(at(240))
    words = remarks(made, [seen, world.look(3)], [outcome("done", 1, n=3, what="release")], None)
    until = f"{at(240):%H:%M:%S}Z"
    assert words.done == "ended the pause before 5c4b"
    assert words.mind == (f"until {until} a retry, or applying the bad version again, makes it live without any gate",)

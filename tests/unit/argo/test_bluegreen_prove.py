"""What proves a blue-green switch back, and every lying 200 that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo.bluegreen_prove import judge, weigh
from tests.unit.argo.bluegreen_cases import ACTIVE, BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, NEW, STA, at, outcome


def back() -> BlueGreen:
    """Aborted, acknowledged, the Service on stable with all its pods."""
    world = BlueGreen(active=STA)
    world.acknowledge(at(2))
    return world


def test_service_endpoints_flag_and_acknowledgement_prove_it() -> None:
    plan, _ = planned_switch()
    verdict = judge(plan, back().look(3))
    assert (verdict.kind, verdict.said) == ("passed", f"Service {ACTIVE} on 5c4b, 5/5 endpoints ready")
    assert verdict.reached == ("accepted", "acknowledged", "traffic")


def _unread(world: BlueGreen) -> None:
    world.status.pop("abortedAt")


def _old_pods(world: BlueGreen) -> None:
    world.ready = {STA: 5, CUR: 1}


def _promoted(world: BlueGreen) -> None:
    world.unflag()
    world.status["stableRS"] = CUR


def _retried(world: BlueGreen) -> None:
    world.unflag()


def _hotfix(world: BlueGreen) -> None:
    world.hotfix()


def _anew(world: BlueGreen) -> None:
    world.meta["uid"] = "u-2"


LIES: list[tuple[str, Callable[[BlueGreen], object], str]] = [
    ("the Service is still on the bad version", lambda w: setattr(w, "active", CUR), f"Service {ACTIVE} selects 7d9f"),
    ("the Service selects nothing of ours", lambda w: setattr(w, "active", ""), "selects no version"),
    ("nobody is behind the Service", lambda w: setattr(w, "ready", {}), "0 of 5 endpoints"),
    ("one pod is not ready", lambda w: setattr(w, "ready", {STA: 4}), "4 of 5 endpoints"),
    ("a pod of the bad version is still behind it", _old_pods, "1 endpoints behind"),
    ("the old version lacks a pod", lambda w: (setattr(w, "ready", {STA: 5}), w.short_by(1, STA)), "4 of 5 pods"),
    ("the controller has not seen the abort", _unread, "has not acknowledged"),
    ("somebody retried", _retried, "the abort does not stand"),
    ("the bad version was promoted", _promoted, "was promoted meanwhile"),
    ("a full promotion stands beside it", lambda w: w.status.update(promoteFull=True), "promoteFull stands"),
    ("a newer template waits in spec", _hotfix, "a newer version stands in spec"),
    ("a newer version took over", lambda w: w.hotfix(seen=True), "was released meanwhile"),
    ("it was made anew", _anew, "made anew"),
    ("it was scaled up and is not whole", lambda w: w.spec.update(replicas=8), "5 of 8"),
    ("it was scaled to nothing", lambda w: (w.spec.update(replicas=0), setattr(w, "ready", {})), "0 of 0 endpoints"),
]


@pytest.mark.parametrize(("why", "bend", "said"), LIES, ids=[why for why, _, _ in LIES])
def test_nothing_else_does(why: str, bend: Callable[[BlueGreen], object], said: str) -> None:
    plan, _ = planned_switch()
    world = back()
    bend(world)
    verdict = judge(plan, world.look(3))
    assert verdict.kind == "unknown"
    assert said in verdict.said
    assert "traffic" not in verdict.reached


def test_a_service_or_slices_that_cannot_be_read_prove_nothing() -> None:
    plan, _ = planned_switch()
    state = back().look(3)
    for update in (
        {"active": state.active.model_copy(update={"problem": "403"})},
        {"endpoints": state.endpoints.model_copy(update={"problem": "403"})},
    ):
        assert judge(plan, state.model_copy(update=update)).kind == "unknown"


def test_a_promotion_meanwhile_is_a_failure_that_no_waiting_mends() -> None:
    plan, seen = planned_switch()
    world = BlueGreen()
    _promoted(world)
    state = world.look(3)
    verdict = weigh(plan, [seen, state], [outcome("done", 1)], judge(plan, state))
    assert (verdict.kind, verdict.said) == ("failed", "7d9f was promoted meanwhile")


def test_an_abort_that_somebody_took_back_is_a_failure() -> None:
    plan, seen = planned_switch()
    state = BlueGreen(active=STA).look(3)
    verdict = weigh(plan, [seen, back().look(2), state], [outcome("done", 1)], judge(plan, state))
    assert (verdict.kind, verdict.said) == ("failed", "the abort of 7d9f was taken back: somebody retried it")


def test_a_newer_version_ends_it_without_a_result() -> None:
    plan, seen = planned_switch()
    world = BlueGreen()
    world.hotfix(seen=True)
    state = world.look(3)
    verdict = weigh(plan, [seen, state], [outcome("done", 1)], judge(plan, state))
    assert (verdict.kind, verdict.stop) == ("unknown", True)
    assert NEW[:4] in verdict.said


def test_the_evidence_names_the_service_and_who_is_behind_it() -> None:
    plan, _ = planned_switch()
    assert judge(plan, back().look(3)).evidence["active"] == {
        "service": ACTIVE,
        "selects": STA,
        "resourceVersion": "",
        "problem": "",
        "ready": 5,
        "others": 0,
        "waiting": 0,
    }

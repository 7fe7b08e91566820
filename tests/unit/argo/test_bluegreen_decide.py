"""The decision table of a blue-green switch back: where the Service stands, whether the new version is whole, who was there before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo import bluegreen_decide, patches
from server.core.argo.bluegreen import situation
from server.core.outcome import Plan, Refusal
from tests.unit.argo.bluegreen_cases import ACTIVE, OLDER, BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, STA, at, template

SWITCH = [
    {"op": "test", "path": "/spec/selector/rollouts-pod-template-hash", "value": CUR},
    {"op": "replace", "path": "/spec/selector/rollouts-pod-template-hash", "value": STA},
]
ABORT = [
    {"op": "test", "path": "/metadata/uid", "value": "u-1"},
    {"op": "test", "path": "/status/currentPodHash", "value": CUR},
    {"op": "test", "path": "/status/stableRS", "value": STA},
    {"op": "test", "path": "/spec/template", "value": template()},
    {"op": "add", "path": "/status/abort", "value": True},
]


def refusal(world: BlueGreen) -> str:
    state = world.look(0)
    answer = bluegreen_decide.plan([state], state.at)
    assert isinstance(answer, Refusal), answer
    return answer.reason


def kinds(plan: Plan) -> list[str]:
    return [patches.kind(call) for call in plan.calls]


def test_a_preview_is_aborted_and_the_service_left_alone() -> None:
    plan, _ = planned_switch(BlueGreen(active=STA))
    assert [call.body for call in plan.calls] == [ABORT]
    assert (plan.facts["situation"], plan.judged.revision) == ("a", CUR)
    assert plan.said == f"abort production/web-frontend, new version 7d9f; Service {ACTIVE} stays on 5c4b"


def test_a_whole_active_version_is_aborted_and_the_controller_left_to_switch() -> None:
    plan, _ = planned_switch()
    assert [call.body for call in plan.calls] == [ABORT]
    assert plan.facts["situation"] == "b"


UNSWITCHED: list[tuple[str, Callable[[BlueGreen], object]]] = [
    ("one pod is not available", lambda w: w.short_by(1)),
    ("no pod is available", lambda w: w.short_by(5)),
    ("somebody paused the Rollout", lambda w: w.spec.update(paused=True)),
    ("it was scaled up just now", lambda w: w.spec.update(replicas=6)),
    ("its ReplicaSet was not scaled yet", lambda w: w.wanted.update({CUR: 4})),
]


@pytest.mark.parametrize(("why", "bend"), UNSWITCHED, ids=[why for why, _ in UNSWITCHED])
def test_where_the_controller_would_leave_the_service_the_plan_holds_both_writes(
    why: str, bend: Callable[[BlueGreen], object]
) -> None:
    world = BlueGreen()
    bend(world)
    plan, _ = planned_switch(world)
    assert [call.body for call in plan.calls] == [ABORT, SWITCH]
    assert plan.calls[1].path == f"/api/v1/namespaces/production/services/{ACTIVE}"
    assert plan.calls[1].content_type == "application/json-patch+json"


def test_a_full_promotion_that_stands_is_cleared_by_the_abort_itself() -> None:
    world = BlueGreen()
    world.status["promoteFull"] = True
    plan, _ = planned_switch(world)
    assert {"op": "add", "path": "/status/promoteFull", "value": False} in plan.calls[0].body


def test_stable_must_be_able_to_carry_what_the_new_version_carries_now() -> None:
    assert refusal(BlueGreen().short_by(4, STA)) == "stable has 1 of 5 pods, switching would lose 4 endpoints"
    world = BlueGreen().short_by(1).short_by(4, STA)
    assert refusal(world) == "stable has 1 of 5 pods, switching would lose 3 endpoints"


def test_a_stable_that_carries_no_less_than_the_sick_version_is_good_enough() -> None:
    plan, _ = planned_switch(BlueGreen().short_by(4).short_by(3, STA))
    assert kinds(plan) == ["act", "switch"]


def test_a_preview_needs_no_capacity() -> None:
    assert kinds(planned_switch(BlueGreen(active=STA).short_by(2, STA))[0]) == ["act"]


def test_an_abort_of_somebody_else_leaves_only_the_service_to_do() -> None:
    for world in (BlueGreen().flag("kubectl"), BlueGreen().short_by(1).acknowledge()):
        plan, _ = planned_switch(world)  # type: ignore[arg-type]
        assert [call.body for call in plan.calls] == [SWITCH]
        assert plan.somebody.startswith("aborted already")


def test_an_abort_of_somebody_else_with_the_service_on_stable_leaves_nothing_to_do() -> None:
    world = BlueGreen(active=STA)
    world.acknowledge(at(-5))
    plan, _ = planned_switch(world)
    assert plan.calls == ()
    assert plan.somebody == "aborted already at 03:11:55Z, by whom is not known"


def _restored(world: BlueGreen) -> None:
    world.taken_back()
    world.active = CUR


def _lost(world: BlueGreen) -> None:
    world.created[OLDER] = world.created.pop(STA)
    world.available[OLDER] = 0


def _first(world: BlueGreen) -> None:
    world.created.pop(STA)
    world.status["stableRS"] = ""


def _window(world: BlueGreen) -> None:
    world.spec["rollbackWindow"] = {"revisions": 2}
    world.created[CUR] = at(-90000)


REFUSED: list[tuple[Callable[[BlueGreen], object], str]] = [
    (
        lambda w: setattr(w, "active", OLDER),
        f"Service {ACTIVE} selects 3aaa, neither current 7d9f nor stable 5c4b: somebody pointed it there by hand",
    ),
    (
        lambda w: setattr(w, "active", ""),
        f"Service {ACTIVE} selects no version, neither current 7d9f nor stable 5c4b: somebody pointed it there by hand",
    ),
    (_restored, f"Service {ACTIVE} selects 7d9f, stable is 5c4b: somebody pointed it there by hand"),
    (_lost, "the ReplicaSet of stable 5c4b is gone: there is nothing to return to"),
    (_first, "production/web-frontend is a first deploy (7d9f): there is nothing to return to"),
    (_window, "a rollback within rollbackWindow to 7d9f is running: no abort holds there"),
    (lambda w: w.promoted(), "7d9f is fully promoted: an abort does nothing there (when_promoted: refuse)"),
]


@pytest.mark.parametrize(("bend", "reason"), REFUSED, ids=[reason[:50] for _, reason in REFUSED])
def test_what_cannot_be_switched_back_is_refused_aloud(bend: Callable[[BlueGreen], object], reason: str) -> None:
    world = BlueGreen()
    bend(world)
    assert refusal(world) == reason


def test_what_could_not_be_proven_is_not_begun() -> None:
    state = BlueGreen().look(0)
    behind = state.endpoints.model_copy(update={"problem": "403 endpointslices"})
    answer = bluegreen_decide.plan([state.model_copy(update={"endpoints": behind})], state.at)
    assert answer == Refusal(reason="no proof would be possible: 403 endpointslices")
    active = state.active.model_copy(update={"problem": "404"})
    answer = bluegreen_decide.plan([state.model_copy(update={"active": active})], state.at)
    assert answer == Refusal(reason=f"no proof would be possible: Service {ACTIVE}: 404")


def test_a_canary_is_no_blue_green() -> None:
    state = BlueGreen().look(0).model_copy(update={"strategy": "canary"})
    answer = bluegreen_decide.plan([state], state.at)
    assert answer == Refusal(reason="production/web-frontend is canary, the catalog says blue-green")


@pytest.mark.parametrize(
    ("active", "stable", "current", "found"),
    [
        (STA, STA, CUR, "a"),
        (CUR, STA, CUR, "b"),
        (CUR, CUR, CUR, "c"),
        (STA, CUR, CUR, "restored"),
        (OLDER, CUR, CUR, "elsewhere"),
        (OLDER, STA, CUR, "elsewhere"),
    ],
)
def test_three_hashes_tell_where_it_stands(active: str, stable: str, current: str, found: str) -> None:
    state = BlueGreen(active=active).look(0).model_copy(update={"cur": current, "sta": stable})
    assert situation(state) == found

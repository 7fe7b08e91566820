"""The decision table of abort_rollout, row by row: which live state gives a plan, a refusal, or another look."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo import decide
from server.core.argo.read import read
from server.core.outcome import LookAgain, Plan, Refusal
from tests.unit.argo.cases import CUR, NEW, STA, World, at, planned, stamp, template


def refusal(world: World, **options: str) -> str:
    answer = decide.plan([world.look(0)], at(0), **options)
    assert isinstance(answer, Refusal), answer
    return answer.reason


def test_a_canary_under_way_is_aborted_by_one_bound_patch() -> None:
    plan, state = planned()
    assert plan.said == "abort production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b"
    (call,) = plan.calls
    assert call.method == "PATCH"
    assert call.path == "/apis/argoproj.io/v1alpha1/namespaces/production/rollouts/web-frontend/status"
    assert call.content_type == "application/json-patch+json"
    assert call.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/status/currentPodHash", "value": CUR},
        {"op": "test", "path": "/status/stableRS", "value": STA},
        {"op": "test", "path": "/spec/template", "value": state.template},
        {"op": "add", "path": "/status/abort", "value": True},
    ]


def test_the_judged_version_started_when_it_last_stopped_being_complete() -> None:
    plan, _ = planned()
    assert plan.judged.revision == CUR
    assert plan.judged.since == at(-300)


def test_the_judged_version_started_with_its_replica_set_where_that_is_later() -> None:
    world = World()
    world.created[CUR] = at(-20)
    plan, _ = planned(world)
    assert plan.judged.since == at(-20)


def test_a_full_promotion_under_way_is_cleared_in_the_same_patch() -> None:
    world = World()
    world.status["promoteFull"] = True
    plan, _ = planned(world)
    assert plan.calls[0].body[-2:] == [
        {"op": "add", "path": "/status/promoteFull", "value": False},
        {"op": "add", "path": "/status/abort", "value": True},
    ]


def test_a_paused_rollout_is_aborted_all_the_same() -> None:
    world = World()
    world.spec["paused"] = True
    plan, _ = planned(world)
    assert len(plan.calls) == 1


@pytest.mark.parametrize(
    ("message", "who"),
    [
        ("RolloutAborted: Rollout aborted update to revision 2", "by whom is not known"),
        (
            "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: Metric failed",
            "by its analysis: Background analysis phase error/failed: Metric failed",
        ),
        (
            'RolloutAborted: Rollout aborted update to revision 2: ReplicaSet "x" has timed out progressing.',
            'by the controller: ReplicaSet "x" has timed out progressing.',
        ),
    ],
)
def test_what_is_aborted_already_needs_no_write_and_says_who(message: str, who: str) -> None:
    world = World().aborted()
    world.status["message"] = message
    plan, _ = planned(world)
    assert plan.calls == ()
    assert plan.somebody == f"aborted already at 03:12:02Z, {who}"


def test_an_abort_by_a_known_hand_names_it() -> None:
    plan, _ = planned(World().aborted().flag(by="kubectl-argo-rollouts"))
    assert plan.somebody == "aborted already at 03:12:02Z, by kubectl-argo-rollouts"


def test_an_abort_that_the_controller_has_not_seen_needs_no_second_one() -> None:
    plan, _ = planned(World().flag(by=""))
    assert plan.calls == ()
    assert plan.somebody == "aborted already, by whom is not known"


def _first_deploy(world: World) -> None:
    world.status["stableRS"] = CUR
    world.created = {CUR: at(-10)}


def _promoted(world: World) -> None:
    world.status["stableRS"] = CUR


def _window(world: World) -> None:
    world.spec["rollbackWindow"] = {"revisions": 2}
    world.created[CUR] = at(-90000)


def _stable_gone(world: World) -> None:
    world.created = {CUR: at(-10), NEW: at(-500)}
    world.available[NEW] = 0


REFUSED: list[tuple[Callable[[World], object], str]] = [
    (lambda w: w.meta.update(deletionTimestamp=stamp(at(-1))), "production/web-frontend is being deleted"),
    (_first_deploy, "production/web-frontend is a first deploy (7d9f): there is nothing to return to"),
    (_promoted, "7d9f is fully promoted: an abort does nothing there (when_promoted: refuse)"),
    (_window, "a rollback within rollbackWindow to 7d9f is running: no abort holds there"),
    (_stable_gone, "the ReplicaSet of stable 5c4b is gone: there is nothing to return to"),
    (
        lambda w: w.status.update(conditions=[{"type": "InvalidSpec", "status": "True", "message": "no such service"}]),
        "the controller refuses the spec of production/web-frontend, so no abort is carried out: no such service",
    ),
    (
        lambda w: w.spec.update(strategy={"blueGreen": {"activeService": "a"}}),
        "production/web-frontend is blue-green, the catalog says canary",
    ),
    (
        lambda w: w.spec.update(workloadRef={"kind": "Deployment", "name": "x"}),
        "web-frontend takes its template from a Deployment (workloadRef); Ripcord does not act on those yet",
    ),
    (
        lambda w: w.canary.pop("trafficRouting"),
        "web-frontend is a basic canary without trafficRouting; Ripcord aborts canaries routed by Istio only",
    ),
    (
        lambda w: w.canary.update(trafficRouting={"nginx": {"stableIngress": "x"}}),
        "Ripcord reads Istio VirtualServices only; web-frontend is routed by nginx",
    ),
    (
        lambda w: w.canary["trafficRouting"]["istio"].update(destinationRule={"name": "x"}),
        "web-frontend is routed by DestinationRule subsets; Ripcord reads two Services only",
    ),
    (
        lambda w: w.canary.update(pingPong={"pingService": "a", "pongService": "b"}),
        "web-frontend uses pingPong Services; Ripcord does not act on those yet",
    ),
    (
        lambda w: w.canary["trafficRouting"]["istio"].update(virtualServices=[{"name": "a"}, {"name": "b"}]),
        "web-frontend is routed by several VirtualServices (2); Ripcord reads one",
    ),
]


@pytest.mark.parametrize(("bend", "reason"), REFUSED, ids=[reason[:60] for _, reason in REFUSED])
def test_what_cannot_be_aborted_is_refused_aloud(bend: Callable[[World], object], reason: str) -> None:
    world = World()
    bend(world)
    assert refusal(world) == reason


def test_a_rollback_outside_the_window_is_an_ordinary_canary() -> None:
    world = World()
    _window(world)
    for number in (1, 2):
        world.created[f"between{number}"] = at(-88000 - number)
        world.available[f"between{number}"] = 0
    assert len(planned(world)[0].calls) == 1


def test_what_could_not_be_proven_is_not_begun() -> None:
    raw = World().raw(at(0))
    raw.router = "kubernetes: GET /x: 403 forbidden"
    answer = decide.plan([read(raw)], at(0))
    assert isinstance(answer, Refusal)
    assert (
        answer.reason
        == "no proof would be possible: VirtualService web-frontend-vsvc: kubernetes: GET /x: 403 forbidden"
    )


# Taken over? ----------------------------------------------------------------------------------------------------------------------


def _unseen_template(world: World) -> None:
    world.template = template("web-frontend:v2.1.1")


def _unseen_generation(world: World) -> None:
    world.meta["generation"] = 5


def _no_status(world: World) -> None:
    world.status = {}
    world.created = {}


@pytest.mark.parametrize("bend", [_unseen_template, _unseen_generation])
def test_a_spec_that_is_not_taken_over_is_looked_at_again_for_15_seconds_and_then_refused(
    bend: Callable[[World], None],
) -> None:
    world = World()
    bend(world)
    first = world.look(0)
    assert isinstance(decide.plan([first], at(0)), LookAgain)
    assert isinstance(decide.plan([first, world.look(14.9)], at(14.9)), LookAgain)
    answer = decide.plan([first, world.look(15)], at(15))
    assert isinstance(answer, Refusal)
    assert answer.reason.startswith("the controller has not taken over what is in spec")


def test_a_removed_label_is_a_spec_that_is_not_taken_over() -> None:
    world = World()
    world.carried = template(tier="front")
    assert isinstance(decide.plan([world.look(0)], at(0)), LookAgain)


def test_what_changed_within_ten_seconds_is_looked_at_twice() -> None:
    world = World()
    world.meta["managedFields"] = [{"manager": "argo", "time": stamp(at(-10))}]
    first = world.look(0)
    again = decide.plan([first], at(0))
    assert isinstance(again, LookAgain)
    assert again.after == pytest.approx(0.3)
    assert isinstance(decide.plan([first, world.look(0.2)], at(0.2)), LookAgain)
    assert isinstance(decide.plan([first, world.look(0.3)], at(0.3)), Plan)


def test_counts_conditions_and_versions_may_move_between_the_two_looks() -> None:
    world = World()
    world.meta["managedFields"] = [{"manager": "argo", "time": stamp(at(-2))}]
    first = world.look(0)
    world.meta |= {"resourceVersion": "101", "generation": 5}
    world.status |= {"observedGeneration": "5", "availableReplicas": 12}
    assert isinstance(decide.plan([first, world.look(0.4)], at(0.4)), Plan)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.hotfix(seen=True),
        lambda w: w.flag(),
        lambda w: w.status.update(promoteFull=True),
        lambda w: w.acknowledge(),
    ],
)
def test_a_judgement_that_moves_between_the_two_looks_is_looked_at_once_more(change: Callable[[World], object]) -> None:
    world = World()
    world.meta["managedFields"] = [{"manager": "argo", "time": stamp(at(-2))}]
    first = world.look(0)
    change(world)
    assert isinstance(decide.plan([first, world.look(0.4)], at(0.4)), LookAgain)


def test_a_rollout_that_is_gone_or_forbidden_is_refused_with_that() -> None:
    raw = World().raw(at(0))
    raw.rollout = None
    assert decide.plan([read(raw)], at(0)) == Refusal(reason="there is no Rollout production/web-frontend")
    raw.rollout = "kubernetes: GET /y: 403 no"
    reason = "production/web-frontend cannot be read: kubernetes: GET /y: 403 no"
    assert decide.plan([read(raw)], at(0)) == Refusal(reason=reason)

"""One look: what is read, in which order, and what a thing that cannot be read becomes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from server.actions import abort_rollout
from server.checks import rollout_traffic_on_stable
from server.clients import Clients, PagerDuty
from server.core.argo import patches
from server.core.argo.look import look
from server.core.catalog import RolloutTarget
from server.core.outcome import Write
from server.errors import Missing, Refused, Transient, Unknown
from tests.unit.argo.cases import CUR, NEW, World, at, planned
from tests.unit.argo.door import LEASE, ROLLOUT, ROUTER, Door

PLACE = RolloutTarget(
    name="web-frontend",
    rollout="web-frontend",
    namespace="production",
    strategy="canary",
    team="web",
    pagerduty_services=("PCANARY",),
    named_by={"rollout": "web-frontend"},
)


def clients(door: Door) -> Clients:
    return Clients(kubernetes=door, pagerduty=cast("PagerDuty", None), now=lambda: at(1))


def test_one_look_reads_everything_that_is_judged() -> None:
    door = Door(World())
    state = look(PLACE, door, lambda: at(1))
    assert (state.cur, state.replicas, state.stable_available, state.router.canary) == (CUR, 10, 10, 25)
    assert (state.at, state.date) == (at(1), at(0))
    assert door.queries["/apis/apps/v1/namespaces/production/replicasets"] == {"labelSelector": "app=web-frontend"}
    runs = door.queries["/apis/argoproj.io/v1alpha1/namespaces/production/analysisruns"]
    assert runs == {"labelSelector": f"rollouts-pod-template-hash={CUR}"}


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_the_router_is_read_in_whichever_version_the_cluster_serves(version: str) -> None:
    state = look(PLACE, Door(World(), istio=version), lambda: at(1))
    assert state.router.canary == 25
    assert state.router.path == ROUTER.format(version)


def test_a_missing_rollout_is_a_state_and_not_an_error() -> None:
    door = Door(World())
    del door.objects[ROLLOUT]
    assert not look(PLACE, door, lambda: at(1)).exists


def test_a_forbidden_rollout_is_a_state_with_the_reason() -> None:
    door = Door(World())
    door.objects[ROLLOUT] = Refused("403 no", 403)
    assert look(PLACE, door, lambda: at(1)).problem == "403 no"


@pytest.mark.parametrize("path", [ROLLOUT, ROUTER.format("v1"), "/apis/apps/v1/namespaces/production/replicasets"])
def test_what_cannot_be_read_now_is_raised_and_never_taken_for_absent(path: str) -> None:
    door = Door(World())
    door.objects[path] = Transient("429")
    with pytest.raises(Transient):
        look(PLACE, door, lambda: at(1))


@pytest.mark.parametrize("error", [Transient("429"), Refused("403", 403), Missing("404")])
def test_a_lease_that_cannot_be_read_is_never_waited_for(error: Exception) -> None:
    door = Door(World())
    door.objects[LEASE.format("argo-rollouts")] = error
    assert look(PLACE, door, lambda: at(1)).lease.problem != ""


def test_analysis_runs_that_cannot_be_listed_are_none() -> None:
    door = Door(World())
    door.objects["/apis/argoproj.io/v1alpha1/namespaces/production/analysisruns"] = Refused("403", 403)
    assert look(PLACE, door, lambda: at(1)).analysis == ()


@pytest.mark.parametrize(
    "surprise", [{}, {"spec": None, "status": []}, {"metadata": {"managedFields": "x"}, "spec": {"strategy": 3}}]
)
def test_a_surprise_in_an_answer_is_no_exception(surprise: dict[str, Any]) -> None:
    door = Door(World())
    door.objects[ROLLOUT] = surprise
    assert look(PLACE, door, lambda: at(1)).cur == ""


# The check ------------------------------------------------------------------------------------------------------------------------


def test_the_check_proves_by_a_look_whose_last_read_is_the_rollout_again() -> None:
    door = Door(World().aborted())
    verdict = rollout_traffic_on_stable.look(planned()[0], clients(door), PLACE)
    assert verdict.kind == "passed"
    assert (door.asked[0], door.asked[-1]) == (ROLLOUT, ROLLOUT)


def test_a_version_that_takes_over_while_the_check_looks_is_not_proven() -> None:
    world = World().aborted()
    door = Door(world)

    def take_over(path: str) -> None:
        if path == LEASE.format("argo-rollouts"):
            door.objects[ROLLOUT] = world.unflag().hotfix(seen=True).rollout()

    door.on_read = take_over
    verdict = rollout_traffic_on_stable.look(planned()[0], clients(door), PLACE)
    assert verdict.kind == "unknown"
    assert verdict.state is not None
    assert verdict.state["cur"] == NEW


# The write ------------------------------------------------------------------------------------------------------------------------


def write(answer: dict[str, Any] | Exception) -> Any:
    door = Door(World())
    door.answer = answer
    plan, _ = planned()
    outcome = abort_rollout.write(plan, plan.calls[0], clients(door), "r-1/0/1", 1)
    assert len(door.sent) == 1
    assert door.sent[0] == (plan.calls[0].path, plan.calls[0].body, "application/json-patch+json")
    return outcome


def test_an_accepted_abort_is_done_with_the_answers_version() -> None:
    outcome = write({"metadata": {"resourceVersion": "101"}, "status": {"abort": True}})
    assert (outcome.kind, outcome.n, outcome.evidence["resourceVersion"]) == ("done", 1, "101")


def test_an_answer_that_shows_an_older_acknowledgement_changed_nothing() -> None:
    outcome = write({"status": {"abort": True, "abortedAt": "2026-11-24T03:11:00Z"}})
    assert (outcome.kind, outcome.said) == (
        "noop",
        "it was aborted already, acknowledged at 03:11:00Z; nothing was changed",
    )


def test_an_answer_that_shows_anothers_hand_on_the_flag_changed_nothing() -> None:
    fields: dict[str, Any] = {"f:status": {"f:abort": {}}}
    answer = {"metadata": {"managedFields": [{"manager": "kubectl", "fieldsV1": fields}]}, "status": {"abort": True}}
    assert write(answer).kind == "noop"


def test_an_answer_that_shows_the_flag_as_ours_alone_is_our_abort_although_an_older_one_was_acknowledged() -> None:
    """Somebody aborted and retried, and the controller has not looked since: the acknowledgement is of the first abort."""
    fields: dict[str, Any] = {"f:status": {"f:abort": {}}}
    owned = {"managedFields": [{"manager": "ripcord", "fieldsV1": fields}]}
    outcome = write({"metadata": owned, "status": {"abort": True, "abortedAt": "2026-11-24T03:11:00Z"}})
    assert (outcome.kind, outcome.said) == ("done", planned()[0].calls[0].said)


@pytest.mark.parametrize(
    ("error", "kind", "cause"),
    [
        (Refused("422", 422), "refused", "conflict"),
        (Refused("409", 409), "refused", "conflict"),
        (Refused("415", 415), "refused", ""),
        (Refused("400", 400), "refused", ""),
        (Refused("403", 403), "refused", ""),
        (Missing("404"), "refused", ""),
        (Unknown("no answer within 5 s"), "unknown", "timeout"),
        (Unknown("the connection broke", broken=True), "unknown", "broken"),
    ],
)
def test_every_answer_becomes_a_value(error: Exception, kind: str, cause: str) -> None:
    outcome = write(error)
    assert (outcome.kind, outcome.cause) == (kind, cause)


def test_a_server_that_takes_no_json_patch_is_refused_aloud() -> None:
    assert write(Refused("415 unsupported", 415)).said == (
        "the API server takes no JSON patch, and nothing is sent unbound: 415 unsupported"
    )


def test_what_was_certainly_not_done_is_raised_for_the_flow_to_repeat() -> None:
    with pytest.raises(Transient):
        write(Transient("refused"))


def test_a_wake_carries_the_runs_id() -> None:
    door = Door(World())
    state = World().flag().look(3)
    plan, _ = planned()
    abort_rollout.write(plan, patches.wake(state, "", 2), clients(door), "r-77/0/2", 2)
    assert door.sent[0][1][-1] == {"op": "add", "path": "/status/message", "value": "r-77 wake 2"}


def test_putting_an_abort_back_writes_nothing_and_says_that_a_person_decides() -> None:
    plan, first = planned()
    said = abort_rollout.put_back(plan, [first], [], at(1)).outcome
    assert (said.kind, said.said) == (
        "refused",
        "an abort is not put back, because that would ship the bad version again: a person decides",
    )


def test_a_wake_after_an_act_says_the_run_by_itself() -> None:
    plan, first = planned()
    door = Door(World())
    door.answer = {"status": {"abort": True}}
    acted = abort_rollout.write(plan, plan.calls[0], clients(door), "r-77/0/1", 1)
    seen = [first, *[World().flag().renew(at(second)).look(second) for second in (2, 5)]]
    move = abort_rollout.proceed(plan, seen, [acted], at(5))
    assert isinstance(move, Write)
    assert move.call.body[-1]["value"] == "r-77 wake 2"

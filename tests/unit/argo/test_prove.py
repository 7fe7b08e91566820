"""Does it hold? Everything is read at every look; one thing amiss and it is not proven, however good the rest looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo.prove import judge, weigh
from server.core.argo.read import with_rollout
from server.core.outcome import Outcome, Plan, Verdict
from tests.unit.argo.cases import CUR, STA, World, at, outcome, planned


def verdict(world: World, *done: Outcome, plan: Plan | None = None, earlier: World | None = None) -> Verdict:
    """The look at this world, weighed against the looks and writes before it."""
    made, first = planned()
    plan = plan or made
    state = world.look(5)
    seen = [first, *([earlier.look(2)] if earlier else []), state]
    return weigh(plan, seen, list(done), judge(plan, state))


ACTED = outcome("done", 1)


def test_all_traffic_on_stable_is_proven() -> None:
    said = verdict(World().aborted(), ACTED)
    assert (said.kind, said.said) == ("passed", "traffic 0 % canary, 10/10 stable")
    assert said.reached == ("accepted", "acknowledged", "traffic")


def test_the_evidence_holds_the_routers_own_version_and_weights() -> None:
    evidence = verdict(World().aborted(), ACTED).evidence
    assert evidence["router"]["resourceVersion"] == "55"
    assert evidence["router"]["routes"] == [{"name": "primary", "canary": 0, "stable": 100, "other": 0}]
    assert evidence["stable"]["available"] == 10


def _set(key: str, value: object) -> Callable[[World], object]:
    return lambda world: world.status.update({key: value})


def _weights(side: str, key: str, value: object) -> Callable[[World], object]:
    return lambda world: world.status["canary"]["weights"][side].update({key: value})


def _lone_canary(world: World) -> None:
    world.http[0]["route"] = [{"destination": {"host": "web-frontend-canary"}}]


def _mirror(world: World) -> None:
    world.canary["trafficRouting"]["managedRoutes"] = [{"name": "shadow"}]
    route = {"name": "shadow", "mirror": {"host": "web-frontend-canary.production.svc.cluster.local"}}
    world.http.insert(0, {**route, "route": [{"destination": {"host": "web-frontend-stable"}}]})


def _second_route(world: World) -> None:
    world.canary["trafficRouting"]["istio"]["virtualService"]["routes"] = ["primary", "second"]
    world.http.append({"name": "second", "route": [{"destination": {"host": "web-frontend-canary"}, "weight": 100}]})


AMISS: dict[str, Callable[[World], object]] = {
    "status still says 25 %": _weights("canary", "weight", 25),
    "status says less than all on stable": _weights("stable", "weight", 99),
    "status names another stable": _weights("stable", "podTemplateHash", "9zzz"),
    "status names another canary": _weights("canary", "podTemplateHash", "9zzz"),
    "status holds no weights": _set("canary", {}),
    "an experiment still gets traffic": lambda w: w.status["canary"]["weights"].update(additional=[{"weight": 5}]),
    "the weights are not verified": lambda w: w.status["canary"]["weights"].update(verified=False),
    "the router still says 25 %": lambda w: w.weigh(25, status=0),
    "the router sends everything to the canary": _lone_canary,
    "the router has lost its route": lambda w: w.http.clear(),
    "a second managed route reaches the canary": _second_route,
    "a mirror route reaches the canary": _mirror,
    "stable lacks a pod": lambda w: w.available.update({STA: 9}),
    "the stable Service selects the canary": lambda w: setattr(w, "stable_selects", CUR),
    "the abort is not acknowledged": lambda w: w.status.pop("abortedAt"),
    "promoteFull stands beside it": _set("promoteFull", True),
    "a hotfix stands in spec": lambda w: w.hotfix(),
}


@pytest.mark.parametrize("what", AMISS)
def test_one_thing_amiss_is_not_proven(what: str) -> None:
    world = World().aborted()
    AMISS[what](world)
    said = verdict(world, ACTED)
    assert (said.kind, said.stop) == ("unknown", False)
    assert "traffic" not in said.reached


def test_degraded_and_acknowledged_with_a_quarter_of_the_traffic_is_not_proven() -> None:
    world = World().acknowledge()
    world.available[STA] = 9
    said = verdict(world, ACTED)
    assert said.reached == ("accepted", "acknowledged")
    assert said.said == (
        "status says 25 % canary; status says 75 % stable; "
        "route primary of web-frontend-vsvc sends 25 % to the canary; stable has 9 of 10 pods"
    )


def test_the_canary_service_is_no_evidence_while_the_canary_lives() -> None:
    world = World().aborted()
    world.canary_selects = CUR
    assert verdict(world, ACTED).kind == "passed"


def test_a_template_written_back_normalised_is_still_the_judged_one() -> None:
    world = World().aborted()
    world.template["spec"]["containers"][0]["resources"] = {}
    assert verdict(world, ACTED).kind == "passed"


def test_a_flag_that_falls_while_the_proof_is_read_is_seen_at_its_end() -> None:
    plan, _ = planned()
    world = World().aborted()
    state = world.look(5)
    assert judge(plan, state).kind == "passed"
    assert judge(plan, with_rollout(state, world.unflag().rollout(), None)).kind == "unknown"


def test_a_hotfix_that_comes_while_the_proof_is_read_is_seen_at_its_end() -> None:
    plan, _ = planned()
    world = World().aborted()
    state = world.look(5)
    assert judge(plan, with_rollout(state, world.hotfix().rollout(), None)).kind == "unknown"


# In the light of what was seen before ---------------------------------------------------------------------------------------------


def _retried(world: World) -> None:
    world.unflag().status["abort"] = False


def _window(world: World) -> None:
    world.unflag().spec["rollbackWindow"] = {"revisions": 1}
    world.created[CUR] = at(-90000)


def _stable_now(world: World) -> None:
    world.unflag().status["stableRS"] = CUR


FAILED: list[tuple[Callable[[World], object], str]] = [
    (_retried, "the abort of 7d9f was taken back: somebody retried it"),
    (
        lambda w: w.unflag().status.update(promoteFull=True),
        "the abort of 7d9f was dropped: a full promotion (promoteFull) is under way",
    ),
    (_window, "the abort of 7d9f was dropped: it is a rollback within rollbackWindow"),
    (_stable_now, "7d9f became stable meanwhile"),
]


@pytest.mark.parametrize(("bend", "reason"), FAILED, ids=[reason for _, reason in FAILED])
def test_waiting_cannot_help_once_the_abort_is_gone(bend: Callable[[World], object], reason: str) -> None:
    world = World().aborted()
    bend(world)
    said = verdict(world, ACTED)
    assert (said.kind, said.said) == ("failed", reason)


def test_a_flag_that_was_never_seen_is_not_yet_a_failure() -> None:
    said = verdict(World(), outcome("unknown", 1, cause="timeout"))
    assert (said.kind, said.stop) == ("unknown", False)


def test_a_flag_that_was_read_once_and_is_gone_is_a_failure_although_its_answer_never_came() -> None:
    said = verdict(World(), outcome("unknown", 1, cause="timeout"), earlier=World().flag())
    assert said.kind == "failed"


def test_an_abort_that_was_accepted_and_that_no_look_ever_saw_is_not_blamed_on_anybody() -> None:
    said = verdict(World(), ACTED)
    assert said.kind == "failed"
    assert (
        said.said
        == "the abort of 7d9f was accepted and is not there: somebody took it back at once, or it was never kept"
    )


def test_a_third_destination_is_not_called_the_canary() -> None:
    world = World().aborted()
    world.http[0]["route"][1]["destination"]["host"] = "web-frontend-old"
    world.http[0]["route"][0]["weight"], world.http[0]["route"][1]["weight"] = 75, 25
    assert verdict(world, ACTED).said == "route primary of web-frontend-vsvc sends 25 % elsewhere"


NEWER: list[tuple[Callable[[World], object], str]] = [
    (lambda w: w.unflag().hotfix(seen=True), "8abc was released meanwhile and took over"),
    (lambda w: w.hotfix(seen=True), "8abc was released meanwhile and is aborted, whoever did it"),
    (
        lambda w: w.meta.update(uid="u-2"),
        "production/web-frontend was deleted and made anew meanwhile",
    ),
]


@pytest.mark.parametrize(("bend", "reason"), NEWER, ids=[reason for _, reason in NEWER])
def test_another_version_ends_it_unproven_and_is_named(bend: Callable[[World], object], reason: str) -> None:
    world = World().aborted()
    bend(world)
    said = verdict(world, ACTED)
    assert (said.kind, said.stop, said.said) == ("unknown", True, reason)


def test_stable_put_back_into_spec_ends_it_unproven_and_says_so() -> None:
    world = World().unflag()
    world.status["currentPodHash"] = STA
    said = verdict(world, ACTED)
    assert (said.kind, said.stop) == ("unknown", True)
    assert said.said == "the template of stable 5c4b was put back into spec meanwhile"


def test_our_unseen_flag_on_a_newer_version_is_waited_for_until_it_is_off() -> None:
    world = World().flag().hotfix(seen=True)
    said = verdict(world, ACTED)
    assert (said.kind, said.stop) == ("unknown", False)
    assert said.said == "8abc was released meanwhile; our abort, unseen by the controller, is being taken off it"


def test_somebody_elses_unseen_flag_on_a_newer_version_ends_it() -> None:
    plan, _ = planned(World().flag(by="kubectl"))
    said = verdict(World().flag(by="kubectl").hotfix(seen=True), plan=plan)
    assert (said.kind, said.stop) == ("unknown", True)

"""What an abort does, in both worlds by the same words: the rows of the table in traces/canary.md.

Order and end states only: how long something takes is the world's own affair.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.contract.scenario import HASH, Canary, template
from tests.contract.writes import both, delayed, has, routed, says, scaled, told, turned_to
from tests.support.waiting import eventually

ABORTED = "RolloutAborted: Rollout aborted update to revision 2"


def _progressing(canary: Canary) -> tuple[str, str]:
    found = canary.condition("Progressing")
    return str(found.get("status")), str(found.get("reason"))


def _told_weights(canary: Canary) -> tuple[int, int]:
    weights = canary.status["canary"]["weights"]
    return weights["stable"].get("weight", 0), weights["canary"].get("weight", 0)


def _observed(rollout: Object) -> int:
    return int(rollout["status"].get("observedGeneration", 0))


def _gone(canary: Canary, key: str = "abort") -> None:
    eventually(lambda: key not in canary.status, within=10, what=f"{key} is dropped")


# ---- paused at 25 %, stable complete ----


def test_an_abort_turns_the_service_then_the_router_then_sets_the_deadline_then_writes_one_status(
    canary: Canary,
) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=5)
    status = canary.status
    new, stable = status["currentPodHash"], status["stableRS"]

    with canary.world.record(canary.namespace) as record:
        canary.abort()
        canary.until_acknowledged()
        eventually(lambda: canary.replicaset(new)["status"].get("replicas", 0) == 0, within=20, what="scaled down")
        record.in_order(
            ("the canary Service", "services", turned_to(stable)),
            ("the router", "virtualservices", routed(0)),
            ("the deadline", "replicasets", delayed(new)),
            ("acknowledged", "rollouts", has("abortedAt")),
            ("scaled down", "replicasets", scaled(new, 0)),
        )
        between = [one for one in record.of("rollouts") if "abortedAt" in one["status"]]

    assert between[0]["status"]["phase"] == "Degraded", "acknowledged and Degraded are one write"
    assert between[0]["status"]["canary"]["weights"]["canary"].get("weight", 0) == 0, "and so are the weights"


def test_the_status_of_an_aborted_canary(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    canary.abort()
    canary.until_acknowledged()

    status = canary.status
    assert (status["phase"], status["message"], status["abort"]) == ("Degraded", ABORTED, True)
    assert _progressing(canary) == ("False", "RolloutAborted")
    assert canary.condition("Paused")["status"] == "True", "the Paused condition stays True after an abort"
    assert status["currentStepIndex"] == 0
    assert not {"pauseConditions", "controllerPause"} & set(status)
    assert _told_weights(canary) == canary.weights == (100, 0)
    assert canary.selects("web-stable") == status["stableRS"]


def test_while_the_aborted_canary_lives_its_service_flips_and_nothing_else_moves(canary: Canary) -> None:
    canary.paused_at_25()
    canary.abort()
    canary.until_acknowledged()
    status = canary.status

    with canary.world.record(canary.namespace) as record:
        eventually(lambda: len(record.of("services")) >= 6, within=20, what="the canary Service flips")
        flips = [one["spec"]["selector"][HASH] for one in record.of("services", "web-canary")]
        still = [record.of("virtualservices"), record.of("services", "web-stable"), record.of("rollouts")]

    assert set(flips) == {status["currentPodHash"], status["stableRS"]}
    assert all(one != other for one, other in pairwise(flips))
    assert still == [[], [], []]


def test_the_flipping_ends_on_stable_when_the_canary_is_gone(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    new, stable = canary.status["currentPodHash"], canary.status["stableRS"]
    canary.abort()

    eventually(lambda: "updatedReplicas" not in canary.status, within=20, what="the last pod is gone")

    assert canary.replicaset(new)["spec"]["replicas"] == 0
    with canary.world.record(canary.namespace) as record:
        canary.never(lambda: record.of("services"), for_seconds=1.5, what="the canary Service flips still")
    assert canary.selects("web-canary") == stable
    assert canary.acknowledged


def test_a_second_abort_changes_nothing(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=1)
    canary.abort()
    eventually(lambda: "updatedReplicas" not in canary.status, within=20, what="the last pod is gone")
    before = canary.rollout["metadata"]["resourceVersion"]

    answer = canary.abort()

    assert (answer.code, answer.json["metadata"]["resourceVersion"]) == (200, before)
    canary.never(lambda: canary.rollout["metadata"]["resourceVersion"] != before, for_seconds=1, what="written again")


def test_the_timer_of_a_pause_never_fires_after_an_abort(canary: Canary) -> None:
    steps = [{"setWeight": 25}, {"pause": {"duration": "3s"}}, {"setWeight": 50}, {"pause": {}}]
    canary.paused_at_25(steps=steps, abortScaleDownDelaySeconds=1)
    canary.abort()
    canary.until_weights(100, 0)

    canary.never(lambda: canary.weights != (100, 0), for_seconds=5, what="the next step")
    assert canary.status["currentStepIndex"] == 0


def test_a_delay_of_zero_scales_down_at_once_and_sets_no_deadline(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=0)
    new = canary.status["currentPodHash"]
    with canary.world.record(canary.namespace) as record:
        canary.abort()
        canary.until_acknowledged()
        record.in_order(
            ("scaled down", "replicasets", scaled(new, 0)),
            ("acknowledged", "rollouts", has("abortedAt")),
        )
        assert record.version("replicasets", delayed(new)) == -1


def test_an_abort_before_any_canary_pod_is_available_moves_no_service_and_no_weight(canary: Canary) -> None:
    canary.deployed(abortScaleDownDelaySeconds=2)
    old = canary.status["currentPodHash"]
    canary.release("v2")
    eventually(lambda: canary.status["currentPodHash"] != old, what="v2 is taken over")
    new = canary.status["currentPodHash"]
    canary.world.hold(canary.namespace, f"web-{new}", 1)
    eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 1, what="the canary is wanted")

    with canary.world.record(canary.namespace) as record:
        canary.abort()
        canary.until_acknowledged()
        eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 0, within=20, what="scaled down")
        moved = [*record.of("services"), *record.of("virtualservices")]

    assert moved == []
    assert canary.status["phase"] == "Degraded"


# ---- the gate ----


def _with_a_stable_pod_missing(canary: Canary, **more: Any) -> None:
    canary.paused_at_25(**more)
    canary.world.hold(canary.namespace, f"web-{canary.status['stableRS']}", 1)


def test_while_stable_lacks_a_pod_the_weights_stay_and_the_status_says_so(canary: Canary) -> None:
    _with_a_stable_pod_missing(canary)
    new = canary.status["currentPodHash"]

    canary.abort()
    canary.until_acknowledged()

    canary.never(lambda: canary.weights != (75, 25), for_seconds=4, what="the weights move")
    assert canary.status["phase"] == "Degraded", "acknowledged, and the traffic is still there"
    assert _told_weights(canary) == (75, 25)
    assert canary.deadline(new) == "", "the delay has not begun"


def test_the_gate_opens_when_the_pod_is_back(canary: Canary) -> None:
    _with_a_stable_pod_missing(canary)
    new = canary.status["currentPodHash"]
    canary.abort()
    canary.until_acknowledged()

    canary.world.let_go()

    canary.until_weights(100, 0)
    eventually(lambda: _told_weights(canary) == (100, 0), what="told")
    eventually(lambda: canary.deadline(new), what="the delay begins")


def test_a_threshold_lets_the_traffic_go_and_the_scale_down_waits_for_all_pods(canary: Canary) -> None:
    _with_a_stable_pod_missing(canary, replicaProgressThreshold={"type": "Percent", "value": 75})
    new = canary.status["currentPodHash"]

    canary.abort()
    canary.until_weights(100, 0)

    canary.never(lambda: canary.deadline(new), for_seconds=2, what="the delay begins")
    canary.world.let_go()
    eventually(lambda: canary.deadline(new), what="the delay begins")


# ---- where an abort is lost ----


def test_an_abort_during_a_full_promotion_is_dropped(canary: Canary) -> None:
    canary.paused_at_25()
    new = canary.status["currentPodHash"]
    canary.world.hold(canary.namespace, f"web-{new}", 1)  # so that the promotion does not end under our hands
    canary.patch_status(promoteFull=True)
    canary.world.hold(canary.namespace, f"web-{new}", 2)

    stable = canary.status["stableRS"]
    canary.quiet()
    with canary.world.record(canary.namespace) as record:
        record.since(canary.abort())
        record.in_order(
            ("the canary Service, for one pass", "services", turned_to(stable)),
            ("a deadline, for one pass", "replicasets", delayed(new)),
            ("the flag is dropped", "rollouts", says(abort=None)),
            ("the canary Service, back", "services", turned_to(new)),
        )
        assert record.version("rollouts", has("abortedAt")) == -1
    assert canary.status["promoteFull"] is True
    eventually(lambda: canary.deadline(new) == "", what="the deadline is taken back")
    canary.world.let_go()
    canary.until("Healthy")
    assert canary.status["stableRS"] == new


def test_an_abort_that_takes_the_promotion_back_in_the_same_patch_holds(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    stable = canary.status["stableRS"]
    canary.world.hold(canary.namespace, f"web-{canary.status['currentPodHash']}", 2)
    canary.patch_status(promoteFull=True)

    canary.abort(promoteFull=False)

    canary.until_acknowledged()
    canary.until_weights(100, 0)
    assert canary.status["promoteFull"] is False, "the false that was written stays stored"
    assert canary.status["stableRS"] == stable


def test_an_abort_of_an_in_window_rollback_flickers_and_is_dropped(canary: Canary) -> None:
    canary.deployed(spec={"rollbackWindow": {"revisions": 3}})
    first = canary.status["currentPodHash"]
    canary.release("v2")
    canary.until("Paused")
    canary.patch_status(promoteFull=True)
    canary.until("Healthy")
    eventually(lambda: canary.status["stableRS"] != first, what="v2 is stable")
    canary.world.hold(canary.namespace, f"web-{first}", 1)
    canary.release("v1")
    eventually(lambda: canary.status["currentPodHash"] == first, what="the rollback is taken over")

    eventually(lambda: canary.weights[1] > 0, within=20, what="it gets traffic")
    canary.quiet()
    with canary.world.record(canary.namespace) as record:
        record.since(canary.abort())
        record.in_order(
            ("the router at 0, for one pass", "virtualservices", routed(0)),
            ("the flag is dropped", "rollouts", says(abort=None)),
            ("the router, back", "virtualservices", lambda one: not routed(0)(one)),
        )
        assert record.version("rollouts", has("abortedAt")) == -1
    canary.world.let_go()
    canary.until("Healthy")
    assert canary.status["stableRS"] == first


def test_an_abort_of_a_promoted_version_is_dropped_and_changes_nothing_else(canary: Canary) -> None:
    canary.deployed()
    before = canary.status

    with canary.world.record(canary.namespace) as record:
        canary.abort()
        _gone(canary)
        canary.never(lambda: canary.acknowledged, for_seconds=0.5, what="acknowledged")
        moved = [*record.of("services"), *record.of("virtualservices"), *record.of("replicasets")]

    assert moved == []
    assert canary.status == before


def test_an_abort_of_a_first_deploy_is_dropped_and_the_deploy_goes_on(canary: Canary) -> None:
    canary.place()
    eventually(lambda: canary.status.get("stableRS"), what="a first status")
    pod_hash = canary.status["currentPodHash"]
    assert canary.status["stableRS"] == pod_hash, "it reads as promoted before any pod is there"
    canary.world.hold(canary.namespace, f"web-{pod_hash}", 1)

    canary.abort()

    _gone(canary)
    canary.world.let_go()
    canary.until("Healthy")


# ---- a newer version ----


def test_a_hotfix_that_was_taken_over_is_not_hit_by_an_abort_bound_to_the_old_hash(canary: Canary) -> None:
    canary.paused_at_25()
    judged, spec = canary.status["currentPodHash"], canary.rollout["spec"]["template"]
    canary.release("v3")
    eventually(lambda: canary.status["currentPodHash"] != judged, what="the hotfix is taken over")

    answer = canary.world.json_patch(
        f"{canary.path}/status",
        {"op": "test", "path": "/status/currentPodHash", "value": judged},
        {"op": "test", "path": "/spec/template", "value": spec},
        {"op": "add", "path": "/status/abort", "value": True},
    )

    assert answer.code == 422
    assert "abort" not in canary.status


def test_an_abort_bound_to_hash_and_template_never_hits_a_hotfix_that_is_only_in_spec(canary: Canary) -> None:
    canary.paused_at_25()
    rollout = canary.rollout
    judged = rollout["status"]["currentPodHash"]
    canary.world.controller_down()
    try:
        canary.release("v3")
        assert canary.status["currentPodHash"] == judged, "nobody has taken it over yet"
        tests = [{"op": "test", "path": "/status/currentPodHash", "value": judged}]
        both = [*tests, {"op": "test", "path": "/spec/template", "value": rollout["spec"]["template"]}]
        abort = {"op": "add", "path": "/status/abort", "value": True}
        bound = canary.world.json_patch(f"{canary.path}/status", *both, abort)
        half = canary.world.json_patch(f"{canary.path}/status", *tests, abort)
    finally:
        canary.world.controller_up(handed=True)
    assert (bound.code, half.code) == (422, 200)
    eventually(lambda: canary.status["currentPodHash"] != judged, within=40, what="the hotfix is taken over")
    canary.never(lambda: canary.acknowledged, for_seconds=1, what="the hotfix is aborted")


def test_an_accepted_abort_ends_when_another_version_is_taken_over(canary: Canary) -> None:
    canary.paused_at_25()
    canary.abort()
    canary.until_acknowledged()
    old = canary.status["currentPodHash"]

    with canary.world.record(canary.namespace) as record:
        canary.release("v3")
        canary.until("Paused")
        generation = canary.rollout["metadata"]["generation"]
        record.in_order(
            ("observed", "rollouts", lambda one: _observed(one) == one["metadata"]["generation"]),
            ("its hash", "rollouts", lambda one: one["status"]["currentPodHash"] != old),
        )
        hashed = record.version("rollouts", lambda one: one["status"]["currentPodHash"] != old)
        cleared = record.version("rollouts", lambda one: not {"abort", "abortedAt"} & set(one["status"]))

    assert hashed == cleared, "both are one write"
    assert int(canary.status["observedGeneration"]) == generation
    assert canary.weights == (75, 25)


def test_the_stable_template_ends_an_abort_in_one_write(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    stable = canary.status["stableRS"]
    canary.abort()
    canary.until_acknowledged()

    canary.release("v1")
    canary.until("Healthy")

    status = canary.status
    assert (status["currentPodHash"], status["stableRS"], status["currentStepIndex"]) == (stable, stable, 2)
    assert not {"abort", "abortedAt"} & set(status)
    notes = canary.replicaset(stable)["metadata"]["annotations"]
    assert (notes["rollout.argoproj.io/revision"], notes["rollout.argoproj.io/revision-history"]) == ("3", "1")


def test_a_retry_starts_the_aborted_version_again(canary: Canary) -> None:
    canary.paused_at_25()
    canary.abort()
    canary.until_acknowledged()
    new = canary.status["currentPodHash"]

    canary.patch_status(abort=False)
    canary.until("Paused")

    assert canary.weights == (75, 25)
    assert canary.status["abort"] is False, "the false that was written stays stored"
    assert "abortedAt" not in canary.status
    assert canary.deadline(new) == ""


# ---- other states ----


def test_where_spec_is_paused_the_traffic_moves_and_the_pods_stay(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=1)
    canary.spec(paused=True)
    eventually(lambda: int(canary.status["observedGeneration"]) >= canary.rollout["metadata"]["generation"])
    new = canary.status["currentPodHash"]

    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(100, 0)

    canary.never(lambda: canary.deadline(new), for_seconds=2.5, what="the delay begins")
    assert canary.replicaset(new)["spec"]["replicas"] == 1
    canary.spec(paused=False)
    eventually(lambda: canary.replicaset(new)["spec"]["replicas"] == 0, within=20, what="scaled down")
    assert canary.status["abort"] is True


def test_an_abort_waits_under_an_invalid_spec_and_is_carried_out_after_the_repair(canary: Canary) -> None:
    canary.paused_at_25()
    canary.spec(strategy={"canary": {"canaryService": "nowhere"}})
    eventually(lambda: canary.condition("InvalidSpec").get("status") == "True", what="InvalidSpec")

    canary.abort()
    canary.never(lambda: canary.acknowledged, for_seconds=2, what="acknowledged")
    assert canary.status["abort"] is True
    assert canary.status["message"].startswith("InvalidSpec:")

    canary.spec(strategy={"canary": {"canaryService": "web-canary"}})
    canary.until_acknowledged()
    canary.until_weights(100, 0)


def test_an_abort_waits_for_a_controller_that_is_down(canary: Canary) -> None:
    canary.paused_at_25(abortScaleDownDelaySeconds=2)
    before = canary.status
    canary.world.controller_down()
    try:
        answer = canary.abort()
        assert answer.json["status"]["abort"] is True
        canary.never(lambda: canary.acknowledged, for_seconds=3, what="acknowledged")
        assert canary.status == {**before, "abort": True}
        assert canary.weights == (75, 25)
    finally:
        canary.world.controller_up(handed=True)

    canary.until_acknowledged(within=45)
    canary.until_weights(100, 0)


# ---- dynamicStableScale ----

DYNAMIC = [{"setWeight": 25}, {"setWeight": 50}, {"setWeight": 75}, {"pause": {}}]


def test_with_dynamic_stable_scale_the_weights_walk_down_as_stable_comes_back(canary: Canary) -> None:
    canary.paused_at_25(steps=DYNAMIC, dynamicStableScale=True)
    assert canary.weights == (25, 75)
    new, stable = canary.status["currentPodHash"], canary.status["stableRS"]
    with canary.world.record(canary.namespace) as record:
        canary.abort()
        canary.until_weights(100, 0, within=30)
        record.in_order(
            ("acknowledged", "rollouts", both(has("abortedAt"), told(75, new))),
            ("the router to 50", "virtualservices", routed(50)),
            ("the canary to 2", "replicasets", scaled(new, 2)),
            ("stable to 3", "replicasets", scaled(stable, 3)),
            ("the router to 25", "virtualservices", routed(25)),
            ("the canary to 1", "replicasets", scaled(new, 1)),
            ("stable to 4", "replicasets", scaled(stable, 4)),
            ("the canary Service", "services", turned_to(stable)),
            ("the router to 0", "virtualservices", routed(0)),
            ("the canary to 0", "replicasets", scaled(new, 0)),
        )
        assert record.version("replicasets", delayed(new)) == -1, "no delay: it goes at once"
        walked = [one["spec"]["http"][0]["route"][1].get("weight", 0) for one in record.of("virtualservices")]
    assert list(dict.fromkeys(walked)) == [50, 25, 0]
    assert canary.acknowledged


def test_with_an_explicit_delay_besides_the_walk_stops_after_its_first_step_for_good(canary: Canary) -> None:
    canary.paused_at_25(steps=DYNAMIC, dynamicStableScale=True, abortScaleDownDelaySeconds=2)
    canary.abort()
    canary.until_acknowledged()
    canary.until_weights(50, 50)

    canary.never(lambda: canary.weights != (50, 50), for_seconds=6, what="the walk goes on")
    canary.release("v1")
    canary.until_weights(100, 0)


@pytest.mark.parametrize("first", ["abort", "release"])
def test_other_steps_or_another_template_restart_an_aborted_canary(canary: Canary, first: str) -> None:
    canary.paused_at_25()
    canary.abort()
    canary.until_acknowledged()

    if first == "release":
        canary.spec(template=template("v3"))
    else:
        canary.spec(strategy={"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}})
    canary.until("Paused")

    assert canary.weights == ((50, 50) if first == "abort" else (75, 25))
    assert "abort" not in canary.status

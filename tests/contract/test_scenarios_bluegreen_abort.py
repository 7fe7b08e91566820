"""Aborts of a blue-green Rollout, in both worlds by the same words.

Case a: the new version is only in preview. Case b: it is behind the active Service and not yet stable.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.bluegreen import FAILED, PASSED, UNDECIDED, BlueGreen
from tests.contract.scenario import DEADLINE, HASH
from tests.contract.worlds import Record, World
from tests.contract.writes import both, delayed, has, says, scaled, turned_to
from tests.support.waiting import eventually

ABORTED = "RolloutAborted: Rollout aborted update to revision 2"


@pytest.fixture
def web(world: World) -> Iterator[BlueGreen]:
    """A Rollout in a namespace of its own, not yet placed."""
    one = BlueGreen(world)
    yield one
    one.leave()


# ---- case a ----


def test_in_preview_an_abort_moves_no_service_and_keeps_the_pods_until_the_deadline(web: BlueGreen) -> None:
    web.in_preview(abortScaleDownDelaySeconds=2)
    new, stable = web.new, web.stable

    with web.world.record(web.namespace) as record:
        web.abort()
        record.in_order(
            ("the delay begins", "replicasets", delayed(new)),
            ("the status says so", "rollouts", both(says(phase="Degraded", message=ABORTED), has("abortedAt"))),
            ("its pods go", "replicasets", scaled(new, 0)),
        )
        web.quiet()

    assert (web.active, web.preview) == (stable, new), "the preview Service stays on the empty version"
    assert DEADLINE in web.replicaset(new)["metadata"]["annotations"], "an aborted version keeps its old deadline"
    assert not {"pauseConditions", "controllerPause"} & set(web.status)
    assert web.ready() == {stable: 3}
    assert record.of("services") == []


def test_in_preview_the_stable_template_alone_is_a_complete_way_back(web: BlueGreen) -> None:
    web.in_preview()
    new, stable = web.new, web.stable

    with web.never_fewer():
        web.put_back(stable)
        eventually(lambda: web.preview == stable, what="the preview Service is back")
        web.until("Healthy")

    assert web.new == web.stable == stable
    assert web.deadline(new), "the bad version waits as any old version does"


def test_an_abort_then_the_stable_template_is_healthy_and_knows_of_no_abort(web: BlueGreen) -> None:
    web.in_preview(abortScaleDownDelaySeconds=30)
    stable = web.stable
    web.abort()
    web.until_acknowledged()
    web.quiet()
    web.put_back(stable)
    web.until("Healthy")

    assert not {"abort", "abortedAt"} & set(web.status)
    assert (web.active, web.preview) == (stable, stable)


# ---- case b ----


def test_a_saturated_version_is_switched_back_after_its_deadline_is_set_and_before_the_status(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=2)
    new, stable = web.new, web.stable

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.abort()
        record.in_order(
            ("the delay begins", "replicasets", delayed(new)),
            ("the active Service", "services", turned_to(stable, "web-active")),
            ("the analysis is stopped", "analysisruns", lambda one: one["spec"].get("terminate")),
            ("the status says so", "rollouts", both(says(phase="Degraded", message=ABORTED), has("abortedAt"))),
            ("its pods go", "replicasets", scaled(new, 0)),
        )
        web.until_run("post", "Successful")

    assert web.pointer("post")["message"] == "Run Terminated", "stopped is told as Successful"
    assert (web.active, web.preview) == (stable, new)
    assert web.ready() == {stable: 3}


def test_with_one_pod_short_an_abort_is_an_outage_at_the_deadline(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=2)
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()

    with web.world.record(web.namespace) as record:
        web.abort()
        web.until_wanted(new, 0)
        eventually(lambda: web.ready() == {}, what="nobody is behind the active Service")
        web.quiet()

    assert web.active == new
    assert record.of("services") == []
    assert (web.status["phase"], web.status["message"]) == ("Degraded", ABORTED), "as if all were well"
    assert not {"readyReplicas", "availableReplicas"} & set(web.status)
    web.put_back(stable)
    web.until_active(stable)
    eventually(lambda: web.ready() == {stable: 3}, what="the restore ends it")


def test_pods_that_come_back_before_the_deadline_let_the_controller_switch_by_itself(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=20)
    new, stable = web.new, web.stable
    web.hold(new, 3)
    web.quiet()
    web.abort()
    web.until_acknowledged()
    web.never(lambda: web.active != new, for_seconds=1, what="switched while unsaturated")

    web.world.let_go()
    web.until_active(stable)


def test_a_hand_patch_under_an_abort_sticks_for_good(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=3)
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()

    with web.never_fewer():
        web.abort()
        web.point("web-active", stable)
        web.until_acknowledged()
        web.world.let_go()
        web.until_wanted(new, 0)
        web.quiet()

    assert web.active == stable
    assert web.status["blueGreen"]["activeSelector"] == stable, "it is the live Service's"
    assert web.status["phase"] == "Degraded"


def test_a_hand_patch_without_an_abort_is_undone_while_the_new_version_is_saturated(web: BlueGreen) -> None:
    web.live()
    new, stable = web.new, web.stable

    with web.world.record(web.namespace) as record:
        web.point("web-active", stable)
        eventually(lambda: _turned(record) == [stable, new], within=20, what="it is turned, and turned back")


def test_a_hand_patch_without_an_abort_makes_the_bad_version_stable_once_its_pods_are_back(web: BlueGreen) -> None:
    web.live()
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()
    web.point("web-active", stable)
    web.until_run("post", "Successful")
    assert web.active == stable

    web.world.let_go()
    web.until_stable(new)
    assert web.active == new
    assert web.pointer("post")["message"] == "Run Terminated", "no analysis has passed"


def test_a_stable_version_that_lacks_a_pod_holds_back_the_scale_down_and_not_the_switch(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=20)
    new, stable = web.new, web.stable
    web.hold(stable, 1)
    web.quiet()
    web.abort()
    web.until_active(stable)
    web.until_acknowledged()
    assert web.deadline(new) == ""

    web.world.let_go()
    eventually(lambda: web.deadline(new), within=20, what="the delay begins when stable is whole")


def test_spec_paused_makes_an_abort_an_outage_and_unpausing_afterwards_repairs_nothing(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=2)
    new = web.new
    web.spec(paused=True)
    eventually(lambda: web.status["phase"] == "Paused", what="paused by hand")
    web.abort()
    web.until_acknowledged()
    web.until_wanted(new, 0)
    eventually(lambda: web.ready() == {}, what="nobody is behind the active Service")

    web.spec(paused=False)
    eventually(lambda: web.status["observedGeneration"] == str(web.rollout["metadata"]["generation"]), what="seen")
    web.never(lambda: web.active != new, for_seconds=2, what="switched although nothing is saturated any more")


def test_an_inconclusive_analysis_delays_the_switch_by_one_pass(web: BlueGreen) -> None:
    web.place(post=True, metric={"inconclusiveLimit": 0, "consecutiveSuccessLimit": 0}, abortScaleDownDelaySeconds=20)
    web.says("post", PASSED)  # once more and once more: without a count it never ends
    web.until("Healthy")
    web.release("v2")
    web.until_run("post", "Running")
    stable = web.stable
    web.says("post", UNDECIDED)
    eventually(lambda: web.pause() == ["InconclusiveAnalysisRun"], within=20, what="paused without a verdict")

    with web.world.record(web.namespace) as record:
        web.abort()
        record.in_order(
            ("the status says so", "rollouts", has("abortedAt")),
            ("the active Service", "services", turned_to(stable, "web-active")),
        )
    assert "pauseConditions" not in web.status


def test_a_scale_up_in_the_same_moment_is_waited_for(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=20)
    new, stable = web.new, web.stable

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.scale(5)
        web.until_wanted(stable, 5)
        web.abort()
        record.in_order(
            ("the new version is scaled too", "replicasets", scaled(new, 5)),
            ("the active Service", "services", turned_to(stable, "web-active")),
        )
    assert web.available(new) == 5, "saturated at its new size, and only then the Service was turned"


def test_a_scale_under_an_abort_moves_the_stable_version_alone(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=2)
    new, stable = web.new, web.stable
    web.abort()
    web.until_wanted(new, 0)
    web.quiet()
    web.scale(4)
    web.until_available(stable, 4)
    eventually(
        lambda: web.replicaset(new)["metadata"]["annotations"]["rollout.argoproj.io/desired-replicas"] == "4",
        what="the aborted version is only told",
    )
    assert web.wanted(new) == 0


# ---- aborts that do not hold ----


def test_an_abort_while_promote_full_stands_is_dropped_and_one_patch_of_both_holds(web: BlueGreen) -> None:
    web.deployed(autoPromotionEnabled=False, abortScaleDownDelaySeconds=20)
    new = web.release_unready("v2")
    web.quiet()
    web.patch_status(promoteFull=True)
    web.quiet()

    with web.world.record(web.namespace) as record:
        web.abort()
        eventually(lambda: "abort" not in web.status, what="the flag is dropped")
        eventually(lambda: not web.deadline(new), what="and the deadline with it")
    assert record.version("replicasets", delayed(new)) > 0, "for a moment it had one"
    assert not any(one["status"].get("abortedAt") for one in record.of("rollouts"))

    web.quiet()
    web.patch_status(promoteFull=False, abort=True)
    web.until_acknowledged()


def test_an_abort_of_a_promoted_version_is_dropped_in_silence(web: BlueGreen) -> None:
    web.promoted()
    with web.world.record(web.namespace) as record:
        web.abort()
        eventually(lambda: "abort" not in web.status, what="the flag is dropped")
    assert web.status["phase"] == "Healthy"
    assert record.of("services") == []


# ---- aborts by the controller itself ----


def test_a_failed_analysis_after_the_switch_aborts_in_the_status_first_and_in_the_service_one_pass_later(
    web: BlueGreen,
) -> None:
    web.live(abortScaleDownDelaySeconds=20)
    new, stable = web.new, web.stable

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.says("post", FAILED)
        record.in_order(
            ("the status says so", "rollouts", both(says(abort=True, phase="Degraded"), has("abortedAt"))),
            ("the delay begins", "replicasets", delayed(new)),
            ("the active Service", "services", turned_to(stable, "web-active")),
        )
    cause = 'Metric "ok" assessed Failed due to failed (1) > failureLimit (0)'
    assert web.status["message"] == f"{ABORTED}: Blue/green post-promotion analysis phase error/failed: {cause}"
    assert web.pointer("post")["status"] == "Failed"


def test_a_failed_analysis_before_the_switch_aborts_and_no_service_moves(web: BlueGreen) -> None:
    web.deployed(pre=True, abortScaleDownDelaySeconds=20)
    stable = web.stable
    web.release("v2")
    web.until_run("pre", "Running")
    web.says("pre", FAILED)
    web.until_acknowledged()

    cause = 'Metric "ok" assessed Failed due to failed (1) > failureLimit (0)'
    assert web.status["message"] == f"{ABORTED}: Blue/green pre-promotion analysis phase error/failed: {cause}"
    assert web.active == stable
    eventually(lambda: web.deadline(web.new), what="its pods will go")


def test_what_is_behind_a_service_is_told_by_name_and_owner(web: BlueGreen) -> None:
    """The shape that a proof reads: one slice for each Service, its pods by reference."""
    web.deployed(replicas=2)
    eventually(lambda: web.ready("web-preview") == {web.stable: 2}, what="two endpoints")
    path = f"/apis/discovery.k8s.io/v1/namespaces/{web.namespace}/endpointslices"
    found = web.world.get(path, labelSelector="kubernetes.io/service-name=web-preview").json["items"]
    [part] = found
    assert part["addressType"] == "IPv4"
    assert part["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert part["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert part["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    for one in part["endpoints"]:
        assert one["conditions"] == {"ready": True, "serving": True, "terminating": False}
        assert one["targetRef"]["kind"] == "Pod"
        pod = web.world.get(f"/api/v1/namespaces/{web.namespace}/pods/{one['targetRef']['name']}").json
        assert one["addresses"] == [pod["status"]["podIP"]]
        assert pod["metadata"]["ownerReferences"][0]["name"] == f"web-{web.stable}"


def _turned(record: Record) -> list[str]:
    """The versions that the active Service was given, one after the other."""
    return [one["spec"]["selector"][HASH] for one in record.of("services", "web-active")]

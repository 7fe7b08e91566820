"""How a blue-green release goes through its gates, and what takes it past them, in both worlds by the same words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.bluegreen import BLUE_GREEN_PAUSE, PASSED, BlueGreen
from tests.contract.scenario import HASH
from tests.contract.worlds import World
from tests.contract.writes import both, delayed, has, says, scaled, turned_to, undelayed
from tests.support.waiting import eventually


@pytest.fixture
def web(world: World) -> Iterator[BlueGreen]:
    """A Rollout in a namespace of its own, not yet placed."""
    one = BlueGreen(world)
    yield one
    one.leave()


def is_1_10(web: BlueGreen) -> bool:
    return web.world.rollouts.startswith("v1.10.")


# ---- a release ----


def test_without_gates_a_release_is_previewed_scaled_switched_and_stable_in_that_order(web: BlueGreen) -> None:
    web.deployed()
    old = web.stable
    assert (web.active, web.preview) == (old, old)

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.release("v2")
        eventually(lambda: web.stable != old, within=20, what="v2 is stable")
        new = web.stable
        record.in_order(
            ("the preview Service", "services", turned_to(new, "web-preview")),
            ("its hash is told", "rollouts", says(currentPodHash=new)),
            ("its pods are wanted", "replicasets", scaled(new, 3)),
            ("the active Service", "services", turned_to(new, "web-active")),
            ("it is stable", "rollouts", says(stableRS=new, phase="Healthy")),
            ("the old one's delay begins", "replicasets", delayed(old)),
        )
        first = next(one for one in record.of("replicasets") if one["metadata"]["labels"][HASH] == new)
    assert first["spec"]["replicas"] == 0
    assert first["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "2"
    web.until("Healthy")
    assert web.rollout["metadata"]["generation"] == 4, "one by the release, one by the controller that normalises"


def test_all_gates_stand_in_a_row_analysis_pause_switch_analysis(web: BlueGreen) -> None:
    web.deployed(pre=True, post=True, autoPromotionEnabled=False)
    old = web.stable

    web.release("v2")
    web.until_run("pre", "Running")
    new = web.new
    assert web.pointer("pre")["name"] == f"web-{new}-2-pre"
    assert web.active == old
    web.says("pre", PASSED)
    web.until("Paused")
    assert (web.pause(), web.status["message"]) == ([BLUE_GREEN_PAUSE], BLUE_GREEN_PAUSE)
    assert web.active == old

    web.resume()
    web.until_active(new)
    web.until_run("post", "Running")
    assert web.pointer("post")["name"] == f"web-{new}-2-post"
    assert (web.stable, web.status["message"]) == (old, "waiting for analysis to complete")
    assert not web.deadline(old), "the way back stays open while the analysis runs"
    web.says("post", PASSED)
    web.until_stable(new)
    labels = {one["metadata"]["labels"]["rollout-type"] for one in web.runs}
    assert labels == {"PrePromotion", "PostPromotion"}


def test_auto_promotion_seconds_end_the_pause(web: BlueGreen) -> None:
    web.deployed(autoPromotionSeconds=2)
    old = web.stable
    with web.world.record(web.namespace) as record:
        web.release("v2")
        eventually(lambda: web.stable != old, within=20, what="v2 is stable")
    paused = [one for one in record.of("rollouts") if (one.get("status") or {}).get("pauseConditions")]
    assert paused, "it did pause"
    assert web.active == web.stable


def test_the_old_version_goes_after_its_delay_and_loses_its_deadline_in_that_write(web: BlueGreen) -> None:
    with web.world.record(web.namespace) as record:
        web.promoted(scaleDownDelaySeconds=2)
        old = next(rs for rs in web.versions() if rs != web.stable)
        web.until_wanted(old, 0)
        eventually(lambda: any(map(scaled(old, 0), record.of("replicasets"))), what="it is recorded")
    [gone] = [one for one in record.of("replicasets") if scaled(old, 0)(one)][:1]
    assert undelayed(old)(gone)


def test_of_old_versions_only_as_many_are_kept_as_the_limit_says(web: BlueGreen) -> None:
    web.promoted(scaleDownDelaySeconds=1, spec={"revisionHistoryLimit": 1})
    first = next(rs for rs in web.versions() if rs != web.stable)
    web.until_wanted(first, 0)
    web.promote("v3")
    eventually(lambda: first not in web.versions(), within=20, what="the oldest is forgotten")
    assert len(web.versions()) == 2


# ---- past the gates ----


def test_promote_full_skips_what_is_left(web: BlueGreen) -> None:
    web.deployed(pre=True, post=True, autoPromotionEnabled=False)
    web.release("v2")
    web.until_run("pre", "Running")
    new = web.new
    web.quiet()

    web.patch_status(promoteFull=True)
    web.until_stable(new)
    assert web.active == new
    assert "promoteFull" not in web.status
    assert [one["metadata"]["labels"]["rollout-type"] for one in web.runs] == ["PrePromotion"]
    assert web.runs[0]["status"]["message"] == "Run Terminated"


def test_a_retry_within_the_deadline_goes_live_without_any_gate_on_the_older_release(web: BlueGreen) -> None:
    web.in_preview(pre=True, abortScaleDownDelaySeconds=30)
    new, stable = web.new, web.stable
    web.forget_verdicts()
    web.abort()
    web.until_acknowledged()
    eventually(lambda: web.deadline(new), what="its delay has begun")
    web.quiet()

    web.patch_status(abort=False)
    if is_1_10(web):
        web.until_run("pre", "Running")
        eventually(lambda: not web.deadline(new), what="the deadline is gone")
        eventually(lambda: web.pause() == [BLUE_GREEN_PAUSE], what="it waits")
        assert web.pointer("pre")["name"] == f"web-{new}-2-pre.1"
        assert (web.active, web.stable) == (stable, stable)
    else:
        web.until_stable(new)
        assert web.active == new
        assert len(web.runs) == 1, "no new analysis"


def test_the_bad_version_applied_again_within_its_deadline_is_live_at_once_on_the_older_release(web: BlueGreen) -> None:
    """What a GitOps self-heal does after somebody put the stable template back."""
    web.in_preview(abortScaleDownDelaySeconds=30)
    new, stable = web.new, web.stable
    web.abort()
    web.until_acknowledged()
    web.quiet()
    web.put_back(stable)
    web.until("Healthy")

    web.release("v2")
    if is_1_10(web):
        web.until("Paused")
        assert (web.active, web.new) == (stable, new)
    else:
        web.until_stable(new)
        assert web.active == new


def test_a_retry_after_the_deadline_is_promoted_by_the_analysis_that_the_abort_has_stopped(web: BlueGreen) -> None:
    web.live(abortScaleDownDelaySeconds=2)
    new = web.new
    web.abort()
    web.until_wanted(new, 0)
    web.quiet()

    web.patch_status(abort=False)
    web.until_stable(new)
    assert len(web.runs) == 1
    assert web.pointer("post")["message"] == "Run Terminated"


# ---- the stable template while the new version is active ----


def test_restoring_the_stable_template_switches_back_where_there_is_no_gate(web: BlueGreen) -> None:
    web.live()
    new, stable = web.new, web.stable

    with web.never_fewer(), web.world.record(web.namespace) as record:
        web.put_back(stable)
        record.in_order(
            ("the preview Service", "services", turned_to(stable, "web-preview")),
            ("its hash is told", "rollouts", says(currentPodHash=stable)),
            ("the active Service", "services", turned_to(stable, "web-active")),
            ("it is healthy", "rollouts", both(says(phase="Healthy", currentPodHash=stable), has("stableRS"))),
        )
    assert record.version("analysisruns", lambda one: one["spec"].get("terminate")) > 0
    eventually(lambda: web.deadline(new), what="the bad version waits as any old version does")


def test_with_an_analysis_before_promotion_a_restore_hangs_on_the_older_release_and_promote_full_frees_it(
    web: BlueGreen,
) -> None:
    web.live(pre=True, autoPromotionEnabled=False)
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()

    web.put_back(stable)
    eventually(lambda: web.new == stable, what="the stable template is taken over")
    if not is_1_10(web):
        web.never(lambda: web.active != new or web.pause(), for_seconds=2, what="it moved, or paused")
        assert web.status["phase"] == "Progressing"
        web.quiet()
        web.patch_status(promoteFull=True)
    web.until_active(stable)
    web.until("Healthy")
    assert "promoteFull" not in web.status


def test_an_abort_and_then_a_restore_hangs_in_the_same_way_with_the_abort_cleared(web: BlueGreen) -> None:
    web.live(pre=True, autoPromotionEnabled=False, abortScaleDownDelaySeconds=30)
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()
    web.abort()
    web.until_acknowledged()
    web.quiet()
    web.put_back(stable)
    eventually(lambda: web.new == stable, what="the stable template is taken over")
    assert not {"abort", "abortedAt"} & set(web.status)

    if is_1_10(web):
        web.until_active(stable)
    else:
        web.never(lambda: web.active != new, for_seconds=2, what="it moved")
        assert web.wanted(new) == 3, "it is referenced, so its pods stay"


def test_without_auto_promotion_a_restore_pauses_on_the_bad_version_on_the_older_release(web: BlueGreen) -> None:
    web.live(autoPromotionEnabled=False)
    new, stable = web.new, web.stable
    web.put_back(stable)
    if not is_1_10(web):
        web.until("Paused")
        assert (web.active, web.pause()) == (new, [BLUE_GREEN_PAUSE])
        web.resume()
    web.until_active(stable)
    web.until("Healthy")


def test_once_the_service_was_turned_by_hand_a_restore_is_harmless(web: BlueGreen) -> None:
    web.live(pre=True, autoPromotionEnabled=False, abortScaleDownDelaySeconds=30)
    new, stable = web.new, web.stable
    web.hold(new, 1)
    web.quiet()
    with web.never_fewer():
        web.abort()
        web.point("web-active", stable)
        web.until_acknowledged()
        web.quiet()
        web.put_back(stable)
        web.until("Healthy")
    assert (web.active, web.preview, web.new) == (stable, stable, stable)


# ---- a gate that is none ----


def test_a_gate_that_would_never_end_makes_the_rollout_invalid(web: BlueGreen) -> None:
    web.place(post=True, metric={"count": None})
    eventually(lambda: web.status.get("phase") == "Degraded", within=20, what="the spec is refused")
    assert web.status["message"] == (
        'InvalidSpec: The Rollout "web" is invalid: spec.strategy.blueGreen.postPromotionAnalysis.templates: '
        'Invalid value: "post": AnalysisTemplate post has metric ok which runs indefinitely. Invalid value for count: <nil>'
    )

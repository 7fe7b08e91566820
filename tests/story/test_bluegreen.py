"""Blue-green over real sockets: the switch back in each of its cases, the undo, and what is refused; one town, many targets."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import TypeVar

import pytest

from tests.cluster.api import Object
from tests.contract.bluegreen import PASSED, BlueGreen
from tests.contract.scenario import Canary
from tests.story.street import CanaryScene, Scene, Street
from tests.support.waiting import eventually

SCENES: dict[str, Scene | CanaryScene] = {}
Play = TypeVar("Play", Scene, CanaryScene)
STATUS, SERVICE, SPEC = "rollouts/web/status", "services/web-active", "rollouts/web"
DRY = f"{SERVICE} (dry)"
LONG = {"scaleDownDelaySeconds": 600}
"""Old pods run on for as long as any story lasts."""


RARELY = {"interval": "10m"}
"""An analysis that runs on, and asks once."""


def scene(play: Play) -> Play:
    """What a story finds; its name is the target's."""
    SCENES[play.__name__] = play
    return play


@pytest.fixture(scope="module")
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """One town with the scenes of the chosen stories."""
    stories = [inspect.getsource(item.function) for item in request.session.items if item.module is request.module]
    wanted = {name: play for name, play in SCENES.items() if any(f'"{name}"' in story for story in stories)}
    made = Street(tmp_path_factory.mktemp("street"), wanted, _runbooks)
    yield made
    made.close()


def _runbooks(street: Street) -> None:
    street.runbook("x-skip", "switch-blue-green-back", "skip", when_promoted="undo", skip_gates=True)
    street.runbook("x-only-abort", "switch-blue-green-back", "only-abort", when_promoted="refuse")
    street.runbook("y-undo-canary", "abort-canary", "promoted", when_promoted="undo")
    street.runbook("y-skip-canary", "abort-canary", "promoted-skip", when_promoted="undo", skip_gates=True)


def lines(note: str, begin: str) -> list[str]:
    """The lines of a note that begin so."""
    return [line for line in note.splitlines() if line.startswith(begin)]


def four(pod_hash: str) -> str:
    """A hash as the note has it."""
    return pod_hash[:4]


# ---- a: the new version is in preview ----


@scene
def preview(web: BlueGreen) -> Iterator[None]:
    web.in_preview(abortScaleDownDelaySeconds=600)
    yield


def test_a_version_in_preview_is_aborted_and_stable_is_proven_behind_the_active_service(street: Street) -> None:
    web = street.houses["preview"]
    new, stable = web.new, web.stable
    with web.never_fewer():
        run = street.played("preview")
    assert run["state"] == "proven"
    assert street.wrote("preview") == [STATUS]
    assert (web.active, web.ready()) == (stable, {stable: 3})
    assert (web.status["abort"], bool(web.status["abortedAt"])) == (True, True)
    note = street.note(run)
    assert re.fullmatch(r"Ripcord: preview is back on stable\. PROVEN in \d+ s\.", note.splitlines()[0])
    (done,) = lines(note, "Done: ")
    assert done.startswith(f"Done: aborted {web.namespace}/web, new version {four(new)}")
    (proof,) = lines(note, "Proof: ")
    assert f"Service web-active on {four(stable)}, 3/3 endpoints ready" in proof
    (mind,) = lines(note, "Mind: ")
    assert re.search(
        r"until \d\d:\d\d:\d\dZ a retry, or applying the bad version again, makes it live without any gate", mind
    )


# ---- b: the new version is active and not yet stable ----


@scene
def live(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    yield


def test_a_whole_version_that_is_active_is_aborted_and_the_controller_switches_by_itself(street: Street) -> None:
    web = street.houses["live"]
    new, stable = web.new, web.stable
    assert web.active == new
    with web.never_fewer():
        run = street.played("live")
    assert run["state"] == "proven"
    assert street.wrote("live") == [STATUS], "the Service is the controller's"
    assert (web.active, web.ready()) == (stable, {stable: 3})
    note = street.note(run)
    assert lines(note, "Ripcord: ")[0].startswith("Ripcord: live is back on stable. PROVEN")
    until = lines(note, "Mind: until ")[0].split()[2]
    assert until == f"{web.deadline(new)[11:19]}Z"


@scene
def short_delay(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=2)
    yield


def test_with_two_seconds_left_to_the_pods_no_endpoint_is_missed(street: Street) -> None:
    web = street.houses["short_delay"]
    new, stable = web.new, web.stable
    with web.never_fewer():
        run = street.played("short_delay")
        web.until_wanted(new, 0)
    assert run["state"] == "proven"
    assert (web.active, web.ready()) == (stable, {stable: 3})


@scene
def not_whole(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    web.hold(web.new, 1)
    yield


def test_where_a_pod_is_missing_both_intents_stand_before_the_abort_and_the_service_follows_at_once(
    street: Street,
) -> None:
    web = street.houses["not_whole"]
    stable = web.stable
    with web.never_fewer():
        run = street.played("not_whole")
    assert run["state"] == "proven"
    assert street.wrote("not_whole") == [DRY, STATUS, SERVICE]
    assert_pair(street, run)
    assert (web.active, web.ready()) == (stable, {stable: 3})
    (done,) = lines(street.note(run), "Done: ")
    assert "; switched Service web-active " in done


def assert_pair(street: Street, run: Object) -> None:
    """Both intents, then both outcomes, the abort's first."""
    assert street.rows(run, "step_intended", "step_done") == [
        "0/1/step_intended",
        "0/2/step_intended",
        "0/1/step_done",
        "0/2/step_done",
    ]


def assert_nobody_looked_between(street: Street, name: str) -> None:
    """Between the abort and the Service the server asked nothing of the cluster."""
    asked = [(row["method"], row["path"].rsplit("/", 2)[-1]) for row in street.asked(name)]
    place = asked.index(("PATCH", "status"))
    assert asked[place + 1] == ("PATCH", "web-active"), asked[place : place + 4]


@scene
def paused(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    web.spec(paused=True)
    yield


def test_where_a_person_paused_it_the_service_goes_with_the_abort(street: Street) -> None:
    web = street.houses["paused"]
    stable = web.stable
    street.alert("paused")
    run = street.ended("paused")
    assert run["state"] == "proven"
    assert street.wrote("paused") == [DRY, STATUS, SERVICE]
    assert_pair(street, run)
    assert_nobody_looked_between(street, "paused")
    assert (web.active, web.ready()) == (stable, {stable: 3})


@scene
def short_and_not_whole(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=1)
    web.hold(web.new, 1)
    yield


def test_with_one_second_and_a_pod_missing_no_endpoint_is_missed(street: Street) -> None:
    web = street.houses["short_and_not_whole"]
    new, stable = web.new, web.stable
    with web.never_fewer():
        run = street.played("short_and_not_whole")
        web.until_wanted(new, 0)
    assert run["state"] == "proven"
    assert street.wrote("short_and_not_whole") == [DRY, STATUS, SERVICE]
    assert (web.active, web.ready()) == (stable, {stable: 3})


@scene
def failing_late(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=5)
    yield


def test_a_pod_that_fails_while_the_abort_is_on_its_way_is_answered_by_our_fallback(street: Street) -> None:
    web = street.houses["failing_late"]
    new, stable = web.new, web.stable
    street.order({"method": "PATCH", "path": f"*/{web.namespace}/{STATUS}"}, "hold_before", seconds=4)
    street.alert("failing_late")
    eventually(lambda: street.wrote("failing_late"), within=30, every=0.1, what="the abort is on its way")
    web.hold(new, 1)
    web.until_available(new, 2)
    with web.never_fewer():
        street.town.control("release", {})
        run = street.ended("failing_late")
        web.until_wanted(new, 0)
    assert run["state"] == "proven"
    assert street.wrote("failing_late") == [STATUS, SERVICE]
    assert street.rows(run, "step_intended", "step_done") == [
        "0/1/step_intended",
        "0/1/step_done",
        "0/2/step_intended",
        "0/2/step_done",
    ], "no fallback before the abort was acknowledged"
    assert (web.active, web.ready()) == (stable, {stable: 3})


@scene
def few(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    web.hold(web.stable, 2)
    yield


def test_where_stable_has_too_few_pods_nothing_is_written_and_the_endpoints_are_counted(street: Street) -> None:
    run = street.played("few")
    assert run["state"] == "refused"
    assert street.wrote("few") == []
    assert "stable has 1 of 3 pods, switching would lose 2 endpoints" in street.note(run)


@scene
def no_right(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    web.hold(web.new, 1)
    yield


def test_without_the_right_to_patch_the_service_no_abort_is_sent_that_needs_it(street: Street) -> None:
    """The abort alone would be the outage."""
    street.order(
        {"method": "PATCH", "path": f"*/{street.houses['no_right'].namespace}/{SERVICE}"}, "status", status=403
    )
    run = street.played("no_right")
    assert run["state"] == "refused"
    assert street.wrote("no_right") == [DRY]
    assert "nothing was sent, because switch Service" in street.note(run)


# ---- death between the two halves ----


@scene
def died_between(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    web.hold(web.new, 1)
    yield


@scene
def recovered(web: BlueGreen) -> Iterator[None]:
    web.live(metric=RARELY, abortScaleDownDelaySeconds=600)
    web.hold(web.new, 1)
    yield


def die_between(street: Street, name: str) -> None:
    """The abort took effect, its answer is never heard, and the Service was not sent yet."""
    where = street.houses[name].namespace
    street.order({"method": "PATCH", "path": f"*/{where}/{STATUS}"}, "hold_after_apply", seconds=40)
    street.alert(name)
    eventually(lambda: STATUS in street.wrote(name), within=30, every=0.1, what="the abort took effect")
    street.town.kill()
    street.town.control("release", {})


def test_death_between_abort_and_service_is_no_outage_and_the_new_process_looks_first(street: Street) -> None:
    web = street.houses["died_between"]
    stable = web.stable
    with web.never_fewer():
        die_between(street, "died_between")
        dead_at = len(street.asked("died_between"))
        street.town.start()
        run = street.ended("died_between")
    assert run["state"] == "proven"
    assert street.wrote("died_between") == [DRY, STATUS, SERVICE], "the abort was found by reading and not sent again"
    after = [row["method"] for row in street.asked("died_between")[dead_at:]]
    assert after.index("GET") < after.index("PATCH")
    assert (web.active, web.ready()) == (stable, {stable: 3})


def test_pods_that_recovered_while_we_were_dead_leave_nothing_to_switch(street: Street) -> None:
    web = street.houses["recovered"]
    stable = web.stable
    with web.never_fewer():
        die_between(street, "recovered")
        street.release("recovered")
        web.until_active(stable)
        street.town.start()
        run = street.ended("recovered")
    assert run["state"] == "proven"
    assert street.wrote("recovered") == [DRY, STATUS], "the controller has switched"
    assert (web.active, web.ready()) == (stable, {stable: 3})


# ---- c: undo ----


@scene
def promoted(web: BlueGreen) -> Iterator[None]:
    web.deployed(**LONG)
    yield
    web.promote("v2")


def test_a_promoted_version_is_undone_by_pod_hash_fast_while_its_old_pods_run(street: Street) -> None:
    web = street.houses["promoted"]
    bad, good = web.new, next(one for one in web.versions() if one != web.new)
    wanted = web.replicaset(good)["spec"]["template"]
    with web.never_fewer():
        run = street.played("promoted")
    assert run["state"] == "proven"
    assert street.wrote("promoted") == [SPEC]
    assert (web.new, web.stable, web.active, web.ready()) == (good, good, good, {good: 3})
    assert len(web.versions()) == 2, "no new version came of it"
    assert web.rollout["spec"]["template"]["spec"] == wanted["spec"]
    (intent,) = [row for row in street.town.audit(run["id"]) if row["tag"] == "step_intended"]
    body = json.loads(intent["evidence"])["call"]["body"]
    assert [(op["op"], op["path"]) for op in body] == [
        ("test", "/metadata/uid"),
        ("test", "/spec/template"),
        ("replace", "/spec/template"),
    ]
    note = street.note(run)
    assert re.fullmatch(r"Ripcord: promoted is back on stable\. PROVEN in \d+ s\.", note.splitlines()[0])
    (done,) = lines(note, "Done: ")
    assert f"undid {web.namespace}/web, {four(bad)} -> {four(good)}, fast, its pods are all ready" in done
    assert lines(note, "Mind: ") == [
        f"Mind: until {web.deadline(bad)[11:19]}Z a retry, or applying the bad version again, makes it live without any gate",
        f"Mind: spec no longer holds what was released: whatever applies {four(bad)} again brings it back",
    ]


@scene
def gated(web: BlueGreen) -> Iterator[None]:
    web.deployed(pre=True, post=True, autoPromotionEnabled=False, scaleDownDelaySeconds=1)
    yield
    web.promote("v2")
    old = next(one for one in web.versions() if one != web.new)
    web.until_wanted(old, 0)
    web.says("pre", PASSED)
    web.says("post", PASSED)


def test_an_undo_to_a_version_without_pods_goes_through_all_gates_and_ends_only_its_own_pause(street: Street) -> None:
    web = street.houses["gated"]
    bad, good = web.new, next(one for one in web.versions() if one != web.new)
    with web.never_fewer():
        run = street.played("gated")
    assert run["state"] == "proven"
    assert street.wrote("gated") == [SPEC, STATUS]
    assert (web.new, web.stable, web.active) == (good, good, good)
    (done,) = lines(street.note(run), "Done: ")
    assert f"{four(bad)} -> {four(good)}, through all gates; ended the pause before {four(good)}" in done


@scene
def skipping(web: BlueGreen) -> Iterator[None]:
    web.deployed(pre=True, post=True, autoPromotionEnabled=False, scaleDownDelaySeconds=1)
    yield
    web.promote("v2")
    old = next(one for one in web.versions() if one != web.new)
    web.until_wanted(old, 0)


def test_gates_are_skipped_only_where_the_runbook_says_so(street: Street) -> None:
    """Its analyses decide nothing: through the gates it would never come to an end."""
    web = street.houses["skipping"]
    good = next(one for one in web.versions() if one != web.new)
    run = street.played("skipping", "skip")
    assert run["state"] == "proven"
    assert street.wrote("skipping") == [SPEC, STATUS]
    assert (web.new, web.stable, web.active) == (good, good, good)
    (done,) = lines(street.note(run), "Done: ")
    assert f"skipping the gates; skipped the gates before {four(good)}" in done


@scene
def only_abort(web: BlueGreen) -> Iterator[None]:
    web.promoted(**LONG)
    yield


def test_where_the_runbook_refuses_an_undo_the_note_says_that_an_abort_does_nothing(street: Street) -> None:
    run = street.played("only_abort", "only-abort")
    assert run["state"] == "refused"
    assert street.wrote("only_abort") == []
    assert "is fully promoted: an abort does nothing there (when_promoted: refuse)" in street.note(run)


# ---- undo: which version ----


@scene
def unseen(web: BlueGreen) -> Iterator[None]:
    web.promoted(**LONG)
    web.promote("v3")
    yield


def test_with_two_old_versions_that_nobody_saw_being_stable_none_is_chosen(street: Street) -> None:
    run = street.played("unseen")
    assert run["state"] == "refused"
    assert street.wrote("unseen") == []
    note = street.note(run)
    assert "which version" in note
    assert "is not certain" in note
    assert f"kubectl argo rollouts undo web -n {street.houses['unseen'].namespace} --to-revision=N" in note


@scene
def by_deadline(web: BlueGreen) -> Iterator[None]:
    web.promoted(**LONG)
    yield


def test_without_a_history_the_only_version_with_a_deadline_is_the_one(street: Street) -> None:
    web = street.houses["by_deadline"]
    good = next(one for one in web.versions() if one != web.new)
    assert street.played("by_deadline")["state"] == "proven"
    assert (web.new, web.stable, web.active) == (good, good, good)


@scene
def aborted_before(web: BlueGreen) -> Iterator[None]:
    web.deployed(autoPromotionEnabled=False, abortScaleDownDelaySeconds=600, **LONG)
    yield
    web.release("v2")
    web.until("Paused")


def test_a_version_that_was_aborted_before_is_never_the_target_and_nobody_goes_further_back(street: Street) -> None:
    web = street.houses["aborted_before"]
    good, aborted = web.stable, web.new
    assert street.played("aborted_before")["state"] == "proven"
    web.promote("v3")
    assert web.deadline(aborted), "its pods still run"
    street.older()
    street.alert("aborted_before")
    assert street.ended("aborted_before", count=2)["state"] == "proven"
    assert (web.new, web.stable, web.active) == (good, good, good)
    street.older()
    street.alert("aborted_before")
    third = street.ended("aborted_before", count=3)
    assert third["state"] == "refused"
    assert "came by going back to it: going further back is a person's choice" in street.note(third)


@scene
def kept_elsewhere(web: BlueGreen) -> Iterator[None]:
    web.deployed(**LONG)
    yield
    web.promote("v2")
    mark = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:x/web"}}}
    assert web.world.merge(web.path, mark).code == 200


def test_what_gitops_would_write_back_is_not_undone_and_the_application_is_named(street: Street) -> None:
    run = street.played("kept_elsewhere")
    assert run["state"] == "refused"
    assert street.wrote("kept_elsewhere") == []
    assert "Argo CD application shop, which would write" in street.note(run)


@scene
def by_hand(web: BlueGreen) -> Iterator[None]:
    web.promoted(**LONG)
    web.spec(paused=True)
    web.point("web-active", next(one for one in web.versions() if one != web.new))
    yield


def test_a_service_that_somebody_pointed_by_hand_is_left_and_both_hashes_are_named(street: Street) -> None:
    web = street.houses["by_hand"]
    assert web.active != web.stable
    run = street.played("by_hand")
    assert run["state"] == "refused"
    assert street.wrote("by_hand") == []
    said = f"Service web-active selects {four(web.active)}, stable is {four(web.stable)}: somebody pointed it there by hand"
    assert said in street.note(run)


# ---- undo of a promoted canary ----


@scene
def promoted_canary(web: Canary) -> Iterator[None]:
    web.deployed(steps=[{"setWeight": 25}, {"pause": {"duration": "1s"}}])
    yield
    web.release("v2")
    web.until("Healthy")


def test_a_promoted_canary_is_undone_step_by_step_where_the_runbook_says_so(street: Street) -> None:
    web = street.canaries["promoted_canary"]
    bad = web.status["stableRS"]
    run = street.played("promoted_canary", "promoted")
    assert run["state"] == "proven"
    assert street.wrote("promoted_canary") == [SPEC]
    status = web.status
    assert status["stableRS"] == status["currentPodHash"] != bad
    assert (web.weights, web.selects("web-stable")) == ((100, 0), status["stableRS"])
    (done,) = lines(street.note(run), "Done: ")
    assert f"undid {web.namespace}/web, {four(bad)} -> {four(status['stableRS'])}, through all gates" in done


@scene
def waiting_canary(web: Canary) -> Iterator[None]:
    web.deployed()
    yield
    web.release("v2")
    web.until("Paused")
    web.patch_status(promoteFull=True)
    web.until("Healthy")


def test_a_promoted_canary_whose_steps_wait_for_a_person_is_undone_past_them_where_the_runbook_says_so(
    street: Street,
) -> None:
    web = street.canaries["waiting_canary"]
    bad = web.status["stableRS"]
    run = street.played("waiting_canary", "promoted-skip")
    assert run["state"] == "proven"
    assert street.wrote("waiting_canary") == [SPEC, STATUS]
    assert web.status["stableRS"] == web.status["currentPodHash"] != bad
    assert web.weights == (100, 0)

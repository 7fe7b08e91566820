"""What the note says beside the result, word for word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.core.argo import remarks as words
from server.core.argo.state import RolloutState
from server.core.outcome import Outcome, Plan, Remarks
from tests.unit.argo.cases import CUR, STA, World, at, outcome, planned, template

ACTED = outcome("done", 1)


def remarks(seen: Sequence[RolloutState], *done: Outcome, plan: Plan | None = None, stopped: bool = False) -> Remarks:
    made, first = planned()
    return words.remarks(plan or made, [first, *seen], list(done), None, stopped)


def test_a_quick_proof_needs_no_explanation() -> None:
    said = remarks([World().aborted().look(1.5), World().aborted().look(6)], ACTED)
    assert said.held == ()
    assert said.mind == ()
    assert said.done == "aborted production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b"
    assert said.proof == "controller 03:12:02Z; traffic 0 % canary, 10/10 stable"


def test_a_failover_is_told_although_it_ended_well() -> None:
    waiting = [World().flag().renew(at(-1)).look(second) for second in range(2, 18)]
    done = World().aborted().renew(at(17), "pod-b_2").look(18)
    assert remarks([*waiting, done], ACTED).held == ("controller failing over",)


def test_a_controller_that_renews_nothing_for_25_seconds_is_told_from_a_failover() -> None:
    waiting = [World().flag().renew(at(-1)).look(second) for second in range(2, 46)]
    assert remarks(waiting, ACTED).held == ("no controller has renewed since 03:11:59Z",)
    assert remarks(waiting[:8], ACTED).held == ("controller failing over",)


def test_a_lease_that_cannot_be_read_is_always_told() -> None:
    world = World().aborted()
    world.lease = "kubernetes: 403"
    assert remarks([world.look(2)], ACTED).held == ("the controller's Lease cannot be read",)


def test_a_router_that_moved_without_an_acknowledgement_names_the_receiver() -> None:
    waiting = [World().flag().weigh(0, status=25).renew(at(second // 2 * 2)).look(second) for second in range(2, 40)]
    sentence = "the router moved at 03:12:02Z, the acknowledgement {}: most likely a notification receiver"
    assert remarks(waiting, ACTED).held == (sentence.format("has not come"),)
    done = World().aborted().look(21)
    assert remarks([*waiting[:19], done], ACTED).held == (sentence.format("came 19 s later"),)


def test_an_abort_that_was_overlooked_is_told_with_its_wakes() -> None:
    waiting = [World().flag().renew(at(second)).look(second) for second in (2, 3, 4)]
    done = World().aborted().renew(at(5)).look(5)
    woken = outcome("done", 4.1, n=2, what="wake")
    said = remarks([*waiting, done], ACTED, woken)
    assert said.held == ("the controller did not see the abort, woken 1 times",)
    assert said.done.endswith("stable 5c4b; woke the controller once")


def test_a_controller_that_stays_blind_is_told_with_all_wakes() -> None:
    waiting = [World().flag().renew(at(second // 2 * 2)).look(second) for second in range(2, 46)]
    woken = [outcome("done", second, n=n, what="wake") for n, second in enumerate((4, 7, 13, 25), start=2)]
    assert remarks(waiting, ACTED, *woken).held == ("the controller did not see the abort, woken 4 times",)


def test_a_stable_that_lacks_a_pod_is_told() -> None:
    world = World().acknowledge()
    world.available[STA] = 9
    said = remarks([world.look(2), world.look(60)], ACTED)
    assert said.held == ("stable has 9 of 10 pods",)
    assert said.done == "aborted production/web-frontend, canary 7d9f 25 % -> 25 %, stable 5c4b"
    assert said.proof == "controller 03:12:02Z; traffic 25 % canary, 9/10 stable"


def test_the_deadlock_of_a_scaled_down_stable_names_the_way_out() -> None:
    world = World().acknowledge().weigh(50)
    world.canary.update(dynamicStableScale=True, abortScaleDownDelaySeconds=30)
    (said,) = remarks([world.look(2), world.look(60)], ACTED).held
    assert said == (
        "dynamicStableScale with abortScaleDownDelaySeconds stops at 50 %: remove that field or restore the stable template"
    )


def test_a_paused_rollout_keeps_its_canary_pods() -> None:
    world = World().aborted()
    world.spec["paused"] = True
    assert remarks([world.look(2)], ACTED).mind == ("the canary's pods stay until somebody unpauses",)


def test_a_stopped_run_says_that_the_abort_stands_unseen_and_how_to_wake_it() -> None:
    (said,) = remarks([World().flag().look(2)], ACTED, stopped=True).mind
    assert said.startswith(
        "stopped: the abort stands unseen by the controller, kubectl -n production patch rollout web-frontend "
    )
    assert f'"value":"{CUR}"' in said


def test_a_newer_version_is_named() -> None:
    assert remarks([World().unflag().hotfix(seen=True).look(2)], ACTED).mind == ("8abc was released meanwhile",)


def test_a_hotfix_that_sleeps_is_told_with_the_command_that_wakes_it() -> None:
    (said,) = remarks([World().flag().hotfix().look(2)], ACTED).mind
    assert said.startswith(
        "a newer version stands in spec and the controller sleeps, kubectl -n production patch rollout"
    )


def test_a_run_that_was_refused_because_spec_was_never_taken_over_gives_the_command_too() -> None:
    world = World()
    world.template = template("web-frontend:v3")
    said = words.remarks(None, [world.look(0), world.look(15)], [], None)
    assert said.mind[0].startswith("a newer version stands in spec and the controller sleeps, kubectl ")
    assert words.remarks(None, [World().look(0)], [], None).mind == ()


def test_an_abort_by_somebody_else_is_not_claimed() -> None:
    plan, first = planned(World().aborted())
    said = words.remarks(plan, [first, World().aborted().look(5)], [], None)
    assert said.done == "aborted already at 03:12:02Z, by whom is not known"


# Wrong ----------------------------------------------------------------------------------------------------------------------------


def run(phase: str = "Running", message: str = "", **metric: Any) -> dict[str, Any]:
    result = {
        "name": "error-rate", "phase": phase, "count": 5, "failed": 3,
        "measurements": [{"phase": "Failed", "value": "[0.12]", "finishedAt": "2026-11-24T03:11:50Z"}],
        "metadata": {"ResolvedPrometheusQuery": "rate(x)"},
    }  # fmt: skip
    return {
        "metadata": {
            "name": "web-frontend-7d9f-2",
            "ownerReferences": [{"uid": "u-1"}],
            "annotations": {"rollout.argoproj.io/revision": "2"},
        },
        "spec": {
            "args": [
                {"name": "limit", "value": "0.05"},
                {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s"}}},
            ],
            "metrics": [{"name": "error-rate", "successCondition": "result[0] < {{args.limit}}", "failureLimit": 2}],
        },
        "status": {"phase": phase, "message": message, "metricResults": [result | metric]},
    }


def wrong(*runs: dict[str, Any]) -> str:
    world = World()
    world.analysis = list(runs)
    return words.remarks(None, [world.look(0)], [], None).wrong


def test_the_metric_that_failed_is_told_with_value_and_limit() -> None:
    assert wrong(run("Failed")) == (
        'metric "error-rate" Failed: 3 failed > limit 2 of 5; last value [0.12] at 03:11:50Z, required result[0] < 0.05, '
        "as AnalysisRun web-frontend-7d9f-2 says (failed)"
    )


def test_a_run_that_an_abort_ended_passed_nothing() -> None:
    said = wrong(run("Successful", "Run Terminated", failed=1))
    assert said.startswith('metric "error-rate" stopped: 1 failed (limit 2) of 5')
    assert "says (stopped)" in said


def test_errors_are_told_by_their_message() -> None:
    measured = [{"phase": "Error", "message": "server error: 500"}]
    said = wrong(run("Error", failed=0, error=5, measurements=measured))
    assert said.startswith('metric "error-rate" Error: 5 of 5 measurements were errors: server error: 500')


def test_a_dry_run_and_a_run_of_another_revision_say_nothing() -> None:
    other = run("Failed")
    other["metadata"]["annotations"]["rollout.argoproj.io/revision"] = "1"
    stranger = run("Failed")
    stranger["metadata"]["ownerReferences"] = [{"uid": "u-9"}]
    assert wrong(run("Failed", dryRun=True), other, stranger) == ""


def test_a_run_that_found_nothing_says_nothing() -> None:
    assert wrong(run("Running", failed=0)) == ""

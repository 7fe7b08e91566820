"""Whether a promoted version is undone: only where the runbook says so, one target is certain, and nothing would write it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.core.argo import bluegreen_decide, undo_decide
from server.core.argo.history import History, Seen
from server.core.argo.read import read
from server.core.argo.state import RolloutState
from server.core.argo.undo_decide import Options
from server.core.outcome import Plan, Refusal
from tests.unit.argo.bluegreen_cases import ACTIVE, OLD_TEMPLATE, BlueGreen, planned_switch
from tests.unit.argo.cases import CUR, HASH, STA, World, at, stamp, template

UNDO = Options(when_promoted="undo")
SKIP = Options(when_promoted="undo", skip_gates=True)
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/production/rollouts/web-frontend"


def refusal(world: BlueGreen, options: Options = UNDO) -> str:
    state = world.look(0)
    answer = bluegreen_decide.plan([state], state.at, options)
    assert isinstance(answer, Refusal), answer
    return answer.reason


def test_the_old_template_goes_into_spec_bound_to_the_one_that_was_judged() -> None:
    plan, _ = planned_switch(BlueGreen().promoted(), UNDO)
    ((call),) = plan.calls
    assert call.path == ROLLOUT
    assert call.body[:2] == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/spec/template", "value": template()},
    ]
    assert call.body[2:] == [{"op": "replace", "path": "/spec/template", "value": OLD_TEMPLATE}]
    assert (plan.undo, plan.judged.revision, plan.judged.since) == (True, CUR, at(-60))


def test_what_the_controller_put_into_the_old_template_is_left_out() -> None:
    world = BlueGreen().promoted()
    injected = {"labelSelector": {"matchExpressions": [{"key": HASH, "operator": "NotIn", "values": [STA]}]}}
    kept = {**OLD_TEMPLATE, "metadata": {"labels": {"app": "web-frontend", HASH: STA}, "creationTimestamp": None}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [injected]}}
    world.templates[STA] = {**kept, "spec": {**OLD_TEMPLATE["spec"], "affinity": affinity}}
    plan, _ = planned_switch(world, UNDO)
    assert plan.facts["to"] == OLD_TEMPLATE


def test_affinity_of_the_users_own_is_kept() -> None:
    world = BlueGreen().promoted()
    own = {
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]},
        "nodeAffinity": {"a": 1},
    }
    world.templates[STA] = {**OLD_TEMPLATE, "spec": {**OLD_TEMPLATE["spec"], "affinity": own}}
    plan, _ = planned_switch(world, UNDO)
    assert plan.facts["to"]["spec"]["affinity"] == own


def test_the_plan_says_whether_it_is_fast_or_through_all_gates() -> None:
    plan, _ = planned_switch(BlueGreen().promoted(), UNDO)
    assert plan.said == "undo production/web-frontend, 7d9f -> 5c4b, fast, its pods are all ready"
    plan, _ = planned_switch(BlueGreen().promoted().short_by(1, STA), UNDO)
    assert plan.said == "undo production/web-frontend, 7d9f -> 5c4b, through all gates"
    plan, _ = planned_switch(BlueGreen().promoted().short_by(1, STA), SKIP)
    assert plan.said == "undo production/web-frontend, 7d9f -> 5c4b, skipping the gates"


def _kept(key: str, value: str, kind: str = "labels") -> Callable[[BlueGreen], object]:
    return lambda w: w.meta.setdefault(kind, {}).update({key: value})


GITOPS: list[tuple[Callable[[BlueGreen], object], str]] = [
    (
        _kept("argocd.argoproj.io/tracking-id", "shop:argoproj.io/Rollout:production/web-frontend", "annotations"),
        "Argo CD application shop",
    ),
    (_kept("argocd.argoproj.io/instance", "shop"), "Argo CD application shop"),
    (_kept("app.kubernetes.io/instance", "shop"), "application shop (label app.kubernetes.io/instance)"),
    (_kept("kustomize.toolkit.fluxcd.io/name", "apps"), "Flux Kustomization apps"),
    (_kept("helm.toolkit.fluxcd.io/name", "web"), "Flux HelmRelease web"),
]


@pytest.mark.parametrize(("bend", "who"), GITOPS, ids=[who for _, who in GITOPS])
def test_what_would_write_the_bad_version_back_is_named(bend: Callable[[BlueGreen], object], who: str) -> None:
    world = BlueGreen().promoted()
    bend(world)
    kept = f"production/web-frontend is kept by {who}, which would write 7d9f back, live without any gate: suspend it first"
    assert refusal(world) == kept


@pytest.mark.parametrize(("bend", "who"), GITOPS, ids=[who for _, who in GITOPS])
def test_an_abort_is_safe_from_it(bend: Callable[[BlueGreen], object], who: str) -> None:
    world = BlueGreen()
    bend(world)
    assert planned_switch(world, UNDO)[0].undo is False


def _same(world: BlueGreen) -> None:
    world.templates[STA] = template()


def _window(world: BlueGreen) -> None:
    world.spec["rollbackWindow"] = {"revisions": 2}
    world.blue_green["autoPromotionEnabled"] = False


def _window_and_analysis(world: BlueGreen) -> None:
    world.spec["rollbackWindow"] = {"revisions": 2}
    world.blue_green["prePromotionAnalysis"] = {"templates": [{"templateName": "smoke-test"}]}


HANG = "rollbackWindow covers 5c4b: with a pause or a pre-promotion analysis the controller would hang there"
REFUSED: list[tuple[Callable[[BlueGreen], object], str]] = [
    (
        lambda w: w.spec.update(paused=True),
        "production/web-frontend is paused by hand: nothing would move until somebody unpauses it",
    ),
    (_same, "the template of 5c4b is what stands in spec already"),
    (_window, HANG),
    (_window_and_analysis, HANG),
    (
        lambda w: w.created.pop(STA),
        "production/web-frontend is a first deploy (7d9f): there is nothing to return to",
    ),
]


@pytest.mark.parametrize(("bend", "reason"), REFUSED)
def test_what_would_not_move_is_not_begun(bend: Callable[[BlueGreen], object], reason: str) -> None:
    world = BlueGreen().promoted()
    bend(world)
    assert refusal(world) == reason


def test_a_window_hangs_nothing_where_the_gates_are_skipped_or_absent() -> None:
    world = BlueGreen().promoted()
    _window(world)
    assert planned_switch(world, SKIP)[0].undo
    world.blue_green["autoPromotionEnabled"] = True
    assert planned_switch(world, UNDO)[0].undo


def test_without_the_runbooks_word_nothing_is_undone() -> None:
    world = BlueGreen().promoted()
    assert refusal(world, Options()) == "7d9f is fully promoted: an abort does nothing there (when_promoted: refuse)"


# How long ago it was promoted -----------------------------------------------------------------------------------------------------


def test_a_version_that_became_stable_long_before_the_alert_is_not_its_cause() -> None:
    world = BlueGreen().promoted(at(-7200))
    world.created[CUR] = at(-8000)
    plan, _ = planned_switch(world, UNDO)
    assert undo_decide.too_long_ago(plan, at(0)) == (
        "7d9f is stable since 01:12:00Z, more than 3600 s before the alert (03:12:00Z)"
    )
    assert undo_decide.too_long_ago(plan, at(-3600)) is None


def test_only_an_undo_is_asked_that() -> None:
    plan, _ = planned_switch()
    assert undo_decide.too_long_ago(plan, at(10**6)) is None


# A restore that paused or hangs ---------------------------------------------------------------------------------------------------


def restored(*pauses: str, wrote: tuple[str, ...] = (CUR,)) -> BlueGreen:
    """Stable's template stands in spec again, and the Service is still on the version that we aborted."""
    world = BlueGreen().taken_back().remembers(wrote=wrote)
    world.active = CUR
    world.status["pauseConditions"] = [{"reason": one, "startTime": stamp(at(-5))} for one in pauses]
    return world


def test_a_restore_that_paused_is_released_towards_stable() -> None:
    plan, _ = planned_switch(restored("BlueGreenPause"))
    ((call),) = plan.calls
    assert call.path == f"{ROLLOUT}/status"
    assert call.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "test", "path": "/status/currentPodHash", "value": STA},
        {"op": "test", "path": "/spec/template", "value": OLD_TEMPLATE},
        {"op": "remove", "path": "/status/pauseConditions"},
    ]
    assert (plan.undo, plan.judged.revision) == (True, CUR)


def test_a_restore_that_hangs_is_moved_on_only_where_the_gates_may_be_skipped() -> None:
    plan, _ = planned_switch(restored(), SKIP)
    assert plan.calls[0].body[-1] == {"op": "add", "path": "/status/promoteFull", "value": True}
    assert refusal(restored()).endswith("only skip_gates would move it on")


def test_a_service_that_was_pointed_elsewhere_by_hand_is_left_there() -> None:
    said = f"Service {ACTIVE} selects 7d9f, stable is 5c4b: somebody pointed it there by hand"
    assert refusal(restored("BlueGreenPause", wrote=())) == said
    world = restored("BlueGreenPause")
    world.created[CUR] = at(-90000)
    assert refusal(world) == said


# A promoted canary ----------------------------------------------------------------------------------------------------------------


class Canary(World):
    """web-frontend, fully promoted; the old pods are gone, its ReplicaSet is there."""

    def __init__(self) -> None:
        super().__init__()
        self.status |= {"stableRS": CUR, "phase": "Healthy"}
        self.status["conditions"] = [{"type": "Completed", "status": "True", "lastTransitionTime": stamp(at(-60))}]
        self.available = {CUR: 10, STA: 0}
        self.stable_selects = CUR
        self.weigh(0)


def look(world: World, *remembered: Seen) -> RolloutState:
    raw = world.raw(at(0))
    raw.templates = True
    for one in raw.replica_sets:
        if one["metadata"]["labels"][HASH] == STA:
            one["spec"]["template"] = OLD_TEMPLATE
    return read(raw).model_copy(update={"history": History(seen=remembered)})


FORMER = Seen(hash=STA, first_stable=at(-90000), last_stable=at(-60))


def test_a_promoted_canary_goes_back_as_a_new_canary() -> None:
    plan = undo_decide.canary([look(Canary(), FORMER)], UNDO)
    assert isinstance(plan, Plan)
    assert plan.said == "undo production/web-frontend, 7d9f -> 5c4b, through all gates"
    assert (plan.facts["target"], plan.facts["strategy"]) == (STA, "canary")


def test_a_canary_is_fast_only_within_the_window_and_with_all_its_pods() -> None:
    world = Canary()
    world.spec["rollbackWindow"] = {"revisions": 1}
    slow = undo_decide.canary([look(world, FORMER)], UNDO)
    world.available[STA] = 10
    quick = undo_decide.canary([look(world, FORMER)], UNDO)
    assert isinstance(slow, Plan)
    assert isinstance(quick, Plan)
    assert (slow.facts["how"], quick.facts["how"]) == ("through all gates", "fast, its pods are all ready")


def test_a_canary_whose_target_is_not_certain_is_refused() -> None:
    answer = undo_decide.canary([look(Canary())], UNDO)
    assert isinstance(answer, Refusal)


def test_a_canary_whose_traffic_cannot_be_read_is_refused() -> None:
    state = look(Canary(), FORMER)
    router = state.router.model_copy(update={"problem": "403"})
    answer = undo_decide.canary([state.model_copy(update={"router": router})], UNDO)
    assert answer == Refusal(reason="no proof would be possible: VirtualService web-frontend-vsvc: 403")


def test_a_canary_under_way_is_not_undone_but_aborted() -> None:
    assert undo_decide.canary([World().look(0)], UNDO) is None
    assert undo_decide.canary([look(Canary(), FORMER)], Options()) is None

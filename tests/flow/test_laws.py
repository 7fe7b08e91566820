"""What every action and check must obey, over the tables: a new one cannot opt out."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.actions import ACTIONS, Action
from server.actions.resolve_incident import IncidentState
from server.checks import CHECKS, Check
from server.clients import Clients
from server.core.argo import decide
from server.core.argo.read import Raw, read
from server.core.argo.state import RolloutState
from server.core.outcome import Call, Finished, LookAgain, Model, Outcome, Plan, Refusal, Remarks, Verdict, Write
from server.errors import Missing, Refused, Transient, Unknown
from tests.flow import test_run
from tests.flow.inline import Clock
from tests.flow.test_delivery import Deliveries, several, tell
from tests.flow.test_note import Incidents, keep
from tests.flow.values import Runs, run
from tests.unit.argo.cases import World, at, outcome, planned
from tests.unit.flag.cases import look as flag

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "steps.txt"
DOCS = (ROOT / "docs" / "actions.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
BUILT = ("abort_rollout", "switch_blue_green_back")

every_action = pytest.mark.parametrize("name", sorted(ACTIONS))
every_check = pytest.mark.parametrize("name", sorted(CHECKS))


# ---- names are for ever ----


def parameters() -> list[str]:
    lines = []
    for name, action in sorted(ACTIONS.items()):
        options = [f"{key}={field.default!r}" for key, field in action.Params.model_fields.items()]
        kind = "reversible" if action.REVERSIBLE else "irreversible"
        lines.append(f"action {name}({', '.join(options)}) {kind}")
    return [*lines, *(f"check {name}" for name in sorted(CHECKS))]


def checkpoints() -> list[str]:
    """The names under which results are recorded: another name, and a run under way is told from a record it cannot find."""
    names = set()
    for story in test_run.stories().values():
        world = Runs(Clock())
        story(world)
        names |= {f"run {name}" for name in run(world).engine.names()}
    guarded = Runs(Clock(), guarded=[{"stop": "resolved"}])
    names |= {f"run {name}" for name in run(guarded).engine.names()}
    for answers in ([], [{"unknown": "504", "patience": 15.0}]):
        kept = keep(Incidents(Clock(), answers=answers, edits=[{"refused": "403"}]))
        names |= {f"note {name}" for name in kept.names()}
    names |= {f"delivery {name}" for name in tell(several(Deliveries(Clock()))).names()}
    return sorted({"checkpoint " + re.sub(r"\d+", "N", name) for name in names})


def test_names_and_parameters_are_the_ones_that_runbooks_audits_and_runs_under_way_know() -> None:
    wanted = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert [line for line in wanted if not line.startswith("#")] == [*parameters(), *checkpoints()]


@every_action
def test_an_action_and_its_options_are_documented(name: str) -> None:
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{name}` |")]
    options = ACTIONS[name].Params.model_fields
    assert [option for option in options if f"`{option}`" not in row] == []
    assert ("| none |" in row) is not bool(options)
    assert row.split("|")[-2].strip().startswith("yes" if ACTIONS[name].REVERSIBLE else "no")


@every_check
def test_a_check_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCS


def test_nothing_is_documented_that_is_not_there() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", DOCS, re.MULTILINE))
    assert named == {*ACTIONS, *CHECKS}


# ---- the shape ----


def takes(function: object) -> list[str]:
    return [name for name in inspect.signature(cast("Callable[..., object]", function)).parameters if name != "self"]


@every_action
@pytest.mark.parametrize("verb", ["observe", "plan", "proceed", "write", "put_back", "weigh", "remarks"])
def test_an_action_has_the_functions_of_its_kind(name: str, verb: str) -> None:
    assert takes(getattr(ACTIONS[name], verb)) == takes(getattr(Action, verb))


@every_check
def test_a_check_only_looks(name: str) -> None:
    assert takes(CHECKS[name].look) == takes(Check.look)


@every_action
def test_every_option_has_a_default(name: str) -> None:
    assert ACTIONS[name].Params().model_dump().keys() == ACTIONS[name].Params.model_fields.keys()


# ---- planning is total ----


def looks(name: str) -> list[Model]:
    """Looks that a plan must answer, whatever they show. An action that is built brings its own."""
    if name == "disable_flag":
        odd = (
            {"problem": "500"},
            {"passing": True, "problem": "401"},
            {"archived": True},
            {"modified": None},
            {"safe": "on"},
        )
        return [flag(0), flag(0, on=False), *(flag(0).model_copy(update=one) for one in odd)]
    if name == "resolve_incident":
        seen = [
            {"status": "triggered"},
            {"status": "resolved"},
            {"gone": True},
            {"others": ("'a'",)},
            {"merged_into": "Q2"},
        ]
        return [IncidentState.model_validate({"at": NOW, "incident": "Q1", **one}) for one in seen]
    if name not in BUILT:
        return [
            ACTIONS[name].observe(None, Clients(kubernetes=cast(Any, None), pagerduty=cast(Any, None), now=lambda: NOW))
        ]
    bare = RolloutState(at=at(0), date=at(0), cluster="default", namespace="n", name="web")
    odd = [bare, bare.model_copy(update={"exists": False}), bare.model_copy(update={"problem": "500"})]
    odd += [World().look(0).model_copy(update={key: value}) for key, value in (
        ("has_status", False), ("replica_sets", ()), ("cur", ""), ("sta", ""), ("strategy", ""), ("deleting", True),
        ("observed_generation", None), ("differs", None), ("max_weight", 0), ("conditions", {}), ("template", {}),
    )]  # fmt: skip
    return [
        *odd,
        World().look(0),
        World().aborted().look(0),
        World().hotfix(seen=True).look(0),
        World().flag("").look(0),
    ]


@every_action
def test_a_plan_answers_every_look_and_reads_it_back_from_json(name: str) -> None:
    action = ACTIONS[name]
    for look in looks(name):
        state = action.state(look.model_dump(mode="json"))
        answer = action.plan(action.Params(), [state], NOW)
        assert isinstance(answer, Plan | Refusal | LookAgain), (look, answer)
        if isinstance(answer, Refusal):
            assert answer.reason
        if isinstance(answer, Plan):
            assert Plan.model_validate_json(answer.model_dump_json()) == answer


def places(value: object, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path for key, one in value.items() for path in [(*so_far, key), *places(one, (*so_far, key))]]
    if isinstance(value, list):
        return [path for n, one in enumerate(value) for path in [(*so_far, n), *places(one, (*so_far, n))]]
    return []


CUSTOM, BUILT_IN = ("rollout", "router"), ("replica_sets", "stable_service", "canary_service", "lease")
"""A custom kind may hold anything where its schema is open; of a built-in one, and of a pod template, a field may only be absent."""
ODD = [None, "", "x", 0, -1, 10**30, 1.5, True, [], {}, [None], [[]], {"x": None}, "\x00", "²"]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_an_api_server_answers_a_look_reads_it_and_a_plan_answers(data: st.DataObject) -> None:
    raw = World().raw(at(0))
    for _ in range(data.draw(st.integers(1, 3))):
        field = data.draw(st.sampled_from([*CUSTOM, *BUILT_IN]))
        value = copy.deepcopy(getattr(raw, field))
        path = data.draw(st.sampled_from(places(value)))
        inside: Any = value
        for key in path[:-1]:
            inside = inside[key]
        typed = field in BUILT_IN or path[:2] == ("spec", "template")
        inside[path[-1]] = None if typed else data.draw(st.sampled_from(ODD))
        raw = Raw(**{**vars(raw), field: value})
    state = read(raw)
    assert isinstance(decide.plan([state], state.at), Plan | Refusal | LookAgain)


# ---- writing ----


class Answers:
    """An API server that answers one patch with what it was given."""

    def __init__(self, answer: Exception | Json) -> None:
        self.answer, self.patches = answer, 0

    def patch(
        self, cluster: str, path: str, body: object, content_type: str, *, dry_run: bool = False
    ) -> tuple[Json, datetime]:
        self.patches += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer, NOW


def write(name: str, answer: Exception | Json) -> tuple[Outcome, int]:
    plan, _ = planned()
    server = Answers(answer)
    clients = Clients(kubernetes=cast(Any, server), pagerduty=cast(Any, None), now=lambda: NOW)
    outcome = ACTIONS[name].write(plan, plan.calls[0], clients, "r-1/0/7", 7)
    return outcome, server.patches


ERRORS: list[tuple[Exception | Json, str, str]] = [
    *[(Refused(f"{status}", status), "refused", "") for status in (400, 401, 403, 405, 410, 413, 415)],
    *[(Refused(f"{status}", status), "refused", "conflict") for status in (409, 422)],
    (Missing("404"), "refused", ""),
    (Unknown("504"), "unknown", "timeout"),
    (Unknown("reset", broken=True), "unknown", "broken"),
    ({}, "done", ""),
    ({"status": None, "metadata": []}, "done", ""),
]


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize(("answer", "kind", "cause"), ERRORS)
def test_a_write_is_one_request_and_its_end_is_a_value(
    name: str, answer: Exception | Json, kind: str, cause: str
) -> None:
    outcome, requests = write(name, answer)
    assert (outcome.kind, outcome.cause, outcome.n, requests) == (kind, cause, 7, 1)
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


@pytest.mark.parametrize("name", BUILT)
def test_only_what_was_certainly_not_done_is_raised(name: str) -> None:
    with pytest.raises(Transient):
        write(name, Transient("refused"))


@pytest.mark.parametrize("name", BUILT)
def test_what_was_done_is_not_done_again(name: str) -> None:
    plan, seen = planned()
    action = ACTIONS[name]
    first = action.proceed(plan, [seen], [], seen.at)
    assert isinstance(first, Write)
    after = World().aborted().look(2)
    for _ in range(2):
        assert isinstance(action.proceed(plan, [seen, after], [outcome("done", 1)], after.at), Finished)


@pytest.mark.parametrize("name", BUILT)
def test_a_stop_switch_that_is_on_lets_no_first_write_out(name: str) -> None:
    plan, seen = planned()
    move = ACTIONS[name].proceed(plan, [seen], [], seen.at, True)
    assert isinstance(move, Finished)
    assert (move.outcome.kind, move.outcome.cause) == ("refused", "stopped")


# ---- putting back ----


@pytest.mark.parametrize("name", sorted(name for name, action in ACTIONS.items() if not action.REVERSIBLE))
@pytest.mark.parametrize("done", [[], [outcome("done", 1)], [outcome("unknown", 1, cause="timeout")]])
def test_what_cannot_be_put_back_writes_nothing_and_leaves_it_to_a_person(name: str, done: list[Outcome]) -> None:
    plan, seen = planned()
    move = ACTIONS[name].put_back(plan, [seen], done, seen.at)
    assert isinstance(move, Finished)
    if name in BUILT:
        assert (move.outcome.kind, "a person decides" in move.outcome.said) == ("refused", True)


# ---- words ----


@every_action
def test_words_can_be_asked_for_at_any_moment(name: str) -> None:
    action = ACTIONS[name]
    for seen in ([], [action.state(looks(name)[-1].model_dump(mode="json"))]):
        assert isinstance(action.remarks(None, seen, [], None), Remarks)


@pytest.mark.parametrize("name", BUILT)
def test_words_and_verdicts_are_there_for_every_look_after_a_plan(name: str) -> None:
    plan, first = planned()
    action = ACTIONS[name]
    unknown = Verdict(kind="unknown", said="not yet", at=NOW)
    for look in looks(name):
        for done in ([], [outcome("done", 1)], [outcome("refused", 1, cause="conflict")]):
            state = action.state(look.model_dump(mode="json"))
            assert isinstance(action.remarks(plan, [first, state], done, unknown), Remarks)
            assert isinstance(action.weigh(plan, [first, state], done, unknown), Verdict)
            assert isinstance(action.proceed(plan, [first, state], done, NOW), Write | LookAgain | Finished)


def test_a_call_says_for_people_what_it_does() -> None:
    plan, _ = planned()
    assert all(isinstance(call, Call) and call.said for call in plan.calls)

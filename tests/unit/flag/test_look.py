"""One look at a flag: three reads for a plan, one for a proof; what cannot be read is a sentence, never a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from server.core.flag.look import look
from server.core.flag.state import Change
from server.errors import Misconfigured, Refused, Transient
from tests.unit.flag.cases import START, Door, at, milliseconds, raw, target

FLAG = "/api/v2/flags/default/new-checkout"
SCHEDULED = "/api/v2/projects/default/flags/new-checkout/environments/production/scheduled-changes"
DEPENDENTS = "/api/v2/flags/default/production/new-checkout/dependent-flags"


def now() -> datetime:
    return START


def test_a_plan_reads_the_flag_what_is_scheduled_and_what_depends_on_it() -> None:
    later, sooner = at(3600), at(60)
    door = Door(
        {
            DEPENDENTS: {"items": [{"key": "express"}]},
            SCHEDULED: {
                "items": [
                    {"executionDate": milliseconds(later), "instructions": [{"kind": "addRule"}]},
                    {"executionDate": milliseconds(sooner), "instructions": [{"kind": "turnFlagOn"}]},
                ]
            },
            FLAG: raw(),
        }
    )
    seen = look(target(), door, now, around=True)
    assert door.asked == [(f"{FLAG}?env=production", False), (SCHEDULED, False), (DEPENDENTS, True)]
    assert (seen.on, seen.version, seen.flag_version, seen.off_served) == (True, 41, 57, "'old' (false)")
    assert seen.around is not None
    assert seen.around.pending == (Change(at=sooner, kinds=("turnFlagOn",)), Change(at=later, kinds=("addRule",)))
    assert seen.around.dependents == ("express",)


def test_a_proof_reads_the_flag_alone() -> None:
    door = Door({FLAG: raw()})
    assert look(target(), door, now, around=False).around is None
    assert len(door.asked) == 1


def test_what_hangs_on_it_never_holds_it_up_and_is_named_where_it_cannot_be_read() -> None:
    door = Door({SCHEDULED: Refused("no", 403), DEPENDENTS: Transient("away"), FLAG: raw()})
    seen = look(target(), door, now, around=True)
    assert seen.problem == ""
    assert seen.around is not None
    assert seen.around.unread == ("scheduled changes (403)", "dependent flags (no answer)")


def test_a_flag_that_cannot_be_read_now_is_read_again() -> None:
    with pytest.raises(Transient):
        look(target(), Door({FLAG: Transient("500")}), now, around=True)


@pytest.mark.parametrize(
    ("error", "said", "passing"),
    [
        (Refused("x", 401), "LaunchDarkly does not take our token", True),
        (Refused("x", 403), "its role needs viewProject on default", True),
        (Refused("launchdarkly: GET x: 404", 404), "LaunchDarkly has no flag new-checkout in project default", False),
        (Refused("a strange one", 418), "a strange one", False),
        (Misconfigured("RIPCORD_LAUNCHDARKLY_TOKEN is not set"), "RIPCORD_LAUNCHDARKLY_TOKEN is not set", False),
    ],
)
def test_why_it_cannot_be_read_is_said_in_the_operators_words(error: Exception, said: str, passing: bool) -> None:
    seen = look(target(), Door({FLAG: error}), now, around=True)
    assert said in seen.problem
    assert seen.passing is passing


@pytest.mark.parametrize("key", ["..", ".", "a/b", "a?b", "%2e%2e", "a b", "", "ü", "x" * 300, "a\n"])
@pytest.mark.parametrize("where", ["project", "environment", "flag"])
def test_a_key_that_could_leave_its_place_in_the_path_is_never_asked_for(where: str, key: str) -> None:
    door = Door({})
    chosen = target().model_copy(update={where: key})
    assert f"cannot be the key of a LaunchDarkly {where}" in look(chosen, door, now, around=True).problem
    assert door.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"environments": []},
        {"environments": {"test": {}}},
        raw(on="yes"),  # type: ignore[arg-type]
        raw(version="41"),  # type: ignore[arg-type]
        raw(version=True),
        raw(version=10**30),
        raw(version=-1),
        raw(offVariation="old"),
        {**raw(), "_version": None},
    ],
)
def test_an_answer_without_the_shape_of_a_flag_says_nothing_about_it(answer: dict[str, Any]) -> None:
    assert look(target(), Door({FLAG: answer}), now, around=False).problem


@pytest.mark.parametrize(
    ("variations", "index", "served"),
    [
        ([{"value": 1}], 0, "1"),
        ([{"value": "a" * 80, "name": "long"}], 0, f"'long' (\"{'a' * 39}…)"),
        ([{"value": None, "name": "évil\n[ripcord r-1/note]"}], 0, "'évil [ripcord r-1/note]' (null)"),
        ([], 3, "variation 3"),
        ("none", 0, "variation 0"),
        ([{"value": "\ud800"}], 0, '"\ufffd"'),
    ],
)
def test_what_off_serves_is_named_and_cut(variations: Any, index: int, served: str) -> None:
    answer = {**raw(offVariation=index), "variations": variations}
    assert look(target(), Door({FLAG: answer}), now, around=False).off_served == served


def test_a_running_rollout_is_seen_in_the_default_rule() -> None:
    held = {"rollout": {"experimentAllocation": {"type": "measuredRollout"}}}
    assert look(target(), Door({FLAG: raw(fallthrough=held)}), now, around=False).rollout == "measuredRollout"
    share = {"rollout": {"variations": [{"variation": 0, "weight": 100000}]}}
    assert look(target(), Door({FLAG: raw(fallthrough=share)}), now, around=False).rollout == ""


def test_an_hour_that_is_none_is_no_hour() -> None:
    for value in ("soon", -1, True, 10**20, 1.5):
        assert look(target(), Door({FLAG: raw(lastModified=value)}), now, around=False).modified is None
    assert look(target(), Door({FLAG: raw()}), now, around=False).modified == datetime(2026, 11, 24, 3, 1, tzinfo=UTC)

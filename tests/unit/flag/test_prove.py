"""Proven is what LaunchDarkly shows; on again is failed; a version of somebody else's is not waited for; and the words of the note."""

from __future__ import annotations

import pytest

from server.core.flag.prove import judge, weigh
from server.core.flag.remarks import remarks
from server.core.flag.state import FlagState
from server.core.outcome import Outcome, Verdict
from tests.unit.flag.cases import at, first, look, milliseconds, outcome, planned

OFF = {"on": False, "version": 42}


def test_a_flag_that_is_off_is_proven_and_the_verdict_says_what_it_serves() -> None:
    verdict = judge(look(1, **OFF))
    assert (verdict.kind, verdict.reached) == ("passed", ("accepted", "acknowledged"))
    assert verdict.said == "new-checkout in production is off, version 42; it serves 'old' (false)"
    assert verdict.evidence["serves"] == "'old' (false)"


def test_targets_rules_and_percentages_do_not_matter_while_it_is_off() -> None:
    share = {"rollout": {"variations": [{"variation": 0, "weight": 50000}, {"variation": 1, "weight": 50000}]}}
    seen = look(1, on=False, version=42, fallthrough=share, targets=[{"values": ["me"]}], rules=[{}])
    assert judge(seen).kind == "passed"


def test_without_an_off_variation_the_callers_default_is_what_is_served() -> None:
    said = judge(look(1, on=False, version=42, offVariation=None)).said
    assert said.endswith("it serves no variation of its own (the default in the caller's code)")


@pytest.mark.parametrize(
    "seen",
    [
        look(1),
        look(1, on=False, safe="on"),
        look(1, on=False, archived=True),
        look(1, **OFF).model_copy(update={"problem": "401"}),
    ],
)
def test_anything_else_is_not_proven_yet(seen: FlagState) -> None:
    verdict = judge(seen)
    assert (verdict.kind, verdict.reached) == ("unknown", ())


def test_a_safe_state_of_on_is_proven_by_on() -> None:
    assert judge(look(1, on=True, safe="on")).kind == "passed"


def weighed(seen: list[FlagState], done: list[Outcome], on: bool = True) -> Verdict:
    plan = planned(look(0, on=on))
    return weigh(plan, [first(), *seen], done, judge(seen[-1]))


def test_a_flag_that_was_off_and_is_on_again_has_failed() -> None:
    again = look(9, version=43, lastModified=milliseconds(at(8)))
    said = "new-checkout in production was turned on again at 03:12:08Z, version 43, not by this run"
    for seen, done in (([again], [outcome("done", 1)]), ([look(3, **OFF), again], [outcome("unknown", 1)])):
        verdict = weighed(seen, done)
        assert (verdict.kind, verdict.said) == ("failed", said)
    assert weighed([again], [], on=False).kind == "failed"


def test_an_answer_that_nothing_followed_is_no_turning_back_by_anybody() -> None:
    """A 200 that showed version 42, and every read shows 41: late, or never kept."""
    verdict = weighed([look(9)], [outcome("done", 1)])
    assert (verdict.kind, verdict.stop) == ("unknown", False)
    assert verdict.said == (
        "LaunchDarkly answered that it was turned off, and new-checkout in production is on in version 41, as before"
    )


def test_a_version_of_somebody_elses_while_our_patch_is_open_is_not_waited_for() -> None:
    verdict = weighed([look(9, version=42)], [outcome("unknown", 1)])
    assert (verdict.kind, verdict.stop) == ("unknown", True)
    assert "is on in version 42, which somebody made" in verdict.said


def test_not_yet_is_waited_for() -> None:
    verdict = weighed([look(9)], [outcome("unknown", 1)])
    assert (verdict.kind, verdict.stop) == ("unknown", False)


def test_a_look_that_says_nothing_changes_no_verdict() -> None:
    seen = look(9).model_copy(update={"problem": "401"})
    assert weighed([seen], [outcome("done", 1)]) == judge(seen)


# ---- the note ----


def test_the_note_says_what_was_done_what_proves_it_and_what_to_mind() -> None:
    start = first(pending=[{"at": at(1800), "kinds": ["turnFlagOn"]}], dependents=["express"])
    words = remarks(planned(start), [start, look(2, **OFF)], [outcome("done", 1)], None)
    assert words.back == "is off"
    assert words.done == "turned new-checkout in production off, version 41 -> 42, it serves 'old' (false)"
    assert words.proof == "LaunchDarkly 03:12:02Z: off, version 42, serves 'old' (false); SDKs follow by themselves"
    assert words.mind == (
        "a scheduled change at 03:42:00Z turns it on again",
        "new-checkout off switches off what depends on it: express",
    )


def test_a_write_without_an_answer_is_not_called_done() -> None:
    words = remarks(planned(), [first(), look(9)], [outcome("unknown", 1)], None)
    assert words.done == "tried to turn new-checkout in production off (no clear answer)"
    assert words.proof == "LaunchDarkly 03:12:09Z: on, version 41"


def test_an_answer_that_nothing_followed_is_not_called_done() -> None:
    words = remarks(planned(), [first(), look(9)], [outcome("done", 1)], None)
    assert words.done == "asked for new-checkout in production off, answered with version 42"


def test_nothing_written_is_called_nothing_and_somebodys_work_is_called_theirs() -> None:
    assert remarks(planned(), [first()], [outcome("refused", 1)], None).done == "nothing"
    idle = look(0, on=False)
    assert remarks(planned(idle), [idle], [], None).done == planned(idle).somebody


def test_a_change_after_ours_is_named() -> None:
    words = remarks(planned(), [first(), look(9, on=False, version=44)], [outcome("done", 1)], None)
    assert words.mind == ("somebody changed it after us: version 44, ours was 42",)


def test_a_stop_switch_that_kept_the_second_copy_back_is_named() -> None:
    words = remarks(planned(), [first(), look(9)], [outcome("unknown", 1)], None, stopped=True)
    assert words.mind == ("stopped: whether the patch was taken is not known, and it was not sent again",)


def test_what_cannot_be_read_is_no_proof() -> None:
    lost = look(9).model_copy(update={"problem": "LaunchDarkly does not take our token"})
    assert (
        remarks(planned(), [first(), lost], [outcome("done", 1)], None).proof
        == "none: LaunchDarkly does not take our token"
    )
    assert remarks(None, [lost], [], None).mind == ()

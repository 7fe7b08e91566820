"""Which events are our own doing: the bot user first, the ids of our notes second; whoever asks for something is heard."""

from __future__ import annotations

import pytest

from server.core import echo
from tests.unit.deciding import delivery

NOTE = "incident.annotated"


@pytest.mark.parametrize(("event", "what"), [(NOTE, "note"), ("incident.resolved", "resolve")])
def test_what_the_bot_user_did_is_our_own(event: str, what: str) -> None:
    came = delivery(event, agent="PBOT").delivery
    assert echo.by_bot(came, "PBOT") == f"our own {what} came back ({event} by the bot user PBOT)"


@pytest.mark.parametrize("agent", ["PANA", None])
def test_what_others_did_is_not(agent: str | None) -> None:
    assert echo.by_bot(delivery(NOTE, agent=agent).delivery, "PBOT") is None


def test_while_nobody_knows_who_we_are_nobody_is_taken_for_us() -> None:
    assert echo.by_bot(delivery(NOTE, agent=None).delivery, None) is None


@pytest.mark.parametrize("event", ["incident.triggered", "incident.reopened", "incident.workflow.started"])
def test_what_ripcord_never_does_is_no_echo_under_any_name(event: str) -> None:
    came = delivery(event, agent="PBOT").delivery
    assert (echo.may_be(came), echo.by_bot(came, "PBOT"), echo.by_note(came, "r-1")) == (False, None, None)


def test_a_press_is_no_echo() -> None:
    pressed = delivery(NOTE, trigger="pagerduty_action", agent="PBOT").delivery
    assert echo.by_bot(pressed, "PBOT") is None


def test_a_note_that_a_run_posted_is_our_own_whoever_is_named() -> None:
    came = delivery(NOTE, agent=None, note="N1").delivery
    assert echo.by_note(came, "r-1") == "our own note came back (incident.annotated, the note of r-1)"
    assert echo.by_note(came, None) is None

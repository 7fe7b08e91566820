"""What we did ourselves comes back as a webhook: known by the bot user first, by the ids of our own notes second.

The bot user comes first because PagerDuty may send the webhook before it answers the call that caused it, and the ids second because
a key may not be allowed to read who it is. Only what Ripcord itself causes is an echo: whoever reopens an incident or starts a
workflow under the bot's name asks for something, and is heard.
"""

from __future__ import annotations

from server.core.delivery import Delivery

ANNOTATED, RESOLVED = "incident.annotated", "incident.resolved"
OWN = {ANNOTATED: "note", RESOLVED: "resolve"}
"""The events that our own writes raise, and what each write is called."""


def may_be(delivery: Delivery) -> bool:
    """Whether our own writes raise such an event."""
    return delivery.trigger == "pagerduty_v3" and delivery.event_type in OWN


def by_bot(delivery: Delivery, bot: str | None) -> str | None:
    """The reason, when the bot user did it."""
    if not may_be(delivery) or bot is None or delivery.agent != bot:
        return None
    return f"our own {OWN[delivery.event_type]} came back ({delivery.event_type} by the bot user {bot})"


def by_note(delivery: Delivery, run: str | None) -> str | None:
    """The reason, when the note is the one that a run posted."""
    if run is None or not may_be(delivery):
        return None
    return f"our own note came back ({delivery.event_type}, the note of {run})"

"""The note in a PagerDuty incident: post, find by marker, edit. What became of it is a value; nothing is raised."""

from __future__ import annotations

from typing import Any

from server.clients import PagerDuty
from server.core.guards import resolved_by
from server.errors import Refused, Transient, Unknown

Json = dict[str, Any]


def post(pagerduty: PagerDuty, incident: str, text: str, unclear: float, broken: float) -> Json:
    """Posts once. unclear, broken: seconds to look for the note before it may be sent again."""
    try:
        return {"note": pagerduty.add_note(incident, text)}
    except Transient as error:
        return {"not_done": error.said, "retry_after": error.retry_after}
    except Unknown as error:
        return {"unknown": error.said, "patience": broken if error.broken else unclear}
    except Refused as error:
        return {"refused": error.said}


def find(pagerduty: PagerDuty, incident: str, mark: str) -> Json:
    """The note that ends with the marker: a text that only quotes it is somebody else's."""
    try:
        notes = pagerduty.notes(incident)
    except Transient as error:
        return {"unread": error.said}
    except Refused as error:
        return {"unread": error.said}
    found = next((note for note, content in notes if content.rstrip().endswith(mark)), None)
    return {"none": True} if found is None else {"note": found}


def edit(pagerduty: PagerDuty, incident: str, note: str, text: str) -> Json:
    """Replaces the text; the same text again changes nothing, so an unknown outcome is simply repeated."""
    try:
        pagerduty.edit_note(incident, note, text)
    except (Transient, Unknown) as error:
        return {"again": error.said, "retry_after": getattr(error, "retry_after", None)}
    except Refused as error:
        return {"refused": error.said}
    return {"note": note}


def meanwhile(pagerduty: PagerDuty, incident: str) -> Json:
    """What others did to the incident while the run acted: {"mind": sentence, "also": incident | None}, or {} where there is nothing.

    A PagerDuty that cannot be read costs this sentence and nothing else.
    """
    try:
        read = pagerduty.incident(incident, alerts=False)
    except (Transient, Refused):
        return {}
    said = [f"the incident was merged into {read.id}"] if read.merged else []
    if read.status == "resolved" and not (read.changed_by_id and read.changed_by_id == pagerduty.known_as):
        # Where nobody told us under which user we write, our own resolving looks like somebody else's.
        perhaps = ", or that was Ripcord: its own user is not known" if pagerduty.known_as is None else ""
        said.append(f"the incident was resolved meanwhile{resolved_by(read)}{perhaps}")
    return {"mind": "; ".join(said), "also": read.id if read.merged else None} if said else {}

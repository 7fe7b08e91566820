"""What we did comes back, and what others do to an incident meanwhile: recognised, told, never fought; and who waits holds up nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from server.store.tables import decisions, deliveries, notes
from tests.story.town import Town
from tests.support.waiting import eventually, never

Json = dict[str, Any]
Build = Callable[..., Town]

ON_NOTE = """version: 1
owner: platform
teams: all
mode: observe
when: {events: [incident.annotated, incident.resolved]}
target: {kind: rollout, strategy: canary}
steps: [{action: abort_rollout}]
verify: [{check: rollout_traffic_on_stable}]
"""


def listening(build: Build) -> Town:
    """A town with a runbook that starts on notes and resolves."""
    town = build()
    (town.runbooks / "on-note.yaml").write_text(ON_NOTE)
    return town


def reasons(town: Town, event_type: str) -> list[tuple[str, str]]:
    """(runbook, reason) of every decision about events of that type."""
    query = (
        sa.select(decisions.c.runbook, decisions.c.reason)
        .join(deliveries, deliveries.c.id == decisions.c.delivery)
        .where(deliveries.c.event_type == event_type)
        .order_by(decisions.c.at)
    )
    return [(row["runbook"], row["reason"]) for row in town.rows(query)]


def as_person(town: Town, method: str, path: str, body: Json, sender: str = "ana@example.com") -> Json:
    """A write of somebody else's to PagerDuty."""
    headers = {"Authorization": f"Token token={town.exports['RIPCORD_PAGERDUTY_API_KEY']}", "From": sender}
    answer = town.http.request(method, f"{town.world}/pagerduty{path}", json=body, headers=headers, timeout=10)
    assert answer.status < 300, answer.data
    return dict(answer.json())


def set_status(town: Town, status: str, n: int = 0, sender: str = "ana@example.com") -> None:
    body = {"incident": {"type": "incident_reference", "status": status}}
    as_person(town, "PUT", f"/incidents/{town.incident(n)['id']}", body, sender)


def known_as(town: Town) -> str:
    """The bot user's id."""
    users = town.pagerduty("GET", "/users?query=ripcord@example.com")["users"]
    return str(users[0]["id"])


def test_our_own_note_comes_back_costs_one_row_and_starts_nothing_where_a_persons_note_does(build: Build) -> None:
    town = listening(build)
    town.start()
    eventually(lambda: town.asked("GET", "/pagerduty/users"), within=10, what="it knows who it is")
    town.alert()
    assert town.ended()["state"] == "proven"
    town.note()
    came = eventually(lambda: reasons(town, "incident.annotated"), within=10)
    said = f"our own note came back (incident.annotated by the bot user {known_as(town)})"
    assert came == [("", said)]
    assert [row["runbook"] for row in town.runs()] == ["abort-canary"]
    assert [row for row in town.audit() if row["said"].startswith("incident.annotated")] == []
    as_person(town, "POST", f"/incidents/{town.incident()['id']}/notes", {"note": {"content": "on it"}})
    run = town.ended(count=2)
    assert run["runbook"] == "on-note"


def test_where_nobody_may_ask_who_we_are_our_note_is_known_by_its_id(build: Build) -> None:
    town = listening(build)
    town.start()
    town.alert()
    town.ended()
    town.note()
    (kept,) = town.rows(sa.select(notes))
    town.kill()
    fault = {"match": {"method": "GET", "path": "/pagerduty/users*"}, "do": "status", "status": 403}
    town.control("faults", [fault])
    town.start()
    event = town.event(kept["incident"], "incident.annotated")
    event["data"] = {"id": kept["note"], "type": "incident_note", "incident": {"id": kept["incident"]}}
    event["agent"] = {"id": known_as_from(town), "type": "user_reference", "summary": "Ripcord"}
    delivery = town.webhook(event).json()["delivery"]
    query = sa.select(decisions).where(decisions.c.delivery == delivery)
    rows = eventually(lambda: town.rows(query), within=15)
    said = f"our own note came back (incident.annotated, the note of {kept['run']})"
    assert [(row["runbook"], row["reason"]) for row in rows] == [("", said)]
    assert [row["runbook"] for row in town.runs()] == ["abort-canary"]


def known_as_from(town: Town) -> str:
    """The bot user's id, read where no fault lies: from the note itself."""
    answer = town.pagerduty("GET", f"/incidents/{town.incident()['id']}/notes")
    return str(answer["notes"][0]["user"]["id"])


def test_the_bot_users_resolve_is_an_echo_and_its_reopening_is_heard(town: Town) -> None:
    """Who reopens an incident under the bot's name asks for something: Ripcord itself never does."""
    eventually(lambda: town.asked("GET", "/pagerduty/users"), within=10)
    town.alert()
    town.ended()
    town.note()
    bot = town.exports["RIPCORD_PAGERDUTY_FROM"]
    set_status(town, "resolved", sender=bot)
    came = eventually(lambda: reasons(town, "incident.resolved"), within=10)
    said = f"our own resolve came back (incident.resolved by the bot user {known_as(town)})"
    assert came == [("", said)]
    set_status(town, "triggered", sender=bot)
    assert town.ended(count=2)["runbook"] == "abort-canary"


def test_a_reopened_incident_is_a_new_epoch_and_all_that_comes_later_belongs_to_it(town: Town) -> None:
    """REST does not tell when it was reopened: the signed event does."""
    town.alert()
    first = town.ended()
    town.note()
    set_status(town, "resolved")
    set_status(town, "triggered")
    second = town.ended(count=2)
    incident = town.incident()["id"]
    assert (first["key"].split("/")[0], second["key"].split("/")[0]) == (incident, incident)
    assert second["key"].split("/")[1] > first["key"].split("/")[1]
    assert second["state"] in ("nothing_to_do", "refused")
    town.webhook(town.event(incident, "incident.triggered"))

    def already() -> bool:
        return any(row["said"] == f"run: already {second['id']}" for row in town.audit())

    eventually(already, within=15)
    assert len(town.runs()) == 2
    assert len(town.effects("PATCH", "/rollouts/")) == 1


def test_an_incident_that_is_merged_away_before_it_is_read_goes_on_where_its_alerts_are_now(town: Town) -> None:
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert()
    body = {"type": "incident", "title": "checkout is slow", "service": {"id": "PCANARY", "type": "service_reference"}}
    other = as_person(town, "POST", "/incidents", {"incident": body})["incident"]["id"]
    ours = town.incident(0)["id"]
    merge(town, ours, other)
    town.control("pagerduty", {"webhook": {"pause": False}})
    run = town.ended()
    assert (run["state"], run["incident"]) == ("proven", other)
    assert "PROVEN in" in town.note(1)
    assert len(town.effects("PATCH", "/rollouts/")) == 1
    assert len(town.runs()) == 1


def merge(town: Town, source: str, into: str) -> None:
    reference = {"id": source, "type": "incident_reference"}
    as_person(town, "PUT", f"/incidents/{into}/merge", {"source_incidents": [reference]})


def test_a_merge_while_the_run_acts_is_no_recovery_and_both_incidents_are_told(town: Town) -> None:
    town.control("kubernetes", {"controller": {"slow": 3}})
    town.alert("one")
    eventually(lambda: town.effects("PATCH", "/rollouts/"), within=20)
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert("two")
    ours, other = town.incident(0)["id"], town.incident(1)["id"]
    merge(town, ours, other)
    run = town.ended()
    assert run["state"] == "proven"
    assert f"Mind: the incident was merged into {other}" in town.note(0)
    assert f"[ripcord {run['id']}/note]" in town.note(1)


def test_an_incident_resolved_while_the_run_acts_is_told_with_who_and_when_and_not_fought(town: Town) -> None:
    town.control("kubernetes", {"controller": {"slow": 3}})
    town.alert()
    eventually(lambda: town.effects("PATCH", "/rollouts/"), within=20)
    set_status(town, "resolved")
    assert town.ended()["state"] == "proven"
    at = town.incident()["last_status_change_at"][11:19]
    assert f"\nMind: the incident was resolved meanwhile (by 'Ana Person' at {at}Z)\n" in town.note()
    assert town.incident()["status"] == "resolved"
    assert [row["method"] for row in town.asked("PUT", "/pagerduty/incidents/") if "/notes" not in row["path"]] == [
        "PUT"
    ]


def test_an_incident_resolved_before_the_write_is_named_with_who_resolved_it(build: Build) -> None:
    town = build()
    town.start()
    town.control("pagerduty", {"webhook": {"pause": True}})
    town.alert()
    set_status(town, "resolved")
    town.control("pagerduty", {"webhook": {"pause": False}})

    def said() -> list[str]:
        return [row["said"] for row in town.audit() if row["runbook"] == "abort-canary" and row["tag"] == "decided"]

    (why,) = eventually(said, within=20)
    assert why.startswith("no: incident is 'resolved', wanted an open one (by 'Ana Person' at ")
    assert town.effects("PATCH", "/kubernetes/") == []


def test_incidents_that_wait_for_their_alerts_hold_up_nobody(town: Town) -> None:
    """Each of eight waits twenty seconds for data; the ninth has them."""
    service = {"id": "PCANARY", "type": "service_reference"}
    for n in range(8):
        body = {"type": "incident", "title": f"by hand {n}", "service": service}
        as_person(town, "POST", "/incidents", {"incident": body})
    eventually(lambda: len(town.asked("GET", "/alerts")) >= 8, within=10)
    town.alert()
    assert eventually(lambda: town.effects("PATCH", "/rollouts/"), within=6)


def test_an_alert_that_comes_late_is_waited_for(town: Town) -> None:
    town.control("pagerduty", {"alerts_after": 4})
    town.alert()
    never(lambda: town.effects("PATCH", "/rollouts/"), for_seconds=2)
    assert town.ended()["state"] == "proven"


@pytest.mark.parametrize("trouble", [401, 403, 429, "html", "hold"])
def test_a_pagerduty_in_any_trouble_is_asked_again_and_nothing_is_done_without_its_word(
    town: Town, trouble: int | str
) -> None:
    """A bad key, no right, too many calls, a proxy's page, no answer at all."""
    do: Json = {"do": "status", "status": trouble}
    if trouble == "html":
        do = {"do": "status", "status": 200, "body": "<html>Sign in</html>"}
    if trouble == "hold":
        do = {"do": "hold_before", "seconds": 60}
    town.control("faults", [{"match": {"method": "GET", "path": "/pagerduty/incidents/*"}, **do, "times": 2}])
    town.alert()
    assert town.ended(within=40)["state"] == "proven"
    town.control("release", {})
    assert len(town.effects("PATCH", "/rollouts/")) == 1

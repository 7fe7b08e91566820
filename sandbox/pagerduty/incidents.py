"""What may happen to incidents, and the webhook that each of it raises. REST and the Events API both come here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.pagerduty import shapes
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.records import Alert, Entry, Incident, Note, Refused, Service, User, invalid, not_found

if TYPE_CHECKING:
    from sandbox.world import World

type_of_entry = {
    "triggered": "trigger_log_entry",
    "acknowledged": "acknowledge_log_entry",
    "unacknowledged": "unacknowledge_log_entry",
    "resolved": "resolve_log_entry",
    "annotated": "annotate_log_entry",
}
MOST_NOTES = 2_000
LONGEST_NOTE = 65_535
# name of the event, its data, the incident that it belongs to, who did it, the monitoring tool behind it
Raise = Callable[[str, dict[str, Any], Incident | None, dict[str, Any] | None, dict[str, Any] | None], None]


class Incidents:
    """All incidents of the account. Called with the world's lock held."""

    def __init__(self, world: World, account: Account, raise_event: Raise) -> None:
        self._world, self._account, self._raise = world, account, raise_event
        self.all: dict[str, Incident] = {}
        self.alerts_after = timedelta(0)

    def get(self, key: str) -> Incident:
        """By id, or by the number."""
        found = self.all.get(key)
        if found is None and key.isdigit():
            found = next((one for one in self.all.values() if one.number == int(key)), None)
        if found is None:
            raise not_found()
        return found

    def alerts(self, incident: Incident) -> list[Alert]:
        """What REST shows of them by now: alerts may appear later than their incident."""
        now = self._world.clock.now()
        return [one for one in incident.alerts if one.created_at + self.alerts_after <= now]

    def open_alert(self, service: Service, key: str) -> Alert | None:
        alerts = (alert for one in self.all.values() if one.service is service for alert in one.alerts)
        return next((alert for alert in alerts if alert.key == key and alert.status == "triggered"), None)

    def open(
        self,
        service: Service,
        title: str,
        agent: dict[str, Any],
        *,
        alert: Alert | None = None,
        client: dict[str, Any] | None = None,
        incident_key: str | None = None,
        urgency: str = "high",
        body: str | None = None,
        priority: dict[str, Any] | None = None,
    ) -> Incident:
        now = self._world.clock.now()
        incident = Incident(
            id=self._account.long_id(),
            number=len(self.all) + 1,
            title=title,
            service=service,
            created_at=now,
            changed_at=now,
            urgency=urgency,
            incident_key=incident_key,
            body=body,
            client=client,
            priority=priority,
            assignees=[self._account.on_call],
        )
        if alert is not None:
            alert.incident = incident.id
            incident.alerts.append(alert)
        self.all[incident.id] = incident
        self.record(incident, "triggered", agent)
        self.tell("incident.triggered", incident, agent)
        return incident

    def acknowledge(self, incident: Incident, agent: dict[str, Any], user: User | None = None) -> None:
        self._must_be_open(incident)
        if incident.status == "acknowledged":
            raise Refused(400, 1002, "Incident Already Acknowledged")
        incident.status = "acknowledged"
        incident.acknowledged_by = [(user or self._account.on_call, self._world.clock.now())]
        self._changed(incident, "acknowledged", agent)

    def unacknowledge(self, incident: Incident, agent: dict[str, Any]) -> None:
        incident.status, incident.acknowledged_by = "triggered", []
        self._changed(incident, "unacknowledged", agent)

    def resolve(self, incident: Incident, agent: dict[str, Any] | None, merged_into: str | None = None) -> None:
        self._must_be_open(incident)
        now = self._world.clock.now()
        incident.closed_alerts = [one for one in incident.alerts if one.status == "triggered"]
        for alert in incident.closed_alerts:
            alert.status, alert.resolved_at = "resolved", now
        incident.status, incident.resolved_at, incident.merged_into = "resolved", now, merged_into
        incident.assignees, incident.acknowledged_by = [], []
        self._changed(incident, "resolved", agent)

    def reopen(self, incident: Incident, agent: dict[str, Any]) -> None:
        """The alerts that the resolve had closed are open again, or nothing would say what the incident is about."""
        incident.status, incident.reopened_at = "triggered", self._world.clock.now()
        incident.resolved_at, incident.merged_into = None, None
        incident.assignees = [self._account.on_call]
        for alert in incident.closed_alerts:
            alert.status, alert.resolved_at = "triggered", None
        incident.closed_alerts = []
        self._changed(incident, "reopened", agent)

    def resolve_alert(self, alert: Alert, agent: dict[str, Any]) -> None:
        """The last alert takes its incident along."""
        incident = self.all[alert.incident]
        if all(other is alert or other.status == "resolved" for other in incident.alerts) and incident.open:
            self.resolve(incident, agent)
            return
        alert.status, alert.resolved_at = "resolved", self._world.clock.now()

    def move_alert(self, alert: Alert, target: Incident) -> None:
        source = self.all[alert.incident]
        if not target.open:
            raise invalid("The target incident is resolved.")
        source.alerts.remove(alert)
        target.alerts.append(alert)
        alert.incident = target.id

    def merge(self, target: Incident, sources: list[Incident], agent: dict[str, Any]) -> None:
        if not target.open:
            raise invalid("The target incident is resolved.")
        for source in sources:
            if source.merged_into is not None:
                raise Refused(400, 1019, "Incident Already Merged")
        for source in sources:
            for alert in list(source.alerts):
                self.move_alert(alert, target)
            if source.open:
                self.resolve(source, agent, merged_into=target.id)

    def add_note(self, incident: Incident, content: str, user: User) -> Note:
        if len(incident.notes) >= MOST_NOTES:
            raise invalid(f"An incident holds at most {MOST_NOTES} notes.")
        now = self._world.clock.now()
        note = Note(self._account.short_id(), _note_text(content), user, now, now)
        incident.notes.append(note)
        agent = shapes.user_reference(user)
        self.record(incident, "annotated", agent)
        self._raise("incident.annotated", shapes.note_data(note, incident), incident, agent, None)
        return note

    def edit_note(self, note: Note, content: str) -> bool:
        """Whether PagerDuty raises an event for an edit is not known; none is raised here."""
        if note.content == _note_text(content):
            return False
        note.content, note.updated_at = content, self._world.clock.now()
        return True

    def record(self, incident: Incident, what: str, agent: dict[str, Any] | None) -> None:
        kind = type_of_entry.get(what)
        if kind is None:
            return
        summary = f"{what.capitalize()} by {agent['summary'] if agent else 'PagerDuty'}"
        channel = {"type": "api", "summary": "Events API V2" if "integration" in str(agent) else "API"}
        now = self._world.clock.now()
        incident.entries.append(Entry(self._account.entry_id(), kind, summary, now, agent, channel))

    def tell(self, event_type: str, incident: Incident, agent: dict[str, Any] | None) -> None:
        data = shapes.incident_data(incident, self._account.escalation_policy)
        self._raise(event_type, data, incident, agent, incident.client)

    def _changed(self, incident: Incident, what: str, agent: dict[str, Any] | None) -> None:
        incident.changed_at, incident.changed_by = self._world.clock.now(), agent
        self.record(incident, what, agent)
        self.tell(f"incident.{what}", incident, agent)

    def _must_be_open(self, incident: Incident) -> None:
        if not incident.open:
            raise Refused(400, 1001, "Incident Already Resolved")


def _note_text(content: object) -> str:
    if not isinstance(content, str) or not content.strip():
        raise invalid("Content cannot be empty.")
    if len(content) > LONGEST_NOTE:
        raise invalid(f"Content is too long (maximum is {LONGEST_NOTE} characters).")
    return content


def parse_time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise invalid(f"{text!r} is not a time.") from None
    if at.tzinfo is None:
        raise invalid(f"{text!r} has no time zone.")
    return at

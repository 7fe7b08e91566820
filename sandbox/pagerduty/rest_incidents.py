"""REST routes under /incidents: reading, changing, notes, alerts, log entries, fields, workflows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.clock import whole_seconds
from sandbox.http import Response, json_response
from sandbox.pagerduty import shapes
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.incidents import Incidents, Raise, parse_time
from sandbox.pagerduty.records import Alert, Incident, Note, Refused, Service, User, invalid, not_found
from sandbox.pagerduty.rest import Call, Rest, page

if TYPE_CHECKING:
    from sandbox.world import World

_MOST_IN_BULK = 250


class IncidentRoutes:
    def __init__(self, world: World, account: Account, incidents: Incidents, raise_event: Raise) -> None:
        self._world, self._account, self._incidents, self._raise = world, account, incidents, raise_event

    def hang_on(self, rest: Rest) -> None:
        one = "/incidents/{key}"
        rest.route("GET", "/incidents", self._list)
        rest.route("POST", "/incidents", self._create)
        rest.route("PUT", "/incidents", self._change_many)
        rest.route("GET", one, self._read)
        rest.route("PUT", one, self._change)
        rest.route("PUT", one + "/merge", self._merge)
        rest.route("GET", one + "/notes", self._notes)
        rest.route("POST", one + "/notes", self._add_note)
        rest.route("PUT", one + "/notes/{note}", self._edit_note)
        rest.route("DELETE", one + "/notes/{note}", self._delete_note)
        rest.route("GET", one + "/alerts", self._alerts)
        rest.route("PUT", one + "/alerts", self._change_alerts)
        rest.route("GET", one + "/alerts/{alert}", self._alert)
        rest.route("PUT", one + "/alerts/{alert}", self._change_alert)
        rest.route("GET", one + "/log_entries", self._log_entries)
        rest.route("POST", one + "/status_updates", self._status_update)
        rest.route("GET", one + "/custom_fields/values", self._fields)
        rest.route("PUT", one + "/custom_fields/values", self._set_fields)
        rest.route("GET", "/log_entries/{key}", self._log_entry)
        rest.route("POST", "/incident_workflows/{workflow}/instances", self._start_workflow)

    def _list(self, call: Call) -> Response:
        found = [one for one in self._incidents.all.values() if _asked_for(call, one)]
        found = [one for one in found if self._in_range(call, one)]
        if call.request.first("sort_by").endswith(":desc"):
            found.reverse()
        return page(call, "incidents", [self._shape(one) for one in found])

    def _in_range(self, call: Call, one: Incident) -> bool:
        if call.request.first("date_range") == "all":
            return True
        since, until = call.request.first("since"), call.request.first("until")
        now = self._world.clock.now()
        first = parse_time(since) if since else now - timedelta(days=30)
        last = parse_time(until) if until else now
        if last - first > timedelta(days=185):
            raise invalid("The date range is longer than six months.")
        return first <= one.created_at <= last

    def _create(self, call: Call) -> Response:
        user, wanted = call.writer(), call.wrapped("incident")
        title, key = wanted.get("title"), wanted.get("incident_key")
        if not isinstance(title, str) or not title.strip():
            raise invalid("Title cannot be empty.")
        service = self._service(wanted.get("service"))
        for one in self._incidents.all.values():
            if key is not None and one.open and one.service is service and one.incident_key == key:
                raise invalid("Open incident with matching dedup key already exists on this service")
        details = (wanted.get("body") or {}).get("details")
        incident = self._incidents.open(
            service,
            title,
            shapes.user_reference(user),
            incident_key=key or self._account.uuid().replace("-", ""),
            urgency=wanted.get("urgency") or "high",
            body=details,
            priority=wanted.get("priority"),
        )
        call.applied()
        return json_response(201, {"incident": self._shape(incident)})

    def _read(self, call: Call, key: str) -> Response:
        incident = self._incidents.get(key)
        shown = self._shape(incident)
        if "custom_fields" in call.many("include"):
            shown["custom_fields"] = _field_values(incident)
        return json_response(200, {"incident": shown})

    def _change(self, call: Call, key: str) -> Response:
        incident, user = self._incidents.get(key), call.writer()
        self._apply(call, incident, call.wrapped("incident"), user)
        return json_response(200, {"incident": self._shape(incident)})

    def _change_many(self, call: Call) -> Response:
        user, wanted = call.writer(), call.body().get("incidents")
        if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
            raise invalid("Incidents must be a list.")
        if len(wanted) > _MOST_IN_BULK:
            raise Refused(413, 2001, "Too many items", [f"at most {_MOST_IN_BULK}"])
        pairs = [(self._incidents.get(str(one.get("id"))), one) for one in wanted]
        for incident, one in pairs:
            _refuse_repeated(incident, one.get("status"))
        for incident, one in pairs:
            self._apply(call, incident, one, user)
        return json_response(200, {"incidents": [self._shape(incident) for incident, _ in pairs]})

    def _apply(self, call: Call, incident: Incident, wanted: dict[str, Any], user: User) -> None:
        agent, status = shapes.user_reference(user), wanted.get("status")
        if status not in (None, "triggered", "acknowledged", "resolved"):
            raise invalid("Status must be one of triggered, acknowledged, resolved.")
        service = self._service(wanted["service"]) if wanted.get("service") else None
        self._apply_status(call, incident, status, user, agent)
        if isinstance(title := wanted.get("title"), str) and title != incident.title:
            incident.title = title
            call.applied()
        if wanted.get("urgency") in ("high", "low") and wanted["urgency"] != incident.urgency:
            incident.urgency = wanted["urgency"]
            call.applied()
        if "priority" in wanted and wanted["priority"] != incident.priority:
            incident.priority = _priority(wanted["priority"])
            self._incidents.tell("incident.priority_updated", incident, agent)
            call.applied()
        if service is not None and service is not incident.service:
            incident.service = service
            self._incidents.tell("incident.service_updated", incident, agent)
            call.applied()

    def _apply_status(
        self, call: Call, incident: Incident, status: str | None, user: User, agent: dict[str, Any]
    ) -> None:
        _refuse_repeated(incident, status)
        if status is None or status == incident.status:
            return
        call.applied()
        if status == "resolved":
            self._incidents.resolve(incident, agent)
            return
        if not incident.open:
            self._incidents.reopen(incident, agent)
        if status == "acknowledged":
            self._incidents.acknowledge(incident, agent, user)
        elif incident.status == "acknowledged":
            self._incidents.unacknowledge(incident, agent)

    def _merge(self, call: Call, key: str) -> Response:
        target, user = self._incidents.get(key), call.writer()
        wanted = call.body().get("source_incidents")
        if not isinstance(wanted, list) or not wanted:
            raise invalid("Source incidents must be given, as a list.")
        sources = [self._incidents.get(str(one.get("id"))) for one in wanted]
        self._incidents.merge(target, sources, shapes.user_reference(user))
        call.applied()
        return json_response(200, {"incident": self._shape(target)})

    def _notes(self, call: Call, key: str) -> Response:
        return json_response(200, {"notes": [shapes.note(one) for one in self._incidents.get(key).notes]})

    def _add_note(self, call: Call, key: str) -> Response:
        incident, user = self._incidents.get(key), call.writer()
        note = self._incidents.add_note(incident, call.wrapped("note").get("content", ""), user)
        call.applied()
        return json_response(200, {"note": shapes.note(note)})

    def _edit_note(self, call: Call, key: str, note: str) -> Response:
        found = self._note(key, note)
        call.writer()
        if self._incidents.edit_note(found, call.wrapped("note").get("content", "")):
            call.applied()
        return json_response(200, {"note": shapes.note(found)})

    def _delete_note(self, call: Call, key: str, note: str) -> Response:
        found = self._note(key, note)
        self._incidents.get(key).notes.remove(found)
        call.applied()
        return Response(204)

    def _alerts(self, call: Call, key: str) -> Response:
        incident, statuses = self._incidents.get(key), call.many("statuses")
        alert_key = call.request.first("alert_key")
        shown = [
            shapes.alert(one, incident)
            for one in self._incidents.alerts(incident)
            if (not statuses or one.status in statuses) and alert_key in ("", one.key)
        ]
        if call.request.first("sort_by").endswith(":desc"):
            shown.reverse()
        return page(call, "alerts", shown)

    def _alert(self, call: Call, key: str, alert: str) -> Response:
        incident = self._incidents.get(key)
        return json_response(200, {"alert": shapes.alert(self._find_alert(incident, alert), incident)})

    def _change_alert(self, call: Call, key: str, alert: str) -> Response:
        found = self._find_alert(self._incidents.get(key), alert)
        self._apply_alert(call, found, call.wrapped("alert"), call.writer())
        return json_response(200, {"alert": shapes.alert(found, self._incidents.all[found.incident])})

    def _change_alerts(self, call: Call, key: str) -> Response:
        incident, user, wanted = self._incidents.get(key), call.writer(), call.body().get("alerts")
        if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
            raise invalid("Alerts must be a list.")
        if len(wanted) > _MOST_IN_BULK:
            raise Refused(413, 2001, "Too many items", [f"at most {_MOST_IN_BULK}"])
        found = [self._find_alert(incident, str(one.get("id"))) for one in wanted]
        for alert, one in zip(found, wanted, strict=True):
            self._apply_alert(call, alert, one, user)
        shown = [shapes.alert(alert, self._incidents.all[alert.incident]) for alert in found]
        return json_response(200, {"alerts": shown})

    def _apply_alert(self, call: Call, alert: Alert, wanted: dict[str, Any], user: User) -> None:
        target = wanted.get("incident")
        if isinstance(target, dict) and target.get("id") not in (None, alert.incident):
            self._incidents.move_alert(alert, self._incidents.get(str(target["id"])))
            call.applied()
        if wanted.get("status") == "resolved" and alert.status != "resolved":
            self._incidents.resolve_alert(alert, shapes.user_reference(user))
            call.applied()

    def _log_entries(self, call: Call, key: str) -> Response:
        incident = self._incidents.get(key)
        return page(call, "log_entries", [shapes.entry(one, incident) for one in reversed(incident.entries)])

    def _log_entry(self, call: Call, key: str) -> Response:
        for incident in self._incidents.all.values():
            for one in incident.entries:
                if one.id == key:
                    return json_response(200, {"log_entry": shapes.entry(one, incident)})
        raise not_found()

    def _status_update(self, call: Call, key: str) -> Response:
        incident, user, text = self._incidents.get(key), call.writer(), call.body().get("message")
        if not isinstance(text, str) or not text.strip():
            raise invalid("Message cannot be empty.")
        update_id, agent = self._account.short_id(), shapes.user_reference(user)
        data = {"type": "incident_status_update", "id": update_id, "message": text, "trimmed": False}
        data |= {"incident": shapes.incident_reference(incident)}
        self._raise("incident.status_update_published", data, incident, agent, None)
        call.applied()
        at = whole_seconds(self._world.clock.now())
        return json_response(
            200, {"status_update": {"id": update_id, "message": text, "created_at": at, "sender": agent}}
        )

    def _fields(self, call: Call, key: str) -> Response:
        return json_response(200, {"custom_fields": _field_values(self._incidents.get(key))})

    def _set_fields(self, call: Call, key: str) -> Response:
        incident, wanted = self._incidents.get(key), call.body().get("custom_fields")
        if not isinstance(wanted, list) or not all(isinstance(one, dict) and one.get("name") for one in wanted):
            raise invalid("Custom fields must be a list of objects with a name.")
        before = dict(incident.fields)
        incident.fields |= {str(one["name"]): one.get("value") for one in wanted}
        if incident.fields != before:
            call.applied()
            values = _field_values(incident)
            data = {
                "type": "incident_field_values",
                "incident": shapes.incident_reference(incident) | {"summary": None},
                "custom_fields": values,
                "changed_custom_fields": [
                    one | {"value": before.get(one["name"])}
                    for one in values
                    if one["value"] != before.get(one["name"])
                ],
            }
            self._raise("incident.custom_field_values.updated", data, incident, self._sender(call), None)
        return json_response(201, {"custom_fields": _field_values(incident)})

    def _start_workflow(self, call: Call, workflow: str) -> Response:
        wanted = call.wrapped("incident_workflow_instance")
        incident = self._incidents.get(str((wanted.get("incident") or {}).get("id")))
        instance = str(wanted.get("id") or self._account.short_id())
        known = {"id": workflow, "type": "incident_workflow_reference", "summary": workflow}
        data = {
            "type": "incident_workflow_instance",
            "id": instance,
            "summary": "Manually Started",
            "incident_workflow": known,
            "workflow_trigger": {
                "id": self._account.uuid(),
                "type": "workflow_trigger_reference",
                "summary": "Manual Incident Trigger",
            },
            "incident": shapes.incident_reference(incident),
            "service": shapes.service_reference(incident.service),
        }
        self._raise("incident.workflow.started", data, incident, self._sender(call), None)
        call.applied()
        shown = {"id": instance, "type": "incident_workflow_instance", "incident": data["incident"]}
        return json_response(201, {"incident_workflow_instance": shown | {"incident_workflow": known}})

    def _sender(self, call: Call) -> dict[str, Any] | None:
        """Where From is not demanded it still says who it was."""
        user = self._account.by_email(call.request.headers.get("From") or "")
        return shapes.user_reference(user) if user else None

    def _service(self, wanted: object) -> Service:
        key = str(wanted.get("id")) if isinstance(wanted, dict) else ""
        service = self._account.services.get(key)
        if service is None:
            raise invalid("Service must be a reference to a service of this account.")
        return service

    def _note(self, key: str, note: str) -> Note:
        found = next((one for one in self._incidents.get(key).notes if one.id == note), None)
        if found is None:
            raise not_found()
        return found

    def _find_alert(self, incident: Incident, key: str) -> Alert:
        found = next((one for one in self._incidents.alerts(incident) if one.id == key), None)
        if found is None:
            raise not_found()
        return found

    def _shape(self, incident: Incident) -> dict[str, Any]:
        return shapes.incident(incident, self._account.escalation_policy)


def _asked_for(call: Call, one: Incident) -> bool:
    statuses, services, urgencies = call.many("statuses"), call.many("service_ids"), call.many("urgencies")
    key = call.request.first("incident_key")
    keys = {one.incident_key, *(alert.key for alert in one.alerts)}
    return (
        (not statuses or one.status in statuses)
        and (not services or one.service.id in services)
        and (not urgencies or one.urgency in urgencies)
        and (not key or key in keys)
    )


def _refuse_repeated(incident: Incident, status: object) -> None:
    if status == "resolved" and not incident.open:
        raise Refused(400, 1001, "Incident Already Resolved")
    if status == "acknowledged" and incident.status == "acknowledged":
        raise Refused(400, 1002, "Incident Already Acknowledged")


def _priority(wanted: object) -> dict[str, Any] | None:
    if wanted is None:
        return None
    name = wanted if isinstance(wanted, str) else str((wanted if isinstance(wanted, dict) else {}).get("summary") or "")
    key = str(wanted.get("id") or f"P{name}") if isinstance(wanted, dict) else f"P{name}"
    return {"id": key, "type": "priority_reference", "summary": name or key}


def _field_values(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "id": f"PF{index:05d}",
            "name": name,
            "namespace": "incidents",
            "type": "field_value",
            "data_type": "string",
            "field_type": "single_value",
            "value": value,
        }
        for index, (name, value) in enumerate(sorted(incident.fields.items()), start=1)
    ]

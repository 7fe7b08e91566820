"""PagerDuty: the REST API, the Events API v2 and the webhook sender, joined over one set of incidents."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox.clock import whole_seconds
from sandbox.http import Request, Response, dump, json_response
from sandbox.pagerduty import press, shapes
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.events_v2 import EventsV2
from sandbox.pagerduty.incidents import Incidents
from sandbox.pagerduty.records import Incident, Refused
from sandbox.pagerduty.rest import Rest
from sandbox.pagerduty.rest_account import AccountRoutes
from sandbox.pagerduty.rest_incidents import IncidentRoutes
from sandbox.pagerduty.sender import Sender, Webhook
from sandbox.pagerduty.subscriptions import Subscription

if TYPE_CHECKING:
    from sandbox.world import World

_SETTINGS = {"webhook", "alerts_after", "press"}


class PagerDuty:
    """One account. `webhook_url` is where its account-wide subscription sends."""

    def __init__(self, world: World, webhook_url: str) -> None:
        self._world = world
        self.webhook_url = webhook_url
        self.account = Account(world.rng, world.clock.now())
        self.sender = Sender(world.clock)
        self.incidents = Incidents(world, self.account, self._raise)
        self._events = EventsV2(world, self.account, self.incidents)
        self._rest = Rest(world, self.account)
        self._accounts = AccountRoutes(world, self.account, self.sender, self._ping)
        self._accounts.hang_on(self._rest)
        IncidentRoutes(world, self.account, self.incidents, self._raise).hang_on(self._rest)
        self.webhook_secret = self.account.webhook_secret()
        self.subscription = self._accounts.subscribe(webhook_url, [self.webhook_secret], description="Ripcord")
        self._buttons: dict[str, Subscription] = {}

    def handle(self, request: Request) -> Response:
        if request.path == "/v2/enqueue":
            return self._events.enqueue(request) if request.method == "POST" else json_response(405, {})
        if request.path == "/v2/change/enqueue":
            return self._events.change(request) if request.method == "POST" else json_response(405, {})
        return self._rest.handle(request)

    def tick(self, now: datetime) -> None:
        """Nothing here happens by itself: the sender has its own threads, on the same clock."""

    def control(self, settings: dict[str, Any]) -> dict[str, Any]:
        if unknown := set(settings) - _SETTINGS:
            raise ValueError(f"unknown key: {', '.join(sorted(unknown))}; wanted {', '.join(sorted(_SETTINGS))}")
        webhook, pressed = settings.get("webhook") or {}, settings.get("press")
        if (
            not isinstance(webhook, dict)
            or set(webhook) - {"pause"}
            or not isinstance(webhook.get("pause", 0), bool | int)
        ):
            raise ValueError('webhook takes {"pause": true or false}')
        after = settings.get("alerts_after") or 0
        if isinstance(after, bool) or not isinstance(after, int | float) or after < 0:
            raise ValueError("alerts_after: seconds are wanted")
        answer = self._press(pressed) if pressed is not None else {}
        if "alerts_after" in settings:
            self.incidents.alerts_after = timedelta(seconds=after)
        if "webhook" in settings:
            self.sender.pause(bool(webhook.get("pause", False)))
        return {"ok": True, **answer}

    def state(self) -> dict[str, Any]:
        now = self._world.clock.now()
        incidents = [
            {
                **shapes.incident_data(one, self.account.escalation_policy),
                "alerts": [shapes.alert(alert, one) for alert in one.alerts],
                "notes": [shapes.note(note) for note in one.notes],
            }
            for one in self.incidents.all.values()
        ]
        return {
            "incidents": incidents,
            "users": [shapes.user(one) for one in self.account.users],
            "subscriptions": [one.shape(now) for one in self._accounts.subscriptions.values()],
            "alerts_after": self.incidents.alerts_after.total_seconds(),
            "sender": self.sender.state(),
        }

    def _raise(
        self,
        event_type: str,
        data: dict[str, Any],
        incident: Incident | None,
        agent: dict[str, Any] | None,
        client: dict[str, Any] | None,
    ) -> None:
        """One event, one webhook for each subscription that wants it: they share event.id, not X-Webhook-Id."""
        now = self._world.clock.now()
        body = dump({"event": _event(self.account.event_id(), event_type, now, data, agent, client)})
        resource = incident.id if incident else str(data.get("id"))
        for subscription in self._accounts.subscriptions.values():
            if subscription.wants(event_type, incident):
                self._enqueue(subscription, resource, event_type, body, now)

    def _ping(self, subscription: Subscription) -> None:
        now, data = self._world.clock.now(), {"message": "Hello from your friend Pagey!", "type": "ping"}
        body = dump({"event": _event(self.account.event_id(), "pagey.ping", now, data, None, None)})
        self._enqueue(subscription, "pagey", "pagey.ping", body, now)

    def _press(self, wanted: object) -> dict[str, Any]:
        if not isinstance(wanted, dict) or set(wanted) - {"runbook", "incident", "user", "secret"}:
            raise ValueError('press takes {"runbook", "incident", "user", "secret"}')
        runbook = str(wanted.get("runbook") or "")
        if not runbook:
            raise ValueError("press: runbook must be named")
        try:
            incident = self.incidents.get(str(wanted.get("incident")))
        except Refused:
            raise ValueError(f"press: there is no incident {wanted.get('incident')!r}") from None
        button = self._button(runbook)
        now, user = self._world.clock.now(), self._presser(wanted.get("user"))
        one = press.message(self.account, incident, runbook, button.url, user, whole_seconds(now))
        secret = wanted.get("secret", self.account.action_secret)
        headers = [("X-Ripcord-Secret", str(secret))] if secret else []
        webhook_id = self._enqueue(button, incident.id, "incident.custom", dump({"messages": [one]}), now, headers)
        return {"message": one["id"], "webhook_id": webhook_id}

    def _button(self, runbook: str) -> Subscription:
        if runbook not in self._buttons:
            url = f"{self.webhook_url}/actions/{quote(runbook, safe='')}"
            key, method = self.account.short_id(), self.account.short_id()
            self._buttons[runbook] = Subscription(key, url, [], {}, [], method, v2=True)
        return self._buttons[runbook]

    def _presser(self, wanted: object) -> dict[str, Any]:
        name = str(wanted or self.account.on_call.id)
        known = next((one for one in self.account.users if name in (one.id, one.email, one.name)), None)
        if known is not None:
            return shapes.user_reference(known)
        return shapes.reference("user", name, name)

    def _enqueue(
        self,
        subscription: Subscription,
        resource: str,
        event_type: str,
        body: bytes,
        now: datetime,
        headers: list[tuple[str, str]] | None = None,
    ) -> str:
        key = self.account.uuid()
        self.sender.enqueue(Webhook(key, subscription, resource, event_type, body, now, now, headers or []))
        return key


def _event(
    key: str,
    event_type: str,
    now: datetime,
    data: dict[str, Any],
    agent: dict[str, Any] | None,
    client: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "id": key,
        "event_type": event_type,
        "resource_type": event_type.split(".", 1)[0],
        "occurred_at": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
        "agent": agent,
        "client": client,
        "data": data,
    }

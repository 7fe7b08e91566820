"""REST routes for everything that is not an incident: people, services, abilities, webhook subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.http import Response, json_response
from sandbox.pagerduty import shapes
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.records import Refused, User, invalid, not_found
from sandbox.pagerduty.rest import Call, Rest, page
from sandbox.pagerduty.sender import Sender
from sandbox.pagerduty.subscriptions import EVENTS, Subscription

if TYPE_CHECKING:
    from sandbox.world import World

_ABILITIES = ["teams", "urgencies", "custom_fields", "event_rules", "coordinated_responding"]
_MOST_SUBSCRIPTIONS = 10


class AccountRoutes:
    def __init__(self, world: World, account: Account, sender: Sender, ping: Callable[[Subscription], None]) -> None:
        self._world, self._account, self._sender, self._ping = world, account, sender, ping
        self.subscriptions: dict[str, Subscription] = {}

    def hang_on(self, rest: Rest) -> None:
        rest.route("GET", "/abilities", self._abilities)
        rest.route("GET", "/abilities/{name}", self._ability)
        rest.route("GET", "/users", self._users)
        rest.route("POST", "/users", self._create_user)
        rest.route("GET", "/users/{key}", self._user)
        rest.route("GET", "/services", self._services)
        rest.route("GET", "/services/{key}", self._service)
        rest.route("GET", "/webhook_subscriptions", self._list)
        rest.route("POST", "/webhook_subscriptions", self._create)
        rest.route("GET", "/webhook_subscriptions/{key}", self._read)
        rest.route("PUT", "/webhook_subscriptions/{key}", self._change)
        rest.route("DELETE", "/webhook_subscriptions/{key}", self._delete)
        rest.route("POST", "/webhook_subscriptions/{key}/enable", self._enable)
        rest.route("POST", "/webhook_subscriptions/{key}/ping", self._send_ping)

    def subscribe(self, url: str, secrets: list[str], **more: Any) -> Subscription:
        subscription = Subscription(
            id=self._account.short_id(),
            url=url,
            events=more.get("events") or list(EVENTS),
            filter=more.get("filter") or {"type": "account_reference"},
            secrets=secrets,
            method_id=self._account.short_id(),
            description=more.get("description") or "",
            headers=more.get("headers") or [],
            active=more.get("active", True),
        )
        self.subscriptions[subscription.id] = subscription
        return subscription

    def _abilities(self, call: Call) -> Response:
        return json_response(200, {"abilities": _ABILITIES})

    def _ability(self, call: Call, name: str) -> Response:
        if name not in _ABILITIES:
            raise Refused(402, 2014, f"Account does not have the ability {name}")
        return Response(204)

    def _users(self, call: Call) -> Response:
        query = call.request.first("query").lower()
        found = [one for one in self._account.users if query in one.email.lower() or query in one.name.lower()]
        return page(call, "users", [shapes.user(one) for one in found])

    def _create_user(self, call: Call) -> Response:
        call.writer()
        wanted = call.wrapped("user")
        name, email = wanted.get("name"), wanted.get("email")
        if not isinstance(name, str) or not isinstance(email, str) or "@" not in email:
            raise invalid("Name and email must be given.")
        if self._account.by_email(email):
            raise invalid("Email has already been taken.")
        user = User(self._account.short_id(), name, email)
        self._account.users.append(user)
        call.applied()
        return json_response(201, {"user": shapes.user(user)})

    def _user(self, call: Call, key: str) -> Response:
        found = next((one for one in self._account.users if one.id == key), None)
        if key == "me":
            raise Refused(400, 2001, "Invalid Input Provided", ["An account-level key has no current user."])
        if found is None:
            raise not_found()
        return json_response(200, {"user": shapes.user(found)})

    def _services(self, call: Call) -> Response:
        query = call.request.first("query").lower()
        found = [one for one in self._account.services.values() if query in one.name.lower()]
        return page(call, "services", [shapes.service(one, self._account.escalation_policy) for one in found])

    def _service(self, call: Call, key: str) -> Response:
        found = self._account.services.get(key)
        if found is None:
            raise not_found()
        return json_response(200, {"service": shapes.service(found, self._account.escalation_policy)})

    def _list(self, call: Call) -> Response:
        kind, key = call.request.first("filter_type"), call.request.first("filter_id")
        found = [
            one.shape(self._world.clock.now())
            for one in self.subscriptions.values()
            if kind in ("", str(one.filter["type"]).removesuffix("_reference")) and key in ("", one.filter.get("id"))
        ]
        return page(call, "webhook_subscriptions", found)

    def _create(self, call: Call) -> Response:
        wanted = call.wrapped("webhook_subscription")
        method = wanted.get("delivery_method") or {}
        url, chosen = method.get("url"), wanted.get("filter")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise invalid("delivery_method.url must be an http or https URL.")
        scope = _filter(chosen, set(self._account.services))
        same = [one for one in self.subscriptions.values() if one.filter == scope]
        if len(same) >= _MOST_SUBSCRIPTIONS:
            raise Refused(400, 2019, "Product Limit Reached")
        secret = self._account.webhook_secret()
        subscription = self.subscribe(
            url,
            [secret],
            events=_events(wanted.get("events")),
            filter=scope,
            description=wanted.get("description"),
            headers=[
                {"name": str(one["name"]), "value": str(one["value"])} for one in method.get("custom_headers", [])
            ],
            active=wanted.get("active", True) is not False,
        )
        call.applied()
        return json_response(200, {"webhook_subscription": subscription.shape(self._world.clock.now(), secret)})

    def _read(self, call: Call, key: str) -> Response:
        return json_response(200, {"webhook_subscription": self._get(key).shape(self._world.clock.now())})

    def _change(self, call: Call, key: str) -> Response:
        """Neither the URL nor the secret can be changed: that takes a new subscription."""
        subscription, wanted = self._get(key), call.wrapped("webhook_subscription")
        if "events" in wanted:
            subscription.events = _events(wanted["events"])
        if "filter" in wanted:
            subscription.filter = _filter(wanted["filter"], set(self._account.services))
        if "description" in wanted:
            subscription.description = str(wanted["description"])
        if "active" in wanted:
            subscription.active = wanted["active"] is not False
        call.applied()
        return json_response(200, {"webhook_subscription": subscription.shape(self._world.clock.now())})

    def _delete(self, call: Call, key: str) -> Response:
        del self.subscriptions[self._get(key).id]
        call.applied()
        return Response(204)

    def _enable(self, call: Call, key: str) -> Response:
        subscription = self._get(key)
        if subscription.disabled(self._world.clock.now()):
            call.applied()
        self._sender.enable(subscription)
        return json_response(200, {"webhook_subscription": subscription.shape(self._world.clock.now())})

    def _send_ping(self, call: Call, key: str) -> Response:
        self._ping(self._get(key))
        call.applied()
        return Response(202)

    def _get(self, key: str) -> Subscription:
        found = self.subscriptions.get(key)
        if found is None:
            raise not_found()
        return found


def _events(wanted: object) -> list[str]:
    if not isinstance(wanted, list) or not wanted:
        raise invalid("At least one event must be chosen.")
    if unknown := [one for one in wanted if one not in EVENTS]:
        raise invalid(f"Unknown event: {unknown[0]}")
    return list(dict.fromkeys(wanted))


def _filter(wanted: object, services: set[str]) -> dict[str, Any]:
    if not isinstance(wanted, dict) or wanted.get("type") not in ("account_reference", "service_reference"):
        raise invalid("filter.type must be account_reference or service_reference.")
    if wanted["type"] == "account_reference":
        return {"type": "account_reference"}
    if wanted.get("id") not in services:
        raise invalid("filter.id must be a service of this account.")
    return {"type": "service_reference", "id": wanted["id"]}

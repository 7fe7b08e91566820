"""The webhook sender: what it sends, how it signs, and what it does with the answers."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from tests.sandbox.door import Door, Received, Receiver
from tests.support.waiting import eventually, never


def signature(secret: str, body: bytes) -> str:
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def add_note(door: Door, incident: str, text: str = "hello") -> None:
    assert door.pagerduty("POST", f"/incidents/{incident}/notes", {"note": {"content": text}}).status == 200


def test_a_triggered_incident_is_told_as_the_vendor_tells_it(door: Door, receiver: Receiver) -> None:
    incident = door.incident(rollout="web-frontend")
    got = eventually(lambda: receiver.of("incident.triggered"))[0]
    event, data = got.event, got.event["data"]
    assert (event["resource_type"], event["agent"]["type"]) == ("incident", "inbound_integration_reference")
    assert (data["id"], data["type"], data["number"], data["status"]) == (incident, "incident", 1, "triggered")
    assert data["incident_key"] is None
    assert (data["service"]["id"], data["service"]["type"]) == ("PCANARY", "service_reference")
    assert data["html_url"].endswith(f"/incidents/{incident}")
    assert "web-frontend" not in got.body.decode()


def test_it_is_signed_over_its_raw_bytes_and_names_itself(door: Door, receiver: Receiver) -> None:
    door.trigger("k", summary="é")
    got = eventually(lambda: receiver.of("incident.triggered"))[0]
    assert got.path == "/webhooks/pagerduty"
    assert got.headers["X-PagerDuty-Signature"] == signature(door.sandbox.world.pagerduty.webhook_secret, got.body)
    assert got.headers["X-Webhook-Subscription"] == door.sandbox.world.pagerduty.subscription.id
    assert got.headers["User-Agent"] == "PagerDuty-Webhook/V3.0"
    assert got.headers["X-Webhook-Id"]
    assert "é".encode() in got.body


def test_several_secrets_are_several_signatures(door: Door, receiver: Receiver) -> None:
    door.sandbox.world.pagerduty.subscription.secrets = ["new", "old"]
    door.trigger("k")
    got = eventually(lambda: receiver.of("incident.triggered"))[0]
    assert got.headers["X-PagerDuty-Signature"] == f"{signature('new', got.body)},{signature('old', got.body)}"


def test_our_own_note_comes_back_with_the_bot_as_its_agent(door: Door, receiver: Receiver) -> None:
    incident = door.incident()
    add_note(door, incident, "Ripcord: taking web-frontend back.")
    event = eventually(lambda: receiver.of("incident.annotated"))[0].event
    bot = door.sandbox.world.pagerduty.account.bot
    assert (event["agent"]["id"], event["agent"]["type"]) == (bot.id, "user_reference")
    assert event["data"]["type"] == "incident_note"
    assert event["data"]["incident"]["id"] == incident
    assert event["data"]["content"] == "Ripcord: taking web-frontend back."


def test_an_edited_note_raises_nothing(door: Door, receiver: Receiver) -> None:
    incident = door.incident()
    path = f"/incidents/{incident}/notes"
    note = door.pagerduty("POST", path, {"note": {"content": "a"}}).json["note"]["id"]
    eventually(lambda: receiver.of("incident.annotated"))
    door.pagerduty("PUT", f"{path}/{note}", {"note": {"content": "b"}})
    never(lambda: len(receiver.got) > 2, for_seconds=0.3)


def test_every_change_of_an_incident_is_told_in_its_order(door: Door, receiver: Receiver) -> None:
    incident = door.incident()
    for status in ("acknowledged", "triggered", "resolved", "triggered"):
        door.pagerduty("PUT", f"/incidents/{incident}", {"incident": {"status": status}})
    eventually(lambda: len(receiver.got) == 5)
    assert [one.type.removeprefix("incident.") for one in receiver.got] == [
        "triggered",
        "acknowledged",
        "unacknowledged",
        "resolved",
        "reopened",
    ]
    assert receiver.got[4].event["data"]["reopened_at"]
    assert "reopened_at" not in receiver.got[0].event["data"]
    assert receiver.got[3].event["data"]["assignees"] == []


def test_a_workflow_started_by_hand_names_the_person(door: Door, receiver: Receiver) -> None:
    incident = door.incident()
    body = {"incident_workflow_instance": {"id": "mine", "incident": {"id": incident, "type": "incident_reference"}}}
    answer = door.pagerduty("POST", "/incident_workflows/PWF0001/instances", body, From="ana@example.com")
    assert answer.status == 201
    event = eventually(lambda: receiver.of("incident.workflow.started"))[0].event
    assert event["data"]["incident_workflow"]["id"] == "PWF0001"
    assert event["data"]["incident"]["id"] == incident
    assert event["agent"]["summary"] == "Ana Person"


def test_a_temporary_answer_is_repeated_with_the_same_webhook_id_after_a_growing_time(
    door: Door, receiver: Receiver
) -> None:
    answers = iter([500, 429, None, 202])
    receiver.answers = lambda received: next(answers)
    door.trigger("k")
    for attempts, wait in [(1, 1), (2, 2), (3, 4)]:
        eventually(lambda n=attempts: len(receiver.got) == n and webhook(door)["state"] == "retrying")
        door.control("clock", {"advance": wait - 0.9})
        never(lambda n=attempts: len(receiver.got) > n, for_seconds=0.2)
        door.control("clock", {"advance": 0.9})
    eventually(lambda: webhook(door)["state"] == "delivered")
    assert len({one.headers["X-Webhook-Id"] for one in receiver.got}) == 1
    assert len({one.body for one in receiver.got}) == 1


def webhook(door: Door, index: int = 0) -> dict[str, object]:
    return dict(door.sandbox.world.pagerduty.sender.state()["webhooks"][index])


def test_a_receiver_that_is_not_there_is_tried_again(door: Door, receiver: Receiver) -> None:
    receiver.server.shutdown()
    receiver.server.server_close()
    door.trigger("k")
    eventually(lambda: webhook(door)["state"] == "retrying")
    door.control("clock", {"advance": 1})
    eventually(lambda: webhook(door)["attempts"] == 2)


def test_later_events_of_an_incident_wait_behind_a_failing_one_and_others_do_not(
    door: Door, receiver: Receiver
) -> None:
    stuck = [True]
    receiver.answers = lambda received: 503 if stuck and received.event["data"].get("number") == 1 else 202
    door.trigger("one")
    eventually(lambda: webhook(door)["state"] == "retrying")
    add_note(door, "1")
    door.trigger("two")
    eventually(lambda: [one for one in receiver.got if one.event["data"].get("number") == 2])
    assert receiver.of("incident.annotated") == []
    stuck.clear()
    door.control("clock", {"advance": 60})
    eventually(lambda: receiver.of("incident.annotated"))
    assert [one.type for one in receiver.got if one.event["data"].get("number") != 2][-2:] == [
        "incident.triggered",
        "incident.annotated",
    ]


def test_another_4xx_drops_the_webhook_and_three_in_a_row_switch_the_subscription_off(
    door: Door, receiver: Receiver
) -> None:
    receiver.answers = lambda received: 404
    for index in range(3):
        door.trigger(f"k{index}")
        eventually(lambda n=index: webhook(door, n)["state"] == "dropped")
    assert subscription(door)["temporarily_disabled"] is True
    receiver.answers = lambda received: 202
    door.trigger("lost")
    never(lambda: len(receiver.got) > 3, for_seconds=0.3)
    key = door.sandbox.world.pagerduty.subscription.id
    assert door.pagerduty("POST", f"/webhook_subscriptions/{key}/enable").status == 200
    assert subscription(door)["temporarily_disabled"] is False
    door.trigger("told")
    eventually(lambda: len(receiver.got) == 4)


def subscription(door: Door) -> dict[str, object]:
    found = door.pagerduty("GET", "/webhook_subscriptions").json["webhook_subscriptions"]
    return dict(found[0]["delivery_method"])


def test_a_subscription_that_is_off_comes_back_after_24_hours_of_the_clock(door: Door, receiver: Receiver) -> None:
    receiver.answers = lambda received: 403
    for index in range(3):
        door.trigger(f"k{index}")
    eventually(lambda: subscription(door)["temporarily_disabled"])
    receiver.answers = lambda received: 202
    door.control("clock", {"advance": 24 * 3600})
    door.trigger("told")
    eventually(lambda: len(receiver.got) == 4)


def test_a_delivery_between_two_drops_keeps_the_subscription_on(door: Door, receiver: Receiver) -> None:
    answers = iter([404, 404, 202, 404, 404])
    receiver.answers = lambda received: next(answers)
    for index in range(5):
        door.trigger(f"k{index}")
        eventually(lambda n=index: webhook(door, n)["state"] in ("dropped", "delivered"))
    assert subscription(door)["temporarily_disabled"] is False


def test_switching_off_empties_the_queue(door: Door, receiver: Receiver) -> None:
    receiver.answers = lambda received: 404
    door.control("pagerduty", {"webhook": {"pause": True}})
    door.trigger("k")
    for _ in range(3):
        add_note(door, "1")
    assert door.sandbox.world.pagerduty.sender.state()["waiting"] == 4
    door.control("pagerduty", {"webhook": {"pause": False}})
    eventually(lambda: subscription(door)["temporarily_disabled"])
    assert [webhook(door, index)["state"] for index in range(4)] == ["dropped"] * 3 + ["lost with the queue"]
    assert door.sandbox.world.pagerduty.sender.state()["waiting"] == 0


def test_paused_webhooks_wait_and_then_go(door: Door, receiver: Receiver) -> None:
    door.control("pagerduty", {"webhook": {"pause": True}})
    door.trigger("k")
    never(lambda: receiver.got, for_seconds=0.3)
    door.control("pagerduty", {"webhook": {"pause": False}})
    eventually(lambda: len(receiver.got) == 1)


def test_a_second_subscription_shares_the_event_and_not_the_webhook_id(door: Door, receiver: Receiver) -> None:
    wanted = {
        "type": "webhook_subscription",
        "delivery_method": {"type": "http_delivery_method", "url": receiver.url + "/second"},
        "events": ["incident.triggered"],
        "filter": {"type": "service_reference", "id": "PCANARY"},
    }
    made = door.pagerduty("POST", "/webhook_subscriptions", {"webhook_subscription": wanted})
    assert made.status == 200
    secret = made.json["webhook_subscription"]["delivery_method"]["secret"]
    door.trigger("k")
    door.trigger("other", service="f")
    eventually(lambda: len(receiver.got) == 3)
    ours = [one for one in receiver.got if one.path.endswith("/second")]
    first = next(one for one in receiver.got if one.event["data"]["number"] == 1 and one not in ours)
    assert len(ours) == 1
    assert ours[0].event["id"] == first.event["id"]
    assert ours[0].headers["X-Webhook-Id"] != first.headers["X-Webhook-Id"]
    assert ours[0].headers["X-PagerDuty-Signature"] == signature(secret, ours[0].body)
    again = door.pagerduty("GET", f"/webhook_subscriptions/{made.json['webhook_subscription']['id']}")
    assert again.json["webhook_subscription"]["delivery_method"]["secret"] is None


def test_a_ping_carries_no_incident(door: Door, receiver: Receiver) -> None:
    key = door.sandbox.world.pagerduty.subscription.id
    assert door.pagerduty("POST", f"/webhook_subscriptions/{key}/ping").status == 202
    event = eventually(lambda: receiver.of("pagey.ping"))[0].event
    assert (event["resource_type"], event["agent"], event["data"]["type"]) == ("pagey", None, "ping")


@pytest.mark.parametrize(("secret", "sent"), [("s3cret", "s3cret"), (None, None), ("", None)])
def test_a_press_posts_an_unsigned_v2_body_to_the_button_of_its_runbook(
    door: Door, receiver: Receiver, secret: str | None, sent: str | None
) -> None:
    incident = door.incident()
    eventually(lambda: receiver.got)
    press = {"runbook": "abort-canary", "incident": incident, "user": "ana@example.com", "secret": secret}
    answer = door.control("pagerduty", {"press": press})
    got = eventually(lambda: pressed(receiver))
    assert got.path == "/webhooks/pagerduty/actions/abort-canary"
    assert got.headers.get("X-Ripcord-Secret") == sent
    assert "X-PagerDuty-Signature" not in got.headers
    (message,) = json.loads(got.body)["messages"]
    assert (message["id"], message["event"]) == (answer.json["message"], "incident.custom")
    assert message["log_entries"][0]["agent"]["summary"] == "Ana Person"
    assert message["incident"]["id"] == incident
    assert message["incident"]["service"]["id"] == "PCANARY"


def pressed(receiver: Receiver) -> Received | None:
    return next((one for one in receiver.got if "/actions/" in one.path), None)


def test_a_press_without_a_named_secret_uses_the_account_s(door: Door, receiver: Receiver) -> None:
    incident = door.incident()
    door.control("pagerduty", {"press": {"runbook": "x", "incident": incident}})
    got = eventually(lambda: pressed(receiver))
    assert got.headers["X-Ripcord-Secret"] == door.sandbox.world.pagerduty.account.action_secret


def test_a_press_with_a_name_and_a_secret_that_no_header_can_carry_stops_nobody_else(
    door: Door, receiver: Receiver
) -> None:
    incident = door.incident()
    door.control("pagerduty", {"press": {"runbook": "a b/é", "incident": incident, "secret": "€"}})
    door.control("pagerduty", {"press": {"runbook": "a b/é", "incident": door.incident(), "secret": "x"}})
    assert eventually(lambda: pressed(receiver)).path == "/webhooks/pagerduty/actions/a%20b%2F%C3%A9"


def test_a_press_on_an_incident_that_is_not_there_is_refused(door: Door) -> None:
    answer = door.control("pagerduty", {"press": {"runbook": "x", "incident": "QNOBODY"}})
    assert answer.status == 400
    assert "QNOBODY" in answer.json["error"]

"""POST /webhooks/pagerduty/actions/<runbook>: a person pressed a button. Not signed, so a secret stands in."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.core.delivery import Delivery
from server.store import deliveries
from server.triggers import TRIGGERS
from tests.web.conftest import Door
from tests.web.signing import body
from tests.web.test_door import HARD, NOT_OBJECTS

SECRET = "one-action-secret-of-the-tests"
URL = "/webhooks/pagerduty/actions/abort-canary"
BUTTON = TRIGGERS["pagerduty_action"]


def press(message_id: str = "M1") -> bytes:
    """A V2 body."""
    entry = {"agent": {"id": "PUSR001", "type": "user_reference", "summary": "A. Person"}}
    message: dict[str, Any] = {
        "id": message_id,
        "event": "incident.custom",
        "created_on": "2026-11-24T03:12:34Z",
        "log_entries": [entry],
        "incident": {"id": "QINC1", "title": "é hurts"},
    }
    return body({"messages": [message]})


@pytest.fixture
def client(door: Door) -> FlaskClient:
    """The same web with an action secret (and an older one)."""
    settings = replace(door.parts.settings, pagerduty_action_secrets=("older", SECRET))
    return create_app(settings, replace(door.parts, settings=settings)).test_client()


def basic(user: str, password: str) -> dict[str, str]:
    """Basic auth."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "auth"),
    [({"X-Ripcord-Secret": SECRET}, "header_secret"), (basic("pagerduty", SECRET), "basic")],
)
def test_a_press_with_our_secret_is_one_delivery_that_names_button_person_and_incident(
    client: FlaskClient, door: Door, headers: dict[str, str], auth: str
) -> None:
    answer = client.post(URL, data=press(), headers=headers)
    assert answer.status_code == 202
    with door.parts.reading.connect() as connection:
        loaded = deliveries.load(connection, answer.json["delivery"])
    assert loaded is not None
    told = loaded.stored.delivery
    assert (told.trigger, told.auth, told.runbook, told.event_type) == (
        "pagerduty_action",
        auth,
        "abort-canary",
        "incident.custom",
    )
    assert (told.incident, told.agent, told.agent_name, told.event_key) == ("QINC1", "PUSR001", "A. Person", "M1")


@pytest.mark.parametrize("headers", [{"X-Ripcord-Secret": SECRET}, basic("x", SECRET)])
def test_the_stored_press_can_be_tested_again_and_no_secret_is_stored(
    client: FlaskClient, door: Door, headers: dict[str, str]
) -> None:
    answer = client.post(URL, data=press(), headers=headers)
    with door.parts.reading.connect() as connection:
        loaded = deliveries.load(connection, answer.json["delivery"])
    assert loaded is not None
    assert BUTTON.authentic(loaded.headers, loaded.raw, (SECRET,)) == loaded.stored.delivery.auth
    assert BUTTON.authentic(loaded.headers, loaded.raw + b" ", (SECRET,)) is None
    assert BUTTON.authentic({**loaded.headers, "X-Ripcord-Button": "disable-flag"}, loaded.raw, (SECRET,)) is None
    assert BUTTON.authentic(loaded.headers, loaded.raw, ("another",)) is None
    assert SECRET not in json.dumps(dict(loaded.headers))
    assert base64.b64encode(f"x:{SECRET}".encode()).decode() not in json.dumps(dict(loaded.headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Ripcord-Secret": ""},
        {"X-Ripcord-Secret": "wrong"},
        {"X-Ripcord-Secret": "é"},
        {"X-Ripcord-Seal": "0" * 64},
        basic(SECRET, ""),
        basic("x", "wrong"),
        {"Authorization": "Basic !!!"},
        {"Authorization": f"Bearer {SECRET}"},
    ],
)
def test_a_press_without_our_secret_is_403_and_not_kept(
    client: FlaskClient, door: Door, headers: dict[str, str]
) -> None:
    assert client.post(URL, data=press(), headers=headers).status_code == 403
    assert door.rows() == []


def test_without_an_action_secret_a_press_is_told_503(door: Door) -> None:
    answer = door.client.post(URL, data=press(), headers={"X-Ripcord-Secret": ""})
    assert (answer.status_code, "RIPCORD_PAGERDUTY_ACTION_SECRETS" in answer.text) == (503, True)


def test_the_webhook_secret_opens_no_button_and_the_action_secret_signs_no_webhook(client: FlaskClient) -> None:
    from tests.web.signing import SECRET as SIGNING
    from tests.web.signing import signed

    raw = press()
    assert client.post(URL, data=raw, headers={"X-Ripcord-Secret": SIGNING}).status_code == 403
    assert client.post("/webhooks/pagerduty", data=raw, headers=signed(raw, SECRET)).status_code == 403


def test_a_repeated_press_is_a_duplicate_and_a_second_press_is_none(client: FlaskClient) -> None:
    secret = {"X-Ripcord-Secret": SECRET}
    first = client.post(URL, data=press("M1"), headers=secret).json
    again = client.post(URL, data=press("M1"), headers=secret).json
    second = client.post(URL, data=press("M2"), headers=secret).json
    assert again == {"delivery": first["delivery"], "duplicate": True}
    assert second["duplicate"] is False


@pytest.mark.parametrize("name", ["nobody-knows-me", "é", "x" * 300, "{{7*7}}"])
def test_a_button_that_nobody_knows_is_accepted_all_the_same(client: FlaskClient, door: Door, name: str) -> None:
    answer = client.post(f"/webhooks/pagerduty/actions/{name}", data=press(), headers={"X-Ripcord-Secret": SECRET})
    assert (answer.status_code, len(door.rows())) == (202, 1)


@pytest.mark.parametrize("value", [{}, {"messages": []}, {"messages": [5]}, {"messages": {"id": 1}}, {"event": None}])
def test_a_press_of_another_shape_is_accepted_all_the_same(client: FlaskClient, value: object) -> None:
    assert client.post(URL, data=body(value), headers={"X-Ripcord-Secret": SECRET}).status_code == 202


@pytest.mark.parametrize("raw", NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
def test_a_press_that_is_no_json_object_is_400_in_one_sentence(client: FlaskClient, door: Door, raw: bytes) -> None:
    answer = client.post(URL, data=raw, headers={"X-Ripcord-Secret": SECRET})
    assert (answer.status_code, answer.text.count("\n"), door.rows()) == (400, 1, [])


@pytest.mark.parametrize("raw", HARD.values(), ids=HARD.keys())
def test_hard_json_in_a_press_is_kept_or_refused_but_never_an_error_of_ours(client: FlaskClient, raw: bytes) -> None:
    assert client.post(URL, data=raw, headers={"X-Ripcord-Secret": SECRET}).status_code in (202, 400)


def parsed(*messages: Any) -> tuple[tuple[Delivery, ...], int]:
    """What the executing process makes of a body."""
    return BUTTON.messages({"X-Ripcord-Button": "abort-canary"}, body({"messages": list(messages)}), "header_secret")


def test_every_message_of_a_body_is_told_in_its_order_and_the_first_is_the_one_that_the_door_keeps() -> None:
    one, two = json.loads(press("M1"))["messages"][0], json.loads(press("M2"))["messages"][0]
    told, left = parsed(one, two)
    assert ([each.event_key for each in told], left) == (["M1", "M2"], 0)
    raw = body({"messages": [one, two]})
    assert BUTTON.parse({"X-Ripcord-Button": "abort-canary"}, raw, "header_secret").event_key == "M1"


def test_messages_without_an_id_are_told_apart_by_their_place() -> None:
    told, _ = parsed({}, 7, None)
    assert len({each.event_key for each in told}) == 3
    assert {each.event_key.split("/")[0] for each in told} == {f"sha256:{told[0].body_sha256}"}


def test_no_more_than_a_hundred_messages_of_a_body_are_taken_and_the_rest_is_counted() -> None:
    told, left = parsed(*[{"id": f"M{n}"} for n in range(130)])
    assert (len(told), told[-1].event_key, left) == (100, "M99", 30)

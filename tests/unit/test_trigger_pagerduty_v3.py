"""PagerDuty's v3 webhooks: what is authentic, what is kept of them, and the little that is rejected."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from server.core.delivery import Delivery
from server.errors import Rejected
from server.triggers.pagerduty_v3 import authentic, parse

VECTOR_SECRET = "example-signing-secret"
VECTOR = '{"event":{"id":"01TEST","event_type":"pagey.ping","data":{"message":"héllo","type":"ping"}}}'.encode()
VECTOR_SIGNATURE = "v1=1c5149dfa87fccee584761df1905e7037132e58f1fe1df9546bf08744678adb3"


def signature(raw: bytes, secret: str = VECTOR_SECRET) -> str:
    return "v1=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def fits(header: str | None, raw: bytes = VECTOR, secrets: tuple[str, ...] = (VECTOR_SECRET,)) -> bool:
    return authentic({} if header is None else {"X-PagerDuty-Signature": header}, raw, secrets) == "v3_hmac"


def parsed(event: Any, headers: dict[str, str] | None = None) -> Delivery:
    return parse(headers or {}, json.dumps({"event": event}).encode(), "v3_hmac")


def of(kind: str, data: dict[str, Any], **event: Any) -> Delivery:
    return parsed({"id": "01E", "event_type": kind, "data": data, **event})


# Signatures -----------------------------------------------------------------------------------------------------------


def test_the_published_vector_fits() -> None:
    assert fits(VECTOR_SIGNATURE)


@pytest.mark.parametrize(
    "header",
    [
        f"v1={'0' * 64},{VECTOR_SIGNATURE}",
        f" v1={'0' * 64} , {VECTOR_SIGNATURE} ",
        f"v2={'0' * 64},{VECTOR_SIGNATURE}",
    ],
    ids=["second", "spaces of a folding proxy", "another version before it"],
)
def test_any_signature_of_the_list_may_fit(header: str) -> None:
    assert fits(header)


def test_any_secret_may_fit() -> None:
    assert fits(VECTOR_SIGNATURE, secrets=("retired", VECTOR_SECRET))


def test_the_headers_name_may_be_written_in_any_case() -> None:
    assert authentic({"x-pagerduty-signature": VECTOR_SIGNATURE}, VECTOR, (VECTOR_SECRET,)) == "v3_hmac"


@pytest.mark.parametrize(
    "header",
    [
        None, "", "v1=", "v1=zz", "é", "v1=é" * 9, "," * 500,
        VECTOR_SIGNATURE[3:], VECTOR_SIGNATURE.replace("v1", "v2"), VECTOR_SIGNATURE[:-1], VECTOR_SIGNATURE.upper(),
    ],
)  # fmt: skip
def test_a_missing_or_garbled_signature_does_not_fit(header: str | None) -> None:
    assert not fits(header)


def test_one_changed_byte_does_not_fit() -> None:
    assert not fits(VECTOR_SIGNATURE, VECTOR.replace(b"ping", b"pong", 1))


def test_json_written_anew_does_not_fit() -> None:
    assert not fits(VECTOR_SIGNATURE, json.dumps(json.loads(VECTOR)).encode())


def test_an_empty_secret_opens_nothing() -> None:
    assert not fits(signature(VECTOR, ""), secrets=("",))
    assert not fits(VECTOR_SIGNATURE, secrets=())


# What is kept ---------------------------------------------------------------------------------------------------------


def test_an_incident_event_names_its_incident_ids_and_time() -> None:
    data = {"id": "QINC1", "type": "incident", "title": "checkout hurts"}
    agent = {"id": "PUSR001", "type": "user_reference", "summary": "A. Person"}
    event = {"id": "01E", "event_type": "incident.triggered", "occurred_at": "2026-11-24T03:12:34.000Z", "data": data}
    delivery = parsed({**event, "agent": agent}, {"X-Webhook-Id": "W1"})
    assert (delivery.incident, delivery.event_type, delivery.event_key) == ("QINC1", "incident.triggered", "01E")
    assert (delivery.webhook_id, delivery.title) == ("W1", "checkout hurts")
    assert (delivery.agent, delivery.agent_type, delivery.agent_name) == ("PUSR001", "user_reference", "A. Person")
    assert delivery.occurred_at is not None
    assert delivery.occurred_at.isoformat() == "2026-11-24T03:12:34+00:00"


@pytest.mark.parametrize(
    ("kind", "data", "incident"),
    [
        ("incident.triggered", {"id": "QINC1", "type": "incident"}, "QINC1"),
        ("incident.annotated", {"id": "PNOTE1", "type": "incident_note", "incident": {"id": "QINC1"}}, "QINC1"),
        ("incident.workflow.started",
         {"id": "PWFI1", "type": "incident_workflow_instance", "incident": {"id": "QINC1"}}, "QINC1"),
        ("incident.role.assigned",
         {"type": "incident_role_assignment", "incident_role_assignments": [{"incident": {"id": "QINC1"}}]}, "QINC1"),
        ("incident.role.assigned", {"type": "incident_role_assignment", "incident_role_assignments": []}, None),
        ("service.updated", {"id": "PSVC1", "type": "service"}, None),
        ("service.custom_field_values.updated", {"type": "service_field_values", "service": {"id": "PSVC1"}}, None),
        ("pagey.ping", {"message": "text", "type": "ping"}, None),
    ],
)  # fmt: skip
def test_the_incident_is_found_where_each_kind_of_data_keeps_it(
    kind: str, data: dict[str, Any], incident: str | None
) -> None:
    assert of(kind, data).incident == incident


def test_only_a_workflow_that_a_person_started_is_an_order() -> None:
    data = {"type": "incident_workflow_instance", "incident": {"id": "QINC1"}, "incident_workflow": {"id": "PWF0001"}}
    person, machine = (
        {"id": "PUSR001", "type": "user_reference"},
        {"id": "PINT1", "type": "inbound_integration_reference"},
    )
    assert of("incident.workflow.started", data, agent=person).workflow == "PWF0001"
    assert of("incident.workflow.started", data, agent=machine).workflow is None
    assert of("incident.workflow.started", data, agent=None).workflow is None
    assert of("incident.workflow.completed", data, agent=person).workflow is None


def test_without_an_event_id_the_bodys_hash_is_the_key() -> None:
    raw = b'{"event":{"event_type":"incident.triggered"}}'
    assert parse({}, raw, "v3_hmac").event_key == "sha256:" + hashlib.sha256(raw).hexdigest()


def test_an_id_too_long_to_keep_whole_never_makes_two_events_one() -> None:
    first, second = parsed({"id": "x" * 300 + "1"}), parsed({"id": "x" * 300 + "2"})
    assert first.event_key != second.event_key


def test_an_incident_id_is_kept_whole_or_not_at_all() -> None:
    assert of("incident.triggered", {"id": "Q" * 65, "type": "incident"}).incident is None


@pytest.mark.parametrize(
    ("title", "kept"),
    [("é {{7*7}} ${x}", "é {{7*7}} ${x}"), ("a\x00b", "a\ufffdb"), ("a\ud800b", "a\ufffdb"), (None, ""), (["x"], "")],
)
def test_a_hostile_title_is_text_and_storable(title: Any, kept: str) -> None:
    delivery = of("incident.triggered", {"id": "QINC1", "type": "incident", "title": title})
    assert delivery.title == kept
    assert Delivery.model_validate_json(delivery.model_dump_json()) == delivery


@pytest.mark.parametrize("event", [None, [], "text", 5, {}, {"data": []}, {"agent": "x", "data": {"incident": []}}])
def test_what_we_do_not_understand_is_kept_and_starts_nothing(event: Any) -> None:
    delivery = parsed(event)
    assert (delivery.event_type, delivery.incident, delivery.occurred_at) == ("", None, None)


# What is rejected -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe\xff", "the body is not JSON"),
        (b'{"a": NaN}', "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'"text"', "the body is not a JSON object"),
        (b'{"a":' * 100_000, "the body is nested too deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "the body is nested too deep"),
    ],
)
def test_what_is_not_a_json_object_is_rejected_with_one_sentence(raw: bytes, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse({}, raw, "v3_hmac")
    assert caught.value.status == 400
    assert caught.value.said == f"{said}: this message was not taken"


def test_a_body_at_the_deepest_level_is_taken() -> None:
    assert parse({}, b'{"a":' * 64 + b"1" + b"}" * 64, "v3_hmac").event_type == ""


def test_a_number_of_five_thousand_digits_is_no_reason_to_lose_an_event() -> None:
    assert parse({}, b'{"event":{"id":"01E"},"n":' + b"9" * 5000 + b"}", "v3_hmac").event_key == "01E"


def test_a_note_is_known_by_its_id_and_nothing_else_is_called_one() -> None:
    data = {"id": "PN1", "type": "incident_note", "incident": {"id": "QINC1"}}
    for kind, note in (("incident.annotated", "PN1"), ("incident.triggered", None)):
        raw = json.dumps({"event": {"event_type": kind, "data": data}}).encode()
        assert (parse({}, raw, "v3_hmac").note, parse({}, raw, "v3_hmac").incident) == (note, "QINC1")

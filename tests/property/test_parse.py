"""Whatever arrives: parse says Rejected or gives a delivery that can be stored, and nothing else ever."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.delivery import Delivery
from server.core.pagerduty import details
from server.errors import Rejected
from server.triggers.pagerduty_v3 import authentic, parse

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(["incident", "incident_note", "incident_role_assignment", "incident_workflow_instance"])
REFERENCE = st.fixed_dictionaries({}, optional={"id": JSON, "type": KINDS | JSON, "summary": JSON}) | JSON
DATA = st.fixed_dictionaries(
    {},
    optional={
        "id": ANY_TEXT | JSON,
        "type": KINDS | JSON,
        "title": JSON,
        "incident": REFERENCE,
        "incident_workflow": REFERENCE,
        "incident_role_assignments": st.lists(st.fixed_dictionaries({"incident": REFERENCE}) | JSON, max_size=2) | JSON,
    },
)
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "id": ANY_TEXT | JSON,
        "event_type": st.sampled_from(["incident.triggered", "incident.workflow.started"]) | JSON,
        "occurred_at": st.datetimes().map(lambda at: at.isoformat() + "Z") | JSON,
        "agent": REFERENCE,
        "data": DATA | JSON,
    },
)
HEADERS = st.dictionaries(st.sampled_from(["X-Webhook-Id", "x-webhook-id", "X-PagerDuty-Signature"]), ANY_TEXT)


def stored(raw: bytes, headers: dict[str, str]) -> Delivery | None:
    try:
        delivery = parse(headers, raw, "v3_hmac")
    except Rejected:
        return None
    assert Delivery.model_validate_json(delivery.model_dump_json()) == delivery
    assert "\x00" not in delivery.model_dump_json()
    assert "\\u0000" not in delivery.model_dump_json()
    assert parse(headers, raw, "v3_hmac") == delivery
    return delivery


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), HEADERS)
def test_any_bytes_are_rejected_or_storable(raw: bytes, headers: dict[str, str]) -> None:
    stored(raw, headers)


@settings(max_examples=100, deadline=None)
@given(JSON, HEADERS)
def test_any_json_object_is_kept(value: Any, headers: dict[str, str]) -> None:
    kept = stored(json.dumps(value).encode(), headers)
    assert (kept is not None) == isinstance(value, dict)


@settings(max_examples=100, deadline=None)
@given(EVENT, HEADERS)
def test_any_event_of_the_right_shape_or_nearly_so_is_kept(event: dict[str, Any], headers: dict[str, str]) -> None:
    assert stored(json.dumps({"event": event}).encode(), headers) is not None


@settings(max_examples=100, deadline=None)
@given(HEADERS, st.binary(max_size=50), st.lists(st.text(max_size=20), max_size=3))
def test_no_header_made_up_by_a_stranger_opens_the_door_or_breaks_it(
    headers: dict[str, str], raw: bytes, secrets: list[str]
) -> None:
    assert authentic(headers, raw, secrets) is None


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional={"details": JSON, "cef_details": st.fixed_dictionaries({"details": JSON}) | JSON}
    )
)
def test_any_details_can_be_stored(body: dict[str, Any]) -> None:
    found = details(body)
    text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    assert text.encode("utf-8")
    assert "\\u0000" not in text

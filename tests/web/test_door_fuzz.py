"""Whatever is signed is kept or refused in one sentence; whatever is not is refused: never an error of ours, on any door."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.web.conftest import Door
from tests.web.signing import body, event, signed

ROUTES = ("/webhooks/pagerduty", "/webhooks/pagerduty/actions/x", "/webhooks/argo-rollouts", "/readyz", "/nothing/%ff")
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
REAL = body(event(title="é"))


@given(changes=st.dictionaries(st.sampled_from([*event()["event"], "client", "x"]), values))
@QUICK
def test_an_event_with_any_field_of_any_shape_is_accepted(door: Door, changes: dict[str, object]) -> None:
    raw = json.dumps({"event": event()["event"] | changes}).encode()
    assert door.post(ROUTES[0], raw, signed(raw)).status_code == 202


@given(at=st.integers(0, len(REAL) - 1), other=st.binary(max_size=4), cut=st.integers(0, 8))
@example(at=0, other=b"\xef\xbb\xbf", cut=0)
@QUICK
def test_signed_bytes_with_any_damage_are_kept_or_400(door: Door, at: int, other: bytes, cut: int) -> None:
    raw = REAL[:at] + other + REAL[at + cut :]
    answer = door.post(ROUTES[0], raw, signed(raw))
    assert answer.status_code in (202, 400)
    assert answer.text.count("\n") == 1


@given(
    route=st.sampled_from(ROUTES),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]),
    raw=st.binary(max_size=200),
    header=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
)
@QUICK
def test_a_stranger_never_finds_an_error_of_ours_or_a_way_in(
    door: Door, route: str, method: str, raw: bytes, header: str
) -> None:
    headers = {"X-PagerDuty-Signature": header, "X-Ripcord-Secret": header, "Content-Type": header}
    answer = door.client.open(route, method=method, data=raw, headers=headers)
    assert answer.status_code in (200, 403, 404, 405, 503)
    assert answer.status_code != 503 or "RIPCORD_PAGERDUTY_ACTION_SECRETS" in answer.text
    assert door.rows() == []

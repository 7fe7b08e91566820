"""A metric against its limit: what the plot shows is what was measured, whatever the numbers are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.web import metrics
from server.web.plot import BOTTOM, TOP, Limit, draw
from tests.web.rows import look

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
NUMBERS = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)


def values(*numbers: float) -> list[tuple[datetime, float]]:
    """One value each minute."""
    return [(AT + timedelta(minutes=n), number) for n, number in enumerate(numbers)]


@given(
    st.lists(NUMBERS, min_size=2, max_size=30),
    st.none() | st.tuples(NUMBERS, st.booleans()),
    st.none() | st.integers(-600, 6000),
)
def test_everything_is_drawn_inside_the_frame_in_the_order_of_time(
    numbers: list[float], limit: tuple[float, bool] | None, act: int | None
) -> None:
    acted = None if act is None else AT + timedelta(seconds=act)
    plot = draw("m", values(*numbers), None if limit is None else Limit(*limit), acted)
    assert plot is not None
    across = [float(dot.x.rstrip("%")) for dot in plot.dots]
    down = [float(dot.y) for dot in plot.dots]
    assert across == sorted(across)
    assert all(0 <= x <= 100 for x in across)
    assert all(TOP <= y <= BOTTOM for y in down)
    if plot.limit is not None:
        assert TOP <= float(plot.limit[0]) <= BOTTOM
    if plot.act is not None:
        assert 0 <= float(plot.act[0].rstrip("%")) <= 100


def test_a_value_over_the_limit_lies_on_its_bad_side_and_one_under_it_does_not() -> None:
    plot = draw("error-rate", values(0.02, 0.087), Limit(0.05, True), None)
    assert plot is not None
    assert plot.limit is not None
    limit = float(plot.limit[0])
    good, bad = (float(dot.y) for dot in plot.dots)
    assert bad < limit < good
    assert plot.over is not None
    assert float(plot.over[0]) + float(plot.over[1]) == pytest.approx(limit, abs=0.11)


def test_where_too_little_is_bad_the_bad_side_is_below() -> None:
    plot = draw("success-rate", values(0.999, 0.9), Limit(0.99, False), None)
    assert plot is not None
    assert plot.over is not None
    assert plot.limit is not None
    assert float(plot.over[0]) == float(plot.limit[0])
    assert plot.limit[1] == "at least 0.99"


def test_the_story_for_somebody_who_sees_no_plot_has_every_value_the_limit_and_the_act() -> None:
    plot = draw("error-rate", values(0.02, 0.087), Limit(0.05, True), AT + timedelta(seconds=90))
    assert plot is not None
    assert plot.told == "error-rate: 0.02 at 03:00:00, 0.087 at 03:01:00, limit 0.05. Ripcord acted at 03:01:30."


def test_one_value_makes_no_line() -> None:
    assert draw("m", values(1.0), None, None) is None
    assert draw("m", [(AT, 1.0), (AT, 2.0)], None, None) is None


@pytest.mark.parametrize(
    ("required", "limit"),
    [
        ("result[0] <= 0.05", Limit(0.05, True)),
        ("len(result) > 0 && result[0] < 500", Limit(500.0, True)),
        ("result >= 0.99", Limit(0.99, False)),
        ("result > -1", Limit(-1.0, False)),
        ("not result[0] > 5 || isNaN(result)", None),
        ("", None),
    ],
)
def test_the_limit_is_the_number_at_the_end_of_the_condition(required: str, limit: Limit | None) -> None:
    assert metrics.limit_of(required) == limit


def test_metrics_that_speak_against_the_version_come_first() -> None:
    state = look(25, aborted=False)
    [run] = state["analysis"]
    fine = {**run["metrics"][0], "name": "latency", "phase": "Successful", "failed": 0}
    run["metrics"] = [fine, *run["metrics"]]
    found = metrics.measured(state, {})
    assert [(one.name, one.against) for one in found] == [("error-rate", True), ("latency", False)]
    assert metrics.worst(state).startswith("error-rate 0.087, limit 0.05 ")


@pytest.mark.parametrize("value", ["", "NaN", "[]", "[1,2]", "1e999", "{{7*7}}", "['0.5']", "+Inf"])
def test_a_value_that_is_no_number_is_shown_and_not_drawn(value: str) -> None:
    state = look(25, aborted=False)
    metric = state["analysis"][0]["metrics"][0]
    metric["measured"] = [["2026-11-24T03:05:40Z", value, "Error"], ["yesterday", value, "Failed"]]
    [found] = metrics.measured(state, {})
    assert found.plot is None
    assert [reading.value for reading in found.readings] == [value or "none"] * 2
    assert found.readings[1].at is None


def test_a_look_of_something_else_has_no_metrics() -> None:
    assert metrics.measured({"on": True}, {"analysis": [{"nonsense": 1}]}) == ()
    assert metrics.worst({"analysis": "text"}) == ""

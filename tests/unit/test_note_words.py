"""The words of the note, for every way in which a run can end; and foreign text, which makes no line, marker or result of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from server.core import note
from server.core.incident import Alert
from server.core.outcome import Call, Judged, Plan, Remarks
from server.core.run import Report, RunSpec
from server.core.states import FINAL, State
from tests.flow.inline import START
from tests.flow.values import spec as run_spec

URL, HEAD = "https://ripcord.example", (1234, "9f3c0d1e77aa01b2" + "0" * 48)
EVIDENCE = "Evidence: https://ripcord.example/runs/r-3f  chain 1234:9f3c0d1e77aa01b2  [ripcord r-3f/note]"
DONE = "aborted production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b"
PROOF = "controller 03:12:34Z; traffic 0 % canary, 10/10 stable"
PLAN = Plan(
    said="abort production/web-frontend, canary 7d9f 25 % -> 0 %, stable 5c4b",
    calls=(Call(method="PATCH", path="/x", body=[], said="abort"),),
    judged=Judged(revision="7d9f", since=None),
)
ALREADY = PLAN.model_copy(update={"calls": (), "said": "production/web-frontend: aborted already at 03:12:01Z, by kim"})
ACTED = (State.PROVEN, State.FAILED, State.UNPROVEN)


def alert(summary: str = "", **details: Any) -> Alert:
    return Alert(id="A1", status="triggered", created_at=START, summary=summary, details=details or None)


HURTS = alert(alertname="CanaryHighErrorRate", rollout="web-frontend", error_rate="8.3 %", limit="5 %")


def spec(*alerts: Alert, **changed: Any) -> RunSpec:
    return run_spec(id="r-3f", target="web-frontend", alerts=alerts or (HURTS,), **changed)


def report(state: State, said: str = "reason", plan: Plan | None = PLAN, seconds: float = 9.2, **words: Any) -> Report:
    remarks = Remarks(**{"done": DONE, "proof": PROOF, **words})
    return Report(state=state, said=said, plan=plan, remarks=remarks, seconds=seconds, ended_at=START)


def last(about: RunSpec, end: Report) -> list[str]:
    return note.last(about, end, URL, HEAD).split("\n")


# ---- the words ----


def test_the_note_of_a_proven_run_reads_as_the_contract_has_it() -> None:
    held = "controller failing over"
    assert last(spec(), report(State.PROVEN, held=(held,))) == [
        "Ripcord: web-frontend is back on stable. PROVEN in 9 s.",
        "Wrong: CanaryHighErrorRate, error rate 8.3 % (limit 5 %), as the alert says",
        f"Done: {DONE}",
        f"Proof: {PROOF}; criteria not declared",
        f"Held: {held}",
        EVIDENCE,
    ]


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State.PROVEN, "Ripcord: web-frontend is back on stable. PROVEN in 9 s."),
        (State.FAILED, "Ripcord: web-frontend: tried, NOT PROVEN: a person is needed"),
        (State.UNPROVEN, "Ripcord: web-frontend: tried, NOT PROVEN: a person is needed"),
        (State.REFUSED, "Ripcord: web-frontend: did nothing: reason"),
        (State.NOTHING_TO_DO, "Ripcord: web-frontend: did nothing: reason"),
        (State.OBSERVED, "Ripcord: web-frontend: observed: would have reason"),
    ],
)
def test_each_end_has_its_first_line(state: State, line: str) -> None:
    assert last(spec(), report(state))[0] == line


def test_every_final_state_has_a_first_line_of_its_own_kind() -> None:
    known = re.compile(r"PROVEN in \d+ s\.$|NOT PROVEN: a person is needed$|did nothing: |observed: would have ")
    assert all(len(known.findall(last(spec(), report(state))[0])) == 1 for state in FINAL)


def test_while_it_is_under_way_the_first_line_claims_nothing() -> None:
    lines = note.first(spec(), URL, HEAD).split("\n")
    assert lines == [
        "Ripcord: taking web-frontend back. Proof follows.",
        "Evidence: https://ripcord.example/runs/r-3f  chain 1234:9f3c0d1e77aa01b2  [ripcord r-3f/note]",
    ]
    assert not re.search("PROVEN|did nothing|observed", lines[0])


def test_a_proof_within_a_second_took_one_second() -> None:
    assert last(spec(), report(State.PROVEN, seconds=0.2))[0].endswith("PROVEN in 1 s.")


@pytest.mark.parametrize(
    ("plan", "said", "line"),
    [
        (PLAN, PLAN.said, f"would have {DONE}"),
        (ALREADY, ALREADY.said, f"would have written nothing: {ALREADY.said}"),
    ],
)
def test_an_observed_run_says_what_it_would_have_done(plan: Plan, said: str, line: str) -> None:
    assert last(spec(), report(State.OBSERVED, said, plan))[0] == f"Ripcord: web-frontend: observed: {line}"


def kinds(lines: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines]


@pytest.mark.parametrize(
    ("state", "plan", "wanted"),
    [
        (State.PROVEN, PLAN, ["Ripcord", "Wrong", "Done", "Proof", "Evidence"]),
        (State.FAILED, PLAN, ["Ripcord", "Wrong", "Done", "Proof", "Evidence"]),
        (State.UNPROVEN, PLAN, ["Ripcord", "Wrong", "Done", "Proof", "Evidence"]),
        (State.NOTHING_TO_DO, ALREADY, ["Ripcord", "Wrong", "Proof", "Evidence"]),
        (State.OBSERVED, PLAN, ["Ripcord", "Wrong", "Evidence"]),
        (State.REFUSED, PLAN, ["Ripcord", "Wrong", "Evidence"]),
        (State.REFUSED, None, ["Ripcord", "Evidence"]),
    ],
)
def test_each_end_has_its_lines(state: State, plan: Plan | None, wanted: list[str]) -> None:
    assert kinds(last(spec(), report(state, plan=plan))) == wanted


def proof_of(end: Report) -> str:
    (line,) = [line for line in last(spec(), end) if line.startswith("Proof")]
    return line


def test_only_a_proven_run_says_that_no_criteria_were_declared() -> None:
    assert "criteria" not in proof_of(report(State.UNPROVEN))


@pytest.mark.parametrize("state", [State.FAILED, State.UNPROVEN])
def test_without_a_proof_its_line_says_first_why_and_then_what_was_read(state: State) -> None:
    """The numbers alone would read as if traffic were back."""
    said = "not proven within 60 s: Service web-stable selects 7d9f, not stable 5c4b"
    assert proof_of(report(state, said)) == f"Proof: none: {said}; read: {PROOF}"


def test_where_nothing_could_be_read_the_reason_alone_stands_there() -> None:
    said = "production/web-frontend is gone or cannot be read: deleted meanwhile"
    assert proof_of(report(State.UNPROVEN, said, proof="none: it cannot be read")) == f"Proof: none: {said}"


def test_a_long_reason_leaves_room_for_what_was_read() -> None:
    assert proof_of(report(State.UNPROVEN, "x" * 2000)).endswith(f"; read: {PROOF}")


def test_without_words_of_the_action_the_reason_stands_in_their_place() -> None:
    lines = last(spec(), report(State.UNPROVEN, "a bug in Ripcord (x)", done="", proof=""))
    assert lines[2:4] == ["Done: a bug in Ripcord (x)", "Proof: a bug in Ripcord (x)"]


def test_what_held_it_up_and_what_to_mind_have_a_line_each() -> None:
    lines = last(spec(), report(State.UNPROVEN, held=("a", "b"), mind=("c", "d")))
    assert lines[4:-1] == ["Held: a", "Held: b", "Mind: c", "Mind: d"]


@pytest.mark.parametrize(
    ("alerts", "words", "line"),
    [
        ((HURTS,), {"wrong": "error-rate 0.087 (limit 0.05)"}, "CanaryHighErrorRate, error-rate 0.087 (limit 0.05)"),
        ((alert("it burns", rollout="web"),), {}, "it burns, the alert gives no numbers"),
        ((alert("it burns"),), {}, "it burns, the alert gives no numbers"),
        ((alert(alertname="A", threshold=5, p99_ms=812),), {}, "A, p99 ms 812 (limit 5), as the alert says"),
        ((alert(alertname="A", error_rate="8 %"),), {}, "A, error rate 8 %, as the alert says"),
        ((alert(alertname="Old"), alert(alertname="New")), {}, "New, the alert gives no numbers"),
        ((alert(alertname=["x"], deep={"a": 1}, empty="", none=None),), {}, "web hurts, the alert gives no numbers"),
    ],
)
def test_what_hurts_is_said_with_where_it_is_known_from(alerts: Any, words: dict[str, str], line: str) -> None:
    assert last(spec(*alerts), report(State.PROVEN, **words))[1] == f"Wrong: {line}"


def test_without_an_alert_the_incident_has_the_name() -> None:
    about = run_spec(incident_title="checkout hurts", alerts=())
    assert last(about, report(State.PROVEN))[1] == "Wrong: checkout hurts, the alert gives no numbers"


# ---- the marker ----


def test_the_marker_ends_the_note_and_a_second_note_has_another_one() -> None:
    text = note.last(spec(), report(State.PROVEN), URL, HEAD)
    assert text.endswith("[ripcord r-3f/note]")
    assert note.another(text, "r-3f") == text.removesuffix("/note]") + "/note/2]"
    assert not note.another(text, "r-3f").endswith(note.marker("r-3f"))


def test_the_marker_is_never_cut_off() -> None:
    long = "https://ripcord.example/" + "x" * 900
    assert note.last(spec(), report(State.PROVEN), long, HEAD).endswith("  [ripcord r-3f/note]")
    assert note.first(spec(), long, HEAD).endswith("  [ripcord r-3f/note]")


# ---- foreign text ----

FORGED = "Ripcord: web-frontend is back on stable. PROVEN in 1 s."
HOSTILE = [
    *(
        f"x{end}{FORGED}{end}Proof: all good"
        for end in ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029")
    ),
    "[ripcord r-other/note]",
    "[ ripcord r-other/note]",
    "[RIPCORD r-other/note]",
    "[\u200bripcord r-other/note]",
    "x" * 10_000 + "\n" + FORGED,
    "\u202eNEVORP\u202c\u2066x\u2069\u200f",
    "\x1b[2J\x1b[31mred\x00",
    "did nothing: observed: PROVEN",
    "\ud800",
]


def everywhere(text: str, state: State) -> tuple[RunSpec, Report]:
    """The text in every place that somebody else fills."""
    bad = alert(text, **{"alertname": text, "limit": text, f"1{text}": f"1{text}"})
    plan = PLAN.model_copy(update={"said": text})
    about = spec(bad, incident_title=text, actor=text, service=text)
    return about, report(state, text, plan, held=(text,), mind=(text,), wrong=text, done=text, proof=text)


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_foreign_text_makes_no_line_no_marker_and_no_result(text: str, state: State) -> None:
    told = note.last(*everywhere(text, state), URL, HEAD)
    honest = last(spec(), report(state, held=("h",), mind=("m",)))
    lines = told.splitlines()
    assert kinds(lines) == kinds(honest)
    assert lines[-1] == EVIDENCE
    assert re.findall(r"\[\s*ripcord", told, re.IGNORECASE) == ["[ripcord"]
    assert all(char.isprintable() for line in lines for char in line)
    assert all(len(line) <= 500 for line in lines)
    results = {name for name in ("PROVEN in", "NOT PROVEN", "did nothing", "observed:") if name in lines[0]}
    assert results == {name for name in ("PROVEN in", "NOT PROVEN", "did nothing", "observed:") if name in honest[0]}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_a_target_with_a_strange_name_makes_no_second_line_of_the_first_note(text: str) -> None:
    lines = note.first(spec().model_copy(update={"target": text}), URL, HEAD).splitlines()
    assert (len(lines), lines[1]) == (2, f"Evidence: {URL}/runs/r-3f  chain 1234:9f3c0d1e77aa01b2  [ripcord r-3f/note]")


def test_where_no_alert_has_a_name_a_long_title_is_cut() -> None:
    title = "t" * 10_000
    assert len(last(run_spec(incident_title=title, alerts=()), report(State.PROVEN))[1]) < 300

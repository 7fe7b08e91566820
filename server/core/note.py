"""The wording of the one note that people read in the incident. A Report in, text out; nothing is looked up here.

Titles, alert details and what an API server said are foreign text: they make no line, no marker and no result of their own.
"""

from __future__ import annotations

import re

from server.core.incident import Alert
from server.core.outcome import Remarks
from server.core.run import Report, RunSpec
from server.core.states import State

_MOST_LINE = 500
_MOST_REASON = 300


def marker(run: str, *, second: bool = False) -> str:
    """What the note ends with, and is found by before it is ever sent again. second: where editing the first one failed."""
    return f"[ripcord {run}/note{'/2' if second else ''}]"


def another(text: str, run: str) -> str:
    """The same note under the marker of a second one."""
    return text.removesuffix(marker(run)) + marker(run, second=True)


def minding(text: str, said: str) -> str:
    """The same note with one more line `Mind:`, above the last."""
    above, _line_break, evidence = text.rpartition("\n")
    return f"{above}\n{_line(f'Mind: {said}')}\n{evidence}" if above else text


def without_words(run: str, ended: bool) -> str:
    """Where what was kept of a run cannot be worded: that much is said, and where to look."""
    so = "is over" if ended else "is under way"
    return (
        f"Ripcord: {run} {so}. This note cannot say more (a bug in Ripcord): its page and the audit do.\n{marker(run)}"
    )


def first(spec: RunSpec, url: str, head: tuple[int, str]) -> str:
    """The note while the run is under way. head: the chain's head as it is worded."""
    evidence = f"Evidence: {url}/runs/{spec.id}  chain {head[0]}:{head[1][:16]}  {marker(spec.id)}"
    return f"{_line(f'Ripcord: taking {spec.target} back. Proof follows.')}\n{evidence}"


def last(spec: RunSpec, report: Report, url: str, head: tuple[int, str]) -> str:
    """The note at the end. head: the chain's head when the run was closed."""
    remarks = report.remarks
    lines = [headline(spec, report)]
    if report.plan is not None or report.state in (State.PROVEN, State.FAILED, State.UNPROVEN):
        lines.append(f"Wrong: {wrong(spec, remarks)}")
    if report.state in (State.PROVEN, State.FAILED, State.UNPROVEN):
        lines.append(f"Done: {remarks.done or report.said}")
        lines.append(f"Proof: {_proof(report)}")
    elif report.state is State.NOTHING_TO_DO:
        lines.append(f"Proof: {_proof(report)}")
    lines += [f"Held: {held}" for held in remarks.held]
    lines += [f"Mind: {mind}" for mind in remarks.mind]
    evidence = f"Evidence: {url}/runs/{spec.id}  chain {head[0]}:{head[1][:16]}  {marker(spec.id)}"
    return "\n".join([*map(_line, lines), evidence])


def headline(spec: RunSpec, report: Report) -> str:
    """The first line: what a person must know if they read nothing else."""
    target = spec.target
    if report.state is State.PROVEN:
        seconds = max(1, round(report.seconds or 0))
        return f"Ripcord: {target} {_no_result(report.remarks.back)}. PROVEN in {seconds} s."
    if report.state in (State.FAILED, State.UNPROVEN):
        return f"Ripcord: {target}: tried, NOT PROVEN: a person is needed"
    if report.state is State.OBSERVED:
        return f"Ripcord: {target}: observed: would have {_would_have(report)}"
    return f"Ripcord: {target}: did nothing: {_no_result(report.said)}"


def _would_have(report: Report) -> str:
    """'aborted production/web-frontend, canary …': the plan says it as an order."""
    said = _no_result(report.said)
    if report.plan is not None and not report.plan.calls:
        return f"written nothing: {said}"
    verb, space, rest = said.partition(" ")
    return f"{_DONE.get(verb, verb)}{space}{rest}"


_DONE = {"abort": "aborted", "switch": "switched", "undo": "undone", "release": "released", "turn": "turned"}
"""The words with which a plan begins, as what would have been done."""


def _no_result(said: str) -> str:
    """A reason, without the words by which a first line is known."""
    for words in ("PROVEN", "did nothing", "observed:"):
        said = said.replace(words, words.lower() if words.isupper() else words.replace(" ", "-").rstrip(":"))
    return said


def _proof(report: Report) -> str:
    """What was read; where that proves nothing, first why not: numbers alone can look like traffic that is back."""
    proof = report.remarks.proof
    if report.state is State.PROVEN and proof:
        return f"{proof}; criteria not declared"
    if report.state in (State.FAILED, State.UNPROVEN) and proof:
        read = "" if proof.startswith("none:") else f"; read: {proof}"
        return f"none: {_no_result(report.said)[:_MOST_REASON]}{read}"
    return proof or report.said


def wrong(spec: RunSpec, remarks: Remarks) -> str:
    """What hurts: an AnalysisRun's metric where there is one, else the alert's own numbers; says which."""
    alert = spec.alerts[-1] if spec.alerts else None
    name = _text(_detail(alert, "alertname")) or (alert.summary if alert else "") or spec.incident_title
    if remarks.wrong:
        return f"{_text(name)}, {remarks.wrong}"
    return f"{_text(name)}, {alert_numbers(alert)}"


def alert_numbers(alert: Alert | None) -> str:
    """'error rate 8.3 % (limit 5 %), as the alert says': the details that are not names, as they came."""
    details = alert.details if alert and alert.details else {}
    limit = _text(_detail(alert, "limit")) or _text(_detail(alert, "threshold"))
    for key, value in details.items():
        text = _text(value)
        if key in ("limit", "threshold") or not text or not text[0].isdigit():
            continue
        words = _text(key).replace("_", " ")
        return f"{words} {text}{f' (limit {limit})' if limit else ''}, as the alert says"
    return "the alert gives no numbers"


def _detail(alert: Alert | None, key: str) -> object:
    return (alert.details or {}).get(key) if alert else None


def _text(value: object) -> str:
    """A payload's value as one short line of text, quoted by nothing and obeyed by nobody."""
    if value is None or isinstance(value, dict | list):
        return ""
    return _one_line(str(value)[:2000])[:200]


def _one_line(text: str) -> str:
    """Without line breaks of any kind, control and direction characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _line(text: str) -> str:
    """One line of the note. A marker inside it would let another run take this note for its own."""
    return re.sub(r"\[(?=\s*ripcord)", "(", _one_line(text), flags=re.IGNORECASE)[:_MOST_LINE]

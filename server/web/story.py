"""A run as the parts of its page: the four truths, the plan with its exact calls, the timeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from server.audit.queries import Row
from server.core.argo import patches
from server.core.flag import patches as flag_patches
from server.core.outcome import Call, Plan
from server.core.run import RunSpec, Truth
from server.core.states import State
from server.store.queries import RunPage
from server.web import headline, words
from server.web.view import clock, day, offset, seconds, sentence, visible, whole

_MOST_LINE = 160
_FOLD_FROM = 15

_ACCEPTED = ("accepted", "Accepted", "Not accepted", "The API took the call")
_ACKNOWLEDGED = ("acknowledged", "Acknowledged", "Not acknowledged", "The controller answered for it")
_TRUTHS = {
    "canary": (
        _ACCEPTED,
        _ACKNOWLEDGED,
        ("traffic", "Traffic on stable", "Not on stable", "Weights, router and stable pods, each read on its own"),
    ),
    "blue-green": (
        _ACCEPTED,
        _ACKNOWLEDGED,
        ("traffic", "Traffic on stable", "Not on stable", "Service, endpoints and stable pods, each read on its own"),
    ),
    "flag": (
        _ACCEPTED,
        ("acknowledged", "In its safe state", "Not in its safe state", "Read back from LaunchDarkly"),
        ("traffic", "Seen by every SDK", "Not seen by every SDK", "Every SDK has it"),
    ),
}
"""By strategy: what a truth is called, what its opposite is, and what it says where nothing else is said."""
_TITLES = {
    "abort_rollout": "Abort the canary",
    "switch_blue_green_back": "Switch blue-green back",
    "disable_flag": "Turn the flag to its safe state",
    "resolve_incident": "Resolve the incident",
}
_PROVES = {
    "rollout_traffic_on_stable": "Prove that traffic is on stable",
    "rollout_promoted_back": "Prove that the version before has everybody",
    "flag_is_off": "Prove that the flag is in its safe state",
}
_NEVER_SHOWN = "not known: SDKs that poll, and relays, follow by themselves"


@dataclass(frozen=True)
class Answer:
    """One of the four truths. An open one is an empty ring."""

    name: str
    icon: str
    tone: str
    at: datetime | None
    said: str


def truths(page: RunPage) -> tuple[Answer, ...]:
    """The four answers of a run that tried something, else none."""
    if page.row.state in (State.REFUSED, State.OBSERVED):
        return ()
    known = {truth.name: truth for truth in page.report.truths} if page.report else {}
    over = page.row.over
    flag = page.row.kind == "flag"
    asked = _TRUTHS["flag" if flag else str(page.spec.target_spec.get("strategy") or "canary")]
    given = [_answer(known.get(name), yes, no, small, over) for name, yes, no, small in asked]
    if flag and given[-1].icon == "todo":
        given[-1] = replace(given[-1], at=None, said=_NEVER_SHOWN)
    if page.row.state is State.NOTHING_TO_DO and given[0].icon == "todo":
        given[0] = Answer("Nothing was sent", "none", "quiet", None, "Somebody else did it before")
    return (*given, Answer("It helped", "todo", "quiet", None, "criteria not declared"))


def _answer(truth: Truth | None, yes: str, no: str, small: str, over: bool) -> Answer:
    if truth is None:
        return Answer(yes, "todo", "quiet", None, "not known" if over else "open")
    said = visible(truth.said)
    if truth.held:
        return Answer(yes, "proven", "ok", truth.at, said or small)
    if truth.held is False:
        return Answer(no, "failed", "bad", truth.at, said or "it does not hold")
    return Answer(yes, "todo", "quiet", truth.at, f"{'not known' if over else 'not yet'}{f': {said}' if said else ''}")


@dataclass(frozen=True)
class Sent:
    """One outside write as it is sent. lines: the body for reading, long values cut; whole: the body as it is, where it differs."""

    head: str
    lines: str
    whole: str | None


def sent(call: Call, run: str) -> Sent:
    """A call as text, with the run's id where it is sent with that."""
    body = _named(call, run)
    lines, full = _lines(body), json.dumps(body, indent=2, ensure_ascii=False)
    cut = any(len(line) > _MOST_LINE for line in lines)
    shown = "\n".join(line if len(line) <= _MOST_LINE else f"{line[: _MOST_LINE - 1]}…" for line in map(_brief, lines))
    return Sent(visible(f"{call.method} {call.path}", 500), whole(shown), whole(full) if cut else None)


def _named(call: Call, run: str) -> object:
    """The body as it leaves: each vendor's own patches put the run's id in."""
    if isinstance(call.body, dict) and isinstance(call.body.get("comment"), str):
        return flag_patches.named(call, run).body
    return patches.named(call.body, run)


def _lines(body: object) -> list[str]:
    """A JSON patch has one operation on each line, also where it stands in an object; anything else is one line."""
    if isinstance(body, dict) and isinstance(body.get("patch"), list):
        around = json.dumps({name: one for name, one in body.items() if name != "patch"}, ensure_ascii=False)
        rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in body["patch"])
        head = f'{around[:-1]}{", " if len(around) > 2 else ""}"patch": ['
        return [head, *rows.split("\n"), "]}"]
    rows_ = body if isinstance(body, list) else [body]
    return [json.dumps(row, ensure_ascii=False) for row in rows_]


def _brief(line: str) -> str:
    """Of an operation that is too long only its value is left out."""
    if len(line) <= _MOST_LINE:
        return line
    try:
        row = json.loads(line)
    except ValueError:
        return line
    if not isinstance(row, dict) or "value" not in row:
        return line
    rest = json.dumps({name: one for name, one in row.items() if name != "value"}, ensure_ascii=False)
    return f'{rest[:-1]}, "value": …}}'


@dataclass(frozen=True)
class Step:
    """One numbered line of the plan: a step with its calls, or a check."""

    title: str
    mark: words.Mark | None
    calls: tuple[Sent, ...]
    said: tuple[str, ...]


def steps(page: RunPage, rows: Sequence[Row]) -> tuple[Step, ...]:
    """The plan's steps and checks, each with how far it came, and how long that took by the audit's rows."""
    plan = page.report.plan if page.report and page.report.plan else page.plan
    acts = [_act(page, plan, index, rows) for index in range(len(page.spec.steps))]
    checks = [_check(page, number, rows) for number in range(len(page.spec.verify))]
    later = "Only once it is proven. What came of it stands in the timeline."
    return (*acts, *checks, *(Step(_title(step.action, None), None, (), (later,)) for step in page.spec.after_proof))


def _took(rows: Sequence[Row], start: str, end: str) -> str:
    """' in 0.06 s', between the first rows of these kinds; '' where one of them is missing."""
    first = {row.tag: row.at for row in reversed(rows)}
    begin, over = first.get(start), first.get(end)
    return "" if begin is None or over is None or over < begin else f" in {seconds((over - begin).total_seconds())}"


def _act(page: RunPage, plan: Plan | None, index: int, rows: Sequence[Row]) -> Step:
    action = page.spec.steps[index].action
    if plan is None or index:
        return Step(
            _title(action, None),
            None,
            (),
            ("Planned from the live state when its turn comes.",) if not page.row.over else (),
        )
    said = [visible(plan.said, 500)] if plan.said else []
    if not plan.calls:
        said.append(f"Nothing to write: {visible(plan.somebody) or 'it is so already'}.")
    if plan.judged.since:
        said.append(_judged(page, plan, plan.judged.since))
    calls = tuple(sent(call, page.row.id) for call in plan.calls)
    return Step(_title(action, plan), _acted(page, plan, rows), calls, tuple(said))


def _judged(page: RunPage, plan: Plan, since: datetime) -> str:
    """Since when the version that was judged is there; the alert must be younger."""
    name = f"version {visible(plan.judged.revision)}" if page.row.kind == "flag" else visible(plan.judged.revision)
    other = "" if since.date() == page.spec.received_at.date() else f"{day(since)}, "
    return f"Judged: {name}, there since {other}{clock(since)}."


def _acted(page: RunPage, plan: Plan, rows: Sequence[Row]) -> words.Mark | None:
    outcomes = page.report.outcomes if page.report else ()
    if page.row.state is State.OBSERVED:
        return words.Mark("Not sent: observed", "observed", "quiet")
    if not outcomes or not plan.calls:
        return words.Mark("Not sent", "none", "quiet") if page.row.over and plan.calls else None
    word, icon = ("Done", "proven") if page.row.state in (State.PROVEN, State.NOTHING_TO_DO) else ("Accepted", "act")
    return {
        "done": words.Mark(f"{word}{_took(rows, 'step_intended', 'step_done')}", icon, "ok"),
        "noop": words.Mark("Was so already", "none", "quiet"),
        "refused": words.Mark("Refused", "failed", "bad"),
        "unknown": words.Mark("No clear answer", "stuck", "wait"),
    }[outcomes[0].kind if all(o.kind != "done" for o in outcomes) else "done"]


def _check(page: RunPage, number: int, rows: Sequence[Row]) -> Step:
    check = page.spec.verify[number]
    mark = None
    if page.row.state in (State.PROVEN, State.NOTHING_TO_DO):
        took = _took(rows, "step_done", "check_passed") if len(page.spec.verify) == 1 else ""
        mark = words.Mark(f"Passed{took}", "proven", "ok")
    elif page.row.state is State.FAILED:
        mark = words.Mark("Failed", "failed", "bad")
    elif page.row.state is State.UNPROVEN and headline.sent(page):
        mark = words.Mark("Not proven", "stuck", "bad")
    said = f"Within {check.within:g}\u00a0s of the act's answer; looked at once more {check.settle:g}\u00a0s later."
    return Step(_PROVES.get(check.check, f"Prove: {check.check.replace('_', ' ')}"), mark, (), (said,))


def _title(action: str, plan: Plan | None) -> str:
    if plan is not None and plan.undo:
        return "Undo the promoted version"
    return _TITLES.get(action, action.replace("_", " ").capitalize())


@dataclass(frozen=True)
class Moment:
    """One row of the timeline; tone and icon say what kind."""

    row: Row
    mark: words.Mark
    title: str
    at: datetime | None
    offset: str
    folds: bool


def timeline(spec: RunSpec, rows: Sequence[Row]) -> tuple[Moment, ...]:
    """The run's audit rows as moments since the delivery. Of a long one, the looks that proved nothing yet are folded."""
    many = len(rows) > _FOLD_FROM
    return tuple(_moment(spec, row, many and row.tag == "check_unknown") for row in rows)


def _moment(spec: RunSpec, row: Row, folds: bool) -> Moment:
    mark = words.event(row.tag)
    title = mark.word
    if row.tag == "delivery_received":
        return Moment(row, mark, f"PagerDuty delivered {visible(spec.event_type)}", spec.received_at, "", folds)
    since = "" if row.at is None else offset(row.at, spec.received_at)
    return Moment(row, mark, title, row.at, since, folds)


def remarks(page: RunPage) -> tuple[list[str], list[tuple[str, str | None]]]:
    """What held it up and what to mind, as sentences; and the command at a remark's end where it has one."""
    if page.report is None:
        return [], []
    names = (page.row.target, *(str(one) for one in page.spec.target_spec.values()))
    said = page.report.remarks
    return [sentence(text, *names) for text in said.held], [_command(text, names) for text in said.mind]


def _command(mind: str, names: Sequence[str]) -> tuple[str, str | None]:
    place = mind.find("kubectl ")
    if place < 0:
        return sentence(mind, *names), None
    return sentence(mind[:place].rstrip(" ,:"), *names), whole(mind[place:].strip(), 4000)

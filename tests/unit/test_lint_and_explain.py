"""`lint` and `explain FILE`: the server's own code, asked by hand."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from tests.support.processes import ROOT
from tests.web.test_mutations import changed, damaged

NAMED = {"rollout": "web-frontend", "namespace": "production"}


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RIPCORD_RUNBOOKS", str(ROOT / "runbooks"))
    monkeypatch.setenv("RIPCORD_DATABASE_URL", f"sqlite:///{tmp_path / 'ripcord.db'}")
    monkeypatch.setenv("RIPCORD_SECRET_KEY", "k" * 32)


def event(**data: Any) -> dict[str, Any]:
    shown = {
        "id": "QINC1",
        "type": "incident",
        "status": "triggered",
        "title": "x",
        "created_at": "2026-01-01T10:00:00Z",
    }
    service = {"id": "PCANARY", "type": "service_reference", "summary": "Canaries"}
    return {
        "id": "01E",
        "event_type": "incident.triggered",
        "occurred_at": "2026-01-01T10:00:00.000Z",
        "data": {**shown, "service": service, **data},
    }


def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any) -> tuple[int, list[str], str]:
    file = tmp_path / "payload.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    code = main(["explain", str(file)])
    said = capsys.readouterr()
    return code, said.out.splitlines(), said.err


def test_explain_gives_each_runbook_one_line_with_kind_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = {"event": event(), "alerts": [{**NAMED, "deployment_type": "canary"}]}
    code, lines, _ = explained(tmp_path, capsys, payload)
    assert code == 0
    assert [line.rsplit(": ", 1)[0] for line in lines] == [
        "abort-canary: run",
        "disable-flag: no",
        "switch-blue-green-back: no",
    ]


def test_explain_names_the_first_condition_that_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = {"event": event(), "alerts": [{**NAMED, "deployment_type": "blue-green"}]}
    _, lines, _ = explained(tmp_path, capsys, payload)
    assert lines[0] == "abort-canary: no: deployment_type is 'blue-green', wanted 'canary'"


def test_explain_takes_alerts_as_rest_gives_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    details = {**NAMED, "deployment_type": "canary"}
    alert = {"id": "PA1", "status": "triggered", "created_at": "2026-01-01T10:00:00Z", "body": {"details": details}}
    _, lines, _ = explained(tmp_path, capsys, {"event": event(), "alerts": [alert]})
    assert lines[0].startswith("abort-canary: run: ")
    _, lines, _ = explained(tmp_path, capsys, {"event": event(), "alerts": [{**alert, "status": "resolved"}]})
    assert lines[0] == "abort-canary: no: no alert data"


def test_explain_of_a_body_alone_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, aside = explained(tmp_path, capsys, {"event": event()})
    assert (code, len(lines), lines[0]) == (0, 3, "abort-canary: no: no alert data")
    assert aside == 'the file holds no "alerts": the server would read them from PagerDuty\n'


def press(*ids: str, **incident: Any) -> dict[str, Any]:
    """A V2 body: one message for each id."""
    about = {
        "id": "QINC1",
        "status": "triggered",
        "title": "x",
        "created_at": "2026-01-01T10:00:00Z",
        "service": {"id": "PCANARY", "name": "Canaries"},
        **incident,
    }
    told = {"event": "incident.custom", "created_on": "2026-01-01T10:00:00Z", "incident": about}
    return {"messages": [{"id": one, **told} for one in ids]}


def test_explain_of_a_press_answers_for_each_runbooks_own_button_because_the_body_names_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, aside = explained(tmp_path, capsys, {**press("M1"), "alerts": [NAMED]})
    assert code == 0
    assert lines == [
        "abort-canary: run: web-frontend is named, the button was pressed",
        "disable-flag: no: web-frontend is a rollout canary, wanted flag",
        "switch-blue-green-back: no: web-frontend is a rollout canary, wanted rollout blue-green",
    ]
    assert aside == "a press names its button by its URL alone: each line is for that runbook's own button\n"


def test_explain_of_a_press_without_alerts_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines, aside = explained(tmp_path, capsys, press("M1"))
    assert lines[0] == "abort-canary: no: no alert data"
    assert 'the file holds no "alerts": the server would read them from PagerDuty\n' in aside


def test_explain_of_several_presses_in_one_body_gives_each_a_line_for_each_runbook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = press("M1", "M2")
    body["messages"][1]["incident"] = {"id": "QINC2", "status": "resolved"}
    code, lines, _ = explained(tmp_path, capsys, {**body, "alerts": [NAMED]})
    assert (code, len(lines)) == (0, 6)
    assert lines[0] == "abort-canary: run: web-frontend is named, the button was pressed (message 1 of 2)"
    assert lines[3] == "abort-canary: no: service is '', no target is bound to it (message 2 of 2)"


def test_explain_says_how_many_messages_of_one_body_the_server_would_not_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines, aside = explained(tmp_path, capsys, press(*(f"M{n}" for n in range(103))))
    assert (len(lines), lines[-1].endswith("(message 100 of 103)")) == (300, True)
    assert "the server takes the first 100 messages of a body: 3 would be left out\n" in aside


@pytest.mark.parametrize(
    "messages", [[], None, {}, "text", [None], [[]], [{"incident": {"id": 7}}], [{"incident": "x"}]]
)
def test_explain_of_a_press_of_any_other_shape_says_no_for_every_runbook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], messages: Any
) -> None:
    code, lines, _ = explained(tmp_path, capsys, {"messages": messages})
    assert (code, [line.partition(": ")[2] for line in lines]) == (0, ["no: the event names no incident"] * 3)


def test_explain_answers_any_damaged_message_without_a_bug_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Events and presses with alerts, any field of any shape, bytes cut and flipped: 0 = a line each, 1 = one clear line."""
    alert = {"id": "PA1", "status": "triggered", "created_at": "2026-01-01T10:00:00Z", "body": {"details": NAMED}}
    whole = [{"event": event(), "alerts": [alert]}, {**press("M1", "M2"), "alerts": [NAMED, alert]}]
    file, codes = tmp_path / "payload.json", set()
    for n in range(80):
        chance = random.Random(n)
        made = changed(chance, chance.choice(whole))
        file.write_bytes(damaged(chance, json.dumps(made).encode()) if n % 4 == 0 else json.dumps(made).encode())
        codes.add(code := main(["explain", str(file)]))
        said = capsys.readouterr()
        assert code == (0 if said.out else 1), (n, file.read_bytes())
        assert "Traceback" not in said.err, n
        assert code == 0 or len(said.err.splitlines()) == 1, n
    assert codes == {0, 1}


def test_a_hostile_value_never_makes_a_second_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payload = {"event": event(), "alerts": [{"rollout": "x\nabort-canary: run: all well"}]}
    _, lines, _ = explained(tmp_path, capsys, payload)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "the body is not JSON"),
        ("[]", "the body is not a JSON object"),
        ({"event": event(), "alerts": ["text"]}, "alerts[0]: expected an object"),
        ({"event": event(), "alerts": [{"body": {}, "created_at": "soon"}]}, "alerts[0].created_at: expected a time"),
        ({**press("M1"), "alerts": [{"body": {}, "created_at": None}]}, "alerts[0].created_at: expected a time"),
    ],
)
def test_a_file_that_is_no_payload_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Any, said: str
) -> None:
    code, lines, aside = explained(tmp_path, capsys, value)
    assert (code, lines, len(aside.splitlines())) == (1, [], 1)
    assert said in aside


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path / "nothing.json")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/nothing.json: cannot be read (No such file or directory)\n"


def test_lint_says_what_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 0
    assert "3 runbooks (abort-canary, disable-flag, switch-blue-green-back), 3 targets" in capsys.readouterr().out


def test_lint_prints_what_serve_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "targets.yaml").write_text("version: 1\ntargets: {}\n", encoding="utf-8")
    (tmp_path / "x.yaml").write_text("version: 1\nownr: platform\n", encoding="utf-8")
    monkeypatch.setenv("RIPCORD_RUNBOOKS", str(tmp_path))
    assert main(["lint"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{tmp_path}/x.yaml:2: ownr: unknown key 'ownr': expected one of " in said.err


@pytest.mark.parametrize(
    ("runbook", "old", "new", "said"),
    [
        ("abort-canary", "action: abort_rollout\n    with: {when_promoted: refuse}", "action: disable_flag",
         "15: action 'disable_flag': expected a target of kind 'flag', line 12 says 'rollout'"),
        ("abort-canary", "rollout_traffic_on_stable, within: 60s", "flag_is_off, within: 60s",
         "18: check 'flag_is_off': expected a target of kind 'flag', line 12 says 'rollout'"),
        ("disable-flag", "action: disable_flag\n    with: {comment: disabled for a PagerDuty incident}", "action: abort_rollout",
         "14: action 'abort_rollout': expected a target of kind 'rollout', line 11 says 'flag'"),
        ("disable-flag", "on_failure: tell", "after_proof: [{action: switch_blue_green_back}]",
         "18: action 'switch_blue_green_back': expected a target of kind 'rollout', line 11 says 'flag'"),
    ],
)  # fmt: skip
def test_lint_refuses_an_action_or_a_check_on_a_kind_of_target_that_it_is_not_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, runbook: str, old: str, new: str,
    said: str,
) -> None:  # fmt: skip
    shutil.copytree(ROOT / "runbooks", tmp_path / "runbooks")
    monkeypatch.setenv("RIPCORD_RUNBOOKS", str(tmp_path / "runbooks"))
    file = tmp_path / "runbooks" / f"{runbook}.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    code = main(["lint"])
    assert (code, capsys.readouterr().err.splitlines()) == (1, [f"{file}:{said}"])


def test_an_incident_may_be_resolved_after_the_proof_of_any_kind_of_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "runbooks", tmp_path / "runbooks")
    monkeypatch.setenv("RIPCORD_RUNBOOKS", str(tmp_path / "runbooks"))
    for file in (tmp_path / "runbooks").glob("*-*.yaml"):
        with file.open("a", encoding="utf-8") as end:
            end.write("after_proof: [{action: resolve_incident}]\n")
    assert main(["lint"]) == 0


def test_the_schema_for_editors_knows_every_key_and_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--schema"]) == 0
    schemas = json.loads(capsys.readouterr().out)
    assert {"version", "owner", "when", "steps", "verify"} <= set(schemas["runbook"]["properties"])
    assert "name" not in schemas["runbook"]["properties"]
    step = schemas["runbook"]["$defs"]["Step"]
    assert set(step["properties"]) == {"action", "with"}
    assert "abort_rollout" in step["properties"]["action"]["enum"]
    needed = {"kind", "strategy", "team", "namespace", "name", "pagerduty_services", "named_by"}
    assert set(schemas["catalog"]["$defs"]["RolloutEntry"]["required"]) == needed

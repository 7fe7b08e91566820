"""What a message says is compared and shown, never obeyed: no template, no shell, no path is made of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.unit.deciding import alert, catalog, decision, delivery, incident, library, rollout

CANARY = {"rollout": "web-frontend", "namespace": "production", "deployment_type": "canary"}

TEMPLATES = {
    "jinja": "{{7*7}}",
    "shell or EL": "${7*7}",
    "percent": "%(x)s%n%49$s",
    "format": "{0.__class__.__mro__}",
    "yaml tag": "!!python/object/apply:os.system ['id']",
    "yaml in a line": "x\nmode: auto\nnamed_by: {}",
    "command": "$(id)",
    "backticks": "`id`",
    "separator": "web-frontend; id",
    "option": "--all-namespaces",
    "tab": "web-frontend\tproduction",
}
"""bar C5."""

NAMES = {
    "up": "../web-frontend",
    "encoded slash": "..%2fweb-frontend",
    "slash": "production/web-frontend",
    "long": "a" * 10_000,
    "upper case": "Web-Frontend",
    "wildcard": "*",
    "selector": "app=web-frontend",
    "question mark": "web-frontend?x=1",
    "hash": "web-frontend#",
    "space behind": "web-frontend ",
    "line break behind": "web-frontend\n",
    "nul": "web-frontend\x00",
    "full width": "ｗeb-frontend",
    "empty": "",
}
"""bar C7."""


@pytest.mark.parametrize("text", [*TEMPLATES.values(), *NAMES.values()], ids=[*TEMPLATES, *NAMES])
@pytest.mark.parametrize("key", ["rollout", "namespace"])
def test_an_alert_with_such_a_name_names_nothing_and_the_reason_is_one_line(key: str, text: str) -> None:
    kind, reason = decision(library(), incident(alert({**CANARY, key: text})))
    assert kind == "no"
    assert reason.startswith(f"{key} is '")
    assert reason.endswith(f"', wanted '{CANARY[key]}'")
    assert reason.isprintable()
    assert len(reason) < 200


@pytest.mark.parametrize("text", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_stays_the_text_that_it_is(text: str) -> None:
    _, reason = decision(library(), incident(alert({**CANARY, "rollout": text})))
    shown = "".join(char if char.isprintable() else " " for char in text)
    assert reason == f"rollout is '{shown}', wanted 'web-frontend'"


@pytest.mark.parametrize("text", [*TEMPLATES.values(), *NAMES.values()], ids=[*TEMPLATES, *NAMES])
def test_a_button_of_such_a_name_presses_nothing(text: str) -> None:
    pressed = delivery("incident.custom", trigger="pagerduty_action", runbook=text)
    assert decision(library(), came=pressed)[0] == "no"


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("key", ["name", "namespace"])
def test_no_catalog_holds_a_place_of_such_a_name(key: str, text: str) -> None:
    with pytest.raises(ValidationError):
        catalog(web_frontend=rollout(**{key: text}))


def test_a_right_name_in_another_namespace_is_another_place() -> None:
    other = incident(alert({**CANARY, "namespace": "staging"}))
    assert decision(library(), other) == ("no", "namespace is 'staging', wanted 'production'")

"""Somebody first: a hotfix between decision and abort. No newer version is ever left aborted, seen by the controller or not.

A few rounds in the suite; more on demand: `./ripcord test tests/story/test_races.py --rounds 1000`.
"""

from __future__ import annotations

import copy
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.conftest import ROUNDS
from tests.story.town import FINAL, ROLLOUTS, Town
from tests.support.waiting import eventually

Json = dict[str, Any]
AT_A_TIME = 40
FEW = 2 * ROUNDS
"""In the suite: with those who are no hotfix (test_somebody.py) sixty."""
MERGE = "application/merge-patch+json"


def rollout(name: str, image: str, **canary: Any) -> Json:
    selector = {"app": name}
    container = {"name": "app", "image": image, "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": "races"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": selector}, "spec": {"containers": [container]}},
            "strategy": {
                "canary": {
                    "canaryService": f"{name}-canary",
                    "stableService": f"{name}-stable",
                    "trafficRouting": {"istio": {"virtualService": {"name": name, "routes": ["primary"]}}},
                    "steps": [{"setWeight": 50}, {"pause": {}}],
                    **canary,
                }
            },
        },
    }


def build_canaries(town: Town, names: list[str], more: Callable[[str], Json] = lambda _name: {}) -> None:
    """Rollouts of other names in another namespace, each at its pause with a canary that is older than any alert to come.

    more: what else stands in a Rollout's canary strategy; asked right before it is made.
    """
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "races"}}
    if "races" not in {one["metadata"]["name"] for one in town.kubernetes("GET", "/api/v1/namespaces")["items"]}:
        town.kubernetes("POST", "/api/v1/namespaces", namespace)
    for name in names:
        for part in ("canary", "stable"):
            service = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": f"{name}-{part}", "namespace": "races"},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
            }
            town.kubernetes("POST", "/api/v1/namespaces/races/services", service)
        routes = [
            {"destination": {"host": f"{name}-{part}"}, "weight": weight}
            for part, weight in (("stable", 100), ("canary", 0))
        ]
        virtual = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "races"},
            "spec": {"hosts": [name], "http": [{"name": "primary", "route": routes}]},
        }
        town.kubernetes("POST", "/apis/networking.istio.io/v1/namespaces/races/virtualservices", virtual)
        town.kubernetes("POST", f"{ROLLOUTS}/races/rollouts", rollout(name, "example/app:v1", **more(name)))
    for phase, image in (("Healthy", None), ("Paused", "example/app:v2")):
        for name in names:
            if image:
                release(town, name, image)
        for name in names:
            eventually(partial(_is_in, town, name, phase), within=40, what=f"{name} is {phase}")
    born = time.monotonic()
    eventually(
        lambda: time.monotonic() > born + 2.1, within=5
    )  # whole seconds: the alert must be younger than the canary


def streets(names: list[str]) -> list[list[str]]:
    """So many Rollouts at a time that their controller keeps its pace."""
    return [names[start : start + AT_A_TIME] for start in range(0, len(names), AT_A_TIME)]


def leave(town: Town, names: list[str]) -> None:
    """Their Rollouts are deleted."""
    for name in names:
        town.kubernetes("DELETE", f"{ROLLOUTS}/races/rollouts/{name}")


def _is_in(town: Town, name: str, phase: str) -> bool:
    return bool(town.rollout(name, "races").get("status", {}).get("phase") == phase)


def release(town: Town, name: str, image: str) -> None:
    template = copy.deepcopy(rollout(name, image)["spec"]["template"])
    town.kubernetes("PATCH", f"{ROLLOUTS}/races/rollouts/{name}", {"spec": {"template": template}}, MERGE)


def declare(town: Town, names: list[str], patience: str = "acknowledge: 10s, traffic: 12s") -> None:
    """A second runbook's worth of targets, by YAML alone."""
    text = (town.runbooks / "targets.yaml").read_text()
    for name in names:
        text += f"""
  {name}:
    kind: rollout
    strategy: canary
    team: web
    namespace: races
    name: {name}
    pagerduty_services: [PCANARY]
    named_by: {{rollout: {name}, namespace: races}}
    mode: auto
    budgets: {{{patience}}}
"""
    (town.runbooks / "targets.yaml").write_text(text)


def image_of(state: Json) -> str:
    return str(state["spec"]["template"]["spec"]["containers"][0]["image"])


def settled(town: Town, name: str) -> Json:
    """The Rollout once the controller has seen all of it."""

    def look() -> Json | None:
        state = town.rollout(name, "races")
        return state if state["status"].get("observedGeneration") == str(state["metadata"]["generation"]) else None

    return eventually(look, within=20) or {}


def test_a_hotfix_at_any_moment_is_never_left_aborted(build: Callable[..., Town], pytestconfig: pytest.Config) -> None:
    rounds = int(pytestconfig.getoption("--rounds"))
    rounds = FEW if rounds == ROUNDS else rounds
    chance = random.Random(rounds)
    moments = {f"race-{n}": chance.uniform(0.0, 3.0) for n in range(rounds)}
    town = build()
    declare(town, list(moments))
    town.start()
    ends: Counter[str] = Counter()
    for street in streets(list(moments)):
        build_canaries(town, street)
        for start in range(0, len(street), 8):
            _hotfixes(town, {name: moments[name] for name in street[start : start + 8]})
        for run in [run for run in town.runs() if run["target"] in street]:
            state = settled(town, run["target"])
            assert image_of(state) == "example/app:v3"
            assert not state["status"].get("abort"), (run["target"], moments[run["target"]], run["state"], run["said"])
            assert run["state"] in FINAL - {"proven", "nothing_to_do"}, run["said"]
            ends[run["state"]] += 1
        leave(town, street)
    assert ends.total() == rounds
    print(f"hotfix races: {rounds} rounds, 0 newer versions left aborted; runs ended {json.dumps(ends)}")  # noqa: T201 - the figure of the race


def _hotfixes(town: Town, moments: dict[str, float]) -> None:
    """An alert for each of these, a hotfix at its moment, and all runs are final."""
    timers = [threading.Timer(moment, release, (town, name, "example/app:v3")) for name, moment in moments.items()]
    before = len(town.runs())
    for name, timer in zip(moments, timers, strict=True):
        town.alert(f"alert-{name}", rollout=name, namespace="races")
        timer.start()
    for timer in timers:
        timer.join()
    town.ended(within=90, count=before + len(moments))


@pytest.mark.parametrize("seen", [True, False])
def test_a_hotfix_while_the_patch_is_on_its_way_is_not_aborted(build: Callable[..., Town], seen: bool) -> None:
    """The API server holds our patch; the template changes; the patch arrives, and its tests do not hold."""
    town = build()
    declare(town, ["held"])
    build_canaries(town, ["held"])
    town.start()
    fault = {
        "match": {"method": "PATCH", "path": "*/rollouts/held/status"},
        "do": "hold_before",
        "seconds": 60,
        "times": 1,
    }
    town.control("faults", [fault])
    town.alert(rollout="held", namespace="races")
    eventually(lambda: [row for row in town.asked("PATCH", "/held/status") if row["status"] is None], within=20)
    if not seen:
        town.control("kubernetes", {"controller": {"slow": 5}})
    before = town.rollout("held", "races")["status"]["currentPodHash"]
    release(town, "held", "example/app:v3")
    if seen:
        eventually(lambda: town.rollout("held", "races")["status"]["currentPodHash"] != before, within=10)
    town.control("release", {})
    run = town.ended(within=60)
    assert run["state"] == "refused"
    assert "was released meanwhile" in run["said"] or "newer stands in spec" in run["said"]
    assert not town.rollout("held", "races")["status"].get("abort")
    assert town.effects("PATCH", "/rollouts/held/status") == []
    assert "did nothing" in town.note()

"""What makes a Rollout InvalidSpec: it names something that is not there, or a gate that would never end."""

from __future__ import annotations

from copy import deepcopy

from sandbox.argo import conditions, rollout_status, traffic
from sandbox.argo.names import Object, meta
from sandbox.argo.view import View


def problem(view: View) -> str:
    """The words after `is invalid: `, or nothing."""
    strategy = view.spec.get("strategy") or {}
    if strategy.get("canary") is None and strategy.get("blueGreen") is None:
        return (
            'spec.strategy.strategy: Required value: Rollout has missing field "strategy.canary or strategy.blueGreen"'
        )
    reference = view.spec.get("workloadRef")
    if reference and view.workload is None:
        name = reference.get("name")
        return f'spec.workloadRef.name: Invalid value: "{name}": deployments.apps "{name}" not found'
    if view.two_templates:
        return "template must be empty for workload reference rollout"
    for path, name in _services(view):
        if name not in view.services:
            return f'{path}: Invalid value: "{name}": service "{name}" not found'
    for part in traffic.virtual_services(view):
        path = "spec.strategy.canary.trafficRouting.istio.virtualService.name"
        found = view.virtualservices.get(part["name"])
        if found is None:
            return f'{path}: Invalid value: "{part["name"]}": virtualservices.networking.istio.io "{part["name"]}" not found'
        if not traffic.routes(found, part.get("routes")):
            return f'{path}: Invalid value: "{part["name"]}": Istio VirtualService has no route {part.get("routes")}'
    return _bad_template(view)


def referenced(view: View) -> set[str]:
    return {name for _path, name in _services(view)}


def write(view: View, words: str) -> None:
    """Only the condition: nothing is reconciled while spec is invalid, an abort waits."""
    new: Object = deepcopy(view.status)
    text = f'The Rollout "{view.name}" is invalid: {words}'
    conditions.put(new, conditions.Condition("InvalidSpec", "True", "InvalidSpec", text), view.now)
    new["observedGeneration"] = str(meta(view.rollout).get("generation", 1))
    rollout_status.put_phase(view, new)
    view.write_status(new)


def _services(view: View) -> list[tuple[str, str]]:
    strategy = view.spec.get("strategy") or {}
    named = []
    for kind, keys in (
        ("canary", ("canaryService", "stableService")),
        ("blueGreen", ("activeService", "previewService")),
    ):
        for key in keys:
            name = (strategy.get(kind) or {}).get(key)
            if name:
                named.append((f"spec.strategy.{kind}.{key}", str(name)))
    return named


def _bad_template(view: View) -> str:
    """A template that is not there; and, but for the one beside a canary, one with a metric that would be asked for ever."""
    analysis = [("spec.strategy.canary.analysis.templates", view.canary.get("analysis") or {}, False)]
    analysis += [
        (f"spec.strategy.canary.steps[{index}].analysis.templates", step["analysis"], True)
        for index, step in enumerate(view.steps)
        if isinstance(step.get("analysis"), dict)
    ]
    analysis += [
        (f"spec.strategy.blueGreen.{one}.templates", view.blue_green.get(one) or {}, True)
        for one in ("prePromotionAnalysis", "postPromotionAnalysis")
    ]
    for path, one, gate in analysis:
        for ref in one.get("templates") or []:
            name = str(ref.get("templateName"))
            found = view.templates.get(("cluster/" if ref.get("clusterScope") else "") + name)
            if found is None:
                return f"{path}: Invalid value: \"{name}\": AnalysisTemplate '{name}' not found"
            if gate and (endless := _endless(found)):
                said = f"AnalysisTemplate {name} has metric {endless} which runs indefinitely"
                return f'{path}: Invalid value: "{name}": {said}. Invalid value for count: <nil>'
    return ""


def _endless(template: Object) -> str:
    metrics = template["spec"].get("metrics") or []
    return next((str(one["name"]) for one in metrics if one.get("interval") and one.get("count") is None), "")

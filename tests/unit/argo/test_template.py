"""Does a ReplicaSet carry exactly what spec says? Every removal is found, and no default is taken for a change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from server.core.argo import quantity, template
from tests.unit.argo.api_server import SPEC, stored
from tests.unit.argo.cases import HASH

Json = dict[str, Any]


def test_what_the_api_server_fills_in_is_no_difference() -> None:
    assert template.carries(SPEC, stored(SPEC)) == ""


def test_nulls_and_empty_values_that_the_api_drops_are_no_difference() -> None:
    spec = copy.deepcopy(SPEC)
    spec["metadata"]["creationTimestamp"] = None
    spec["spec"] |= {"hostNetwork": False, "imagePullSecrets": [], "hostname": ""}
    spec["spec"]["containers"][0] |= {"stdin": False, "command": [], "workingDir": ""}
    spec["spec"]["containers"][0]["readinessProbe"]["periodSeconds"] = 0
    assert template.carries(spec, stored(SPEC)) == ""


def _pop(*path: Any) -> Callable[[Json], object]:
    def change(spec: Json) -> object:
        place: Any = spec
        for step in path[:-1]:
            place = place[step]
        return place.pop(path[-1])

    return change


REMOVALS: dict[str, Callable[[Json], object]] = {
    "a label": _pop("metadata", "labels", "tier"),
    "an annotation with an empty value": _pop("metadata", "annotations", "note"),
    "a node selector": _pop("spec", "nodeSelector"),
    "one key of a node selector": _pop("spec", "nodeSelector", "pool"),
    "a toleration": _pop("spec", "tolerations", 0),
    "the user 0": _pop("spec", "securityContext", "runAsUser"),
    "a grace period": _pop("spec", "terminationGracePeriodSeconds"),
    "an init container": _pop("spec", "initContainers", 1),
    "a container": _pop("spec", "containers", 1),
    "the last argument": _pop("spec", "containers", 0, "args", 1),
    "all arguments": _pop("spec", "containers", 0, "args"),
    "a variable": _pop("spec", "containers", 0, "env", 0),
    "a variable's value": _pop("spec", "containers", 0, "env", 0, "value"),
    "a port": _pop("spec", "containers", 0, "ports", 0),
    "a limit": _pop("spec", "containers", 0, "resources", "limits", "memory"),
    "all limits": _pop("spec", "containers", 0, "resources"),
    "a probe": _pop("spec", "containers", 0, "readinessProbe"),
    "a probe's delay": _pop("spec", "containers", 0, "readinessProbe", "initialDelaySeconds"),
    "a mount": _pop("spec", "containers", 0, "volumeMounts", 1),
    "a pull policy": _pop("spec", "containers", 1, "imagePullPolicy"),
    "a volume": _pop("spec", "volumes", 1),
    "the service account": _pop("spec", "serviceAccountName"),
    "an affinity whose selector is empty": _pop("spec", "affinity"),
}


@pytest.mark.parametrize("what", REMOVALS)
def test_a_hotfix_that_only_removes_is_found(what: str) -> None:
    hotfix = copy.deepcopy(SPEC)
    REMOVALS[what](hotfix)
    assert template.carries(hotfix, stored(SPEC)) != ""


@pytest.mark.parametrize("what", REMOVALS)
def test_a_hotfix_that_only_adds_is_found(what: str) -> None:
    old = copy.deepcopy(SPEC)
    REMOVALS[what](old)
    assert template.carries(SPEC, stored(old)) != ""


def test_a_changed_image_is_found_with_its_path() -> None:
    hotfix = copy.deepcopy(SPEC)
    hotfix["spec"]["containers"][0]["image"] = "registry.example:5000/web:v3"
    assert template.carries(hotfix, stored(SPEC)) == "spec.containers[web].image is in spec only"


def test_init_containers_in_another_order_are_another_template() -> None:
    hotfix = copy.deepcopy(SPEC)
    hotfix["spec"]["initContainers"].reverse()
    assert template.carries(hotfix, stored(SPEC)) != ""


def test_a_pull_policy_is_a_default_only_for_the_tag_it_belongs_to() -> None:
    for image, policy in (
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:v1", "IfNotPresent"),
        ("web@sha256:1", "IfNotPresent"),
    ):
        spec: Json = {"metadata": {}, "spec": {"containers": [{"name": "web", "image": image}]}}
        carried = copy.deepcopy(spec)
        carried["spec"]["containers"][0]["imagePullPolicy"] = policy
        other = copy.deepcopy(spec)
        other["spec"]["containers"][0]["imagePullPolicy"] = "Always" if policy == "IfNotPresent" else "IfNotPresent"
        assert template.difference(spec, carried) == "", image
        assert template.difference(spec, other) != "", image


def test_quantities_are_compared_by_value() -> None:
    carried = stored(SPEC)
    carried["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "500m", "memory": "1024Mi"}}
    assert template.carries(SPEC, carried) == ""
    assert quantity.same("1e3", "1k")
    assert quantity.same(2, "2000m")
    assert not quantity.same("1G", "1Gi")
    assert not quantity.same("0.5", "0.5x")


def test_the_keys_of_ephemeral_metadata_are_the_controllers_own() -> None:
    carried = stored(SPEC)
    carried["metadata"]["annotations"] = {
        "rollout.argoproj.io/ephemeral-metadata": json.dumps({"labels": {"role": "canary"}})
    }
    carried["spec"]["template"]["metadata"]["labels"]["role"] = "canary"
    assert template.carries(SPEC, carried) == ""
    carried["spec"]["template"]["metadata"]["labels"]["other"] = "x"
    assert template.carries(SPEC, carried) != ""


@pytest.mark.parametrize("text", ["not json", "[]", '{"labels": 3}'])
def test_an_unreadable_ephemeral_annotation_hides_nothing(text: str) -> None:
    carried = stored(SPEC)
    carried["metadata"]["annotations"] = {"rollout.argoproj.io/ephemeral-metadata": text}
    carried["spec"]["template"]["metadata"]["labels"]["role"] = "canary"
    assert template.carries(SPEC, carried) != ""


def test_the_injected_anti_affinity_is_the_controllers_own_and_anybody_elses_is_not() -> None:
    carried = stored(SPEC)
    selector: Json = {"matchExpressions": [{"key": HASH, "operator": "NotIn", "values": ["5c4b"]}]}
    term = {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}
    preferred = [{"weight": 1, "podAffinityTerm": term}]
    affinity = carried["spec"]["template"]["spec"]["affinity"]
    affinity["podAntiAffinity"] = {
        "requiredDuringSchedulingIgnoredDuringExecution": [term],
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    }
    assert template.carries(SPEC, carried) == ""
    selector["matchExpressions"].append({"key": "app", "operator": "In", "values": ["web"]})
    assert template.carries(SPEC, carried) != ""


def test_what_the_controller_writes_back_adds_only() -> None:
    normalised = copy.deepcopy(SPEC)
    normalised["spec"]["containers"][1]["resources"] = {}
    assert template.missing(SPEC, normalised) == ""
    assert template.difference(SPEC, normalised) == ""
    without = copy.deepcopy(SPEC)
    without["metadata"]["labels"].pop("tier")
    assert template.missing(SPEC, without) == "metadata.labels.tier"
    assert template.missing(without, SPEC) == ""

"""The comparison finds every removal and every addition, and takes nothing for one that the API server fills in."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.argo import template
from tests.unit.argo.api_server import SPEC, stored

Json = dict[str, Any]
Path = tuple[Any, ...]

# What a pod cannot be without; everything else may be there or not.
KEPT = {
    "name",
    "image",
    "containers",
    "httpGet",
    "containerPort",
    "mountPath",
    "path",
    "fieldPath",
    "topologyKey",
    "sources",
}
SPELT_OUT: Json = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "automountServiceAccountToken": False,
    "hostNetwork": False,
    "priorityClassName": "",
    "shareProcessNamespace": False,
}


def paths(value: Any, here: Path = ()) -> list[Path]:
    """Everything that can be taken out, deepest last."""
    found: list[Path] = []
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        if key in KEPT or (key == 0 and here and here[-1] in ("containers", "sources")):
            if key not in ("name", "image"):
                found += paths(value[key], (*here, key))
            continue
        if here:
            found.append((*here, key))
        found += paths(value[key], (*here, key))
    return found


def without(spec: Json, path: Path) -> Json:
    """The template with one thing less."""
    made = copy.deepcopy(spec)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return made


@st.composite
def templates(draw: st.DrawFn) -> Json:
    """The rich template with some things less, and some defaults spelt out."""
    spec = copy.deepcopy(SPEC)
    for _ in range(draw(st.integers(0, 6))):
        spec = without(spec, draw(st.sampled_from(paths(spec))))
    for key in draw(st.sets(st.sampled_from(sorted(SPELT_OUT)))):
        spec["spec"].setdefault(key, SPELT_OUT[key])
    return spec


def bare(value: Any) -> Any:
    """Without what an API server drops: the one judge of whether two templates are the same."""
    meant = {"runAsUser", "automountServiceAccountToken", "shareProcessNamespace", "labelSelector"}
    if isinstance(value, dict):
        kept = {key: bare(inner) for key, inner in value.items()}
        return {
            key: inner
            for key, inner in kept.items()
            if key in meant or key == "note" or inner not in ({}, [], "", None, False, 0)
        }
    return [bare(inner) for inner in value] if isinstance(value, list) else value


@given(templates())
@settings(max_examples=60, deadline=None)
def test_a_stored_template_carries_what_it_was_stored_from(spec: Json) -> None:
    assert template.carries(spec, stored(spec)) == ""


@given(templates(), st.data())
@settings(max_examples=150, deadline=None)
def test_one_thing_less_is_found_from_either_side(spec: Json, data: st.DataObject) -> None:
    less = without(spec, data.draw(st.sampled_from(paths(spec))))
    same = bare(stored(less)) == bare(stored(spec))
    assert (template.carries(less, stored(spec)) == "") is same
    assert (template.carries(spec, stored(less)) == "") is same


@given(templates(), st.sampled_from(["v2", "v3", "latest", ""]), st.sampled_from(["v2", "v3", "latest", ""]))
@settings(max_examples=60, deadline=None)
def test_another_image_is_always_found(spec: Json, one: str, other: str) -> None:
    first, second = copy.deepcopy(spec), copy.deepcopy(spec)
    for made, tag in ((first, one), (second, other)):
        made["spec"]["containers"][0]["image"] = f"web:{tag}" if tag else "web"
    assert (template.carries(first, stored(second)) == "") is (one == other)

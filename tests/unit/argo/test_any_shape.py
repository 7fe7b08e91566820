"""Whatever stands in an object that the API server gives: a look reads it. What is of another kind is empty, and never an exception."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from server.core.argo.read import Raw, read
from tests.unit.argo.api_server import SPEC
from tests.unit.argo.bluegreen_cases import BlueGreen
from tests.unit.argo.cases import CUR, HASH, World, at

Json = dict[str, Any]
Path = tuple[Any, ...]

KINDS: list[object] = [None, 7, "x", ["x"], [{}], {"x": 7}]
OBJECTS = ("rollout", "replica_sets", "stable_service", "canary_service", "router", "lease", "analysis")
MORE = ("active_service", "slices", "pods")
TERM: Json = {"labelSelector": {"matchExpressions": [{"key": HASH, "operator": "NotIn"}]}, "topologyKey": "zone"}


def rich(world: World) -> World:
    """With all in its template that the comparison looks for: the controller's own term, its ephemeral metadata."""
    world.template, world.carried = copy.deepcopy(SPEC), copy.deepcopy(SPEC)
    for one in (world.template, world.carried):
        one["spec"]["terminationGracePeriodSeconds"] = 30  # as each ReplicaSet of this world says
    world.carried["spec"]["affinity"]["podAntiAffinity"] = {
        "requiredDuringSchedulingIgnoredDuringExecution": [copy.deepcopy(TERM)],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": copy.deepcopy(TERM)}],
    }
    world.spec["selector"]["matchExpressions"] = [{"key": "app", "operator": "In", "values": ["web"]}]
    measured = {"phase": "Failed", "value": "[0.08]", "finishedAt": "2026-11-24T03:11:00Z"}
    metadata = {
        "name": "web-1",
        "labels": {"rollout-type": "Background"},
        "annotations": {"rollout.argoproj.io/revision": "2"},
        "ownerReferences": [{"uid": "u-1", "controller": True}],
    }
    defined = {"name": "errors", "successCondition": "result[0] <= {{args.limit}}", "failureLimit": 0}
    world.analysis = [
        {
            "metadata": metadata,
            "spec": {"args": [{"name": "limit", "value": "0.05"}], "metrics": [defined]},
            "status": {
                "phase": "Failed",
                "metricResults": [{"name": "errors", "failed": 1, "measurements": [measured]}],
            },
        }
    ]
    return world


def promoted() -> World:
    """A blue-green Rollout whose current version is stable: what an older one would put back is read too."""
    world = rich(BlueGreen().promoted())
    assert isinstance(world, BlueGreen)
    world.templates = dict.fromkeys(world.created, world.carried)
    return world


def whole(world: World) -> Raw:
    raw = world.raw(at(0))
    for one in raw.replica_sets:
        added = json.dumps({"labels": {"role": "canary"}})
        one["metadata"].setdefault("annotations", {})["rollout.argoproj.io/ephemeral-metadata"] = added
    return raw


def places(value: Any, here: Path = ()) -> Iterator[Path]:
    """Every place in it, but the object itself: that one is an object, or could not be read."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*here, key)
        yield from places(one, (*here, key))


def put(value: Any, path: Path, thing: object) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = copy.deepcopy(thing)


@pytest.mark.parametrize(
    ("world", "named"),
    [(lambda: rich(World()), OBJECTS), (promoted, (*OBJECTS, *MORE))],
    ids=["a canary", "a promoted blue-green"],
)
def test_anything_anywhere_is_read(world: Any, named: tuple[str, ...]) -> None:
    """Each place of each object, each kind of thing in it. The lists of objects come from the client and hold objects only."""
    raw, failed = whole(world()), set()
    for name in named:
        there = getattr(raw, name)
        for path in [one for one in places(there) if not (isinstance(there, list) and len(one) == 1)]:
            for thing in KINDS:
                bent = copy.deepcopy(there)
                put(bent, path, thing)
                setattr(raw, name, bent)
                try:
                    read(raw)
                except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
                    failed.add(f"{name} {path}: {error!r}")
        setattr(raw, name, there)
    assert failed == set()


def test_the_world_that_is_bent_is_one_that_is_read_whole() -> None:
    state = read(whole(rich(World())))
    assert (state.differs, state.cur, len(state.analysis)) == ("", CUR, 1)
    older = [one for one in read(whole(promoted())).replica_sets if one.hash != CUR]
    assert [one.template["spec"]["containers"][0]["name"] for one in older if one.template] == ["web"]

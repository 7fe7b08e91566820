"""A flag and the two patch languages that change it. A patch is all or nothing: it answers the changed copy."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any


class Stale(LookupError):
    """A `test` of a JSON patch does not hold."""


@dataclass
class Environment:
    on: bool
    version: int
    last_modified: int
    off_variation: int | None = 1
    comment: str = ""


@dataclass
class Flag:
    key: str
    name: str
    identity: str
    created: int
    version: int = 1
    archived: bool = False
    environments: dict[str, Environment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.environments:
            self.environments = {name: Environment(True, 41, self.created) for name in ("production", "test")}

    def shape(self, wanted: list[str] | None) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": "boolean",
            "description": "The seed's flag",
            "key": self.key,
            "_version": self.version,
            "creationDate": self.created,
            "includeInSnippet": False,
            "clientSideAvailability": {"usingMobileKey": False, "usingEnvironmentId": False},
            "variations": [
                {"_id": f"{self.identity}-0", "value": True, "name": "new"},
                {"_id": f"{self.identity}-1", "value": False, "name": "old"},
            ],
            "temporary": False,
            "tags": [],
            "_links": {"self": {"href": f"/api/v2/flags/default/{self.key}", "type": "application/json"}},
            "experiments": {"baselineIdx": 0, "items": []},
            "customProperties": {},
            "archived": self.archived,
            "deprecated": False,
            "defaults": {"onVariation": 0, "offVariation": 1},
            "environments": {
                name: self._environment(name, one)
                for name, one in self.environments.items()
                if wanted is None or name in wanted
            },
        }

    def _environment(self, name: str, one: Environment) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "on": one.on,
            "archived": self.archived,
            "salt": self.identity,
            "sel": self.identity[::-1],
            "lastModified": one.last_modified,
            "version": one.version,
            "targets": [],
            "contextTargets": [],
            "rules": [],
            "fallthrough": {"variation": 0},
            "prerequisites": [],
            "_site": {"href": f"/default/{name}/features/{self.key}", "type": "text/html"},
            "_environmentName": name.capitalize(),
            "trackEvents": False,
            "trackEventsFallthrough": False,
        }
        if one.off_variation is not None:
            shown["offVariation"] = one.off_variation
        return shown


def apply_semantic_patch(flag: Flag, body: object, now: int) -> Flag:
    if not isinstance(body, dict):
        raise TypeError("semantic patch must be an object")
    instructions = body.get("instructions")
    if not isinstance(instructions, list) or not instructions:
        raise ValueError("semantic patch must have instructions")
    name = body.get("environmentKey")
    if name not in flag.environments:
        raise ValueError(
            "environmentKey is required for this instruction" if not name else f"unknown environment {name}"
        )
    changed = deepcopy(flag)
    for one in instructions:
        kind = one.get("kind") if isinstance(one, dict) else None
        if kind not in ("turnFlagOn", "turnFlagOff"):
            raise ValueError(f"unknown instruction kind {kind!r}")
        _turn(changed, name, kind == "turnFlagOn", now)
    if changed != flag:
        changed.environments[name].comment = str(body.get("comment") or "")
    return changed


def apply_json_patch(flag: Flag, body: object, now: int) -> Flag:
    """The part with a precondition: `test` of the version, `replace` of `on`."""
    operations = body.get("patch") if isinstance(body, dict) else body
    if not isinstance(operations, list):
        raise TypeError("patch must be a list of operations")
    changed = deepcopy(flag)
    for one in operations:
        parts = str(one["path"]).split("/")
        if len(parts) != 4 or parts[1] != "environments" or parts[2] not in changed.environments:
            raise ValueError(f"cannot patch {one['path']}")
        environment = changed.environments[parts[2]]
        if one["op"] == "test" and parts[3] in ("version", "on"):
            if getattr(environment, parts[3]) != one["value"]:
                raise Stale(f"test failed: {one['path']}")
        elif one["op"] == "replace" and parts[3] == "on" and isinstance(one["value"], bool):
            _turn(changed, parts[2], one["value"], now)
        else:
            raise ValueError(f"cannot {one['op']} {one['path']}")
    return changed


def _turn(flag: Flag, name: str, on: bool, now: int) -> None:
    environment = flag.environments[name]
    if environment.on == on:
        return
    environment.on, environment.last_modified = on, now
    environment.version += 1
    flag.version += 1

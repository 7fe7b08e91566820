"""A flag, its environments, and how the API shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Environment:
    """A flag's configuration in one environment; every change raises its version."""

    on: bool
    version: int
    last_modified: int
    off_variation: int | None = 1
    fallthrough: Json = field(default_factory=lambda: {"variation": 0})
    rules: list[Json] = field(default_factory=list)
    targets: list[Json] = field(default_factory=list)
    prerequisites: list[Json] = field(default_factory=list)

    def same(self, other: Environment) -> bool:
        """Whether a context is served the same; versions and times are no difference."""
        ours, theirs = ({**vars(one), "version": 0, "last_modified": 0} for one in (self, other))
        return ours == theirs


@dataclass
class Flag:
    project: str
    key: str
    name: str
    identity: str
    created: int
    environments: dict[str, Environment]
    variations: list[Json]
    version: int = 1
    archived: bool = False
    tags: list[str] = field(default_factory=list)
    description: str = ""

    def index(self, variation: object) -> int:
        """The place of a variation's `_id`; ValueError where there is none."""
        for place, one in enumerate(self.variations):
            if one["_id"] == variation:
                return place
        raise ValueError(f"unknown variation {variation!r}")

    def shape(self, wanted: list[str] | None) -> Json:
        return {
            "name": self.name,
            "kind": "boolean" if all(isinstance(one["value"], bool) for one in self.variations) else "multivariate",
            "description": self.description,
            "key": self.key,
            "_version": self.version,
            "creationDate": self.created,
            "includeInSnippet": False,
            "clientSideAvailability": {"usingMobileKey": False, "usingEnvironmentId": False},
            "variations": self.variations,
            "temporary": False,
            "tags": self.tags,
            "_links": {"self": {"href": f"/api/v2/flags/{self.project}/{self.key}", "type": "application/json"}},
            "experiments": {"baselineIdx": 0, "items": []},
            "customProperties": {},
            "archived": self.archived,
            "deprecated": False,
            "defaults": {"onVariation": 0, "offVariation": len(self.variations) - 1},
            "environments": {
                name: self._environment(name, one)
                for name, one in self.environments.items()
                if wanted is None or name in wanted
            },
        }

    def _environment(self, name: str, one: Environment) -> Json:
        shown: Json = {
            "on": one.on,
            "archived": self.archived,
            "salt": self.identity,
            "sel": self.identity[::-1],
            "lastModified": one.last_modified,
            "version": one.version,
            "targets": one.targets,
            "contextTargets": [],
            "rules": one.rules,
            "fallthrough": one.fallthrough,
            "prerequisites": one.prerequisites,
            "_site": {"href": f"/{self.project}/{name}/features/{self.key}", "type": "text/html"},
            "_environmentName": name.capitalize(),
            "trackEvents": False,
            "trackEventsFallthrough": False,
        }
        if one.off_variation is not None:
            shown["offVariation"] = one.off_variation
        return shown

"""What the account holds: projects, flags, what waits, what was written down; and the one way in which a flag is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.launchdarkly.errors import Refusal, bad, denied, taken, unknown
from sandbox.launchdarkly.flags import Environment, Flag
from sandbox.launchdarkly.patches import Stale, semantic
from sandbox.launchdarkly.pending import Pending, Waiting
from sandbox.launchdarkly.projects import ProjectEnvironment
from sandbox.launchdarkly.tokens import Token

Json = dict[str, Any]
HexDigits = Callable[[int], str]
HELD = "the default rule is held by a running experiment or rollout"


@dataclass
class Change:
    """A wish to change a flag. change: the patched copy, from the flag as it stands."""

    flag: Flag
    change: Callable[[Flag], Flag]
    by: Token
    comment: str = ""
    ignore_conflicts: bool = False
    approved: bool = False
    dry_run: bool = False


@dataclass
class Account:
    random_hex: HexDigits
    pending: Pending = field(default_factory=Pending)
    projects: dict[str, dict[str, ProjectEnvironment]] = field(default_factory=dict)
    flags: dict[tuple[str, str], Flag] = field(default_factory=dict)
    audit: list[Json] = field(default_factory=list)

    # Projects, environments, flags --------------------------------------------------------------------------------------

    def add_project(self, key: str, environments: list[str]) -> None:
        if key in self.projects:
            raise taken(f"A project with the key {key} already exists")
        self.projects[key] = {}
        for name in environments:
            self.add_environment(key, name, 0)

    def add_environment(self, project: str, name: str, now: int) -> ProjectEnvironment:
        known = self.project(project)
        if name in known:
            raise taken(f"An environment with the key {name} already exists")
        known[name] = ProjectEnvironment(name, name.capitalize(), self.random_hex(32))
        for flag in self.flags.values():
            if flag.project == project:
                flag.environments[name] = Environment(False, 1, now, len(flag.variations) - 1)
        return known[name]

    def project(self, key: str) -> dict[str, ProjectEnvironment]:
        if key not in self.projects:
            raise unknown("project")
        return self.projects[key]

    def environment(self, project: str, name: str) -> ProjectEnvironment:
        if name not in self.project(project):
            raise unknown("environment")
        return self.projects[project][name]

    def flag(self, project: str, key: str) -> Flag:
        self.project(project)
        if (project, key) not in self.flags:
            raise unknown("flag key")
        return self.flags[project, key]

    def add_flag(self, project: str, body: Any, now: int) -> Flag:
        """As in life: off everywhere, until somebody turns it on."""
        key, known = body.get("key") if isinstance(body, dict) else None, self.project(project)
        if not isinstance(key, str) or not key:
            raise bad("key is required")
        if (project, key) in self.flags:
            raise taken("A feature with that key already exists")
        identity = self.random_hex(24)
        values = body.get("variations") or [{"value": True}, {"value": False}]
        variations = [{"_id": f"{identity}-{place}", **one} for place, one in enumerate(values)]
        environments = {name: Environment(False, 1, now, len(variations) - 1) for name in known}
        name = str(body.get("name") or key)
        made = Flag(project, key, name, identity, now, environments, variations, tags=list(body.get("tags") or []))
        self.flags[project, key] = made
        return made

    def dependents(self, flag: Flag, environment: str) -> list[Flag]:
        return [
            other
            for other in self.flags.values()
            if other.project == flag.project
            and environment in other.environments
            and any(one["key"] == flag.key for one in other.environments[environment].prerequisites)
        ]

    # Changing a flag ----------------------------------------------------------------------------------------------------

    def change(self, wish: Change, now: int) -> tuple[Flag, bool]:
        """The flag as it is then, and whether anything changed. Refused as a whole, or done as a whole."""
        flag = wish.flag
        try:
            changed = wish.change(flag)
        except Stale as stale:
            raise taken(str(stale)) from None
        except (ValueError, TypeError, KeyError, RecursionError) as wrong:
            raise bad(str(wrong)) from None
        touched = [name for name, one in changed.environments.items() if not one.same(flag.environments[name])]
        wide = (changed.archived, changed.tags, changed.name) != (flag.archived, flag.tags, flag.name)
        for name in touched:
            self._allowed(wish, changed, name)
        if wide and not wish.by.may("updateFlag", f"proj/{flag.project}:env/*:flag/{flag.key}"):
            raise denied()
        if changed.archived and not flag.archived and any(self.dependents(flag, name) for name in flag.environments):
            raise bad("a flag that is a prerequisite of others cannot be archived")
        for name in touched:
            changed.environments[name].version += 1
            changed.environments[name].last_modified = now
        if wish.dry_run or not (touched or wide):
            return changed, False
        changed.version += 1
        self.flags[flag.project, flag.key] = changed
        for name in touched or ["*"]:
            self._write_down(wish, changed, name, now)
        return changed, True

    def _allowed(self, wish: Change, changed: Flag, name: str) -> None:
        """Right, approval, a running experiment, pending changes: in this order."""
        flag, before, after = wish.flag, wish.flag.environments[name], changed.environments[name]
        resource = f"proj/{flag.project}:env/{name}:flag/{flag.key}"
        if not wish.by.may("updateOn" if before.on is not after.on else "updateFallthrough", resource):
            raise denied()
        if not wish.approved and not wish.by.may("bypassRequiredApproval", resource):
            self.environment(flag.project, name).gate(flag)
        if before.fallthrough != after.fallthrough and "experimentAllocation" in (
            before.fallthrough.get("rollout") or {}
        ):
            raise taken(HELD)
        if not wish.ignore_conflicts:
            self.pending.collide((flag.project, flag.key, name), before.on is not after.on)

    def _write_down(self, wish: Change, flag: Flag, name: str, now: int) -> None:
        here = flag.environments.get(name)
        verb = (
            "changed"
            if here is None or here.on is wish.flag.environments[name].on
            else f"turned {'on' if here.on else 'off'}"
        )
        self.audit.append(
            {
                "_id": self.random_hex(24),
                "date": now,
                "kind": "flag",
                "name": flag.name,
                "titleVerb": f"{verb} the flag",
                "comment": wish.comment,
                "token": {"_id": wish.by.identity, "name": wish.by.name, "serviceToken": True},
                "target": {"resources": [f"proj/{flag.project}:env/{name}:flag/{flag.key}"]},
            }
        )

    # What waits ---------------------------------------------------------------------------------------------------------

    def carry_out_what_is_due(self, by: Token, now: int) -> None:
        """Scheduled changes whose hour has come. One that can no longer be applied goes as well."""
        for one in [one for one in self.pending.scheduled if (one.execution or 0) <= now]:
            self.pending.scheduled.remove(one)
            try:
                self.apply(one, by, now)
            except Refusal:
                continue

    def apply(self, one: Waiting, by: Token, now: int) -> None:
        project, key, environment = one.place
        body = {"environmentKey": environment, "instructions": one.instructions}
        wish = Change(self.flag(project, key), lambda flag: semantic(flag, body), by, one.comment, True, True)
        self.change(wish, now)

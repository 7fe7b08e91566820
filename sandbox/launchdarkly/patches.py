"""The two patch languages of a flag. A patch is all or nothing: it answers the changed copy, versions not yet raised."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sandbox.launchdarkly.flags import Environment, Flag

Json = dict[str, Any]
_FLAG_WIDE = ("archiveFlag", "restoreFlag", "addTags", "removeTags", "updateName", "updateDescription")
_EDITABLE = {
    "on": ("on", bool),
    "offVariation": ("off_variation", int),
    "fallthrough": ("fallthrough", dict),
    "rules": ("rules", list),
    "targets": ("targets", list),
    "prerequisites": ("prerequisites", list),
}
_READABLE = {name: field for name, (field, _) in _EDITABLE.items()} | {
    "version": "version",
    "lastModified": "last_modified",
}


class Stale(LookupError):
    """A `test` of a JSON patch does not hold."""


def semantic(flag: Flag, body: object) -> Flag:
    """`environmentKey` beside `instructions`; fields that nobody knows are ignored."""
    if not isinstance(body, dict):
        raise TypeError("semantic patch must be an object")
    instructions = body.get("instructions")
    if not isinstance(instructions, list) or not instructions:
        raise ValueError("semantic patch must have instructions")
    changed = deepcopy(flag)
    for one in instructions:
        if not isinstance(one, dict):
            raise TypeError("an instruction must be an object")
        if one.get("kind") in _FLAG_WIDE:
            _flag_wide(changed, one)
        else:
            _in_environment(changed, _environment(changed, body.get("environmentKey")), one)
    return changed


def _environment(flag: Flag, name: object) -> Environment:
    if name not in flag.environments:
        raise ValueError(
            "environmentKey is required for this instruction" if not name else f"unknown environment {name}"
        )
    return flag.environments[str(name)]


def _flag_wide(flag: Flag, one: Json) -> None:
    match one["kind"]:
        case "archiveFlag" | "restoreFlag":
            flag.archived = one["kind"] == "archiveFlag"
        case "addTags":
            flag.tags += [tag for tag in one["values"] if tag not in flag.tags]
        case "removeTags":
            flag.tags = [tag for tag in flag.tags if tag not in one["values"]]
        case _:
            setattr(flag, {"updateName": "name"}.get(one["kind"], "description"), str(one["value"]))


def _in_environment(flag: Flag, environment: Environment, one: Json) -> None:
    match kind := one.get("kind"):
        case "turnFlagOn" | "turnFlagOff":
            environment.on = kind == "turnFlagOn"
        case "updateOffVariation":
            environment.off_variation = flag.index(one["variationId"])
        case "updateFallthroughVariationOrRollout":
            environment.fallthrough = _served(flag, one)
        case "addPrerequisite":
            environment.prerequisites.append({"key": str(one["key"]), "variation": 0})
        case "removePrerequisite":
            environment.prerequisites = [kept for kept in environment.prerequisites if kept["key"] != one["key"]]
        case "addTargets":
            environment.targets.append({"values": list(one["values"]), "variation": flag.index(one["variationId"])})
        case _:
            raise ValueError(f"unknown instruction kind {kind!r}")


def _served(flag: Flag, one: Json) -> Json:
    """One variation, or a percentage rollout."""
    weights = one.get("rolloutWeights")
    if weights is None:
        return {"variation": flag.index(one["variationId"])}
    shares = [{"variation": flag.index(name), "weight": int(weight)} for name, weight in weights.items()]
    if sum(share["weight"] for share in shares) != 100_000:
        raise ValueError("rolloutWeights must add up to 100000")
    return {"rollout": {"variations": shares, "contextKind": "user"}}


def json_patch(flag: Flag, body: object) -> Flag:
    """A list, or `patch` beside `comment`. What starts with an underscore, versions and times can be tested, never written."""
    operations = body.get("patch") if isinstance(body, dict) else body
    if not isinstance(operations, list):
        raise TypeError("patch must be a list of operations")
    changed = deepcopy(flag)
    for one in operations:
        parts = str(one["path"]).split("/")[1:]
        if parts == ["archived"] and one["op"] in ("replace", "add") and isinstance(one["value"], bool):
            changed.archived = one["value"]
        elif parts == ["_version"] and one["op"] == "test":
            _test(changed.version, one)
        elif len(parts) == 3 and parts[0] == "environments" and parts[1] in changed.environments:
            _operate(changed.environments[parts[1]], parts[2], one)
        else:
            raise ValueError(f"cannot {one['op']} {one['path']}")
    return changed


def _operate(environment: Environment, name: str, one: Json) -> None:
    if one["op"] == "test" and name in _READABLE:
        _test(getattr(environment, _READABLE[name]), one)
        return
    field, kind = _EDITABLE.get(name, ("", object))
    if one["op"] == "remove" and name == "offVariation":
        environment.off_variation = None
    elif one["op"] in ("replace", "add") and field and type(one["value"]) is kind:
        setattr(environment, field, one["value"])
    else:
        raise ValueError(f"cannot {one['op']} {one['path']}")


def _test(found: object, one: Json) -> None:
    if type(found) is not type(one["value"]) or found != one["value"]:
        raise Stale(f"test failed: {one['path']}")

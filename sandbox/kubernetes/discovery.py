"""/api and /apis: which groups, versions and resources there are, for clients that ask first."""

from __future__ import annotations

from typing import Any

from sandbox.kubernetes.kinds import BY_PLURAL, Resource

Object = dict[str, Any]

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def discovered(path: str) -> Object | None:
    parts = path.strip("/").split("/")
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = sorted({resource.group for resource in BY_PLURAL.values() if resource.group})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in groups]}
        case ["api", "v1"]:
            return _resources("", "v1")
        case ["apis", group] if _versions(group):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, version] if version in _versions(group):
            return _resources(group, version)
    return None


def _versions(group: str) -> tuple[str, ...]:
    return next((one.versions for one in BY_PLURAL.values() if one.group == group), ())


def _group(group: str) -> Object:
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in _versions(group)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str) -> Object:
    members = [resource for resource in BY_PLURAL.values() if resource.group == group]
    listed = [entry for resource in members for entry in _entries(resource)]
    named = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": named, "resources": listed}


def _entries(resource: Resource) -> list[Object]:
    common = {"singularName": resource.kind.lower(), "namespaced": resource.namespaced, "kind": resource.kind}
    main = {"name": resource.plural, **common, "verbs": _VERBS}
    kinds = {"status": resource.has_status, "scale": resource.has_scale}
    below = [sub for sub, there in kinds.items() if there]
    return [main, *({**main, "name": f"{resource.plural}/{sub}", "verbs": ["get", "patch", "update"]} for sub in below)]

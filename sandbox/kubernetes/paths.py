"""What a path means: group, version, resource, namespace, name, subresource; known or not."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from sandbox.kubernetes.kinds import Resource, find


@dataclass(frozen=True)
class Target:
    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def resource(self) -> Resource | None:
        return find(self.group, self.version, self.plural)

    @property
    def asked(self) -> str:
        """As RBAC names it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural

    @property
    def place(self) -> str:
        """The namespace under which the store keeps the object."""
        return "" if self.plural == "namespaces" else self.namespace


def parse(path: str) -> Target | None:
    """None where the path belongs to no API group."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[:1] == ["api"] and len(parts) > 2:
        return _target("", parts[1], parts[2:])
    if parts[:1] == ["apis"] and len(parts) > 3:
        return _target(parts[1], parts[2], parts[3:])
    return None


def _target(group: str, version: str, parts: list[str]) -> Target | None:
    if not all(parts):
        return None
    if parts[0] == "namespaces" and not group and (len(parts) < 3 or parts[2] in ("status", "finalize")):
        return _namespace(version, parts)
    if parts[0] == "namespaces" and len(parts) >= 3:
        return _named(group, version, parts[2:], namespace=parts[1])
    return _named(group, version, parts)


def _namespace(version: str, parts: list[str]) -> Target:
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    # The request about a namespace counts as one in it.
    return Target("", version, "namespaces", name, name, subresource)


def _named(group: str, version: str, parts: list[str], namespace: str = "") -> Target | None:
    if len(parts) > 3:
        return None
    plural, name, subresource = (*parts, "", "")[:3]
    return Target(group, version, plural, namespace, name, subresource)

"""Who asks, and whether that user may: everybody may do everything except what the deny list names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sandbox.http import Request
from sandbox.kubernetes.errors import ApiError, Cause, invalid, status, unauthorized

ANONYMOUS: Final = "system:anonymous"
WRONG: Final = "wrong"
_KEYS: Final = ("user", "verb", "group", "resource", "namespace")


@dataclass(frozen=True)
class Attributes:
    """What is asked for, in the words of RBAC; a subresource belongs to the resource (`rollouts/status`)."""

    user: str
    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def forbidden(self) -> ApiError:
        plural = self.resource.partition("/")[0]
        qualified = f"{plural}.{self.group}" if self.group else plural
        subject = f'{qualified} "{self.name}"' if self.name else qualified
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        message = (
            f'{subject} is forbidden: User "{self.user}" cannot {self.verb} resource "{self.resource}" '
            f'in API group "{self.group}" {where}'
        )
        named = ({"name": self.name} if self.name else {}) | ({"group": self.group} if self.group else {})
        return status(403, "Forbidden", message, {**named, "kind": plural})


class Gate:
    """The deny list; a key that an entry lacks (or gives as `*`) fits everything."""

    def __init__(self) -> None:
        self.deny: list[dict[str, str]] = []

    def set(self, wanted: object) -> None:
        self.deny = [_entry(one) for one in _listed(wanted)]

    def allows(self, asked: Attributes) -> bool:
        return asked.user != ANONYMOUS and not any(_fits(entry, asked) for entry in self.deny)

    def demand(self, asked: Attributes) -> None:
        if not self.allows(asked):
            raise asked.forbidden()

    def review(self, user: str, spec: dict[str, Any]) -> dict[str, Any]:
        """The status of a SelfSubjectAccessReview; `denied` is never said."""
        wanted = spec.get("resourceAttributes")
        if not isinstance(wanted, dict):
            if isinstance(spec.get("nonResourceAttributes"), dict):
                return {"allowed": True}
            raise _empty_review()
        resource = "/".join(part for part in (wanted.get("resource", ""), wanted.get("subresource", "")) if part)
        asked = Attributes(
            user,
            wanted.get("verb", ""),
            wanted.get("group", ""),
            resource,
            wanted.get("namespace", ""),
            wanted.get("name", ""),
        )
        return {"allowed": self.allows(asked)}


def user_of(request: Request) -> str:
    """Any bearer token names its user; no token, or another scheme, is nobody; the token "wrong" is unknown."""
    scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return ANONYMOUS
    if token.strip() == WRONG:
        raise unauthorized()
    return token.strip()


def _fits(entry: dict[str, str], asked: Attributes) -> bool:
    return all(entry.get(key) in (None, "*", getattr(asked, key)) for key in _KEYS)


def _listed(wanted: object) -> list[object]:
    if wanted is None:
        return []
    if not isinstance(wanted, list):
        raise TypeError("deny: a list is wanted")
    return wanted


def _entry(one: object) -> dict[str, str]:
    if not isinstance(one, dict):
        raise TypeError(f"deny: an object with some of {', '.join(_KEYS)} is wanted, not {one!r}")
    if unknown := set(one) - set(_KEYS):
        raise ValueError(f"deny: unknown key {', '.join(sorted(unknown))}; known are {', '.join(_KEYS)}")
    if not all(value is None or isinstance(value, str) for value in one.values()):
        raise TypeError("deny: texts are wanted")
    return {key: value for key, value in one.items() if value is not None}


def _empty_review() -> ApiError:
    message = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
    return invalid("", "authorization.k8s.io", "", [Cause("FieldValueInvalid", message, "spec.resourceAttributes")])

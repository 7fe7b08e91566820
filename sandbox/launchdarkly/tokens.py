"""Access tokens and what their roles allow. A token works until it is deleted; what a role may not do is answered 403."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sandbox.launchdarkly.errors import Refusal, bad, denied, unknown

Json = dict[str, Any]
_ROLES = ("reader", "writer", "admin")


@dataclass
class Token:
    identity: str
    secret: str
    name: str
    role: str = "admin"
    policy: list[Json] = field(default_factory=list)

    def may(self, action: str, resource: str) -> bool:
        """An inline role decides by its statements, a deny above all; else the plain role."""
        if not self.policy:
            return self.role != "reader" and (action != "bypassRequiredApproval") and self._by_role(action)
        fitting = [one for one in self.policy if _fits(one, action, resource)]
        return bool(fitting) and all(one.get("effect") == "allow" for one in fitting)

    def _by_role(self, action: str) -> bool:
        return self.role == "admin" or not action.startswith("token")


def _fits(statement: Json, action: str, resource: str) -> bool:
    actions, resources = statement.get("actions") or [], statement.get("resources") or []
    return any(fnmatchcase(action, one) for one in actions) and any(fnmatchcase(resource, one) for one in resources)


class Tokens:
    """All of them, by secret."""

    def __init__(self, random_hex: Any) -> None:
        self._random_hex = random_hex
        self.all: dict[str, Token] = {}
        self.first = self._add("ripcord", "admin", [])

    def _add(self, name: str, role: str, policy: list[Json]) -> Token:
        token = Token(self._random_hex(24), f"api-{self._random_hex(32)}", name, role, policy)
        self.all[token.secret] = token
        return token

    def of(self, header: str | None) -> Token:
        """Whose request it is."""
        found = self.all.get(header or "")
        if found is None:
            raise Refusal(401, "unauthorized", "Invalid access token")
        return found

    def create(self, by: Token, body: Any) -> Json:
        if not by.may("tokenCreate", "acct"):
            raise denied()
        wanted = body if isinstance(body, dict) else {}
        policy = wanted.get("inlineRole") or []
        if wanted.get("role", "reader") not in _ROLES or not isinstance(policy, list):
            raise bad("role must be one of reader, writer, admin")
        made = self._add(str(wanted.get("name", "")), wanted.get("role", "reader"), policy)
        return self._shape(made) | {"token": made.secret}

    def listed(self) -> Json:
        return {"items": [self._shape(one) for one in self.all.values()], "_links": {}}

    def delete(self, by: Token, identity: str) -> None:
        if not by.may("tokenDelete", "acct"):
            raise denied()
        secret = next((secret for secret, one in self.all.items() if one.identity == identity), None)
        if secret is None:
            raise unknown("token")
        del self.all[secret]

    @staticmethod
    def _shape(one: Token) -> Json:
        ending = one.secret[-4:]
        return {"_id": one.identity, "name": one.name, "role": one.role, "serviceToken": True, "token": f"****{ending}"}

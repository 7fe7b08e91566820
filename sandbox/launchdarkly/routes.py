"""The routes of the API: which request does what, and with which status it is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sandbox.http import Request
from sandbox.launchdarkly.account import Account, Change
from sandbox.launchdarkly.errors import Refusal, bad, denied
from sandbox.launchdarkly.patches import json_patch, semantic
from sandbox.launchdarkly.pending import Waiting
from sandbox.launchdarkly.tokens import Token, Tokens

Json = dict[str, Any]
Answer = tuple[int, Json | None]


@dataclass
class Call:
    """One request with who made it and when (milliseconds)."""

    request: Request
    by: Token
    now: int

    def body(self) -> Any:
        try:
            return self.request.json()
        except (ValueError, RecursionError):
            raise bad("the body is not JSON") from None

    def applied(self) -> None:
        self.request.entry.applied = True


class Routes:
    def __init__(self, account: Account, tokens: Tokens) -> None:
        self.account, self.tokens = account, tokens
        flag, places = "/flags/{project}/{flag}", "/projects/{project}/flags/{flag}/environments/{environment}"
        waiting = f"{places}/{{kind:scheduled-changes|approval-requests}}"
        self._table = [
            _route("GET", "/caller-identity", self._identity),
            _route("GET", "/auditlog", self._audit),
            _route("GET", "/tokens", lambda call: (200, self.tokens.listed())),
            _route("POST", "/tokens", self._add_token),
            _route("DELETE", "/tokens/{identity}", self._delete_token),
            _route("POST", "/projects", self._add_project),
            _route("POST", "/projects/{project}/environments", self._add_environment),
            _route("GET", "/projects/{project}/environments/{environment}", self._environment),
            _route("PATCH", "/projects/{project}/environments/{environment}", self._patch_environment),
            _route("POST", "/flags/{project}", self._add_flag),
            _route("GET", flag, self._flag),
            _route("PATCH", flag, self._patch_flag),
            _route("GET", "/flags/{project}/{environment}/{flag}/dependent-flags", self._dependents),
            _route("GET", waiting, self._waiting),
            _route("POST", waiting, self._add_waiting),
            _route("GET", f"{waiting}/{{identity}}", self._one_waiting),
            _route("DELETE", f"{waiting}/{{identity}}", self._delete_waiting),
            _route("POST", f"{places}/approval-requests/{{identity}}/reviews", self._review),
            _route("POST", f"{places}/approval-requests/{{identity}}/apply", self._apply),
        ]

    def find(self, method: str, path: str) -> tuple[str, Callable[[Call], Answer]]:
        """The route's name, for its rate limit, and what it does. A path that exists for other methods only is a 405."""
        there = False
        for verb, name, pattern, do in self._table:
            found = pattern.fullmatch(path.rstrip("/"))
            if found is None:
                continue
            if verb == method:
                given = {key: unquote(text) for key, text in found.groupdict().items()}
                return f"{method} {name}", lambda call, do=do, given=given: do(call, **given)
            there = True
        if there:
            raise Refusal(405, "method_not_allowed", "Method not allowed")
        raise Refusal(404, "not_found", "Unknown resource")

    # The account --------------------------------------------------------------------------------------------------------

    def _identity(self, call: Call) -> Answer:
        return 200, {"tokenName": call.by.name, "tokenKind": "auth", "tokenId": call.by.identity, "serviceToken": True}

    def _audit(self, call: Call) -> Answer:
        spec, after = call.request.first("spec"), int(call.request.first("after", "0") or 0)
        limit = min(max(int(call.request.first("limit", "10") or 10), 1), 20)
        found = [one for one in self.account.audit if spec in ("", *one["target"]["resources"]) and one["date"] > after]
        return 200, {"items": found[::-1][:limit], "_links": {}}

    def _add_token(self, call: Call) -> Answer:
        made = self.tokens.create(call.by, call.body())
        call.applied()
        return 201, made

    def _delete_token(self, call: Call, identity: str) -> Answer:
        self.tokens.delete(call.by, identity)
        call.applied()
        return 204, None

    def _add_project(self, call: Call) -> Answer:
        body = call.body()
        names = [str(one["key"]) for one in body.get("environments") or [{"key": "production"}, {"key": "test"}]]
        self.account.add_project(str(body.get("key")), names)
        call.applied()
        return 201, {
            "key": body.get("key"),
            "name": body.get("name"),
            "environments": [{"key": name} for name in names],
        }

    def _add_environment(self, call: Call, project: str) -> Answer:
        made = self.account.add_environment(project, str(call.body().get("key")), call.now)
        call.applied()
        return 201, made.shape()

    def _environment(self, call: Call, project: str, environment: str) -> Answer:
        return 200, self.account.environment(project, environment).shape()

    def _patch_environment(self, call: Call, project: str, environment: str) -> Answer:
        found = self.account.environment(project, environment)
        if not call.by.may("updateApprovalSettings", f"proj/{project}:env/{environment}"):
            raise denied()
        found.patch(call.body())
        call.applied()
        return 200, found.shape()

    # Flags --------------------------------------------------------------------------------------------------------------

    def _add_flag(self, call: Call, project: str) -> Answer:
        if not call.by.may("createFlag", f"proj/{project}:env/*:flag/*"):
            raise denied()
        made = self.account.add_flag(project, call.body(), call.now)
        call.applied()
        return 201, made.shape(None)

    def _flag(self, call: Call, project: str, flag: str) -> Answer:
        return 200, self.account.flag(project, flag).shape(call.request.query.get("env"))

    def _patch_flag(self, call: Call, project: str, flag: str) -> Answer:
        found, request, body = self.account.flag(project, flag), call.request, call.body()
        kind = (request.headers.get("Content-Type") or "").lower().replace(" ", "")
        language = semantic if "domain-model=launchdarkly.semanticpatch" in kind else json_patch
        wish = Change(
            found,
            lambda one: language(one, body),
            call.by,
            str(body.get("comment") or "") if isinstance(body, dict) else "",
            ignore_conflicts=request.first("ignoreConflicts") == "true",
            dry_run=request.first("dryRun") == "true",
        )
        changed, done = self.account.change(wish, call.now)
        if done:
            call.applied()
        return 200, changed.shape(None)

    def _dependents(self, call: Call, project: str, environment: str, flag: str) -> Answer:
        """A beta resource: without the header that says so it is forbidden."""
        if call.request.headers.get("LD-API-Version") != "beta":
            raise denied("this resource is in beta: set LD-API-Version: beta")
        found = self.account.flag(project, flag)
        self.account.environment(project, environment)
        items = [
            {"key": one.key, "name": one.name, "_links": {}, "_site": {}}
            for one in self.account.dependents(found, environment)
        ]
        return 200, {"items": items, "_links": {}, "_site": {}}

    # What waits ---------------------------------------------------------------------------------------------------------

    def _place(self, project: str, flag: str, environment: str) -> tuple[str, str, str]:
        self.account.flag(project, flag)
        self.account.environment(project, environment)
        return project, flag, environment

    def _waiting(self, call: Call, project: str, flag: str, environment: str, kind: str) -> Answer:
        found = self.account.pending.at(kind, self._place(project, flag, environment))
        return 200, {"items": [_shape(kind, one) for one in found], "_links": {}}

    def _add_waiting(self, call: Call, project: str, flag: str, environment: str, kind: str) -> Answer:
        place, body = self._place(project, flag, environment), call.body()
        instructions = body.get("instructions") if isinstance(body, dict) else None
        if not isinstance(instructions, list) or not instructions:
            raise bad("instructions are required")
        action = "updateScheduledChanges" if kind == "scheduled-changes" else "createApprovalRequest"
        if not call.by.may(action, f"proj/{project}:env/{environment}:flag/{flag}"):
            raise denied()
        when = body.get("executionDate")
        one = Waiting(
            self.account.random_hex(24),
            place,
            instructions,
            str(body.get("comment") or ""),
            call.now,
            call.by.identity,
            execution=when if isinstance(when, int) else None,
            description=str(body.get("description") or ""),
        )
        self.account.pending.add(kind, one)
        call.applied()
        return 201, _shape(kind, one)

    def _one_waiting(self, call: Call, project: str, flag: str, environment: str, kind: str, identity: str) -> Answer:
        one = self.account.pending.one(kind, self._place(project, flag, environment), identity)
        return 200, _shape(kind, one)

    def _delete_waiting(
        self, call: Call, project: str, flag: str, environment: str, kind: str, identity: str
    ) -> Answer:
        place = self._place(project, flag, environment)
        self.account.pending.remove(kind, self.account.pending.one(kind, place, identity))
        call.applied()
        return 204, None

    def _review(self, call: Call, project: str, flag: str, environment: str, identity: str) -> Answer:
        one = self.account.pending.one("approval-requests", self._place(project, flag, environment), identity)
        kind = call.body().get("kind")
        if kind not in ("approve", "decline", "comment"):
            raise bad("kind must be one of approve, decline, comment")
        own = one.by == call.by.identity
        if (
            own
            and kind != "comment"
            and not self.account.environment(project, environment).approval["canReviewOwnRequest"]
        ):
            raise denied("you cannot review your own request")
        one.reviews.append({"_id": self.account.random_hex(24), "kind": kind, "memberId": call.by.identity})
        call.applied()
        return 200, one.approval_shape()

    def _apply(self, call: Call, project: str, flag: str, environment: str, identity: str) -> Answer:
        one = self.account.pending.one("approval-requests", self._place(project, flag, environment), identity)
        if one.review != "approved" or one.status != "pending":
            raise bad("the request is not approved")
        self.account.apply(one, call.by, call.now)
        one.status = "completed"
        call.applied()
        return 200, one.approval_shape()


def _shape(kind: str, one: Waiting) -> Json:
    return one.scheduled_shape() if kind == "scheduled-changes" else one.approval_shape()


def _route(
    method: str, path: str, do: Callable[..., Answer]
) -> tuple[str, str, re.Pattern[str], Callable[..., Answer]]:
    """`{name}` is one segment, `{name:a|b}` one of these."""

    def group(found: re.Match[str]) -> str:
        return f"(?P<{found[1]}>{found[2] or '[^/]+'})"

    return method, path, re.compile("/api/v2" + re.sub(r"\{(\w+)(?::([^}]+))?\}", group, path)), do

"""Projects and their environments, with the approval settings that a change of a flag must pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.launchdarkly.errors import Refusal, bad
from sandbox.launchdarkly.flags import Flag

Json = dict[str, Any]
NEEDS_APPROVAL = "Flag configuration updates require approval: action 'updateOn' not allowed"


@dataclass
class ProjectEnvironment:
    key: str
    name: str
    secret: str
    approval: Json = field(
        default_factory=lambda: {
            "required": False,
            "bypassApprovalsForPendingChanges": False,
            "minNumApprovals": 1,
            "canReviewOwnRequest": False,
            "canApplyDeclinedChanges": False,
            "autoApplyApprovedChanges": False,
            "serviceKind": "launchdarkly",
            "serviceConfig": {},
            "requiredApprovalTags": [],
        }
    )

    def shape(self) -> Json:
        """With the SDK keys, as in life."""
        return {
            "_id": self.secret[:24],
            "key": self.key,
            "name": self.name,
            "apiKey": f"sdk-{self.secret}",
            "mobileKey": f"mob-{self.secret}",
            "color": "417505",
            "approvalSettings": self.approval,
        }

    def patch(self, body: Any) -> None:
        """A JSON patch of the approval settings and the name."""
        if not isinstance(body, list):
            raise bad("patch must be a list of operations")
        for one in body:
            parts = str(one.get("path", "")).split("/")[1:]
            if one.get("op") not in ("replace", "add"):
                raise bad(f"cannot {one.get('op')} {one.get('path')}")
            if len(parts) == 2 and parts[0] == "approvalSettings" and parts[1] in self.approval:
                self.approval[parts[1]] = one.get("value")
            elif parts == ["name"]:
                self.name = str(one.get("value"))
            else:
                raise bad(f"cannot patch {one.get('path')}")

    def gate(self, flag: Flag) -> None:
        """405, in the API's own words, where people must agree first."""
        tags = self.approval["requiredApprovalTags"]
        if self.approval["required"] or set(tags) & set(flag.tags):
            raise Refusal(405, "method_not_allowed", NEEDS_APPROVAL)

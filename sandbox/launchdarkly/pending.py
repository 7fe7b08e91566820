"""Changes of a flag that wait: for their hour (scheduled changes), or for people (approval requests)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.launchdarkly.errors import Refusal, bad, unknown

Json = dict[str, Any]
Place = tuple[str, str, str]
"""Project, flag, environment."""
SWITCHES = frozenset({"turnFlagOn", "turnFlagOff"})


@dataclass
class Waiting:
    """One of either kind."""

    identity: str
    place: Place
    instructions: list[Json]
    comment: str
    created: int
    by: str
    execution: int | None = None
    description: str = ""
    status: str = "pending"
    reviews: list[Json] = field(default_factory=list)

    @property
    def review(self) -> str:
        kinds = [one["kind"] for one in self.reviews]
        return "declined" if "decline" in kinds else "approved" if "approve" in kinds else "pending"

    def scheduled_shape(self) -> Json:
        return {
            "_id": self.identity,
            "_creationDate": self.created,
            "_maintainerId": self.by,
            "_version": 1,
            "executionDate": self.execution,
            "instructions": self.instructions,
            "_links": {},
        }

    def approval_shape(self) -> Json:
        return {
            "_id": self.identity,
            "_version": 1,
            "creationDate": self.created,
            "serviceKind": "launchdarkly",
            "requestorId": self.by,
            "description": self.description,
            "reviewStatus": self.review,
            "allReviews": self.reviews,
            "notifyMemberIds": [],
            "status": self.status,
            "instructions": self.instructions,
            "conflicts": [],
            "_links": {},
        }


class Pending:
    """Both lists."""

    def __init__(self) -> None:
        self.scheduled: list[Waiting] = []
        self.approvals: list[Waiting] = []

    def at(self, kind: str, place: Place) -> list[Waiting]:
        return [one for one in self._list(kind) if one.place == place]

    def one(self, kind: str, place: Place, identity: str) -> Waiting:
        for found in self.at(kind, place):
            if found.identity == identity:
                return found
        raise unknown("scheduled change" if kind == "scheduled-changes" else "approval request")

    def add(self, kind: str, one: Waiting) -> None:
        if kind == "scheduled-changes" and one.execution is None:
            raise bad("executionDate is required")
        if kind == "approval-requests" and not one.description:
            raise bad("description is required")
        self._list(kind).append(one)

    def remove(self, kind: str, one: Waiting) -> None:
        self._list(kind).remove(one)

    def collide(self, place: Place, switches: bool) -> None:
        """A patch that a pending change would collide with is refused, unless it says that it does not care."""
        for one in [*self.at("scheduled-changes", place), *self.at("approval-requests", place)]:
            if switches and one.status == "pending" and SWITCHES & {str(each.get("kind")) for each in one.instructions}:
                raise Refusal(400, "invalid_request", "the patch conflicts with a pending scheduled change or approval")

    def _list(self, kind: str) -> list[Waiting]:
        return self.scheduled if kind == "scheduled-changes" else self.approvals

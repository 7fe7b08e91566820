"""The doors to the world outside, as protocols in our own words. Vendor types never leave these files.

Every call has a total deadline (5 s) and is sent once: who may repeat it is decided above, never by a library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from server.clients.upstreams import Upstreams
from server.core.incident import Incident

CALL_SECONDS = 5.0
"""Total time of one outside call, its answer's body included."""


class Kubernetes(Protocol):
    """One API server for each cluster name of the catalog ('default' = the kubeconfig's current context)."""

    def get(self, cluster: str, path: str) -> tuple[dict[str, Any], datetime]:
        """The object and the answer's Date. Raises Missing, Refused, Transient (not readable now)."""
        ...

    def list(self, cluster: str, path: str, query: Mapping[str, str]) -> tuple[dict[str, Any], datetime]:
        """A list object and the answer's Date. Raises as `get`."""
        ...

    def patch(
        self, cluster: str, path: str, body: object, content_type: str, *, dry_run: bool = False
    ) -> tuple[dict[str, Any], datetime]:
        """Sends one patch (dry_run: everything but the change). Raises Refused (400, 403, 404, 409, 415, 422), Transient (certainly not done), Unknown."""
        ...


class PagerDuty(Protocol):
    """PagerDuty's REST API. known_as: the id of the user that our writes go under, once known."""

    known_as: str | None

    def who_are_we(self) -> str | None:
        """Asks for that id, if nobody knows it yet; None where PagerDuty knows no such user. Raises Missing, Transient."""
        ...

    def incident(self, incident: str, *, alerts: bool = True) -> Incident:
        """The incident with its alerts, as they are now; of a merged one the incident that it was merged into.

        Raises Missing, Transient (also for 401, 403, HTML).
        """
        ...

    def notes(self, incident: str) -> list[tuple[str, str]]:
        """(id, content) of the incident's notes. Raises Missing, Transient."""
        ...

    def add_note(self, incident: str, content: str) -> str:
        """The new note's id. Raises Transient (certainly not added), Unknown, Refused."""
        ...

    def edit_note(self, incident: str, note: str, content: str) -> None:
        """Replaces a note's text; safe to repeat. Raises Transient, Unknown, Refused, Missing."""
        ...

    def resolve(self, incident: str, resolution: str) -> bool:
        """Resolves it; False where it was resolved before. Raises Transient, Unknown, Refused, Missing."""
        ...


class LaunchDarkly(Protocol):
    """LaunchDarkly's REST API."""

    def get(self, path: str, *, beta: bool = False) -> tuple[dict[str, Any], datetime]:
        """The object and the answer's Date. Raises Missing, Refused, Misconfigured, Transient (not readable now)."""
        ...

    def patch(self, path: str, body: object, content_type: str) -> tuple[dict[str, Any], datetime]:
        """Sends one patch. Raises Refused (400, 401, 403, 404, 405, 409, 422), Transient (certainly not done), Unknown."""
        ...


@dataclass(frozen=True)
class Clients:
    """What actions and checks may ask. now: the clock, injected."""

    kubernetes: Kubernetes
    pagerduty: PagerDuty
    now: Callable[[], datetime]
    upstreams: Upstreams = field(default_factory=Upstreams)
    launchdarkly: LaunchDarkly | None = None

"""Rate limits as the API counts them: for the account and for each route, in windows of ten seconds, told in headers."""

from __future__ import annotations

from datetime import datetime

ROUTE, ACCOUNT, WINDOW = 300, 2000, 10_000


class Limits:
    """Counts of the window that runs."""

    def __init__(self) -> None:
        self._window, self._account = 0, 0
        self._routes: dict[str, int] = {}

    def count(self, route: str, now: datetime) -> tuple[bool, list[tuple[str, str]]]:
        """Whether the request is within the limits, and the headers that its answer carries."""
        window = int(now.timestamp() * 1000) // WINDOW
        if window != self._window:
            self._window, self._account, self._routes = window, 0, {}
        self._account += 1
        self._routes[route] = mine = self._routes.get(route, 0) + 1
        headers = [
            ("X-Ratelimit-Route-Limit", str(ROUTE)),
            ("X-Ratelimit-Route-Remaining", str(max(ROUTE - mine, 0))),
            ("X-Ratelimit-Global-Remaining", str(max(ACCOUNT - self._account, 0))),
            ("X-Ratelimit-Reset", str((window + 1) * WINDOW)),
        ]
        return mine <= ROUTE and self._account <= ACCOUNT, headers

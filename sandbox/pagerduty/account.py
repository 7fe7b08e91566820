"""The account of the scene: services, people, keys and secrets, and how its ids look."""

from __future__ import annotations

import random
import string
import uuid
from datetime import datetime

from sandbox.pagerduty.records import Service, User

API = "https://api.pagerduty.com"
WEB = "https://ripcord-scene.pagerduty.com"
BOT_EMAIL = "ripcord@example.com"
_UPPER = string.ascii_uppercase + string.digits
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LETTERS = string.ascii_letters + string.digits


class Account:
    """One for each start; every id but the services' is new each time."""

    def __init__(self, rng: random.Random, now: datetime) -> None:
        self._rng = rng
        self.api_key = "u+" + self._take(_LETTERS, 18)
        self.action_secret = self._take(_LETTERS, 40)
        self.services = {
            "PCANARY": Service("PCANARY", "Canary deploys", "c" * 32, self.short_id(), now),
            "PBLUEGREEN": Service("PBLUEGREEN", "Blue-green deploys", "b" * 32, self.short_id(), now),
            "PFLAG": Service("PFLAG", "Feature flags", "f" * 32, self.short_id(), now),
        }
        people = [("Ripcord", BOT_EMAIL), ("Ana Person", "ana@example.com"), ("Ben Person", "ben@example.com")]
        self.users = [User(self.short_id(), name, email) for name, email in people]
        self.escalation_policy = self.short_id()

    @property
    def bot(self) -> User:
        return self.users[0]

    @property
    def on_call(self) -> User:
        return self.users[1]

    def by_email(self, email: str) -> User | None:
        return next((user for user in self.users if user.email.lower() == email.lower()), None)

    def by_key(self, routing_key: str) -> Service | None:
        return next((one for one in self.services.values() if one.routing_key == routing_key), None)

    def long_id(self) -> str:
        """An incident's or an alert's."""
        return "Q" + self._take(_UPPER, 13)

    def short_id(self) -> str:
        return "P" + self._take(_UPPER, 6)

    def entry_id(self) -> str:
        return "R" + self._take(_UPPER, 25)

    def event_id(self) -> str:
        return "01" + self._take(_ULID, 24)

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def webhook_secret(self) -> str:
        """Looks like base64 and is used as plain text."""
        return self._take(_LETTERS + "+/", 64)

    def _take(self, letters: str, count: int) -> str:
        return "".join(self._rng.choices(letters, k=count))

"""Who may look: one-time sign-in links and sessions. Only hashes are kept, so that the database lets nobody in."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from server.store.tables import login_links, sessions

LINK_LASTS = timedelta(minutes=15)
SESSION_LASTS = timedelta(hours=12)


@dataclass(frozen=True)
class Person:
    """Who is signed in."""

    name: str
    role: str


def new_link(engine: sa.Engine, now: datetime, role: str = "admin") -> str:
    """The token of a link that signs in once."""
    token = secrets.token_urlsafe(32)
    with engine.begin() as connection:
        connection.execute(sa.delete(login_links).where(login_links.c.expires_at < now))
        connection.execute(sa.insert(login_links).values(hash=_hash(token), role=role, expires_at=now + LINK_LASTS))
    return token


def link_url(public_url: str, token: str) -> str:
    """The URL that is printed."""
    return f"{public_url.rstrip('/')}/login/{token}"


def link_is_good(engine: sa.Engine, token: str, now: datetime) -> bool:
    """Whether the link would sign in now. Looking uses nothing up."""
    with engine.connect() as connection:
        return connection.execute(sa.select(login_links.c.hash).where(_good(token, now))).first() is not None


def sign_in(engine: sa.Engine, token: str, now: datetime) -> str | None:
    """Uses the link up and opens a session; its token, or None. Of two at once, the database lets one through."""
    with engine.begin() as connection:
        used = sa.update(login_links).where(_good(token, now)).values(used_at=now).returning(login_links.c.role)
        role = connection.execute(used).scalar_one_or_none()
        if role is None:
            return None
        session = secrets.token_urlsafe(32)
        connection.execute(sa.delete(sessions).where(sessions.c.expires_at < now))
        row = {
            "hash": _hash(session),
            "name": "by link",
            "role": role,
            "created_at": now,
            "expires_at": now + SESSION_LASTS,
        }
        connection.execute(sa.insert(sessions).values(row))
    return session


def who(engine: sa.Engine, session: str, now: datetime) -> Person | None:
    """Whose session this is, while it lasts."""
    query = sa.select(sessions.c.name, sessions.c.role).where(
        sessions.c.hash == _hash(session), sessions.c.expires_at > now
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Person(row.name, row.role)


def _good(token: str, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(login_links.c.hash == _hash(token), login_links.c.used_at.is_(None), login_links.c.expires_at > now)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

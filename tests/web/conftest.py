"""An installation's web with a fresh database, without a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server import db
from server.app import create_app
from server.settings import Settings
from server.store.inbox import Inbox
from server.store.refusals import Refusals
from server.store.tables import deliveries
from server.web.parts import Parts
from tests.web.signing import SECRET


@dataclass
class Door:
    """What a test of the door holds."""

    client: FlaskClient
    parts: Parts

    def post(self, url: str, raw: bytes, headers: dict[str, str]) -> TestResponse:
        """As PagerDuty sends it: what is answered 503, because nothing could be written in time, comes again."""
        for _ in range(9):
            answer = self.client.post(url, data=raw, headers=headers)
            if answer.status_code != 503:
                break
        return answer

    def rows(self) -> list[sa.Row[tuple[object, ...]]]:
        """Every delivery, oldest first."""
        with self.parts.reading.connect() as connection:
            return list(connection.execute(sa.select(deliveries).order_by(deliveries.c.id)))


def parts_for(url: str, settings: Settings) -> Parts:
    """The parts as the product joins them, on a database that has its tables."""
    writing = db.writing(url)
    db.metadata.create_all(writing)
    refusals = Refusals(lambda: datetime.now(UTC))
    accepting = db.writing(url, patience=1.5)
    inbox = Inbox(accepting, idle=lambda: refusals.flush(accepting))
    return Parts(settings=settings, inbox=inbox, refusals=refusals, reading=db.reading(url), writing=writing)


def settings_for(url: str, var: Path, secrets: tuple[str, ...] = (SECRET,)) -> Settings:
    """Settings of a small installation."""
    return Settings(database_url=url, var=var, secret_key="k" * 32, pagerduty_webhook_secrets=secrets)


def open_door(tmp_path: Path, secrets: tuple[str, ...] = (SECRET,)) -> Door:
    """A door on a SQLite file."""
    url = f"sqlite:///{tmp_path / 'ripcord.db'}"
    settings = settings_for(url, tmp_path, secrets)
    parts = parts_for(url, settings)
    return Door(create_app(settings, parts).test_client(), parts)


def close_door(opened: Door) -> None:
    """Its threads and connections are gone."""
    opened.parts.inbox.stop()
    for engine in (opened.parts.inbox.engine, opened.parts.reading, opened.parts.writing):
        engine.dispose()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A door with one secret."""
    opened = open_door(tmp_path)
    yield opened
    close_door(opened)

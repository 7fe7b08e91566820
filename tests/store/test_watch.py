"""The look at every target once a minute: one that cannot be read, or is strange, keeps no other from being remembered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import sqlalchemy as sa

from server import db
from server.clients import Clients, PagerDuty
from server.errors import Transient
from server.ledger import Ledger
from server.store import history
from server.watch import Watch
from tests.unit.argo.cases import STA, World, at
from tests.unit.argo.door import ROLLOUT, Door
from tests.unit.deciding import library, rollout

FIRST = ROLLOUT.replace("web-frontend", "a-first-one")


@pytest.fixture
def engine(migrated_url: str) -> Iterator[sa.Engine]:
    made = db.writing(migrated_url)
    yield made
    made.dispose()


@pytest.mark.parametrize("trouble", [Transient("429"), KeyError("a shape that nobody thought of")])
def test_a_target_that_cannot_be_looked_at_keeps_no_other_from_being_remembered(
    engine: sa.Engine, trouble: Exception
) -> None:
    door = Door(World())
    door.objects[FIRST] = trouble
    clients = Clients(kubernetes=door, pagerduty=cast("PagerDuty", None), now=lambda: at(1))
    targets = library(a_first_one=rollout("a-first-one"), web_frontend=rollout())
    Watch(lambda: targets, clients, Ledger(engine, lambda: at(1), "me")).look()
    assert FIRST in door.asked
    assert history.of(engine, "a-first-one").seen == ()
    assert history.of(engine, "web-frontend").of(STA) is not None

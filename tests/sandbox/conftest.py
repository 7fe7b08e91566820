"""A sandbox without the scene, a door to it, and a receiver of its webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.start import start
from tests.sandbox.door import Door, Receiver, start_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = start_receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def door(receiver: Receiver) -> Iterator[Door]:
    sandbox = start(webhook_url=receiver.url, scene=False, ticking=False, seed=7)
    yield Door(sandbox)
    sandbox.end()

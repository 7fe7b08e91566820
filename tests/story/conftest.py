"""One town for each story; the story runs on SQLite, and where it says so on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.story.town import Town


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Builds a town on a database; it is torn down at the end of the test."""
    towns: list[Town] = []

    def make(database_url: str | None = None, speed: float | None = None) -> Town:
        towns.append(Town(tmp_path, database_url or f"sqlite:///{tmp_path / 'ripcord.db'}", speed))
        return towns[-1]

    yield make
    for town in towns:
        town.close()


@pytest.fixture
def town(build: Callable[..., Town]) -> Town:
    """A town on SQLite with its server running."""
    made = build()
    made.start()
    return made

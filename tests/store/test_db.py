"""What the engines of both databases have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import db

Make = Callable[[str], sa.Engine]
HIDDEN = "postgres://not-for-any-log"


def error_of(engine: sa.Engine) -> str:
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere WHERE template = :value"), {"value": HIDDEN})
    engine.dispose()
    return str(caught.value)


@pytest.mark.parametrize("make", [db.writing, db.reading])
def test_an_error_of_the_database_quotes_no_value(database_url: str, make: Make) -> None:
    said = error_of(make(database_url))
    assert "nowhere" in said
    assert HIDDEN not in said


def test_neither_does_one_of_the_library_that_keeps_the_stories(tmp_path: Path) -> None:
    assert HIDDEN not in error_of(db.embedded(f"sqlite:///{tmp_path / 'x.db'}"))

"""The target history: what each version of a target was ever seen to be. Rows are merged and never deleted.

What a row means is decided by `core/argo/history.py`; here it is only kept.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from server.core.argo.history import History, Seen, note
from server.core.argo.state import RolloutState
from server.store.tables import runs, target_history

_FIRST = ("created", "first_current", "first_stable", "first_active", "aborted", "undone", "returned")
_LAST = ("last_current", "last_stable", "last_active")


def looked(engine: sa.Engine, target: str, state: RolloutState, *, reading: sa.Engine | None = None) -> History:
    """Remembers what this look shows, and says all that is known. Where it shows nothing new, nothing is written.

    reading: asked first, so that a look that adds nothing never waits for the database's write lock.
    """
    known = of(reading or engine, target)
    new = note(known, state)
    if not new:
        return known
    with engine.begin() as connection:
        for one in new:
            _merge(connection, target, one)
        return _of(connection, target)


def of(engine: sa.Engine, target: str) -> History:
    """All that is known of a target."""
    with engine.connect() as connection:
        return _of(connection, target)


def _of(connection: sa.Connection, target: str) -> History:
    column = target_history.c
    rows = connection.execute(sa.select(target_history).where(column.target == target).order_by(column.hash))
    seen = tuple(Seen.model_validate({name: row[name] for name in Seen.model_fields}) for row in rows.mappings())
    wrote = sa.select(runs.c.judged).where(
        runs.c.target == target, runs.c.wrote_at.is_not(None), runs.c.judged.is_not(None)
    )
    return History(seen=seen, wrote=tuple(connection.execute(wrote.distinct().order_by(runs.c.judged)).scalars()))


def _merge(connection: sa.Connection, target: str, one: Seen) -> None:
    """Two looks at once must lose nothing: a first time stays, a last time only grows."""
    on_postgresql = connection.dialect.name == "postgresql"
    added = (postgresql.insert if on_postgresql else sqlite.insert)(target_history).values(
        target=target, **{name: getattr(one, name) for name in Seen.model_fields}
    )
    kept, column = target_history.c, added.excluded
    later = sa.func.greatest if on_postgresql else sa.func.max
    merged: dict[str, sa.ColumnElement[Any]] = {name: sa.func.coalesce(kept[name], column[name]) for name in _FIRST}
    merged |= {
        name: later(sa.func.coalesce(kept[name], column[name]), sa.func.coalesce(column[name], kept[name]))
        for name in _LAST
    }
    connection.execute(added.on_conflict_do_update(index_elements=["target", "hash"], set_=merged))

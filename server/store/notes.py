"""Which notes in PagerDuty are ours: those whose id our own call returned."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.tables import notes


def written_by(connection: sa.Connection, incident: str | None, note: str | None) -> str | None:
    """The run whose note this is, or None."""
    if incident is None or note is None:
        return None
    query = sa.select(notes.c.run).where(notes.c.note == note, notes.c.incident == incident).limit(1)
    found: str | None = connection.execute(query).scalar()
    return found

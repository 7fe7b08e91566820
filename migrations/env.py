"""Alembic's environment: one MetaData, no table of the workflow library's."""

from __future__ import annotations

from alembic import context

import server.audit.tables
import server.store.tables
from server import db

TABLES = (server.audit.tables.metadata, server.store.tables.metadata)  # both register on the one MetaData


def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare: object) -> bool:
    """Whether a table is ours: the workflow library keeps its own beside them on SQLite."""
    return kind != "table" or name in db.metadata.tables


def run() -> None:
    """Migrates over the connection that the caller passes in, in its transaction."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        include_object=ours,
        version_table="ripcord_version",
        transaction_per_migration=False,
    )
    context.run_migrations()


run()

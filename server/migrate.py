"""Brings a database to this version, under a lock, and says whether one is there."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from server import db
from server.errors import Transient

_LOCK = 0x52697063  # any number of our own, for PostgreSQL's advisory lock


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).resolve().parent.parent / "migrations"))
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Migrates in one transaction. Two processes at once: the second waits and finds nothing to do. Raises Transient."""
    engine = db.writing(url, patience=30)
    try:
        _migrate(engine, revision)
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        said = f"the database does not answer ({type(error.orig).__name__})"
        raise Transient(f"{said}: is it running, is the URL right, may it be written?") from error
    finally:
        engine.dispose()


def _migrate(engine: sa.Engine, revision: str) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
        config = _config()
        config.attributes["connection"] = connection
        if revision == "head" or not revision.startswith("-"):
            command.upgrade(config, revision)
        else:
            command.downgrade(config, revision)


def at_head(engine: sa.Engine) -> bool:
    """Whether the database has this version's tables. Raises DBAPIError when it cannot be asked."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "ripcord_version"})
        return context.get_current_revision() == head

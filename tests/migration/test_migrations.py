"""Migrations end in the tables that the code declares, on both databases, and there is one line of them."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from server import db, migrate
from server.audit import tables as audit_tables
from server.store import tables as store_tables
from tests.support.processes import ROOT, Process, clean_environment, free_port
from tests.support.waiting import eventually


def declared() -> set[str]:
    assert audit_tables
    assert store_tables
    return set(db.metadata.tables)


def test_migrating_an_empty_database_gives_the_declared_tables(migrated_url: str) -> None:
    engine = db.reading(migrated_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "ripcord_version"}
        )
        differences = compare_metadata(context, db.metadata)
    engine.dispose()
    assert differences == []


def test_both_databases_get_every_table(migrated_url: str) -> None:
    engine = db.reading(migrated_url)
    assert declared() <= set(sa.inspect(engine).get_table_names())
    engine.dispose()


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    migrate.upgrade(database_url)
    migrate.upgrade(database_url)
    engine = db.reading(database_url)
    assert migrate.at_head(engine)
    engine.dispose()


def test_an_empty_database_is_not_at_head(database_url: str) -> None:
    engine = db.reading(database_url)
    assert not migrate.at_head(engine)
    engine.dispose()


def test_there_is_one_head_and_each_migration_has_one_parent() -> None:
    script = ScriptDirectory(str(ROOT / "migrations"))
    assert len(script.get_heads()) == 1
    assert [revision.revision for revision in script.walk_revisions() if revision.is_merge_point] == []


def test_migrations_import_nothing_of_the_server_but_tables_and_settings() -> None:
    lines = [line for path in (ROOT / "migrations").rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    named = {match for line in lines for match in re.findall(r"^(?:import|from) (server[\w.]*(?: import \w+)?)", line)}
    assert named <= {"server.audit.tables", "server.store.tables", "server import db", "server import settings"}


@pytest.mark.parametrize("verb", ["serve", "migrate"])
@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://somebody:not-for-logs@127.0.0.1:1/x"])
def test_a_database_that_does_not_answer_is_one_clear_line(verb: str, url: str) -> None:
    """And no bug: it is the first thing that is wrong on a new machine."""
    settings = {
        "RIPCORD_DATABASE_URL": url,
        "RIPCORD_LISTEN": f"127.0.0.1:{free_port()}",
        "RIPCORD_SECRET_KEY": "x" * 32,
    }
    with Process.python("-m", "server", verb, env=clean_environment(**settings)) as process:
        assert process.popen.wait(30) == 1
        eventually(lambda: process.lines, within=5)
    said = f"ripcord {verb}: the database does not answer (OperationalError): is it running, is the URL right, may it be written?"
    assert process.lines == [said]

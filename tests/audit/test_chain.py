"""The audit chain on both databases: what may be appended, what is refused, what the verifier finds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from server import db, migrate
from server.audit import journal
from server.audit.journal import Entry
from server.audit.tables import FIELDS, audit
from server.audit.tags import Tag
from server.audit.verify import Anchor, verify

AT = datetime(2026, 11, 24, 3, 12, 34, 123456, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """A migrated database."""
    migrate.upgrade(database_url)
    engine = db.writing(database_url)
    yield engine
    engine.dispose()


def append(engine: sa.Engine, *keys: str) -> tuple[int, str]:
    with engine.begin() as connection:
        entries = [Entry(key, Tag.DECIDED, f"said of {key}", evidence={"n": 1.5, "é": "ü"}) for key in keys]
        return journal.append(connection, AT, *entries)


def without_triggers(engine: sa.Engine, *statements: str) -> None:
    """What somebody with the owner's rights can do behind our back."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for name in ("audit_no_update", "audit_no_delete", "audit_no_replace", "chain_head_stays"):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER ALL")
            connection.exec_driver_sql("ALTER TABLE chain_head DISABLE TRIGGER ALL")
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_the_hash_is_the_one_that_the_contract_describes(engine: sa.Engine) -> None:
    append(engine, "a")
    with engine.connect() as connection:
        row = connection.execute(sa.select(audit)).mappings().one()
    digest = hashlib.sha256(b"ripcord-audit-1")
    for name in [
        "seq",
        "key",
        "at",
        "tag",
        "actor_kind",
        "actor",
        "auth",
        "delivery",
        "incident",
        "run",
        "step",
        "runbook",
        "runbook_hash",
        "target",
        "said",
        "evidence",
        "prev",
    ]:
        value: Any = row[name]
        if value is None:
            digest.update(b"\xff\xff\xff\xff")
        else:
            text = str(value).encode()
            digest.update(len(text).to_bytes(4, "big") + text)
    assert row["hash"] == digest.hexdigest()
    assert row["prev"] == "0" * 64
    assert row["at"] == "2026-11-24T03:12:34.123456Z"
    assert row["seq"] == 1


def test_rows_are_numbered_without_gaps_and_a_known_key_adds_nothing(engine: sa.Engine) -> None:
    append(engine, "a", "b")
    head = append(engine, "b", "c", "c")
    assert head[0] == 3
    assert append(engine, "a") == head


def test_a_rolled_back_append_leaves_no_gap(engine: sa.Engine) -> None:
    append(engine, "a")
    with engine.connect() as connection, connection.begin() as transaction:
        journal.append(connection, AT, Entry("b", Tag.DECIDED, "never"))
        transaction.rollback()
    assert append(engine, "c")[0] == 2
    assert verify(engine).wrong is None


def test_text_that_no_database_can_hold_is_cleaned_and_too_much_is_cut(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        entry = Entry("a", Tag.TOLD, "nul \x00 half \ud800 " + "x" * 600, actor="\x00é", evidence={"big": "y" * 70_000})
        journal.append(connection, AT, entry)
    with engine.connect() as connection:
        row = connection.execute(sa.select(audit)).mappings().one()
    assert len(row["said"]) == 500
    assert row["said"].startswith("nul  half ? x")
    assert row["actor"] == "é"
    assert "more than 65536" in row["evidence"]
    assert verify(engine).wrong is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET said = 'never' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "DELETE FROM chain_head",
    ],
)
def test_the_database_itself_refuses_to_change_or_delete(engine: sa.Engine, statement: str) -> None:
    append(engine, "a", "b", "c")
    with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert verify(engine).seq == 3


def test_truncate_and_insert_or_replace_are_refused_too(engine: sa.Engine) -> None:
    append(engine, "a", "b")
    if engine.dialect.name == "sqlite":
        columns = ", ".join([*FIELDS, "hash"])
        said = columns.replace("said", "'never' AS said")
        statement = f"INSERT OR REPLACE INTO audit ({columns}) SELECT {said} FROM audit WHERE seq = 2"
    else:
        statement = "TRUNCATE audit"
    with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert verify(engine).wrong is None


def test_an_unbroken_chain_verifies_also_against_an_older_anchor(engine: sa.Engine) -> None:
    anchor = append(engine, "a", "b")
    append(engine, "c")
    found = verify(engine, Anchor(anchor[0], anchor[1][:16]))
    assert (found.seq, found.wrong) == (3, None)


def test_a_changed_byte_is_found(engine: sa.Engine) -> None:
    append(engine, "a", "b", "c")
    without_triggers(engine, "UPDATE audit SET said = 'said of B' WHERE seq = 2")
    assert verify(engine).wrong == "row 2: its content does not fit its hash"


def test_a_removed_row_is_found(engine: sa.Engine) -> None:
    append(engine, "a", "b", "c")
    without_triggers(engine, "DELETE FROM audit WHERE seq = 2")
    assert verify(engine).wrong == "row 2: missing, the next row is 3"


def test_an_inserted_row_is_found(engine: sa.Engine) -> None:
    append(engine, "a", "b")
    columns = [*FIELDS, "hash"]
    picked = ["3" if c == "seq" else "'x'" if c in ("key", "prev") else c for c in columns]
    without_triggers(
        engine, f"INSERT INTO audit ({', '.join(columns)}) SELECT {', '.join(picked)} FROM audit WHERE seq = 2"
    )
    assert verify(engine).wrong == "row 3: does not follow the row before it (prev does not fit)"


def test_swapped_rows_are_found(engine: sa.Engine) -> None:
    append(engine, "a", "b", "c")
    without_triggers(
        engine,
        "UPDATE audit SET seq = 99 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 99",
    )
    assert verify(engine).wrong == "row 2: does not follow the row before it (prev does not fit)"


def test_a_cut_tail_is_found_by_the_head(engine: sa.Engine) -> None:
    append(engine, "a", "b", "c")
    without_triggers(engine, "DELETE FROM audit WHERE seq = 3")
    assert verify(engine).wrong == "row 3: missing, the chain ends at row 2 and its head says 3 rows"


def test_a_cut_tail_with_a_rewritten_head_is_found_by_the_anchor(engine: sa.Engine) -> None:
    second = append(engine, "a", "b")
    anchor = append(engine, "c")
    without_triggers(
        engine, "DELETE FROM audit WHERE seq = 3", f"UPDATE chain_head SET seq = 2, hash = '{second[1]}' WHERE id = 1"
    )
    assert verify(engine).wrong is None
    found = verify(engine, Anchor(anchor[0], anchor[1][:16]))
    assert found.wrong == "row 3: missing, the anchor knows row 3: the tail was cut off"


def test_a_chain_written_anew_is_found_by_the_anchor(engine: sa.Engine) -> None:
    anchor = append(engine, "a", "b")
    without_triggers(engine, "DELETE FROM audit", f"UPDATE chain_head SET seq = 0, hash = '{'0' * 64}' WHERE id = 1")
    append(engine, "a", "other", "c")
    assert verify(engine).wrong is None
    found = verify(engine, Anchor(anchor[0], anchor[1][:20]))
    assert found.wrong is not None
    assert found.wrong.startswith("row 2: its hash is ")


def test_many_writers_make_one_unbroken_chain_while_pages_read_it(engine: sa.Engine, database_url: str) -> None:
    reading = db.reading(database_url)

    def write(writer: int) -> None:
        for n in range(25):
            append(engine, f"{writer}/{n}")

    def read() -> None:
        for _ in range(40):
            assert verify(reading).wrong is None

    with ThreadPoolExecutor(5) as pool:
        for done in [*(pool.submit(write, n) for n in range(4)), pool.submit(read)]:
            done.result()
    found = verify(reading)
    assert (found.seq, found.wrong) == (100, None)
    reading.dispose()

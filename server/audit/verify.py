"""Is the chain what it was? Reads every row in order, computes its hash anew from the stored text, and names the first wrong row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from server.audit.chain import START, row_hash
from server.audit.tables import FIELDS, audit, chain_head
from server.errors import Misconfigured

_PAGE = 2000


@dataclass(frozen=True)
class Finding:
    """Up to where the chain is whole; wrong: the first wrong row as one sentence, or None."""

    seq: int
    hash: str
    wrong: str | None


@dataclass(frozen=True)
class Anchor:
    """A row that somebody wrote down elsewhere: its number and at least 16 hex digits of its hash."""

    seq: int
    prefix: str

    @staticmethod
    def parse(text: str) -> Anchor:
        """From SEQ:HASH."""
        match = re.fullmatch(r"(\d{1,18}):([0-9a-fA-F]{16,64})", text.strip())
        if match is None or match[1] == "0":
            raise Misconfigured(
                f"--anchor: expected SEQ:HASH with at least 16 hex digits, as a note prints it, not {text!r}"
            )
        return Anchor(int(match[1]), match[2].lower())


def verify(engine: sa.Engine, anchor: Anchor | None = None) -> Finding:
    """Walks the whole chain."""
    # One snapshot: rows that are appended meanwhile must not look like a head that does not fit.
    level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**level) as connection:
        head = connection.execute(sa.select(chain_head.c.seq, chain_head.c.hash)).one_or_none()
        return check(_rows(connection), (head.seq, head.hash) if head else None, anchor)


def _rows(connection: sa.Connection) -> Iterator[tuple[str | int | None, ...]]:
    columns = [audit.c[name] for name in (*FIELDS, "hash")]
    last = -(2**31)  # a row with a number that no row of ours has must be seen too
    while page := connection.execute(
        sa.select(*columns).where(audit.c.seq > last).order_by(audit.c.seq).limit(_PAGE)
    ).all():
        for row in page:
            yield tuple(row)
        last = int(page[-1][0])


def check(
    rows: Iterable[tuple[str | int | None, ...]], head: tuple[int, str] | None, anchor: Anchor | None = None
) -> Finding:
    """The pure walk. rows: FIELDS and hash, as stored, in order of seq."""
    seq, prev = 0, START
    anchored = anchor is None
    for row in rows:
        wrong = _wrong(row, seq + 1, prev)
        if wrong:
            return Finding(seq, prev, f"row {seq + 1}: {wrong}")
        seq, prev = seq + 1, str(row[-1])
        if anchor and seq == anchor.seq:
            if not prev.startswith(anchor.prefix):
                return Finding(
                    seq, prev, f"row {seq}: its hash is {prev[:16]}…, the anchor says {anchor.prefix[:16]}…: rewritten"
                )
            anchored = True
    if head is None or head[0] > seq:
        there = "is gone" if head is None else f"says {head[0]} rows"
        return Finding(seq, prev, f"row {seq + 1}: missing, the chain ends at row {seq} and its head {there}")
    if head != (seq, prev):
        return Finding(
            seq,
            prev,
            f"row {head[0]}: the chain's head does not fit (head {head[0]}:{head[1][:16]}, last row {seq}:{prev[:16]})",
        )
    if not anchored and anchor:
        return Finding(seq, prev, f"row {seq + 1}: missing, the anchor knows row {anchor.seq}: the tail was cut off")
    return Finding(seq, prev, None)


def _wrong(row: tuple[str | int | None, ...], seq: int, prev: str) -> str | None:
    fields, stored = row[:-1], row[-1]
    if fields[0] != seq:
        return f"missing, the next row is {fields[0]}"
    if fields[-1] != prev:
        return "does not follow the row before it (prev does not fit)"
    if row_hash(fields) != stored:
        return "its content does not fit its hash"
    return None

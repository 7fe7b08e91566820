"""Append to the audit. One chain for all: lock the head, insert, move the head, in the caller's transaction.

A row has a key of its own; a key that is there already adds nothing, so a step that runs again leaves the chain as it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from server.audit.chain import START, row_hash
from server.audit.tables import FIELDS, audit, chain_head
from server.audit.tags import Tag
from server.db import stamp

MOST_SAID = 500
MOST_EVIDENCE = 64 * 1024


@dataclass(frozen=True)
class Entry:
    """One row to be. actor_kind: 'pagerduty', 'person', 'ripcord', …; auth: how the actor was authenticated."""

    key: str
    tag: Tag
    said: str
    actor_kind: str = "ripcord"
    actor: str = "Ripcord"
    auth: str = "internal"
    delivery: str | None = None
    incident: str | None = None
    run: str | None = None
    step: str | None = None
    runbook: str | None = None
    runbook_hash: str | None = None
    target: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def lock(connection: sa.Connection) -> tuple[int, str]:
    """Takes the chain for this transaction; its head as (seq, hash). On SQLite the transaction itself is the lock."""
    query = sa.select(chain_head.c.seq, chain_head.c.hash).where(chain_head.c.id == 1).with_for_update()
    row = connection.execute(query).one_or_none()
    return (0, START) if row is None else (row.seq, row.hash)


def append(connection: sa.Connection, at: datetime, *entries: Entry) -> tuple[int, str]:
    """Appends the entries whose keys are new; the head afterwards as (seq, hash)."""
    seq, prev = lock(connection)
    first = seq
    known = set(connection.execute(sa.select(audit.c.key).where(audit.c.key.in_([e.key for e in entries]))).scalars())
    for entry in entries:
        if entry.key in known:
            continue
        known.add(entry.key)
        seq += 1
        row = _row(entry, seq, prev, at)
        row["hash"] = prev = row_hash(row[name] for name in FIELDS)
        connection.execute(sa.insert(audit).values(row))
    if seq != first:
        connection.execute(sa.update(chain_head).where(chain_head.c.id == 1).values(seq=seq, hash=prev))
    return seq, prev


def _row(entry: Entry, seq: int, prev: str, at: datetime) -> dict[str, Any]:
    return {
        "seq": seq,
        "key": entry.key,
        "at": stamp(at),
        "tag": entry.tag.value,
        "actor_kind": entry.actor_kind,
        "actor": _plain(entry.actor, 200),
        "auth": entry.auth,
        "delivery": entry.delivery,
        "incident": entry.incident,
        "run": entry.run,
        "step": entry.step,
        "runbook": entry.runbook,
        "runbook_hash": entry.runbook_hash,
        "target": entry.target,
        "said": _plain(entry.said, MOST_SAID),
        "evidence": _evidence(entry.evidence),
        "prev": prev,
    }


def _plain(text: str, most: int) -> str:
    """Text that both databases can store: no NUL, no lone surrogates, not longer than `most`."""
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[: most - 1] + "…"


def _evidence(value: dict[str, Any]) -> str:
    """JSON text in ASCII; too much of it is named with its size instead of being cut in the middle."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, default=str).replace("\\u0000", "")
    if len(text) <= MOST_EVIDENCE:
        return text
    return json.dumps({"omitted": f"{len(text)} characters, more than {MOST_EVIDENCE}", "keys": sorted(value)[:50]})


def keys(connection: sa.Connection, names: Sequence[str]) -> set[str]:
    """Which of these keys the chain holds."""
    return set(connection.execute(sa.select(audit.c.key).where(audit.c.key.in_(names))).scalars())


def head(connection: sa.Connection) -> tuple[int, str]:
    """The head of the chain without taking it."""
    row = connection.execute(sa.select(chain_head.c.seq, chain_head.c.hash).where(chain_head.c.id == 1)).one_or_none()
    return (0, START) if row is None else (row.seq, row.hash)

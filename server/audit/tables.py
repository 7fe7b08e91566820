"""The audit's two tables: the rows, and the head of their chain. Triggers (migrations) refuse to change or delete a row."""

from __future__ import annotations

import sqlalchemy as sa

from server.db import metadata

FIELDS = (
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
)
"""The hashed fields, in the order of the hash."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("actor_kind", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("auth", sa.Text, nullable=False),
    sa.Column("delivery", sa.Text),
    sa.Column("incident", sa.Text),
    sa.Column("run", sa.Text),
    sa.Column("step", sa.Text),
    sa.Column("runbook", sa.Text),
    sa.Column("runbook_hash", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("prev", sa.Text, nullable=False, unique=True),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("audit_run", "run", "seq"),
    sa.Index("audit_incident", "incident", "seq"),
    sa.Index("audit_target", "target", "seq"),
    sa.Index("audit_runbook", "runbook", "seq"),
    sa.Index("audit_delivery", "delivery", "seq"),
)

chain_head = sa.Table(
    "chain_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # always 1
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

"""What may change: deliveries, decisions, runs, joins, locks, notes, sessions, refusals. History is the audit's."""

from __future__ import annotations

import sqlalchemy as sa

from server.db import Utc, metadata

NEW, CLAIMED, STARTED, ENDED = 0, 1, 2, 3  # deliveries.state: waiting, being started, has a story, ended without one

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("received_at", Utc, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("webhook_id", sa.Text, unique=True),
    sa.Column("event_key", sa.Text, nullable=False, unique=True),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("incident", sa.Text),
    sa.Column("parsed", sa.Text, nullable=False),  # Delivery as JSON
    sa.Column("headers", sa.Text, nullable=False),  # JSON of the headers that authenticate, as they came
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Integer, nullable=False),
    sa.Column("claimed_by", sa.Text),
    sa.Column("claimed_at", Utc),
    sa.Index("deliveries_new", "id", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")),
    sa.Index("deliveries_incident", "incident", "id"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("delivery", sa.Text, primary_key=True),
    sa.Column("runbook", sa.Text, primary_key=True),  # '' = no runbook starts on this event type
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("target", sa.Text),
    sa.Column("run", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),  # Decision as JSON
    sa.Column("at", Utc, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("incident", sa.Text, nullable=False),
    sa.Column("incident_number", sa.Integer),
    sa.Column("runbook", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("observed", sa.Boolean, nullable=False),  # mode observe: everything but the write, no lock
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("waiting_for", sa.Text),
    sa.Column("ticket", sa.Text, nullable=False),  # '<received_at> <delivery>': who comes first
    sa.Column("judged", sa.Text),  # pod hash or flag version that the plan is about
    sa.Column("wrote_at", Utc),  # the first write that took effect, or may have
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("ended_at", Utc),
    sa.Column("spec", sa.Text, nullable=False),  # RunSpec as JSON: what the run was started with
    sa.Column("plan", sa.Text),  # Plan as JSON
    sa.Column("report", sa.Text),  # Report as JSON
    sa.Index("runs_target", "target", "state"),
    sa.Index("runs_incident", "incident"),
    sa.Index("runs_delivery", "delivery"),
    sa.Index("runs_created", "created_at", "id"),
)

joins = sa.Table(
    "joins",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("incident", sa.Text, primary_key=True),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("at", Utc, nullable=False),
)

target_locks = sa.Table(
    "target_locks",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("since", Utc, nullable=False),
)

notes = sa.Table(
    "notes",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("incident", sa.Text, primary_key=True),
    sa.Column("note", sa.Text),  # PagerDuty's id, once known
    sa.Column("body", sa.Text, nullable=False),  # the text last sent or about to be sent
    sa.Column("at", Utc, nullable=False),
)

target_history = sa.Table(
    "target_history",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, primary_key=True),  # a version: the pod hash
    sa.Column("created", Utc),  # its ReplicaSet's creation
    sa.Column("first_current", Utc),
    sa.Column("last_current", Utc),
    sa.Column("first_stable", Utc),
    sa.Column("last_stable", Utc),
    sa.Column("first_active", Utc),  # behind a blue-green's active Service
    sa.Column("last_active", Utc),
    sa.Column("aborted", Utc),
    sa.Column("undone", Utc),
    sa.Column("returned", Utc),  # current again after a younger one
)

login_links = sa.Table(
    "login_links",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("used_at", Utc),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
)

refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("minute", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("sample", sa.Text, nullable=False),
)

"""What each version of a target was ever seen to be, so that an undo knows where to go back to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIMES = (
    "created",
    "first_current",
    "last_current",
    "first_stable",
    "last_stable",
    "first_active",
    "last_active",
    "aborted",
    "undone",
    "returned",
)


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "target_history",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in _TIMES),
        sa.PrimaryKeyConstraint("target", "hash"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("target_history")

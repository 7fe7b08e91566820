"""${message}

A migration must be compatible with the code still running: add, deploy, use, deploy, remove. Audit rows are never rewritten;
a batch on SQLite drops triggers: recreate them in the same migration.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """One step back."""
    ${downgrades if downgrades else "pass"}

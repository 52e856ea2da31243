"""Logins of browsers, beside those that are refreshed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql


revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The types of that day, not those of the program, which will change.
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_EXACT = sa.String(16).with_variant(mysql.VARBINARY(16), "mysql")


def _known() -> set[str]:
    """Return the columns that there are: a start that was killed half-way is taken up again."""
    if op.get_context().as_sql:
        return set()
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("sessions")}


def upgrade() -> None:
    known = _known()
    if "kind" not in known:  # those that are there are refreshed
        op.add_column("sessions", sa.Column("kind", _EXACT, nullable=False, server_default="token"))
    if "proven_at" not in known:
        op.add_column("sessions", sa.Column("proven_at", _INSTANT))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as table:
        table.drop_column("proven_at")
        table.drop_column("kind")

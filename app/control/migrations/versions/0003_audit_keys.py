"""Keys, counts and changes of the audit's entries, and its checkpoints."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql


revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The types of that day, not those of the program, which will change.
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_DOCUMENT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(mysql.VARBINARY(length), "mysql")


# Entries that are there have no key, and stand for one request each.
_COLUMNS = (
    ("key_id", _exact(16), ""),
    ("count", sa.Integer(), "1"),
    ("changes", _DOCUMENT, None),
)


def _known() -> set[str]:
    """Return the columns that there are: a start that was killed half-way is taken up again."""
    if op.get_context().as_sql:
        return set()
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("audit")}


def upgrade() -> None:
    known = _known()
    for name, kind, default in _COLUMNS:
        if name not in known:
            column = sa.Column(name, kind, nullable=default is None, server_default=default)
            op.add_column("audit", column)
    op.create_table(
        "audit_cuts",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("digest", _exact(64), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("kind", _exact(16), nullable=False),
        sa.Column("key_id", _exact(16), nullable=False),
        sa.Column("seal", _exact(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_cuts"),
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("audit_cuts", if_exists=True)
    with op.batch_alter_table("audit") as table:
        for name, _kind, _default in _COLUMNS:
            table.drop_column(name)

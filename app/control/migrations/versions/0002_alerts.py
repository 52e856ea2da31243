"""Alerts, and the log of their delivery."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql


revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The types of that day, not those of the program, which will change.
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_INDEXES = (
    ("alerts", "opened_at"),
    ("alerts", "closed_at"),
    ("deliveries", "alert_id"),
    ("deliveries", "at"),
    ("deliveries", "target", "at", "due_at"),
)


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(mysql.VARBINARY(length), "mysql")


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    # MySQL commits each statement of DDL: a start that was killed half-way is taken up again.
    op.create_table(
        name,
        *parts,
        if_not_exists=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def _index(table: str, *columns: str) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    context = op.get_context()
    if not context.as_sql:
        there = sa.inspect(op.get_bind()).get_indexes(table)
        if name in {index["name"] for index in there}:
            return
    op.create_index(name, table, list(columns))


def upgrade() -> None:
    _create(
        "alerts",
        sa.Column("alert_id", _exact(64), nullable=False),
        sa.Column("open_key", _exact(320)),
        sa.Column("kind", _exact(32), nullable=False),
        sa.Column("about", _exact(255), nullable=False),
        sa.Column("message", _exact(2048), nullable=False),
        sa.Column("hint", _exact(2048), nullable=False),
        sa.Column("run_id", _exact(64), nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("last_rung_at", _INSTANT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("told_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT),
        sa.Column("closing", _exact(2048), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name="pk_alerts"),
        sa.UniqueConstraint("open_key", name="uq_alerts_open_key"),
    )
    _create(
        "deliveries",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("alert_id", _exact(64), nullable=False),
        sa.Column("target", _exact(255), nullable=False),
        sa.Column("tone", _exact(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("claimed_until", _INSTANT),
        sa.Column("at", _INSTANT),
        sa.Column("error", _exact(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.alert_id"], name="fk_deliveries_alert_id_alerts"
        ),
    )
    for table, *columns in _INDEXES:
        _index(table, *columns)


def downgrade() -> None:
    for table in ("deliveries", "alerts"):
        op.drop_table(table, if_exists=True)

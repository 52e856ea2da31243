"""Users and their logins, runs, and the audit."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql


revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The types of that day, not those of the program, which will change.
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_DOCUMENT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_INDEXES = (
    ("sessions", "user_name"),
    ("sessions", "expires_at"),
    ("runs", "created_at"),
    ("runs", "backup_id"),
    ("runs", "state", "created_at"),
    ("audit", "at"),
    ("audit", "actor"),
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
        "users",
        sa.Column("name", _exact(255), nullable=False),
        sa.Column("role", _exact(16), nullable=False),
        sa.Column("password_hash", _exact(512), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("disabled_at", _INSTANT),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    _create(
        "sessions",
        sa.Column("session_id", _exact(64), nullable=False),
        sa.Column("user_name", _exact(255), nullable=False),
        sa.Column("refresh_digest", _exact(64), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("revoked_at", _INSTANT),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_name"], ["users.name"], name="fk_sessions_user_name_users"),
    )
    _create(
        "runs",
        sa.Column("run_id", _exact(64), nullable=False),
        sa.Column("kind", _exact(32), nullable=False),
        sa.Column("state", _exact(16), nullable=False),
        sa.Column("asked_by", _exact(255), nullable=False),
        sa.Column("origin", _exact(16), nullable=False),
        sa.Column("owner", _exact(255), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("backup_id", _exact(64), nullable=False),
        sa.Column("restore_id", _exact(64), nullable=False),
        sa.Column("request", _DOCUMENT, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("started_at", _INSTANT),
        sa.Column("finished_at", _INSTANT),
        sa.Column("progress", _DOCUMENT),
        sa.Column("result", _DOCUMENT),
        sa.Column("error", _DOCUMENT),
        sa.Column("idempotency_key", _exact(128)),
        sa.Column("fingerprint", _exact(64)),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.UniqueConstraint("asked_by", "idempotency_key", name="uq_runs_asked_by_idempotency_key"),
    )
    _create(
        "audit",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("actor", _exact(255), nullable=False),
        sa.Column("role", _exact(16), nullable=False),
        sa.Column("address", _exact(64), nullable=False),
        sa.Column("action", _exact(64), nullable=False),
        sa.Column("target", _exact(2048), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("result", _exact(64), nullable=False),
        sa.Column("run_id", _exact(64), nullable=False),
        sa.Column("digest", _exact(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    for table, *columns in _INDEXES:
        _index(table, *columns)


def downgrade() -> None:
    for table in ("audit", "runs", "sessions", "users"):
        op.drop_table(table, if_exists=True)

"""
The tables of the control database, alike on SQLite, MariaDB and MySQL.

They change only together with a new file in `migrations/versions`; `alembic check` proves it.
"""

from datetime import UTC, datetime
from typing import Final, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as UTC without a zone, in microseconds."""

    # Without fsp, MySQL would round to seconds.
    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")  # type: ignore[mutable-override]  # how a type is declared
    cache_ok = True  # type: ignore[mutable-override]  # the same

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """
        Take the zone off.

        Returns:
            UTC.

        Raises:
            TypeError: It has no zone, so nobody knows when it is.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("an instant needs a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Put the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class _Bytes(mysql.VARBINARY):
    """
    Bytes that are sent as text, which in a connection of utf8mb4 are the same.

    Source:
        aiomysql 0.3.2 with PyMySQL 1.2 fails with a TypeError on every parameter that is bytes.
    """

    __visit_name__ = "VARBINARY"

    def bind_processor(self, dialect: Dialect) -> None:  # noqa: ARG002
        """Leave text as it is."""
        return


class Exact(TypeDecorator[str]):
    """
    Text of so many bytes of UTF-8 that is equal to nothing but itself.

    Bytes on a server: even its binary collations think `bob` and `bob ` the same.

    Source:
        https://dev.mysql.com/doc/refman/8.4/en/charset-binary-collations.html
    """

    impl = String  # type: ignore[mutable-override]  # how a type is declared
    cache_ok = True  # type: ignore[mutable-override]  # the same

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Choose bytes on a server."""
        if dialect.name == _SERVER:
            return cast("TypeEngine[str]", dialect.type_descriptor(_Bytes(self.length)))
        return dialect.type_descriptor(String(self.length))

    def process_result_value(self, value: str | bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Decode what a server sent."""
        return value.decode() if isinstance(value, bytes) else value


# What SQLAlchemy calls both, for the address never says `mariadb` to it.
_SERVER: Final = "mysql"
# TEXT would end at 64 KiB; the inventory of a large restore does not.
_DOCUMENT: Final = Text().with_variant(mysql.LONGTEXT(), "mysql")
# SQLite has a primary key without a second index only for this type.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
# Every constraint has a name, so that a migration can drop it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *parts: SchemaItem) -> Table:  # type: ignore[explicit-any]  # a default of SQLAlchemy's
    return Table(
        name,
        metadata,
        *parts,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


users = _table(
    "users",
    Column("name", Exact(255), primary_key=True),
    Column("role", Exact(16), nullable=False),
    Column("password_hash", Exact(512), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
)

sessions = _table(
    "sessions",
    Column("session_id", Exact(64), primary_key=True),
    Column("user_name", Exact(255), ForeignKey("users.name"), nullable=False, index=True),
    Column("refresh_digest", Exact(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("revoked_at", Instant),
    Column("kind", Exact(16), nullable=False, server_default="token"),
    Column("proven_at", Instant),
)

runs = _table(
    "runs",
    Column("run_id", Exact(64), primary_key=True),
    Column("kind", Exact(32), nullable=False),
    Column("state", Exact(16), nullable=False),
    Column("asked_by", Exact(255), nullable=False),
    Column("origin", Exact(16), nullable=False),
    Column("owner", Exact(255), nullable=False),
    Column("created_at", Instant, nullable=False, index=True),
    Column("backup_id", Exact(64), nullable=False, index=True),
    Column("restore_id", Exact(64), nullable=False),
    Column("request", _DOCUMENT, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("progress", _DOCUMENT),
    Column("result", _DOCUMENT),
    Column("error", _DOCUMENT),
    Column("idempotency_key", Exact(128)),
    Column("fingerprint", Exact(64)),
    # Rows without a key are never equal: NULL differs from NULL.
    UniqueConstraint("asked_by", "idempotency_key"),
    Index(None, "state", "created_at"),
)

audit = _table(
    "audit",
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False, index=True),
    Column("actor", Exact(255), nullable=False, index=True),
    Column("role", Exact(16), nullable=False),
    Column("address", Exact(64), nullable=False),
    Column("action", Exact(64), nullable=False),
    Column("target", Exact(2048), nullable=False),
    Column("status", Integer, nullable=False),
    Column("result", Exact(64), nullable=False),
    Column("run_id", Exact(64), nullable=False),
    Column("digest", Exact(64), nullable=False),
    # Empty in entries that were written before there were keys.
    Column("key_id", Exact(16), nullable=False, server_default=""),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("changes", _DOCUMENT),
)

# Where the proof of the audit begins: behind what was removed by age.
audit_cuts = _table(
    "audit_cuts",
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("digest", Exact(64), nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", Exact(16), nullable=False),
    Column("key_id", Exact(16), nullable=False),
    Column("seal", Exact(64), nullable=False),
)

alerts = _table(
    "alerts",
    Column("alert_id", Exact(64), primary_key=True),
    # The condition while it lasts, and NULL when it is over: so there is one open row of each.
    Column("open_key", Exact(320), unique=True),
    Column("kind", Exact(32), nullable=False),
    Column("about", Exact(255), nullable=False),
    Column("message", Exact(2048), nullable=False),
    Column("hint", Exact(2048), nullable=False),
    Column("run_id", Exact(64), nullable=False),
    Column("opened_at", Instant, nullable=False, index=True),
    Column("last_rung_at", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("closed_at", Instant, index=True),
    Column("closing", Exact(2048), nullable=False),
)

deliveries = _table(
    "deliveries",
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("alert_id", Exact(64), ForeignKey("alerts.alert_id"), nullable=False, index=True),
    Column("target", Exact(255), nullable=False),
    Column("tone", Exact(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    # Until then somebody is at it; whoever has died over it is followed by the next one.
    Column("claimed_until", Instant),
    Column("at", Instant, index=True),
    Column("error", Exact(64), nullable=False),
    Index(None, "target", "at", "due_at"),
)

"""How Alembic reaches the control database; https://alembic.sqlalchemy.org/en/latest/cookbook.html#using-asyncio-with-alembic."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from app.config import load_settings
from app.control.address import parse_address
from app.control.database import ControlDatabase
from app.control.tables import metadata


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        # SQLite cannot alter most of a table: Alembic copies it instead.
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_online() -> None:
    settings = load_settings()
    database = ControlDatabase(settings.control_address, settings.state_dir)
    async with database.migrating() as connection:
        await connection.run_sync(_migrate)


def _migrate_offline() -> None:
    url, _file, _tls = parse_address(load_settings().control_address)
    context.configure(
        dialect_name=url.get_backend_name(), target_metadata=metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


# The program gives its own connection, with the transaction and the locks it holds already.
given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    _migrate(given)
elif context.is_offline_mode():
    _migrate_offline()
else:
    asyncio.run(_migrate_online())

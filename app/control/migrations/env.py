"""How Alembic reaches the control database; https://alembic.sqlalchemy.org/en/latest/cookbook.html#using-asyncio-with-alembic."""

import asyncio

from alembic import context
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.config import load_settings


# The tables come with the API; until then there is nothing to migrate.
target_metadata = MetaData()


def _migrate(connection: Connection) -> None:
    # SQLite cannot alter most of a table: Alembic copies it instead.
    context.configure(connection=connection, target_metadata=target_metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_online() -> None:
    settings = load_settings()
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_async_engine(settings.control_address, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(
        url=load_settings().control_address, target_metadata=target_metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(_migrate_online())

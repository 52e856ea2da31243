"""
Queries of an SQLite file, each in one step of one thread.

The asynchronous driver takes a step for every call of its cursor. A request of the API that waits for
five steps behind a busy backup waits five times: at the 99th percentile that was a third of all.
"""

import asyncio
from collections.abc import Mapping, Sequence

from sqlalchemy import URL, Engine, Executable, RowMapping, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry


class FileReader:
    """Reads the file of a control database; nothing can be written through it."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="sqlite")
        self._engine: Engine | None = None

    async def rows(
        self, query: Executable, parameters: Mapping[str, object] | None
    ) -> Sequence[RowMapping]:
        """Run one query; a task that is cancelled meanwhile leaves nothing open."""
        engine = self._engine or self._make_engine()
        return await asyncio.to_thread(_read, engine, query, parameters)

    def close(self) -> None:
        """Close all connections that nobody uses; the others close when they are given back."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _make_engine(self) -> Engine:
        self._engine = create_engine(
            self._url,
            # None: no transaction is ever begun, so nothing is left to be undone.
            connect_args={"isolation_level": None},
            pool_reset_on_return=None,
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _only_read)
        return self._engine


def _read(
    engine: Engine, query: Executable, parameters: Mapping[str, object] | None
) -> Sequence[RowMapping]:
    with engine.connect() as connection:
        return connection.execute(query, parameters).mappings().all()


def _only_read(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()

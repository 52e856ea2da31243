"""A private MariaDB server for measurements, with the settings of an ordinary installation."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql

from app.sandbox.server import PrivateServer


# What an administrator sets on the first day; everything else is the server's default, so every
# commit is flushed (innodb_flush_log_at_trx_commit=1) and the binary log is written.
SETTINGS = (
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=512M",
    "--max-allowed-packet=64M",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",  # else a recovery must be told the zone of this machine
)
# One query for so many tables: 10,000 are counted in seconds.
_TABLES_PER_COUNT = 500
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchServer:
    """
    A private server and what a measurement asks of it.

    The directory is reused when it holds a server, and made otherwise.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._private = PrivateServer(directory, options=SETTINGS)

    def __enter__(self) -> Self:
        if not self._private.data.exists():
            self._private = PrivateServer.create(self._directory, options=SETTINGS)
        self._private.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._private.stop()

    @property
    def socket(self) -> Path:
        """Path of the Unix socket."""
        return self._private.socket

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self._private.data

    @property
    def url(self) -> str:
        """Address over TCP, without a database name."""
        return self._private.url

    @contextmanager
    def connect(
        self, schema: str | None = None, *, logged: bool = False
    ) -> Iterator[pymysql.Connection]:
        """Open one connection as root over the socket, outside the binary log unless it is to be logged."""
        connection = pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=schema,
            charset="utf8mb4",
            autocommit=True,
            init_command=f"SET sql_log_bin={int(logged)}",
            # The driver would load all authorities' certificates first, 25 ms each time.
            ssl_disabled=True,
        )
        try:
            yield connection
        finally:
            connection.close()

    def execute(self, *statements: str, schema: str | None = None) -> None:
        """Run statements on one connection."""
        with self.connect(schema) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, statement: str, schema: str | None = None) -> list[tuple[object, ...]]:
        """Run one query and return its rows."""
        with self.connect(schema) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def row_counts(self, schema: str) -> dict[str, int]:
        """Count the rows of every table exactly."""
        names = [str(name) for (name,) in self.query(f"SHOW TABLES FROM `{schema}`")]
        counted: list[tuple[object, ...]] = []
        for first in range(0, len(names), _TABLES_PER_COUNT):
            some = names[first : first + _TABLES_PER_COUNT]
            counts = (f"SELECT '{name}', COUNT(*) FROM `{schema}`.`{name}`" for name in some)
            counted += self.query(" UNION ALL ".join(counts))
        return {str(name): int(str(rows)) for name, rows in counted}

    def has(self, schema: str) -> bool:
        """Tell whether the schema exists."""
        return (schema,) in self.query("SHOW DATABASES")

    def cpu_seconds(self) -> float:
        """Return user and system time of the server since it started."""
        return process_cpu_seconds(self._private.pid)

    def settle(self, limit_seconds: float = 20) -> None:
        """Wait until background work (purge, page flushing) is done, so the next run starts quiet."""
        deadline = time.monotonic() + limit_seconds
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(0.5)
            if self.cpu_seconds() - before <= 2 / _TICKS_PER_SECOND:
                return


def process_cpu_seconds(pid: int) -> float:
    """Return user and system time of a process since it started; it must not have been reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

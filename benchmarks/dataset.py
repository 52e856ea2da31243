"""
What every data set is made of: tables that the server fills itself, and the values in them.

1. Rows are computed from hashes of the row number (MariaDB's Sequence engine), so they come fast and
   two runs give the same ones.
2. Tables are filled without secondary indexes, which are added afterwards with the foreign keys.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .server import BenchServer


# One INSERT ... SELECT is one transaction; this keeps its undo log near 200 MB.
ROWS_PER_STATEMENT = 2_000_000
# InnoDB analyzes small tables by itself, and ten thousand of them would take minutes.
_ANALYZED_ROWS = 10_000
# A blob of GROUP_CONCAT may be so long; the server's own limit is 1 MiB and cuts in silence.
_GROUP_CONCAT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """
    One generated table.

    Attributes:
        name: Unquoted identifier.
        rows: Number of rows; 0 makes an empty table.
        definition: Columns and primary key, as in CREATE TABLE.
        columns: The filled columns, in the order of `values`.
        values: Select list over `seq`, the row number from 1; `n.seq` inside a subquery.
        keys: ADD clauses run after the data; empty when there are none.
    """

    name: str
    rows: int
    definition: str
    columns: str
    values: str
    keys: str = ""


@dataclass(frozen=True, slots=True)
class DataSet:
    """
    One kind of data that programs are measured on.

    Attributes:
        name: What `--shape` says.
        megabytes: Default size as plain SQL, in 10^6 bytes.
        tables: Describes the tables of a size, parents before children.
    """

    name: str
    megabytes: int
    tables: Callable[[int], list[Table]]


def load(server: BenchServer, schema: str, tables: Sequence[Table]) -> None:
    """
    Create the schema and fill it, two tables at a time, outside the binary log.

    Args:
        server: A running server with the Sequence engine.
        schema: Name to create; must not exist.
        tables: Parents before children.
    """
    server.execute(
        f"CREATE DATABASE `{schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "SET GLOBAL innodb_flush_log_at_trx_commit=0",
    )
    by_size = sorted(tables, key=lambda table: table.rows, reverse=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda table: _fill(server, schema, table), by_size))
    server.execute(
        "SET GLOBAL innodb_flush_log_at_trx_commit=DEFAULT",
        "SET foreign_key_checks=0",
        *(f"ALTER TABLE `{table.name}` {table.keys}" for table in tables if table.keys),
        *(f"ANALYZE TABLE `{table.name}`" for table in tables if table.rows >= _ANALYZED_ROWS),
        schema=schema,
    )


def hashed(salt: str) -> str:
    """Return an expression for an integer below 2^32 that depends on the row and the salt."""
    return f"CRC32(CONCAT(seq,'{salt}'))"


def picked(options: Sequence[str], salt: str) -> str:
    """Return an expression for one of the options, which are texts already escaped."""
    quoted = ",".join(f"'{option}'" for option in options)
    # CRC32 of two salts differs by a constant, which would make the text repeat; MD5 does not.
    digest = f"CONV(LEFT(MD5(CONCAT(seq,'{salt}')),8),16,10)"
    return f"ELT(1+{digest}%{len(options)},{quoted})"


def moment(salt: str) -> str:
    """Return an expression for a second of six years: they compress like real timestamps."""
    return f"('2019-01-01'+INTERVAL {hashed(salt)}%189216000 SECOND)"


def sometimes_null(expression: str, salt: str, one_in: int = 4) -> str:
    """Return an expression that is NULL in one of so many rows."""
    return f"IF({hashed(salt)}%{one_in}=0,NULL,{expression})"


def _fill(server: BenchServer, schema: str, table: Table) -> None:
    server.execute(
        "SET unique_checks=0, foreign_key_checks=0",
        f"SET group_concat_max_len={_GROUP_CONCAT_BYTES}",
        f"CREATE TABLE `{table.name}` ({table.definition}) ENGINE=InnoDB",
        *(
            f"INSERT INTO `{table.name}` ({table.columns}) "
            f"SELECT {table.values} FROM seq_{first}_to_{last} AS n"
            for first, last in _batches(table.rows)
        ),
        schema=schema,
    )


def _batches(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(1, rows + 1, ROWS_PER_STATEMENT):
        yield first, min(first + ROWS_PER_STATEMENT - 1, rows)

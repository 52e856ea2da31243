"""However a table is cut into ranges, each of its rows is in exactly one of them (hazards 1, 67, 68, 69, 70 and 71)."""

import asyncio
import contextlib
import itertools

import pymysql
import pytest

from app.domain.backups.manifest import MemberKind
from tests.corpora import sizes
from tests.corpora.session import PRELUDE
from tests.fixtures.chosen_server import IS_MYSQL, NO_ARIA
from tests.fixtures.log_archive import until
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# A few bytes, a few rows, a few hundred rows, everything at once.
CUTS = [(300, 1), (900, 4), (20_000, 2), (1 << 20, 4)]
KEYS = [sizes.sparse_keys, sizes.collated_keys, sizes.unusual_keys]
# Every kind of key, and every cut.
KEYS_AND_CUTS = series(
    [*zip(KEYS, CUTS, strict=False), (sizes.sparse_keys, CUTS[3])], [*itertools.product(KEYS, CUTS)]
)
COUNTS = [0, 1, 2, 3, 999, 1000, 1001]
THREADS = [1, 2, 4]
COUNTS_AND_THREADS = series(
    [*zip(COUNTS, itertools.cycle(THREADS), strict=False)], [*itertools.product(COUNTS, THREADS)]
)


@pytest.mark.long
@pytest.mark.parametrize(("keys", "cut"), KEYS_AND_CUTS)
async def test_no_kind_of_key_loses_or_repeats_a_row(keys, cut, backstay, sql, database):
    """Sparse, composite, textual, binary and unusable keys lose no row and repeat none."""
    sql.script(keys())
    chunk_bytes, threads = cut

    await assert_whole(backstay, sql, database, chunk_bytes=chunk_bytes, threads=threads)


async def test_the_vendors_program_reads_tables_cut_into_ranges(backstay, sql, database):
    """Tables cut into many ranges load by the mysql client, and dump like their source."""
    sql.script([*sizes.sparse_keys(), *sizes.collated_keys(), *sizes.unusual_keys()])

    manifest = await backstay.round_trip(database, chunk_bytes=4000)

    assert ranges(manifest, "sparse_outlier") > 5
    assert ranges(manifest, "collated_ci") > 2
    assert ranges(manifest, "unusual_binary") > 5  # servers guess how many rows there are


@pytest.mark.long
@pytest.mark.parametrize(("count", "threads"), COUNTS_AND_THREADS)
async def test_any_number_of_rows_comes_back(count, threads, backstay, sql, database):
    """Tables of no row, one row, and one less, as many and one more than the first chunk asks for."""
    sql.script(sizes.counted_rows(count))

    await assert_whole(
        backstay, sql, database, chunk_bytes=1 if count < 9 else 5000, threads=threads
    )


async def test_a_target_smaller_than_any_row_loses_none(backstay, sql, database):
    """A target smaller than any row gives chunks of about one row each."""
    sql.script(sizes.counted_rows(40))

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=1, threads=2)

    assert ranges(manifest, "counted_int") >= 1
    assert all(row_count <= 40 for row_count in statement_rows(manifest, "counted_int"))


def key_table(name, kind, values, *, options=""):
    """Make a table whose primary key takes values of all of its range, spread over many chunks."""
    return [
        f"CREATE TABLE {name} (k {kind} PRIMARY KEY, v VARCHAR(40)) {options}",
        f"INSERT INTO {name} SELECT {values}",
    ]


FILLED = {
    "tinyint": "CAST(seq AS SIGNED) - 128, 'x' FROM seq_0_to_255",
    "smallint unsigned": "seq * 131, REPEAT('x', seq % 40) FROM seq_0_to_500",
    "int zerofill": "seq * seq, REPEAT('x', seq % 40) FROM seq_0_to_500",
    "bigint unsigned": "18446744073709551615 - seq * seq * 1000003, 'x' FROM seq_0_to_500",
    "decimal(30,10)": "(CAST(seq AS SIGNED) - 250) * 1234567.0000000001, 'x' FROM seq_0_to_500",
    "decimal(9,2) unsigned zerofill": "seq / 4, 'x' FROM seq_0_to_500",
    "date": "IF(seq = 0, '0000-00-00', '2020-01-01' + INTERVAL seq DAY), 'x' FROM seq_0_to_500",
    "datetime(3)": "'2020-01-01' + INTERVAL seq * 1234567 MICROSECOND, 'x' FROM seq_0_to_500",
    "timestamp(6)": "'2020-03-29' + INTERVAL seq * 12345678 MICROSECOND, 'x' FROM seq_0_to_500",
    "time(6)": "SEC_TO_TIME((CAST(seq AS SIGNED) - 250) * 12000.000001), 'x' FROM seq_0_to_500",
    "year": "IF(seq = 0, 0, 1900 + seq), 'x' FROM seq_0_to_255",
    "uuid": "CONCAT(LEFT(MD5(seq),12),'4',SUBSTR(MD5(seq),14,3),'8',SUBSTR(MD5(seq),18,15)), 'x' FROM seq_0_to_500",
    "inet4": "INET_NTOA(seq * 8000009), 'x' FROM seq_0_to_500",
    "inet6": "INET6_NTOA(UNHEX(MD5(seq))), 'x' FROM seq_0_to_500",
    "binary(16)": "UNHEX(MD5(seq)), 'x' FROM seq_0_to_500",
    "varbinary(20)": "LEFT(UNHEX(SHA1(seq)), 1 + seq % 20), 'x' FROM seq_300_to_500",
    "char(5) collate latin1_bin": "CONV(seq, 10, 36), 'x' FROM seq_0_to_500",
    "varchar(99) collate utf8mb4_unicode_ci": "CONCAT(ELT(1+seq%4,'a','Ä','ß','😀'), seq, REPEAT(' ', seq % 3)), 'x' FROM seq_0_to_500",
    "varchar(9) collate utf8mb4_nopad_bin": "CONCAT(CHAR(97 + seq % 5), REPEAT(' ', seq DIV 100), seq % 100), 'x' FROM seq_0_to_499",
    "varchar(20) collate sjis_japanese_ci": "CONCAT(_sjis X'815C', seq), 'x' FROM seq_0_to_500",
    "varchar(20) collate ucs2_general_ci": "CONCAT('é', seq), 'x' FROM seq_0_to_500",
}


if IS_MYSQL:  # whose types and collations these are not
    for kind in ("uuid", "inet4", "inet6", "varchar(9) collate utf8mb4_nopad_bin"):
        del FILLED[kind]


@pytest.mark.long
@pytest.mark.parametrize(("chunk_bytes", "threads"), series([(200, 4)], [(200, 2), (3000, 4)]))
async def test_bounds_of_every_type_of_key_are_exact(chunk_bytes, threads, backstay, sql, database):
    """Bounds of each type that may be one mean the same rows to the server as the values they came from."""
    sql.script(PRELUDE)
    for number, (kind, values) in enumerate(FILLED.items()):
        sql.script(key_table(f"k{number}", kind, values))

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=chunk_bytes, threads=threads)

    for number, kind in enumerate(FILLED):
        assert entry_of(manifest, f"k{number}").index == "PRIMARY", kind
        assert ranges(manifest, f"k{number}") > 1 or chunk_bytes > 200, kind


async def test_dates_that_no_calendar_has_may_be_bounds(backstay, sql, database):
    """Zero and impossible dates may be keys, and bounds of ranges."""
    sql.script(PRELUDE)
    days = ",".join(
        f"('20{year:02}-{month:02}-{day:02}', REPEAT('x', 300))"
        for year, month, day in itertools.product((20, 21), (0, 2), (0, 29, 30, 31))
    )
    for kind in ("date", "datetime", "datetime(6)"):
        name = f"d_{len(kind)}"
        sql.run(f"CREATE TABLE {name} (k {kind} PRIMARY KEY, v VARCHAR(300))")
        sql.run(f"INSERT INTO {name} VALUES {days}, ('0000-00-00', 'zero')")

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=300, threads=2)

    assert ranges(manifest, "d_4") > 1


@pytest.mark.parametrize(
    "engine", ["InnoDB", "MyISAM", pytest.param("Aria", marks=NO_ARIA), "MEMORY"]
)
async def test_engines_without_an_order_are_cut_all_the_same(engine, backstay, sql, database):
    """Engines that keep rows in no order of the key are cut into many ranges all the same."""
    sql.script([
        *PRELUDE,
        f"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(99)) ENGINE={engine}",
        "INSERT INTO t SELECT (seq * 7919) % 5003, REPEAT(CHAR(97 + seq % 26), seq % 99) FROM seq_1_to_2500",
        "DELETE FROM t WHERE id % 5 = 0",
        "INSERT INTO t SELECT 10000 - seq, 'late' FROM seq_1_to_100",
        f"CREATE TABLE s (k VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) ENGINE={engine}",
        "INSERT INTO s SELECT CONCAT(CHAR(97 + seq % 26), seq), seq FROM seq_1_to_1500",
        f"CREATE TABLE n (v VARCHAR(20)) ENGINE={engine}",
        "INSERT INTO n SELECT REPEAT('x', seq % 20) FROM seq_1_to_1500",
    ])

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=1000, threads=4)

    assert ranges(manifest, "t") > 10
    assert ranges(manifest, "s") > 3
    assert ranges(manifest, "n") > 1


@pytest.mark.parametrize(
    "by",
    [
        "HASH (id) PARTITIONS 7",
        "KEY (id) PARTITIONS 3",
        "RANGE (id) (PARTITION a VALUES LESS THAN (100), PARTITION b VALUES LESS THAN (2000), PARTITION c VALUES LESS THAN MAXVALUE)",
        "RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION a VALUES LESS THAN (1500), PARTITION b VALUES LESS THAN MAXVALUE)",
    ],
)
async def test_partitioned_tables_are_cut_by_their_key(by, backstay, sql, database):
    """Partitioned tables are cut by their key across partitions, or read partition by partition."""
    sql.script([
        *PRELUDE,
        f"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(99)) PARTITION BY {by}",
        "INSERT INTO t SELECT seq, REPEAT('x', seq % 99) FROM seq_1_to_2500",
        f"CREATE TABLE n (id INT NOT NULL, v VARCHAR(99)) PARTITION BY {by.replace('KEY (id)', 'KEY (id)')}",
        "INSERT INTO n SELECT seq % 2000, REPEAT('x', seq % 9) FROM seq_1_to_2500",
    ])

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=5000, threads=4)

    assert ranges(manifest, "t") > 5


@pytest.mark.long
@pytest.mark.parametrize("threads", series([4], [1, 4]))
async def test_ranges_planned_by_short_rows_are_split_at_long_ones(
    threads, backstay, sql, database
):
    """Ranges planned by short rows are split where long ones follow, down to a single row."""
    sql.script([
        *PRELUDE,
        "CREATE TABLE i (id INT PRIMARY KEY, v LONGTEXT)",
        "INSERT INTO i SELECT seq, IF(seq BETWEEN 1400 AND 1430, REPEAT('long', seq * 20), 'x') FROM seq_1_to_3000",
        "CREATE TABLE s (k VARCHAR(20) PRIMARY KEY, v LONGTEXT)",
        "INSERT INTO s SELECT CONCAT('k', LPAD(seq, 9, 0)), IF(seq % 500 = 499, REPEAT('é', 60000), '') FROM seq_1_to_3000",
        "CREATE TABLE c (a INT, b INT, v LONGTEXT, PRIMARY KEY (a, b))",
        # One value of the first column holds nearly all rows: the range must be split by the second.
        "INSERT INTO c SELECT IF(seq < 9, seq, 9), seq, REPEAT('y', seq % 700) FROM seq_1_to_2000",
        "CREATE TABLE n (v LONGTEXT)",
        "INSERT INTO n SELECT IF(seq % 300 = 7, REPEAT('z', 200000), seq) FROM seq_1_to_1500",
    ])

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=20_000, threads=threads)

    plain = [statement for statement in statements(manifest, "i") if not statement.sliced]
    assert max(statement.raw_size for statement in plain) < 5 * 20_000
    assert sum(statement.sliced for statement in statements(manifest, "i")) > 0
    assert sum(statement.sliced for statement in statements(manifest, "n")) == 5


@pytest.mark.parametrize(
    ("definition", "index"),
    [
        ("k ENUM('z','a','m') PRIMARY KEY, v INT NOT NULL", ""),
        ("k ENUM('z','a') NOT NULL, v INT NOT NULL, PRIMARY KEY (k, v), UNIQUE u (v)", "u"),
        ("k FLOAT PRIMARY KEY, v INT NOT NULL", ""),
        ("k DOUBLE PRIMARY KEY, v INT NOT NULL, UNIQUE u (v)", "u"),
        ("k BIT(20) PRIMARY KEY, v INT NOT NULL", ""),
        ("k INT UNIQUE, v INT", ""),
        ("k INT, v INT NOT NULL, UNIQUE a (k, v), UNIQUE b (v)", "b"),
        ("k INT, v VARCHAR(40) NOT NULL, UNIQUE a (v(3))", ""),
        ("k INT NOT NULL, v INT NOT NULL, KEY a (k), KEY b (v)", ""),
        (
            "k INT, v INT NOT NULL, KEY (k), UNIQUE a (k), UNIQUE c (v), UNIQUE b (v)"
            + (" INVISIBLE" if IS_MYSQL else " IGNORED"),
            "c",
        ),
    ],
)
async def test_ranges_follow_the_first_index_with_exact_bounds(
    definition, index, backstay, sql, database
):
    """Ranges follow the first unique index whose bounds are exact; without one the table is one stream."""
    sql.script([
        *PRELUDE,
        f"CREATE TABLE t ({definition})",
        "INSERT IGNORE INTO t (k, v) SELECT IF(seq % 7, seq, IF(seq % 2, NULL, -seq)), 3000 - seq FROM seq_1_to_2000",
    ])

    manifest = await assert_whole(backstay, sql, database, chunk_bytes=2000, threads=2)

    assert entry_of(manifest, "t").index == index


ACCOUNTS = 400
BALANCE = 1000


@pytest.mark.parametrize(
    "key",
    ["id INT AUTO_INCREMENT PRIMARY KEY", "id INT AUTO_INCREMENT UNIQUE, PRIMARY KEY (name)"],
)
async def test_a_backup_of_a_hot_table_holds_one_moment(key, backstay, sql, database):
    """While rows move, come and go, each backup holds one moment: the sum of all money is constant."""
    sql.script([
        f"CREATE TABLE accounts ({key}, name VARCHAR(20) NOT NULL, money INT NOT NULL)".replace(
            "AUTO_INCREMENT UNIQUE, PRIMARY KEY (name), name VARCHAR(20) NOT NULL",
            "AUTO_INCREMENT UNIQUE, name VARCHAR(20) NOT NULL PRIMARY KEY",
        ),
        f"INSERT INTO accounts (name, money) SELECT CONCAT('a', seq), {BALANCE} FROM seq_1_to_{ACCOUNTS}",
        "CREATE TABLE counters (id INT PRIMARY KEY, n INT NOT NULL) ",
        "INSERT INTO counters VALUES (1, 0)",
    ])
    copies = []

    async with busy(backstay.url, database):
        for chunk_bytes, threads in ((200, 4), (2000, 2), (1 << 20, 1)):
            manifest = await backstay.backup(database, chunk_bytes=chunk_bytes, threads=threads)
            copies.append(await backstay.copy(manifest))

    for copy in copies:
        total, moves = sql.run(
            f"SELECT (SELECT SUM(money) FROM {copy}.accounts), (SELECT n FROM {copy}.counters)"
        )[0]
        assert total == ACCOUNTS * BALANCE
        assert moves > 0


DEADLOCK = 1213  # all of a transaction is undone


@contextlib.asynccontextmanager
async def busy(url, database, writers=3):
    """Keep writers going for a block: each transaction deletes, inserts and updates, and keeps the sum."""
    stop, moved = asyncio.Event(), [0] * writers
    tasks = [
        asyncio.create_task(asyncio.to_thread(move, url, database, n, stop, moved))
        for n in range(writers)
    ]
    try:
        await until(lambda: min(moved) > 10, "all writers are at work", 60)
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def move(url, database, writer, stop, moved):
    """Move money until told to stop; count how often."""
    count = 0
    with Sql(url, database) as client:
        while not stop.is_set():
            count += 1
            name = f"w{writer}_{count}"
            statements = [
                "BEGIN",
                # A fixed order of locks: no deadlocks between the writers, on MariaDB.
                "UPDATE counters SET n = n + 1",
                f"INSERT INTO accounts (name, money) VALUES ('{name}', 70)",
                f"UPDATE accounts SET money = money - 70 WHERE name = 'a{1 + count % ACCOUNTS}'",
                *(
                    [
                        f"UPDATE accounts SET money = money + 70 WHERE name = 'a{1 + (count * 37) % ACCOUNTS}'",
                        f"DELETE FROM accounts WHERE name = '{name}'",
                    ]
                    if count % 3
                    else []
                ),
                "COMMIT",
            ]
            try:
                client.script(statements)
            except pymysql.err.OperationalError as exc:
                if exc.args[0] != DEADLOCK:
                    raise
            moved[writer] = count


# -- what is compared ------------------------------------------------------------------------------


async def assert_whole(backstay, sql, database, **options):
    """Back up, restore, and compare by the oracle, by counts and sums, and with the manifest."""
    manifest = await backstay.backup(database, **options)
    await backstay.backups.verify(manifest.backup_id)
    copy = await backstay.copy(manifest)
    assert_same(snapshot(backstay.url, database), snapshot(backstay.url, copy))
    for table in manifest.databases[0].tables:
        count = tally(sql, database, table.name)
        assert tally(sql, copy, table.name) == count
        assert sum(statement_rows(manifest, table.name)) == table.rows == count[0]
    return manifest


def tally(sql, database, table):
    """Count the rows of a table and sum a digest of every column; no order, no key, no literal."""
    columns = [row[0] for row in sql.run(f"SHOW COLUMNS FROM {database}.{table}")]
    sums = ", ".join(f"SUM(CRC32(IFNULL(HEX(`{name}`), 'null')))" for name in columns)
    return sql.run(f"SELECT COUNT(*), {sums} FROM {database}.{table}")[0]


def statements(manifest, table):
    """Return the INSERTs of a table."""
    return [
        statement
        for member in manifest.members
        if member.kind is MemberKind.DATA and member.table == table
        for statement in member.statements
        if statement.rows
    ]


def statement_rows(manifest, table):
    """Return the number of rows of each INSERT of a table."""
    return [statement.rows for statement in statements(manifest, table)]


def ranges(manifest, table):
    """Return into how many INSERTs a table was cut."""
    return len(statements(manifest, table))


def entry_of(manifest, table):
    """Return what the manifest says about a table."""
    return next(entry for entry in manifest.databases[0].tables if entry.name == table)

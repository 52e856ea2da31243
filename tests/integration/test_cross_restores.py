"""From one vendor or version to another: what is lost is counted, what is refused is refused before anything begins."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import AppError
from app.sandbox.server import PrivateServer
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import FOLDER
from tests.fixtures.mysql import PrivateMysql
from tests.fixtures.restored_shop import drop, scratch
from tests.fixtures.servers import TEST_OPTIONS, Sql


pytestmark = [
    pytest.mark.differs("mysql", reason="the run of MariaDB 11.8 asks all three servers"),
    pytest.mark.differs("mariadb-10", reason="the run of MariaDB 11.8 asks all three servers"),
]

NAMES = ("mariadb-10.11", "mariadb-11.8", "mysql-9.7")
OLD, NEW, MYSQL = NAMES
MARIADB = (OLD, NEW)
# What all of them take.
COMMON = (
    (
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) DEFAULT 'x', c DECIMAL(5, 2),"
        " d TIMESTAMP DEFAULT CURRENT_TIMESTAMP, g INT AS (c + 1) STORED, e ENUM('😀', 'b'), KEY (a DESC),"
        " CHECK (c > 0)) COLLATE utf8mb4_unicode_ci"
    ),
    "INSERT INTO t (a, c, e) VALUES ('é', 1.5, '😀'), ('😀', 2.5, 'b')",
    "CREATE TABLE child (t INT, FOREIGN KEY (t) REFERENCES t (id)) COLLATE utf8mb4_unicode_ci",
    "INSERT INTO child VALUES (1), (NULL)",
    "CREATE VIEW v AS SELECT id, a FROM t",
    "CREATE PROCEDURE p() SQL SECURITY INVOKER SELECT 'é'",
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 'set'",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DO DELETE FROM t",
)
_END = "COLLATE utf8mb4_general_ci"
# From whom, to whom, what is made, and what is said of it.
LOST = (
    (
        (MYSQL,),
        MARIADB,
        (
            (
                "CREATE TABLE t (id INT PRIMARY KEY, b INT INVISIBLE, c INT INVISIBLE, KEY k (b) INVISIBLE,"
                f" CONSTRAINT k2 CHECK (b > 5) NOT ENFORCED, g POINT SRID 4326) {_END}"
            ),
            "INSERT INTO t (id, b) VALUES (1, 1)",
        ),
        (
            "2 invisible columns become visible (DB.t.b, DB.t.c)",
            "1 invisible indexes are used (DB.t.k)",
            "1 checks that were not enforced are enforced (DB.t.k2)",
            "1 columns are no longer bound to their reference system (SRID) (DB.t.g)",
        ),
    ),
    (
        (MYSQL,),
        (NEW,),
        (f"CREATE TABLE t (v VECTOR(3)) {_END}",),
        (
            "1 vector columns take values of their full length only; a shorter one ends the restore when it is loaded (DB.t.v)",
        ),
    ),
    (
        (NEW,),
        (OLD, MYSQL),
        (f"CREATE TABLE t (a TIMESTAMP NULL, b DATETIME) {_END}", "INSERT INTO t VALUES (0, 0)"),
        (
            "1 timestamp columns take moments until 2038 only; a later one ends the restore when it is loaded (DB.t.a)",
        ),
    ),
    (
        MARIADB,
        (MYSQL,),
        (f"CREATE TABLE t (a INT CHECK (a > 0), b INT, j JSON COMMENT 'CHECK') {_END}",),
        (
            (
                "1 tables have CHECKs, which this server asks of every row; one that breaks its CHECK ends the"
                " restore when it is loaded (DB.t)"
            ),
        ),
    ),
    (
        MARIADB,
        (MYSQL,),
        (
            f"CREATE TABLE t (id INT PRIMARY KEY, b TEXT COMPRESSED) {_END}",
            "INSERT INTO t VALUES (1, 'x')",
            "SET sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER'",
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DO DELETE FROM t",
        ),
        (
            "1 times COMPRESSED is passed over (DB.t.b)",
            (
                "3 objects lose sql_mode NO_AUTO_CREATE_USER, which this server always keeps to"
                " (DB.p, DB.r, DB.e)"
            ),
        ),
    ),
)
# The same; a dry run knows it too.
REFUSED = (
    (
        (MYSQL,),
        MARIADB,
        (f"CREATE TABLE t (a VARCHAR(9), KEY f ((LOWER(a)))) {_END}",),
        "functional indexes",
    ),
    (
        (MYSQL,),
        MARIADB,
        ("SET sql_mode = 'TIME_TRUNCATE_FRACTIONAL'", "CREATE PROCEDURE p() SELECT 1"),
        "TIME_TRUNCATE_FRACTIONAL",
    ),
    ((MYSQL,), (OLD,), (f"CREATE TABLE t (v VECTOR(3)) {_END}",), "type vector"),
    ((MYSQL,), (OLD,), ("CREATE TABLE t (a VARCHAR(9)) COLLATE utf8mb4_0900_ai_ci",), "0900"),
    (
        (MYSQL,),
        MARIADB,
        (f"CREATE TABLE t (a BINARY(16) DEFAULT (UUID_TO_BIN(UUID()))) {_END}",),
        "uuid_to_bin",
    ),
    ((MYSQL,), MARIADB, ("CREATE VIEW v AS SELECT BIN_TO_UUID(X'00') AS u",), "bin_to_uuid"),
    (MARIADB, (MYSQL,), (f"CREATE TABLE t (a UUID, b INET6) {_END}",), "type uuid"),
    (
        MARIADB,
        (MYSQL,),
        ("SET sql_mode = 'EMPTY_STRING_IS_NULL'", "CREATE PROCEDURE p() SELECT 1"),
        "EMPTY_STRING_IS_NULL",
    ),
    (MARIADB, (MYSQL,), ("CREATE SEQUENCE s",), "sequences"),
    (
        (NEW,),
        (MYSQL,),
        ("SET collation_connection = utf8mb4_uca1400_as_ci", "CREATE PROCEDURE p() SELECT 1"),
        "collation_connection utf8mb4_uca1400_as_ci",
    ),
    (
        (MYSQL,),
        (OLD,),
        ("SET collation_connection = utf8mb4_ja_0900_as_cs", "CREATE VIEW v AS SELECT 1 AS a"),
        "utf8mb4_ja_0900_as_cs",
    ),
    (MARIADB, (MYSQL,), (f"CREATE TABLE t (a INT, KEY k (a) IGNORED) {_END}",), "1064"),
    (
        MARIADB,
        (MYSQL,),
        ("SET sql_mode = ''", "CREATE PROCEDURE p() FOR i IN 1..3 DO SELECT i; END FOR"),
        "procedure",
    ),
    ((NEW,), (OLD,), (f"CREATE TABLE t (v VECTOR(3) NOT NULL) {_END}",), "vector"),
    (MARIADB, (MYSQL,), ("CREATE VIEW v AS VALUES (1, 2)",), "view crossing.v: error 1064"),
    (
        (NEW,),
        (OLD,),
        (
            f"CREATE TABLE t (a INT) {_END}",
            "CREATE TRIGGER r BEFORE UPDATE OF a ON t FOR EACH ROW SET NEW.a = 1",
        ),
        "trigger crossing.r is missing .* may not know its words",
    ),
)

# Times of the user's read as the last moment of a server, at which current rows end.
HISTORY = (
    "CREATE TABLE hidden (id INT PRIMARY KEY, a DATETIME(6)) WITH SYSTEM VERSIONING",
    (
        "CREATE TABLE named (e TIMESTAMP(6) AS ROW END, id INT, a TIMESTAMP(6) NULL, b TEXT,"
        " s TIMESTAMP(6) AS ROW START, PERIOD FOR SYSTEM_TIME (s, e), PRIMARY KEY (id, e))"
        " WITH SYSTEM VERSIONING"
    ),
    "CREATE TABLE keyless (a TEXT) WITH SYSTEM VERSIONING",
    "INSERT INTO hidden VALUES (1, '2038-01-19 03:14:07.999999'), (2, '2106-02-07 06:28:15.999999'), (3, NULL)",
    # More than a chunk.
    (
        "INSERT INTO named (id, a, b) SELECT seq, '2038-01-19 03:14:07.999999', REPEAT('x', 1000)"
        " FROM seq_1_to_2200"
    ),
    "INSERT INTO keyless VALUES ('2038-01-19 03:14:07.999999'), ('2106-02-07 06:28:15.999999'), (NULL)",
    "UPDATE hidden SET a = '2000-01-01' WHERE id = 3",
    "UPDATE named SET a = NULL WHERE id % 700 = 0",
    "DELETE FROM keyless WHERE a IS NULL",
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Callable[[str], str]]:
    """Start a server of a name, once, and return its address."""
    urls: dict[str, str] = {}
    with ExitStack() as stack:

        def url_of(name: str) -> str:
            if name not in urls:
                kind = PrivateMysql if name == MYSQL else PrivateServer
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("PATH", os.pathsep.join(_folders(name)))
                    server = kind.create(tmp_path_factory.mktemp(name) / "s", options=TEST_OPTIONS)
                    urls[name] = stack.enter_context(server).url
            return urls[name]

        yield url_of


def _folders(name: str) -> list[str]:
    """Return where the programs of a server are looked for; the machine's own is MariaDB 10.11."""
    unpacked = FOLDER.parents[1]
    usual = os.environ["PATH"].split(os.pathsep)  # noqa: TID251 - to look elsewhere as well
    others = [folder for folder in usual if str(unpacked) not in folder]
    return others if name == OLD else [str(unpacked / name / "bin"), *others]


class Crossing:
    """A database on one server, its backup, and what another one makes of it."""

    def __init__(self, servers, directory, source: str, target: str) -> None:
        self.source = Backstay(servers(source), directory / "backups")
        self.target = Backstay(servers(target), directory / "backups")
        for here in (self.source, self.target):
            with Sql(here.url) as sql:
                drop(sql, "crossing")

    async def backup(self, statements):
        """Make the database anew, and back it up."""
        with Sql(self.source.url) as sql:
            drop(sql, "crossing")
            sql.script([
                "SET collation_connection = utf8mb4_unicode_ci",
                "CREATE DATABASE crossing CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                "USE crossing",
                *statements,
            ])
        return await self.source.backup("crossing")

    async def forecast(self, manifest):
        """Say what a restore would meet."""
        plan = await self.target.recoveries.plan(RestoreRequest(manifest.backup_id))
        return await self.target.recoveries.dry_run(plan)


def pairs(sources: tuple[str, ...], targets: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return each source with each target."""
    return [(source, target) for source in sources for target in targets]


def foretold(warnings: Iterable[str]) -> set[str]:
    """Leave out what no trial shows: an event is tried as one that does not fire."""
    return {text for text in warnings if not text.startswith("event crossing.")}


@pytest.mark.parametrize(
    ("source", "target"), [pair for pair in pairs(NAMES, NAMES) if pair[0] != pair[1]]
)
async def test_what_both_know_comes_across(source, target, servers, tmp_path):
    """Rows are proven, objects work."""
    crossing = Crossing(servers, tmp_path, source, target)
    manifest = await crossing.backup(COMMON)

    forecast = await crossing.forecast(manifest)
    done = await crossing.target.restore(manifest)

    assert forecast.problems == ()
    assert done.verified
    assert foretold(done.warnings) <= set(forecast.warnings)

    read = "SELECT id, a, c, g, e FROM t ORDER BY id"
    with (
        Sql(crossing.source.url, "crossing") as here,
        Sql(crossing.target.url, "crossing") as there,
    ):
        assert there.run(read) == here.run(read)
        assert there.run("CALL p()") == [("é",)]
        assert there.run(
            "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'crossing'"
        ) == [("ENABLED",)]


@pytest.mark.parametrize(("source", "target"), [(OLD, NEW), (NEW, OLD)])
async def test_current_rows_with_a_history_stay_current(source, target, servers, tmp_path):
    """They end at the last moment of a server, which MariaDB 11.5 moved; other values that read so stay."""
    crossing = Crossing(servers, tmp_path, source, target)
    manifest = await crossing.backup(("SET time_zone = '+00:00'", *HISTORY))

    forecast = await crossing.forecast(manifest)
    done = await crossing.target.restore(manifest)
    after = await crossing.forecast(manifest)

    assert forecast.problems == after.problems == ()
    assert done.verified
    assert all(table.chunks and not table.chunks_changed for table in after.tables)
    with (
        Sql(crossing.source.url, "crossing") as here,
        Sql(crossing.target.url, "crossing") as there,
    ):
        for sql in (here, there):
            sql.run("SET time_zone = '+00:00'")
        for read in (
            "SELECT id, a FROM hidden ORDER BY id",
            "SELECT id, a FROM named ORDER BY id",
            "SELECT a FROM keyless ORDER BY a",
            "SELECT id, a, row_start FROM hidden FOR SYSTEM_TIME ALL ORDER BY id, row_start",
            "SELECT id, a, s FROM named FOR SYSTEM_TIME ALL ORDER BY id, s",
            "SELECT a, row_end FROM keyless FOR SYSTEM_TIME ALL WHERE a IS NULL",
        ):
            assert there.run(read) == here.run(read)


@pytest.mark.parametrize("case", LOST, ids=lambda case: f"{case[0][0]} to {case[1][0]}")
async def test_what_is_lost_is_counted_beforehand(case, servers, tmp_path):
    """In the dry run and in the restore alike."""
    sources, targets, statements, warnings = case
    for source, target in pairs(sources, targets):
        crossing = Crossing(servers, tmp_path / f"{source}{target}", source, target)
        manifest = await crossing.backup(statements)
        wanted = {text.replace("DB", "crossing") for text in warnings}

        forecast = await crossing.forecast(manifest)
        done = await crossing.target.restore(manifest)

        assert forecast.problems == ()
        assert wanted <= set(done.warnings)
        assert foretold(done.warnings) <= set(forecast.warnings)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0][0]} {case[3]}")
async def test_what_is_refused_is_refused_before_anything_begins(case, servers, tmp_path):
    """By the dry run in the same words; a table that is there stays, and nothing is made or left over."""
    sources, targets, statements, words = case
    for source, target in pairs(sources, targets):
        crossing = Crossing(servers, tmp_path / f"{source}{target}", source, target)
        manifest = await crossing.backup(statements)
        with Sql(crossing.target.url) as sql:
            sql.script(["CREATE DATABASE crossing", "CREATE TABLE crossing.t (kept INT)"])

            forecast = await crossing.forecast(manifest)
            with pytest.raises(AppError, match=words) as caught:
                await crossing.target.restore(manifest)

            assert str(forecast.problems[0]) == str(caught.value)
            assert sql.run("SHOW COLUMNS FROM crossing.t")[0][0] == "kept"
            assert scratch(sql, "crossing") == set()
        assert len(list(crossing.target.directory.glob("*.manifest.json"))) == 1


async def test_a_damaged_definition_is_one_finding(servers, tmp_path):
    """Of the dry run and of the restore, in the same words."""
    crossing = Crossing(servers, tmp_path, MYSQL, NEW)
    manifest = await crossing.backup(COMMON)
    file = crossing.source.file(manifest)
    data = file.read_bytes()
    # Small tables have one block together.
    blocks = {
        (member.offset, member.size) for member in manifest.members if member.kind == "schema"
    }
    for offset, size in blocks:
        place = offset + size // 2
        data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    file.write_bytes(data)

    forecast = await crossing.forecast(manifest)
    with pytest.raises(AppError) as caught:
        await crossing.target.restore(manifest)

    assert forecast.problems[0].code == caught.value.code == "checksum-mismatch"
    assert str(forecast.problems[0]) == str(caught.value)

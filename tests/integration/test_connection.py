"""The way to the server: addresses, logins, TLS, hostile settings, silence."""

import socket
import time
import traceback
from urllib.parse import quote_plus

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.server.server import Server as Target
from app.errors import (
    AppError,
    ConnectionFailedError,
    IncompatibleServerError,
    InvalidRequestError,
    StatementError,
)
from tests.corpora import types
from tests.fixtures.accounts import databases
from tests.fixtures.backstay import Backstay
from tests.fixtures.certificates import make_certificates
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


async def who_am_i(url: str) -> str:
    """Connect and ask the server for the user's name."""
    target = Target(url, timeout_seconds=10)
    try:
        async with target.session() as session:
            return (await session.scalar("SELECT CURRENT_USER()")).rpartition("@")[0]
    finally:
        await target.close()


ODD = "a@b:c/d%e#f?g&h=i+j k'l\"m\\n`o;p$q\u00fc\u65e5\U0001f600"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("plain_odd", ODD),
        ("o'dd@:/%#?& \u00fc\u65e5", "x"),
        ("empty_one", ""),
        ("latin", "\u00fcber"),
    ],
)
async def test_odd_names_and_passwords_work_when_encoded(name, password, server, sql):
    """Names and passwords with any character work once they are percent-encoded."""
    escaped = [text.replace("\\", "\\\\").replace("'", "\\'") for text in (name, password)]
    sql.run(f"CREATE USER '{escaped[0]}'@'%' IDENTIFIED BY '{escaped[1]}'")
    try:
        login = f"//{quote_plus(name)}:{quote_plus(password)}@"
        url = server.url.replace("//root@", login.replace("+", "%20"))
        assert await who_am_i(url) == name
    finally:
        sql.run(f"DROP USER '{escaped[0]}'@'%'")


@pytest.mark.parametrize(
    ("done", "reason", "undone"),
    [
        ("PASSWORD EXPIRE", "the password of 'late' has expired", "PASSWORD EXPIRE NEVER"),
        ("ACCOUNT LOCK", "the account 'late' is locked", "ACCOUNT UNLOCK"),
    ],
)
async def test_an_account_that_is_barred_is_told_what_helps(done, reason, undone, server, sql):
    """Also in the middle of a run, which has sessions already; the statement of the hint lets it in again."""
    sql.run("CREATE USER late@'%' IDENTIFIED BY 'late'")
    url = server.url.replace("//root@", "//late:late@")
    target = Target(url, timeout_seconds=10)
    try:
        async with target.session() as held:
            sql.run(f"ALTER USER late@'%' {done}")
            assert await held.scalar("SELECT 1") == "1"
            with pytest.raises(ConnectionFailedError, match=reason) as refused:
                await target.open()
            assert "ALTER USER 'late'@... " in refused.value.hint
            assert undone in refused.value.hint
        sql.script([f"ALTER USER late@'%' {undone}", "ALTER USER late@'%' IDENTIFIED BY 'late'"])
        Sql(url).close()  # MySQL wants the password itself once
        await target.ping()
    finally:
        await target.close()
        sql.run("DROP USER late@'%'")


async def test_a_socket_alone_is_enough(own_server, tmp_path):
    """A backup and a restore work through the server's socket alone."""
    with own_server() as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"])
        sql.run("INSERT INTO d.t VALUES (1)")
        backstay = Backstay(
            f"mysql://root@localhost/?unix_socket={server.socket}", tmp_path / "backups"
        )
        manifest = await backstay.backup("d")
        await backstay.restore(manifest, "copy")
        await backstay.target.close()
        assert backstay.target.where == str(server.socket)
        assert sql.run("SELECT * FROM copy.t") == [(1,)]


async def test_a_server_that_proves_nothing_gets_no_password(own_server, tmp_path):
    """TLS is used when asked for, and a server that cannot prove who it is gets no password."""
    good = make_certificates(tmp_path / "good", "127.0.0.1")
    misnamed = make_certificates(tmp_path / "misnamed", "127.9.9.9")
    with own_server(*good.options) as server, Sql(server.url) as sql:
        sql.run("CREATE USER safe@'%' IDENTIFIED BY 'secret-word' REQUIRE SSL")
        base = server.url.replace("root", "safe:secret-word")
        for options in (
            "ssl_mode=REQUIRED",
            f"ssl_mode=VERIFY_CA&ssl_ca={good.ca}",
            f"ssl_mode=VERIFY_IDENTITY&ssl_ca={good.ca}",
            f"ssl_ca={good.ca}",
        ):
            assert await who_am_i(f"{base}?{options}") == "safe"
        for options in ("ssl_mode=DISABLED", f"ssl_mode=VERIFY_CA&ssl_ca={misnamed.ca}"):
            await assert_no_connection(f"{base}?{options}", "secret-word")
        with pytest.raises(InvalidRequestError, match="ssl_mode"):
            Target(f"{base}?ssl_mode=MAYBE")
        with pytest.raises(InvalidRequestError, match="TLS file ssl_ca: no such file"):
            Target(f"{base}?ssl_ca={tmp_path / 'nothing'}")
    with own_server(*misnamed.options) as server:
        assert await who_am_i(f"{server.url}?ssl_mode=VERIFY_CA&ssl_ca={misnamed.ca}") == "root"
        error = await assert_no_connection(f"{server.url}?ssl_ca={misnamed.ca}")
        assert "certificate" in str(error)


async def assert_no_connection(url: str, *secrets: str) -> ConnectionFailedError:
    """Require the one error that says that there is no connection, without a secret in it."""
    with pytest.raises(ConnectionFailedError) as caught:
        await who_am_i(url)
    error = caught.value
    assert error.title == "Database connection failed"
    assert error.hint
    text = "".join(traceback.format_exception(error)) + repr(error) + error.hint
    chain: BaseException | None = error
    while chain is not None:
        text += repr(chain.args) + repr(vars(chain))
        chain = chain.__cause__ or chain.__context__
    for secret in secrets:
        assert secret not in text
    return error


async def test_every_way_to_have_no_connection_is_one_error(server, tmp_path):
    """Wrong password, nobody there, unknown host and socket are one error, and no password shows."""
    port = server.url.rstrip("/").rpartition(":")[2]
    secret = "sEcr3t-w0rd"
    for url in (
        f"mysql://root:{secret}@127.0.0.1:{port}/",
        f"mysql://nobody:{secret}@127.0.0.1:{port}/",
        f"mysql://root:{secret}@127.0.0.1:1/",
        f"mysql://root:{secret}@no-such-host.invalid:{port}/",
        f"mysql://root:{secret}@localhost/?unix_socket={tmp_path / 'nothing.sock'}",
    ):
        error = await assert_no_connection(url, secret)
        assert error.retryable


async def test_a_server_that_never_answers_is_given_up():
    """Who accepts a connection and stays silent is given up in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = Target(f"mysql://root:hidden@127.0.0.1:{port}/", timeout_seconds=0.5)
        with pytest.raises(ConnectionFailedError):
            await target.open()
        await target.close()


HOSTILE = {
    "sql_mode": "'ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES'",
    "sql_mode ": "'ORACLE,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
    "sql_select_limit": "1",
    "max_statement_time": "0.001",
    "time_zone": "'+13:00'",
    "autocommit": "0",
    "sql_safe_updates": "1",
    "group_concat_max_len": "4",
    "system_versioning_asof": "'2001-01-01 00:00:00'",
    "character_set_server": "'sjis'",
    "innodb_strict_mode": "1",
    "sql_quote_show_create": "0",
    "max_join_size": "1",
    "tx_isolation": "'READ-UNCOMMITTED'",
    "tx_read_only": "1",
    "completion_type": "'RELEASE'",
    "alter_algorithm": "'INSTANT'",
    "explicit_defaults_for_timestamp": "0",
    "max_sort_length": "64",
    "idle_transaction_timeout": "1",
    "div_precision_increment": "0",
    "lc_time_names": "'ja_JP'",
    "old_mode": "'UTF8_IS_UTF8MB3,ZERO_DATE_TIME_CAST'",
    "foreign_key_checks": "0",
    "net_write_timeout": "1",
    "binlog_format": "'STATEMENT'",
}
if IS_MYSQL:
    for name in (
        "system_versioning_asof", "alter_algorithm", "old_mode", "idle_transaction_timeout",
        "max_statement_time", "tx_isolation", "tx_read_only", "binlog_format",
    ):  # fmt: skip
        del HOSTILE[name]
    HOSTILE |= {
        "sql_mode ": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
        "max_execution_time": "1",
        "transaction_isolation": "'READ-UNCOMMITTED'",
        "transaction_read_only": "1",
        "sql_require_primary_key": "1",
        "sql_generate_invisible_primary_key": "1",
        "show_gipk_in_create_table_and_information_schema": "0",
        "information_schema_stats_expiry": "86400",
    }
# What the client cannot bear, what the header of a file does not undo, and what only changes the text of
# views (sql_quote_show_create).
NOT_BY_CLIENT = frozenset({
    "max_statement_time",
    "tx_read_only",
    "transaction_read_only",
    "sql_require_primary_key",
    "alter_algorithm",
    "explicit_defaults_for_timestamp",
    "sql_quote_show_create",
})


# Several chunks of each table.
ROWS = series(4_000, 12_000)


def strange(sql: Sql) -> None:
    """Make what the hostile settings would spoil."""
    sql.script([
        "CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY, c CHAR(10), t TEXT, KEY (c))",
        "ALTER TABLE c ADD COLUMN ts TIMESTAMP NOT NULL, ADD COLUMN dt DATETIME NULL",
        "INSERT INTO c VALUES (0, 'a', 'back\\\\slash ''q'' \"d\"', '2020-01-01 12:00', NULL)",
        f"INSERT INTO c SELECT NULL, seq % 10, REPEAT('\\\\', seq % 9), 20210601, 0 FROM seq_1_to_{ROWS}",
        "CREATE TABLE k (s VARCHAR(200) PRIMARY KEY)",
        f"INSERT INTO k SELECT CONCAT(REPEAT('long ', 30), seq) FROM seq_1_to_{ROWS // 4}",
        f"CREATE TABLE h (id INT PRIMARY KEY) {'' if IS_MYSQL else 'WITH SYSTEM VERSIONING'}",
        "INSERT INTO h VALUES (1), (2)",
        "DELETE FROM h WHERE id = 1",
        "CREATE VIEW w AS SELECT c.id, 'lit' AS l FROM c",
        "CREATE PROCEDURE p() SELECT 'a\\\\b', \"x\"",
    ])


def hostile_groups(size: int) -> list[dict[str, str]]:
    """Put settings together that are tried at once; what no client bears stays apart, and so do two modes."""
    for_both = [name for name in HOSTILE if name not in NOT_BY_CLIENT]
    not_by_client = [name for name in HOSTILE if name in NOT_BY_CLIENT]
    return [
        {name: HOSTILE[name] for name in names[first :: -(-len(names) // size)]}
        for names in (for_both, not_by_client)
        for first in range(-(-len(names) // size))
    ]


@pytest.mark.long
async def test_hostile_settings_change_nothing(own_server, tmp_path):
    """Whatever a server sets for all its sessions, backup and restore stay exact."""
    with own_server() as server:
        with Sql(server.url) as sql:
            sql.script(["SET sql_mode = ''", "CREATE DATABASE d CHARACTER SET utf8mb4", "USE d"])
            strange(sql)
            sql.script(types.lossy_floats())
        before = snapshot(server.url, "d")
        for index, group in enumerate(hostile_groups(series(5, 1))):
            by_client = not NOT_BY_CLIENT & group.keys()
            with Sql(server.url) as sql:  # keeps a sane session
                sql.run(f"SET SESSION max_{'execution' if IS_MYSQL else 'statement'}_time = 0")
                sql.script(f"SET GLOBAL {name} = {value}" for name, value in group.items())
                backstay = Backstay(server.url, tmp_path / f"backups{index}")
                try:
                    manifest = await backstay.backup("d", chunk_bytes=1 << 15)
                    await backstay.restore(manifest, f"copy{index}")
                    by_hand = f"hand{index}"
                    sql.run(f"CREATE DATABASE {by_hand} CHARACTER SET utf8mb4")
                    if by_client:
                        backstay.plain_load(manifest, by_hand)
                except AppError as exc:
                    raise AssertionError(f"{group}: {exc!r}") from exc
                finally:
                    sql.script(f"SET GLOBAL {name} = DEFAULT" for name in group)
                    await backstay.target.close()
            assert_same(before, snapshot(server.url, f"copy{index}"))
            if by_client:
                assert_same(before, snapshot(server.url, by_hand))


@pytest.mark.differs("mysql", reason="it ends no transaction for being idle")
async def test_a_server_that_ends_idle_transactions_ends_none_of_ours(own_server, tmp_path):
    """A server that ends idle transactions after a second does not end ours."""
    slept: list[Phase] = []
    with own_server("--idle-transaction-timeout=1") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"])
        backstay = Backstay(server.url, tmp_path / "backups")

        def listener(progress: Progress) -> None:
            if progress.phase is Phase.DUMP and not progress.tables_done:
                time.sleep(0.8)
                slept.append(progress.phase)

        request = BackupRequest(("d",))
        manifest = await backstay.backups.create(request, Progress(listener=listener))
        await backstay.target.close()

    assert (manifest.tables_count, manifest.consistency.consistent) == (1, True)
    assert slept


async def test_functions_that_the_binary_log_refuses_are_found_first(own_server, tmp_path):
    """A function that the server refuses to create is found before anything is loaded."""
    with own_server("--log-bin-trust-function-creators=1") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (id INT PRIMARY KEY)"])
        sql.run("CREATE FUNCTION f() RETURNS INT RETURN RAND() * 100")
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d")
        sql.run("SET GLOBAL log_bin_trust_function_creators = 0")

        with pytest.raises(IncompatibleServerError) as caught:
            await backstay.restore(manifest, "copy")
        assert "copy" not in databases(sql)
        assert "SET GLOBAL log_bin_trust_function_creators = 1" in caught.value.hint

        sql.run("SET GLOBAL log_bin_trust_function_creators = 1")
        await backstay.restore(manifest, "copy")
        await backstay.target.close()


async def test_a_statement_of_ddl_that_loses_a_deadlock_is_sent_again(server, sql, database):
    """The server has undone it as a whole; one that loses without end is an error, and so is anything else."""
    sql.run(
        "CREATE PROCEDURE lose(times INT) IF COALESCE(@lost, 0) < times THEN"
        " SET @lost = COALESCE(@lost, 0) + 1; SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF"
    )
    target = Target(server.url)
    async with target.session() as session:
        await session.use(database)
        await session.define("CALL lose(3)")
        lost = await session.scalar("SELECT @lost")
        with pytest.raises(StatementError, match="1213"):
            await session.define("CALL lose(1000)")
        given_up = int(await session.scalar("SELECT @lost"))
        with pytest.raises(StatementError, match="1305"):
            await session.define("CALL win()")
    await target.close()

    assert lost == "3"
    assert 3 < given_up < 30


async def test_a_second_statement_behind_a_semicolon_is_refused(server, sql, database):
    """What a backup holds as one statement is one: the server executes no list of them."""
    target = Target(server.url)
    first, second = (f"CREATE TABLE `{database}`.{name} (i INT)" for name in ("a", "b"))
    async with target.session() as session:
        with pytest.raises(StatementError):
            await session.query(f"{first}; {second}")
    await target.close()

    assert sql.run("SHOW TABLES") == []


@pytest.mark.parametrize("mode", ["DISABLED", "REQUIRED"])
async def test_connections_take_leave(mode, own_server, tmp_path):
    """A backup, a restore and its undo leave no aborted client in the server's count, nor in its log."""
    server = own_server(*make_certificates(tmp_path / "certificates", "127.0.0.1").options)
    backstay = Backstay(f"{server.url}?ssl_mode={mode}", tmp_path / "backups")
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"])
        manifest = await backstay.backup("d")
        result = await backstay.restore(manifest)
        await backstay.recoveries.undo(result.restore_id)

        ((_, count),) = sql.run("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
        await backstay.close()
    assert count == "0"


async def test_a_lock_that_others_hold_says_where_to_look(backstay, sql, database):
    """Whatever statement waits for it in vain, whoever began it is told what to do."""
    sql.script(["CREATE TABLE t (a INT)", "START TRANSACTION", "SELECT * FROM t"])

    async with backstay.target.session({"lock_wait_timeout": "1"}) as session:
        with pytest.raises(StatementError, match="1205") as caught:
            await session.query(f"ALTER TABLE {database}.t ADD b INT")

    assert "SHOW PROCESSLIST" in caught.value.hint

"""The control database beneath its stores: many at once, what dies, what is silent, what is odd."""

import asyncio
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.control import database
from app.control.audit import AuditRecords
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.control.users import UserRecords
from app.domain.access.user import Role
from app.errors import (
    ControlUnavailableError,
    InvalidRequestError,
)
from tests.fixtures.accounts import end_connection, refused_login
from tests.fixtures.certificates import make_certificates
from tests.fixtures.control import furnish, other_process
from tests.fixtures.records import NOON, SEALS, assert_chain, event, run, user
from tests.fixtures.servers import Sql


async def test_tasks_and_processes_make_one_chain(control, control_address, tmp_path):
    """Fifty entries of this process and fifty of two others are a chain without a gap."""
    stores = [AuditRecords(control), AuditRecords(control)]

    await asyncio.gather(
        *(stores[number % 2].append(event(status=number), SEALS) for number in range(50)),
        other_process(control_address, tmp_path / "state", entries=25),
        other_process(control_address, tmp_path / "state", entries=25),
    )

    await assert_chain(stores[0], 100)


# The database


async def test_processes_that_start_at_once_do_not_collide(control_address, tmp_path):
    """Whichever is first makes the tables; all of them can work."""
    await asyncio.gather(
        *(other_process(control_address, tmp_path / "state", entries=2) for _ in range(3))
    )

    database = ControlDatabase(control_address, tmp_path / "state")
    await database.prepare()
    await database.ping()
    await assert_chain(AuditRecords(database), 6)
    await database.close()


async def test_nothing_of_a_failed_block_stays(control):
    """Whether by an error or by a cancelled task; and the next one need not wait."""
    store = AuditRecords(control)

    async def insert_and_fail(number: int, delay: float) -> None:
        async with control.writing() as connection:
            sql = "INSERT INTO alembic_version VALUES (:name)"
            await connection.execute(text(sql), {"name": f"x{number}"})
            await asyncio.sleep(delay)
            raise KeyError

    with pytest.raises(KeyError):
        await insert_and_fail(0, 0)
    for number in range(1, 20, 3):
        task = asyncio.create_task(insert_and_fail(number, 60))
        await asyncio.sleep(number / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await store.append(event(), SEALS)  # a lock that was left behind would be waited for in vain

    async with control.reading() as connection:
        rows = (await connection.execute(text("SELECT COUNT(*) FROM alembic_version"))).scalar()
    assert rows == 1


async def test_an_instant_without_a_zone_is_refused(runs):
    """It is a mistake of the program, not of the database."""
    with pytest.raises(TypeError, match="time zone"):
        await runs.add(run(created_at=NOON.replace(tzinfo=None)))


async def test_a_database_is_usable_after_close(control):
    """The next use opens new connections."""
    await control.close()
    await control.ping()

    assert await RunRecords(control).tally() == []


async def test_what_anybody_has_committed_is_read_at_once(control, control_address, tmp_path):
    """Though what was read serves again until then; here, and on other connections."""
    users = UserRecords(control)
    other = ControlDatabase(control_address, tmp_path / "state")
    writers = (users, UserRecords(other))
    known = user()
    await users.add(known)
    for number in range(20):
        changed = user(password_hash=f"hash {number}")
        seen = asyncio.gather(*(users.get("alice") for _ in range(5)))  # while it is written
        assert await writers[number % 2].replace(known, changed)
        known = changed
        await seen
        assert await users.get("alice") == changed
        assert await users.get("alice") == changed

    await other.close()


async def test_what_nobody_has_changed_takes_no_thread(tmp_path):
    """Of a file, whichever process may change it: each request of the API asks who it is from."""
    furnish(tmp_path)
    control = ControlDatabase(f"sqlite:///{tmp_path}/control.db", tmp_path)
    users, counted, later = UserRecords(control), CountingThreads(), CountingThreads()
    await users.add(user())
    assert control._reader is not None
    control._reader._threads = counted

    found = [await users.find("alice") for _ in range(50)]
    _change_in_another_process(tmp_path / "control.db", "UPDATE users SET role = 'viewer'")
    changed = [await users.find("alice") for _ in range(50)]
    await control.close()
    control._reader._threads = later
    again = await users.find("alice")

    assert found == [user()] * 50
    assert changed == [user(role=Role.VIEWER)] * 50
    assert again == changed[0]
    assert (counted.taken, later.taken) == (2, 1)
    await control.close()


def _change_in_another_process(file: Path, statement: str) -> None:
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    )
    subprocess.run([sys.executable, "-c", code, file, statement], check=True, timeout=60)


class CountingThreads(ThreadPoolExecutor):
    """
    Threads, and how often one was taken.

    Attributes:
        taken: So often.
    """

    taken = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and do it."""
        self.taken += 1
        return super().submit(*args, **kwargs)


async def test_files_are_private(tmp_path):
    """The database, what SQLite lays beside it, and their directory, whatever the umask is."""
    directory = tmp_path / "new" / "state"
    file = tmp_path / "elsewhere" / "100% control?#.db"
    before = os.umask(0)
    try:
        database = ControlDatabase(f"sqlite:///{str(file).replace('?', '%3F')}", directory)
        await database.prepare()
        await UserRecords(database).add(user())
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (directory, file.parent, *directory.iterdir(), *file.parent.iterdir())
        }
    finally:
        os.umask(before)
    await database.close()

    assert modes == {
        "state": 0o700,
        "elsewhere": 0o700,
        "control.lock": 0o600,
        file.name: 0o600,
        f"{file.name}-wal": 0o600,
        f"{file.name}-shm": 0o600,
    }


async def test_a_connection_that_died_is_replaced(server, sql, database, tmp_path):
    """A server that was restarted between two uses is no error."""
    control = ControlDatabase(f"{server.url.rstrip('/')}/{database}", tmp_path)
    await control.prepare()
    query = f"SELECT id FROM information_schema.processlist WHERE db = '{database}' AND id <> CONNECTION_ID()"
    victims = [row[0] for row in sql.run(query)]
    assert victims
    for victim in victims:
        end_connection(sql, victim)

    await control.ping()
    await control.close()


async def test_a_password_may_hold_any_character(server, sql, database, tmp_path):
    """Percent-encoded in the address, they arrive as UTF-8."""
    sql.run("CREATE USER keeper@'%' IDENTIFIED BY 'a@b:/\u00fc\u65e5'")
    try:
        sql.run(f"GRANT ALL ON `{database}`.* TO keeper@'%'")
        url = server.url.rstrip("/").replace("root", "keeper:a%40b%3A%2F%C3%BC%E6%97%A5")
        control = ControlDatabase(f"{url.replace('mysql', 'mariadb')}/{database}", tmp_path)
        await control.prepare()
        await control.close()
        assert ("runs",) in sql.run(f"SHOW TABLES IN `{database}`")
    finally:
        sql.run("DROP USER keeper@'%'")


async def test_a_transaction_that_lost_a_deadlock_runs_again(server, sql, database, tmp_path):
    """Whoever wrote it does not notice."""
    control = ControlDatabase(f"{server.url.rstrip('/')}/{database}", tmp_path)
    await control.prepare()
    sql.run("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    sql.run("INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0)")
    locked, attempts = asyncio.Event(), 0

    async def work(connection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("UPDATE t SET n = n + 1 WHERE id = 1"))
        locked.set()
        await connection.execute(text("UPDATE t SET n = n + 1 WHERE id = 2"))

    # The other one has changed more rows, so it is not the victim.
    sql.script(["BEGIN", "UPDATE t SET n = n + 1 WHERE id > 1"])
    task = asyncio.create_task(control.write(work))
    await locked.wait()
    await asyncio.to_thread(sql.script, ["UPDATE t SET n = n + 1 WHERE id = 1", "COMMIT"])
    await task

    assert attempts == 2
    assert sql.run("SELECT n FROM t") == [(2,), (2,), (1,), (1,)]
    await control.close()


async def test_an_address_with_an_authority_proves_the_server_by_tls(own_server, tmp_path):
    """With a certificate authority in the address, TLS is used and the server proves who it is."""
    good = make_certificates(tmp_path / "good", "127.0.0.1")
    with own_server(*good.options) as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE USER safe@'%' IDENTIFIED BY 'x' REQUIRE SSL"])
        sql.run("GRANT ALL ON d.* TO safe@'%'")
        url = f"{server.url.rstrip('/').replace('root', 'safe:x')}/d"
        control = ControlDatabase(f"{url}?ssl_ca={good.ca}", tmp_path)
        await control.prepare()
        await control.close()
        with pytest.raises(ControlUnavailableError, match="access denied"):
            await ControlDatabase(f"{url}?ssl_mode=DISABLED", tmp_path).ping()
        other = make_certificates(tmp_path / "other", "127.0.0.1")
        with pytest.raises(ControlUnavailableError):
            await ControlDatabase(f"{url}?ssl_ca={other.ca}", tmp_path).ping()


async def assert_unavailable(address: str, tmp_path: Path) -> str:
    """Require the one error, without a secret, and return its message."""
    control = ControlDatabase(address, tmp_path / "state")
    with pytest.raises(ControlUnavailableError) as caught:
        await control.prepare()
    await control.close()
    error = caught.value
    assert "BACKSTAY_CONTROL_URL" in error.hint
    assert "secret" not in "".join(traceback.format_exception(error))
    assert "127.0.0.1" not in str(error)
    return str(error)


async def test_a_database_that_is_not_there_is_reported(server, tmp_path):
    """A closed port, a wrong password, an unknown database, a file in the place of a directory."""
    (tmp_path / "file").write_bytes(b"no database at all" * 99)
    with Sql(server.url) as sql:
        wrong = refused_login(sql, "secret", "d")
    missing = f"{server.url.rstrip('/')}/t_missing"

    message = "control database: no answer"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens: others cannot have it meanwhile
        closed = f"mysql://u:secret@127.0.0.1:{taken.getsockname()[1]}/d"
        assert await assert_unavailable(closed, tmp_path) == message
        with pytest.raises(ControlUnavailableError, match=message):
            await ControlDatabase(closed, tmp_path).ping()
    assert await assert_unavailable(wrong, tmp_path) == "control database: access denied"
    assert "no such database" in await assert_unavailable(missing, tmp_path)
    assert "is no database" in await assert_unavailable(f"sqlite:///{tmp_path}/file", tmp_path)
    await assert_unavailable(f"sqlite:///{tmp_path}/file/control.db", tmp_path)
    await assert_unavailable(f"sqlite:///{tmp_path}", tmp_path)


async def test_a_silent_server_is_reported(tmp_path, monkeypatch):
    """One that takes the connection and says nothing costs seconds, not the driver's forever."""
    monkeypatch.setattr(database, "_CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"mysql://u:secret@127.0.0.1:{silent.getsockname()[1]}/d"
        message = "control database: no answer in time"
        assert await assert_unavailable(address, tmp_path) == message


async def test_a_file_that_is_gone_or_another_one_is_noticed(tmp_path):
    """What is written to it nobody would read again; it is neither made anew meanwhile, nor stayed with."""
    state, other = tmp_path / "state", tmp_path / "other"
    furnish(state)
    furnish(other)
    kept = ControlDatabase(f"sqlite+aiosqlite:///{state / 'control.db'}", state)
    count = text("SELECT COUNT(*) AS found FROM users")
    add = text("INSERT INTO users (name) VALUES ('ann')")
    await kept.ping()
    assert (await kept.rows(count))[0]["found"] == 0
    await RunRecords(kept).add(run())  # into the log beside the file
    await kept.ping()
    (state / "control.db").rename(tmp_path / "moved")

    for use in (kept.ping(), kept.rows(count), kept.execute(add)):
        with pytest.raises(ControlUnavailableError, match="removed or moved"):
            await use
    assert not (state / "control.db").exists()

    with closing(sqlite3.connect(other / "control.db")) as added:
        added.execute("CREATE TABLE mark (found INT)")
    (other / "control.db").rename(state / "control.db")
    for _ in range(2):
        assert await kept.rows(text("SELECT * FROM mark")) == []
        assert (await kept.rows(text("SELECT COUNT(*) AS found FROM runs")))[0]["found"] == 0
        await kept.ping()
    await kept.close()


async def test_a_locked_file_is_reported(tmp_path):
    """Another process that writes for longer than the time-out in the address."""
    address = f"sqlite:///{tmp_path}/control.db"
    first = ControlDatabase(address, tmp_path)
    other = ControlDatabase(f"{address}?timeout=0.5", tmp_path)
    await first.prepare()
    async with first.writing():
        await UserRecords(other).list()
        began = time.monotonic()
        with pytest.raises(ControlUnavailableError, match="another process has locked it"):
            await UserRecords(other).add(user())
        assert 0.5 <= time.monotonic() - began < 5, "it has not waited as long as it was told"
    await UserRecords(other).add(user())
    await first.close()
    await other.close()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nonsense secret", "not a URL"),
        ("mysql://u:p@host:secret@x/d", "not a URL"),
        ("postgresql://u:secret@host/d", "neither sqlite nor mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite+aiosqlite:///:memory:", "needs a file"),
        ("sqlite:////tmp/x.db?mode=secret", "unknown option 'mode'"),
        (
            "sqlite:////tmp/x.db?timeout=secret",
            "timeout is no number of seconds above 0, 15 at most",
        ),
        ("sqlite:////tmp/x.db?timeout=0", "timeout is no number"),
        ("sqlite:////tmp/x.db?timeout=16", "timeout is no number"),
        ("sqlite:////tmp/x.db?timeout=nan", "timeout is no number"),
        ("sqlite:////tmp/x.db?timeout=1&timeout=2", "timeout is no number"),
        ("mysql://u:secret@host/", "the name of a database"),
        ("mysql://u:secret@host/d?local_infile=1", "unknown option 'local_infile'"),
        ("mysql://u:secret@host/d?ssl_ca=/nothing/there", "ssl_ca"),
    ],
)
def test_odd_addresses_are_refused(address, why, tmp_path):
    """Before anything is opened, by the name of the setting, and without what is in it."""
    with pytest.raises(InvalidRequestError, match=why) as caught:
        ControlDatabase(address, tmp_path)
    assert "BACKSTAY_CONTROL_URL" in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))

"""The stores of the control database: one suite, run on SQLite and on MariaDB."""

import asyncio
import os
import socket
import stat
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from app.control.audit import AuditRecords
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.control.users import UserRecords
from app.domain.audit import GENESIS, AuditEvent, seal
from app.domain.progress import ProgressReport
from app.domain.run import (
    Failure,
    IdempotencyKey,
    Origin,
    Run,
    RunFilter,
    RunId,
    RunKind,
    RunState,
)
from app.domain.stores import AuditFilter, AuditStore, Page, RunStore, UserStore
from app.domain.user import Role, Session, User
from app.errors import (
    ConflictError,
    ControlUnavailableError,
    InvalidRequestError,
    KeyReusedError,
    RunNotFoundError,
    UserExistsError,
    UserNotFoundError,
)
from tests.fixtures.certificates import make_certificates
from tests.fixtures.control import other_process
from tests.fixtures.servers import Sql


NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
ODD = "a'b\"c\\d%e:f?\x00\n\u00fc\u65e5\U0001f600"


def second(number: int) -> datetime:
    """An instant so many seconds after noon."""
    return NOON + timedelta(seconds=number)


def run(number: int = 1, **changes) -> Run:
    """Make the n-th run of a test."""
    made = Run(
        run_id=RunId(f"run_{number:016x}"),
        kind=RunKind.BACKUP,
        state=RunState.QUEUED,
        asked_by="alice",
        origin=Origin.API,
        owner="host:1",
        created_at=second(number),
    )
    return replace(made, **changes)


def user(name: str = "alice", **changes) -> User:
    """Make a user."""
    return replace(User(name, Role.ADMIN, "$argon2id$v=19$m=65536$abc", NOON), **changes)


def session(number: int = 1, **changes) -> Session:
    """Make the n-th login of alice."""
    made = Session(f"session{number}", "alice", "0" * 64, NOON, NOON + timedelta(days=1))
    return replace(made, **changes)


def event(**changes) -> AuditEvent:
    """Make something to audit."""
    made = AuditEvent(NOON, "alice", "admin", "192.0.2.1", "create_backup", "/api", 202, "ok")
    return replace(made, **changes)


PROGRESS = ProgressReport("dump", f"shop.{ODD}", 1, 2, 3, 4, 5, 1 << 62, 7.5, None, 0.125)
FAILURE = Failure("storage-full", "Insufficient disk space", ODD, "", retryable=False)


@pytest.fixture
def runs(control) -> RunStore:
    """An empty store of runs."""
    return RunRecords(control)


@pytest.fixture
def users(control) -> UserStore:
    """An empty store of users."""
    return UserRecords(control)


@pytest.fixture
def audit(control) -> AuditStore:
    """An empty audit."""
    return AuditRecords(control)


async def assert_chain(audit: AuditStore, count: int) -> None:
    """Require so many entries without a gap, each sealed over the one before it."""
    entries = await audit.read(0, count + 1)
    assert [one.number for one in entries] == list(range(1, count + 1))
    digest = GENESIS
    for one in entries:
        assert one == seal(one.number, one.event, digest)
        digest = one.digest


# Runs


async def test_a_run_comes_back_as_it_was(runs):
    """Every field, to the microsecond and with any character."""
    full = run(
        kind=RunKind.RESTORE,
        state=RunState.FAILED,
        asked_by=ODD,
        backup_id="backup_1",
        restore_id="restore_1",
        request={"tables": [ODD, "\ud800"], "threads": 4, "deep": {"none": None, "half": 0.5}},
        revision=7,
        cancel_requested=True,
        started_at=second(2),
        finished_at=second(3).astimezone(timezone(timedelta(hours=5))),
        progress=PROGRESS,
        result={"rows": 1 << 60},
        error=FAILURE,
    )
    assert await runs.add(run(2)) is None
    assert await runs.add(full) is None

    assert await runs.get(full.run_id) == full
    assert await runs.get(run(2).run_id) == run(2)
    with pytest.raises(RunNotFoundError):
        await runs.get(run(3).run_id)
    with pytest.raises(ConflictError):
        await runs.add(run(2))


async def test_a_large_result_is_kept(runs):
    """A document of megabytes, which a restore of many tables makes."""
    await runs.add(run())
    large = {"tables": ["\u00fc" * 100] * 10_000}

    await runs.save(run(result=large, revision=2))

    assert (await runs.get(run().run_id)).result == large


async def test_a_later_revision_is_never_overwritten(runs):
    """A save that comes late changes nothing; the same revision may be saved again."""
    await runs.add(run())
    last = run(state=RunState.SUCCEEDED, revision=3, result={}, finished_at=second(9))
    await runs.save(last)
    await runs.save(run(state=RunState.RUNNING, revision=2, progress=PROGRESS))
    assert await runs.get(last.run_id) == last

    again = replace(last, backup_id="backup_2")
    await runs.save(again)

    assert await runs.get(last.run_id) == again


async def test_a_request_to_cancel_is_never_taken_back(runs):
    """The owner's saves do not know of it, and are told."""
    await runs.add(run())
    assert not await runs.save(run(state=RunState.RUNNING, revision=2))

    await runs.request_cancel(run().run_id)

    assert await runs.save(run(state=RunState.RUNNING, revision=3))
    assert await runs.save(run(revision=1))
    assert (await runs.get(run().run_id)).cancel_requested
    await runs.add(run(2))
    assert await runs.save(run(2, cancel_requested=True, revision=2))
    assert await runs.save(run(2, revision=3))


async def test_what_is_over_cannot_be_cancelled(runs):
    """Nothing happens to it, nor to a run that nobody knows."""
    await runs.add(run(state=RunState.SUCCEEDED))

    await runs.request_cancel(run().run_id)
    await runs.request_cancel(run(2).run_id)

    assert not (await runs.get(run().run_id)).cancel_requested
    assert not await runs.save(run(2))


async def test_a_key_makes_two_requests_one(runs):
    """The second gets the first one's run; another asker has other keys; two may have none."""
    key = IdempotencyKey("key", "a" * 64)
    assert await runs.find_by_key("alice", key) is None
    assert await runs.add(run(1), key) is None
    assert await runs.add(run(2), key) == run(1)
    assert await runs.add(run(3, asked_by="bob"), key) is None
    for number in (4, 5):
        assert await runs.add(run(number)) is None

    assert await runs.find_by_key("alice", key) == run(1)
    assert await runs.find_by_key("alice", replace(key, key="KEY")) is None
    assert await runs.find_by_key("alice ", key) is None
    with pytest.raises(RunNotFoundError):
        await runs.get(run(2).run_id)
    other = replace(key, fingerprint="b" * 64)
    for reuse in (runs.add(run(6), other), runs.find_by_key("alice", other)):
        with pytest.raises(KeyReusedError, match="'key'"):
            await reuse


async def test_one_of_many_with_a_key_is_added(runs):
    """Requests at once with one key all get the same run."""
    key = IdempotencyKey("key", "a" * 64)

    answers = await asyncio.gather(*(runs.add(run(number), key) for number in range(20)))

    added, count = await runs.list(RunFilter(), Page())
    assert count == 1
    assert sorted(map(str, answers)) == sorted(["None", *[str(added[0])] * 19])


async def test_lists_of_runs(runs):
    """Each condition, each order, pages, and the count of all."""
    for number in range(6):
        over = number % 2 == 0
        await runs.add(
            run(
                number,
                kind=RunKind.DRILL if number < 2 else RunKind.BACKUP,
                state=RunState.FAILED if over else RunState.QUEUED,
                asked_by=f"user{number % 3}",
                backup_id=f"backup_{number}",
                # The one that was asked for first took longest.
                finished_at=second(100 - number) if over else None,
            )
        )

    async def found(wanted: RunFilter, sort: str = "created_at", **page) -> tuple[str, int]:
        rows, count = await runs.list(wanted, Page(sort=sort, **page))
        return "".join(one.run_id[-1] for one in rows), count

    assert await found(RunFilter()) == ("012345", 6)
    assert await found(RunFilter(), "-created_at") == ("543210", 6)
    assert await found(RunFilter(), "-created_at", limit=2, offset=1) == ("43", 6)
    assert await found(RunFilter(), limit=2, offset=9) == ("", 6)
    assert await found(RunFilter(), "-finished_at", limit=3) == ("024", 6)
    assert await found(RunFilter(), "kind") == ("234501", 6)
    assert await found(RunFilter(), "-kind") == ("105432", 6)
    assert await found(RunFilter(kinds=(RunKind.DRILL,))) == ("01", 2)
    assert await found(RunFilter(kinds=(RunKind.DRILL, RunKind.BACKUP))) == ("012345", 6)
    assert await found(RunFilter(states=(RunState.FAILED,), asked_by="user2")) == ("2", 1)
    assert await found(RunFilter(backup_id="backup_4")) == ("4", 1)
    assert "".join(one.run_id[-1] for one in await runs.unfinished()) == "135"
    for sort in ("run_id", "--created_at", "", "created_at; DROP TABLE runs"):
        with pytest.raises(InvalidRequestError, match="sort"):
            await found(RunFilter(), sort)


# Users and logins


async def test_runs_are_counted(runs):
    """By kind, origin and state, with the seconds they took and when the last one ended."""
    over = {"state": RunState.SUCCEEDED, "started_at": second(1)}
    assert await runs.tally() == []
    await runs.add(run(1, finished_at=second(2), **over))
    await runs.add(run(2, finished_at=second(86_402) + timedelta(milliseconds=250), **over))
    await runs.add(run(3, **{**over, "finished_at": second(3), "origin": Origin.SCHEDULE}))
    await runs.add(run(4, kind=RunKind.DRILL, state=RunState.CANCELLED, finished_at=second(9)))
    await runs.add(run(5, state=RunState.RUNNING, started_at=second(5)))
    await runs.add(run(6, state=RunState.FAILED, started_at=second(9), finished_at=second(1)))

    found = {(one.kind, one.origin, one.state): one for one in await runs.tally()}

    assert len(found) == 5
    backups = found.pop((RunKind.BACKUP, Origin.API, RunState.SUCCEEDED))
    assert backups.seconds == pytest.approx(86_402.25, abs=0.001)
    assert (backups.count, backups.last_at) == (2, second(86_402) + timedelta(milliseconds=250))
    assert {(key, one.count, round(one.seconds, 3), one.last_at) for key, one in found.items()} == {
        ((RunKind.BACKUP, Origin.SCHEDULE, RunState.SUCCEEDED), 1, 2.0, second(3)),
        ((RunKind.DRILL, Origin.API, RunState.CANCELLED), 1, 0.0, second(9)),
        ((RunKind.BACKUP, Origin.API, RunState.RUNNING), 1, 0.0, None),
        ((RunKind.BACKUP, Origin.API, RunState.FAILED), 1, 0.0, second(1)),
    }


async def test_users_are_kept(users):
    """Added once, changed by name, listed by name, and found only by exactly that name."""
    for name in ("bob", "alice", "a.b@c-d_e"):
        await users.add(user(name))
    with pytest.raises(UserExistsError, match="bob"):
        await users.add(user("bob", role=Role.VIEWER))
    changed = user("bob", role=Role.OPERATOR, password_hash="$x", disabled_at=second(1))
    await users.save(changed)
    await users.save(changed)

    assert await users.get("bob") == changed
    assert await users.list() == [user("a.b@c-d_e"), user("alice"), changed]
    for name in ("BOB", "bob ", "b\u00f6b", "", "\U0001f600", "x" * 5000, "bob\x00"):
        assert await users.find(name) is None
        with pytest.raises(UserNotFoundError):
            await users.get(name)
    with pytest.raises(UserNotFoundError):
        await users.save(user("nobody"))


async def test_a_login_is_found_with_its_user(users):
    """In one query; a login of nobody cannot be made."""
    await users.add(user())
    await users.open_session(session())

    assert await users.find_session("session1") == (session(), user())
    assert await users.find_session("session2") is None
    with pytest.raises(UserNotFoundError):
        await users.open_session(session(2, user="nobody"))


async def test_one_of_many_rotations_wins(users):
    """Of twenty refreshes at once with one token, one is answered; the login has that one's digest."""
    await users.add(user())
    await users.open_session(session())

    won = await asyncio.gather(
        *(
            users.rotate("session1", old="0" * 64, new=f"{number:064x}", expires_at=second(number))
            for number in range(1, 21)
        )
    )

    assert won.count(True) == 1
    winner = won.index(True) + 1
    found = await users.find_session("session1")
    assert found is not None
    assert found[0] == session(refresh_digest=f"{winner:064x}", expires_at=second(winner))


async def test_a_revoked_login_is_over(users):
    """It is not refreshed any more, and the time of its end stays."""
    await users.add(user())
    await users.add(user("bob"))
    for number in (1, 2):
        await users.open_session(session(number))
    await users.open_session(session(3, user="bob"))
    await users.revoke("session1", second(1))
    await users.revoke("session1", second(2))
    await users.revoke("unknown", second(2))
    await users.revoke_all("alice", second(3))

    ends = []
    for number in (1, 2, 3):
        found = await users.find_session(f"session{number}")
        assert found is not None
        ends.append(found[0].revoked_at)
    assert ends == [second(1), second(3), None]
    assert not await users.rotate("session1", old="0" * 64, new="1" * 64, expires_at=NOON)
    assert await users.rotate("session3", old="0" * 64, new="1" * 64, expires_at=NOON)


async def test_expired_logins_are_forgotten(users):
    """Those before the instant, not the one at it."""
    await users.add(user())
    for number in (1, 2, 3):
        await users.open_session(session(number, expires_at=second(number)))

    await users.forget_sessions(second(2))

    found = [await users.find_session(f"session{number}") is None for number in (1, 2, 3)]
    assert found == [True, False, False]


# Audit


async def test_the_chain_holds_after_a_round_trip(audit):
    """What is read is what was sealed, with any character and in any zone."""
    first = await audit.append(event())
    odd = event(target=ODD, actor=ODD, at=NOON.astimezone(timezone(timedelta(hours=-3))))
    second_one = await audit.append(odd)

    assert first == seal(1, event(), GENESIS)
    assert second_one == seal(2, odd, first.digest)
    assert await audit.read(0, 10) == [first, second_one]
    assert await audit.read(1, 10) == [second_one]
    assert await audit.read(0, 1) == [first]
    await assert_chain(audit, 2)


async def test_nothing_is_too_odd_to_be_audited(audit):
    """Texts of any length and half characters are cut or repaired, then sealed."""
    long = event(
        actor="\u00fc" * 500, role="r" * 99, address="a" * 99, action="a" * 99, target="/" * 99_999
    )
    entry = await audit.append(replace(long, result="e" * 99, run_id="r" * 99))
    await audit.append(event(target="\ud83d"))

    assert entry.event.actor == "\u00fc" * 126 + "..."
    assert (await audit.read(1, 1))[0].event.target == "?"
    await assert_chain(audit, 2)


async def test_lists_of_entries(audit):
    """Each condition, both orders, and the count of all."""
    for number in range(5):
        actor, action = ("alice", "login") if number % 2 else ("bob", "create_backup")
        result = "ok" if number < 3 else "not-found"
        await audit.append(event(at=second(number), actor=actor, action=action, result=result))

    async def found(wanted: AuditFilter, sort: str = "number", **page) -> tuple[list[int], int]:
        rows, count = await audit.list(wanted, Page(sort=sort, **page))
        return [one.number for one in rows], count

    assert await found(AuditFilter(), "-number", limit=2) == ([5, 4], 5)
    assert await found(AuditFilter(), offset=3) == ([4, 5], 5)
    assert await found(AuditFilter(actor="alice")) == ([2, 4], 2)
    assert await found(AuditFilter(action="create_backup", result="not-found")) == ([5], 1)
    assert await found(AuditFilter(since=second(1), until=second(3))) == ([2, 3], 2)
    with pytest.raises(InvalidRequestError, match="number"):
        await audit.list(AuditFilter(), Page())


async def test_tasks_and_processes_make_one_chain(control, control_address, tmp_path):
    """Fifty entries of this process and fifty of two others are a chain without a gap."""
    stores = [AuditRecords(control), AuditRecords(control)]

    await asyncio.gather(
        *(stores[number % 2].append(event(status=number)) for number in range(50)),
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
    for number in range(20):
        task = asyncio.create_task(insert_and_fail(number, 1))
        await asyncio.sleep(number / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    began = time.monotonic()
    await store.append(event())

    assert time.monotonic() - began < 2, "a lock was left behind"
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
        sql.run(f"KILL {victim}")

    await control.ping()
    await control.close()


async def test_passwords_with_any_character(server, sql, database, tmp_path):
    """Percent-encoded in the address, they arrive as UTF-8."""
    sql.run("CREATE USER keeper@'%' IDENTIFIED BY 'a@b:/\u00fc\u65e5'")
    try:
        sql.run(f"GRANT ALL ON `{database}`.* TO keeper@'%'")
        url = server.url.rstrip("/").replace("root", "keeper:a%40b%3A%2F%C3%BC%E6%97%A5")
        control = ControlDatabase(f"{url.replace('mysql', 'mariadb')}/{database}", tmp_path)
        await control.prepare()
        await control.close()
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


async def test_tls(own_server, tmp_path):
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
            await ControlDatabase(url, tmp_path).ping()
        other = make_certificates(tmp_path / "other", "127.0.0.1")
        with pytest.raises(ControlUnavailableError):
            await ControlDatabase(f"{url}?ssl_ca={other.ca}", tmp_path).ping()


async def assert_unavailable(address: str, tmp_path: Path, *, seconds: float = 2) -> str:
    """Require the one error, quickly, without a secret, and return its message."""
    control = ControlDatabase(address, tmp_path / "state")
    began = time.monotonic()
    with pytest.raises(ControlUnavailableError) as caught:
        await control.prepare()
    assert time.monotonic() - began < seconds
    await control.close()
    error = caught.value
    assert "BACKSTAY_CONTROL_URL" in error.hint
    assert "secret" not in "".join(traceback.format_exception(error))
    assert "127.0.0.1" not in str(error)
    return str(error)


async def test_a_database_that_is_not_there_is_reported(server, tmp_path):
    """A closed port, a wrong password, an unknown database, a file in the place of a directory."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "file").write_bytes(b"no database at all" * 99)
    wrong = server.url.rstrip("/").replace("root", "root:secret")
    missing = f"{server.url.rstrip('/')}/t_missing"

    closed = f"mysql://u:secret@127.0.0.1:{port}/d"
    message = "control database: nobody answers"
    assert await assert_unavailable(closed, tmp_path) == message
    with pytest.raises(ControlUnavailableError, match=message):
        await ControlDatabase(closed, tmp_path).ping()
    assert await assert_unavailable(f"{wrong}/d", tmp_path) == "control database: access denied"
    assert "no such database" in await assert_unavailable(missing, tmp_path)
    assert "is no database" in await assert_unavailable(f"sqlite:///{tmp_path}/file", tmp_path)
    await assert_unavailable(f"sqlite:///{tmp_path}/file/control.db", tmp_path)
    await assert_unavailable(f"sqlite:///{tmp_path}", tmp_path)


async def test_a_silent_server_is_reported(tmp_path):
    """One that takes the connection and says nothing costs seconds, not the driver's forever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"mysql://u:secret@127.0.0.1:{silent.getsockname()[1]}/d"
        message = "control database: no answer in time"
        assert await assert_unavailable(address, tmp_path, seconds=8) == message


async def test_a_locked_file_is_reported(tmp_path):
    """Another process that writes for longer than the timeout."""
    address = f"sqlite:///{tmp_path}/control.db"
    first, other = ControlDatabase(address, tmp_path), ControlDatabase(address, tmp_path)
    await first.prepare()
    async with first.writing():
        await UserRecords(other).list()
        with pytest.raises(ControlUnavailableError, match="another process has locked it"):
            await UserRecords(other).add(user())
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


async def test_values_that_no_column_holds_are_refused(server, database, tmp_path):
    """A server says so; it never cuts them."""
    control = ControlDatabase(f"{server.url.rstrip('/')}/{database}", tmp_path)
    await control.prepare()
    with pytest.raises(InvalidRequestError, match="does not fit"):
        await RunRecords(control).add(run(asked_by="x" * 300))
    await control.close()


async def test_a_row_that_makes_no_sense_is_reported(control, runs):
    """Somebody who edits the table gets an error, not a traceback."""
    await runs.add(run())
    for assignment in ("progress = '{'", "progress = NULL, kind = 'other'"):
        async with control.writing() as connection:
            await connection.execute(text(f"UPDATE runs SET {assignment}"))
        with pytest.raises(ControlUnavailableError, match="unreadable"):
            await runs.get(run().run_id)


async def test_many_writers_of_one_row(runs):
    """Writers of one row at once all succeed, and the highest revision stays."""
    await runs.add(run())

    await asyncio.gather(
        *(runs.save(run(revision=number, state=RunState.RUNNING)) for number in range(2, 42)),
        *(runs.request_cancel(run().run_id) for _ in range(5)),
    )

    found = await runs.get(run().run_id)
    assert (found.revision, found.cancel_requested) == (41, True)

"""An archiver whose server falls silent, or does not let it: noticed in time, and named."""

from urllib.parse import quote

from app.domain.restores.log_archive import ArchiverState
from tests.fixtures.log_archive import QUICK, RealClock, archiving, caught_up, in_state, until
from tests.fixtures.proxy import Fault, proxy
from tests.fixtures.servers import Sql


async def test_a_black_hole_is_noticed_within_three_heartbeats_and_the_lag_grows_meanwhile(
    own_server, tmp_path
):
    """P13: the connection stays, and no byte comes; when the way is open again nothing is missing."""
    server = own_server()

    def lag(archiver):
        return archiver.status.lag_seconds(RealClock().now())

    with proxy(server.url, Fault.STALL, 1 << 30) as way, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY)"])
        async with archiving(way.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            await in_state(archiver, ArchiverState.LIVE)
            before = lag(archiver)
            way.limit = way.passed
            sql.run("INSERT INTO d.t VALUES (1)")
            await in_state(archiver, ArchiverState.STALLED)
            assert archiver.status.code == "stalled"
            noticed = lag(archiver)
            assert noticed > max(before, 2 * QUICK.heartbeat_seconds)
            await until(lambda: lag(archiver) > noticed + 0.2, "the lag does not grow")
            way.limit = 1 << 30
            await caught_up(archiver, sql)
            await until(lambda: lag(archiver) < noticed, "the lag does not shrink")
            assert archiver.status.broken_because == ""


async def test_each_right_that_is_missing_is_named_and_its_grant_is_enough(own_server, tmp_path):
    """P18: one by one, with the statement that gives it; then it archives by itself."""
    server = own_server()
    with Sql(server.url) as sql:
        sql.run("CREATE USER 'reader'@'%' IDENTIFIED BY 'secret'")
        way = server.url.partition("@")[2]
        url = f"mysql://reader:{quote('secret')}@{way}"
        named = []
        async with archiving(url, tmp_path) as archiver:
            for _ in range(2):
                await until(
                    lambda: (
                        archiver.status.state is ArchiverState.REFUSED
                        and archiver.status.hint not in named
                    ),
                    f"not refused: {archiver.status}",
                )
                assert archiver.status.code == "binlog-rights"
                named.append(archiver.status.hint)
                grant = archiver.status.hint.partition(";")[0]
                assert grant.removeprefix("GRANT ").partition(" ON ")[0] in archiver.status.message
                sql.run(grant)
            await in_state(archiver, ArchiverState.LIVE)
            await caught_up(archiver, sql)
    assert len(named) == 2

"""Users, roles and grants, with what they are granted on: in a file that loads in one pass."""

import re

import pytest

from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL, NO_PACKAGES
from tests.fixtures.forged import with_text
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# Each database uses what the other has, and rights hang on views, routines and a role.
TWO = (
    "CREATE DATABASE alpha",
    "CREATE DATABASE beta",
    "CREATE TABLE beta.t (id INT PRIMARY KEY, v INT)",
    "INSERT INTO beta.t VALUES (1, 10), (2, 20)",
    "CREATE VIEW beta.inner_view AS SELECT id, v FROM beta.t",
    "CREATE FUNCTION beta.twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2",
    "CREATE VIEW alpha.outer_view AS SELECT id, beta.twice(v) AS doubled FROM beta.inner_view",
    "CREATE PROCEDURE alpha.tidy() SELECT COUNT(*) FROM beta.inner_view",
    "CREATE VIEW beta.last_view AS SELECT * FROM alpha.outer_view",
    "CREATE ROLE reader",
    "CREATE USER 'ann'@'%' IDENTIFIED BY 'secret of ann'",
    "CREATE USER 'bob'@'localhost' IDENTIFIED BY 'secret of bob'",
    "GRANT SELECT ON alpha.outer_view TO reader",
    "GRANT SELECT (id), INSERT ON beta.t TO 'bob'@'localhost'",
    "GRANT EXECUTE ON PROCEDURE alpha.tidy TO reader",
    "GRANT EXECUTE ON FUNCTION beta.twice TO 'ann'@'%' WITH GRANT OPTION",
    "GRANT reader TO 'ann'@'%'",
    (
        "SET DEFAULT ROLE reader TO 'ann'@'%'"
        if IS_MYSQL
        else "SET DEFAULT ROLE reader FOR 'ann'@'%'"
    ),
)
LIMITED = (
    "SET GLOBAL partial_revokes = 1",
    "CREATE USER 'eve'@'%' IDENTIFIED BY 'secret of eve'",
    "GRANT SELECT, INSERT ON *.* TO 'eve'@'%'",
    "GRANT EXECUTE ON beta.* TO 'eve'@'%'",
    "REVOKE INSERT ON alpha.* FROM 'eve'@'%'",
)
NESTED = (
    "CREATE DATABASE alpha",
    "CREATE ROLE a_outer",
    "CREATE ROLE b_inner",
    "GRANT b_inner TO a_outer",
    "GRANT SELECT ON alpha.* TO b_inner",
    "GRANT INSERT ON alpha.* TO a_outer",
)
UNLIKELY = (
    "CREATE DATABASE alpha",
    "CREATE USER 'opt'@'%' IDENTIFIED BY 'secret of opt'",
    "GRANT USAGE ON *.* TO 'opt'@'%' WITH GRANT OPTION",
    "CREATE USER 'mysql'@'%' IDENTIFIED BY 'secret of mysql'",
    "GRANT SELECT ON alpha.* TO 'mysql'@'%'",
)
ACCOUNTS = ("reader", "'ann'@'%'", "'bob'@'localhost'")


def rights(url: str, *accounts: str) -> dict[str, object]:
    """Return what a server shows of accounts."""
    with Sql(url) as sql:
        found: dict[str, object] = {
            name: {
                re.sub(r"BY PASSWORD '.*'", "", line)
                for (line,) in sql.run(f"SHOW GRANTS FOR {name}")
            }
            for name in accounts
        }
        users = [name for name in accounts if "@" in name]
        sql.run("SET @@print_identified_with_as_hex = 1" if IS_MYSQL else "DO 1")
        return found | {f"user {name}": sql.run(f"SHOW CREATE USER {name}") for name in users}


async def test_accounts_and_objects_load_in_one_pass(own_server, tmp_path):
    """By the client from the file alone, and by us, onto servers that have nothing."""
    with own_server() as source, own_server() as by_hand, own_server() as by_us:
        with Sql(source.url) as sql:
            sql.script(TWO)
        here, hand, us = (
            Backstay(server.url, tmp_path / "backups") for server in (source, by_hand, by_us)
        )
        manifest = await here.backup("alpha", "beta", accounts=True)
        hand.plain_load(manifest)
        result = await us.restore(manifest, accounts=True)

        for there in (by_hand, by_us):
            assert rights(there.url, *ACCOUNTS) == rights(source.url, *ACCOUNTS)
            for name in ("alpha", "beta"):
                assert_same(snapshot(source.url, name), snapshot(there.url, name))
            with Sql(there.url) as sql:
                assert sql.run("SELECT doubled FROM beta.last_view") == [(20,), (40,)]
        for backstay in (here, hand, us):
            await backstay.target.close()

    assert [text for text in manifest.warnings if "root" not in text] == []
    assert [text for text in result.warnings if "root" not in text] == []


async def restored_on(servers, database, home):
    """Back a database up from the first server with its accounts, and restore both on each of the others, in order."""
    here, *others = (Backstay(server.url, home / "backups") for server in servers)
    manifest = await here.backup(database, accounts=True)
    results = [await there.restore(manifest, accounts=True) for there in others]
    for backstay in (here, *others):
        await backstay.target.close()
    return results


@pytest.mark.differs("mysql", reason="a role of MySQL is an account like others")
async def test_rights_of_a_role_are_not_those_of_one_that_holds_it(own_server, tmp_path):
    """With the rights of a role MariaDB lists those of the roles that it holds, and one of them may be there."""
    with own_server() as source, own_server() as outer, own_server() as inner:
        with Sql(source.url) as sql:
            sql.script(NESTED)
        for server, role in ((outer, "a_outer"), (inner, "b_inner")):
            with Sql(server.url) as sql:
                sql.run(f"CREATE ROLE {role}")
        before = rights(inner.url, "b_inner")
        _, result = await restored_on((source, outer, inner), "alpha", tmp_path)

        assert rights(outer.url, "b_inner") == rights(source.url, "b_inner")
        assert rights(inner.url, "b_inner") == before

    assert "account b_inner exists and was left as it is" in result.warnings


async def test_accounts_that_look_like_nothing_come_back(own_server, tmp_path):
    """The right to grant alone is printed beside USAGE, and a name of the server's own has another host."""
    with own_server() as source, own_server() as target:
        with Sql(source.url) as sql:
            sql.script(UNLIKELY)
        here, there = (Backstay(server.url, tmp_path / "backups") for server in (source, target))
        manifest = await here.backup("alpha", accounts=True)
        result = await there.restore(manifest, accounts=True)

        names = ("'opt'@'%'", "'mysql'@'%'")
        assert rights(target.url, *names) == rights(source.url, *names)
        assert "GRANT OPTION" in str(rights(target.url, "'opt'@'%'"))
        for backstay in (here, there):
            await backstay.target.close()

    assert [text for text in result.warnings if "root" not in text] == []


@pytest.mark.differs("mysql", reason="it makes no account by a GRANT")
async def test_no_grant_makes_an_account(own_server, tmp_path):
    """An account that could not be made gets no rights: MariaDB would make one without a password."""
    with own_server() as source, own_server() as by_us, own_server() as by_hand:
        with Sql(source.url) as sql:
            sql.script([
                "CREATE DATABASE alpha",
                "INSTALL SONAME 'auth_ed25519'",
                "CREATE USER 'eve'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret of eve')",
                "GRANT SELECT ON alpha.* TO 'eve'@'%'",
            ])
        here, us, hand = (
            Backstay(server.url, tmp_path / "backups") for server in (source, by_us, by_hand)
        )
        manifest = await here.backup("alpha", accounts=True)
        result = await us.restore(manifest, accounts=True)
        with Sql(by_hand.url) as sql:
            sql.run("CREATE DATABASE alpha")
        hand.plain_load(manifest, "alpha", "--force")

        for server in (by_us, by_hand):
            with Sql(server.url) as sql:
                assert sql.run("SELECT User FROM mysql.user WHERE User = 'eve'") == []
        for backstay in (here, us, hand):
            await backstay.target.close()

    said = [text for text in result.warnings if text.startswith("account eve@%: ")]
    assert "1524" in said[0]  # no such plugin
    assert "1133" in said[1]  # no such account


@NO_PACKAGES
async def test_rights_on_packages_are_restored(own_server, tmp_path):
    """MariaDB before 11.4 knows the word in the mode of Oracle only."""
    with own_server() as server, Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE shop",
            "USE shop",
            "CREATE USER 'ann'@'%'",
            "SET sql_mode = 'ORACLE'",
            "CREATE PACKAGE `k'` AS PROCEDURE x; END",
            "CREATE PACKAGE BODY `k'` AS PROCEDURE x AS BEGIN SELECT 1; END; END",
            "GRANT EXECUTE ON PACKAGE `k'` TO 'ann'@'%' WITH GRANT OPTION",
            "GRANT EXECUTE ON PACKAGE BODY `k'` TO 'ann'@'%'",
        ])
        before = rights(server.url, "'ann'@'%'")
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("shop", accounts=True)
        sql.script(["DROP USER 'ann'@'%'", "DROP DATABASE shop"])

        result = await backstay.restore(manifest, accounts=True)
        await backstay.target.close()

        assert rights(server.url, "'ann'@'%'") == before
    assert [text for text in result.warnings if "ann" in text] == []


@pytest.mark.differs("mysql", reason="it has no role of everybody")
async def test_rights_of_everybody_are_restored(own_server, tmp_path):
    """Rights of PUBLIC are no account's own; they are given where nobody has given it others."""
    with own_server() as source, own_server() as empty, own_server() as other:
        with Sql(source.url) as sql:
            sql.script(["CREATE DATABASE shop", "GRANT SELECT ON shop.* TO PUBLIC"])
        with Sql(other.url) as sql:
            sql.script(["CREATE DATABASE mine", "GRANT INSERT ON mine.* TO PUBLIC"])
        before = rights(other.url, "PUBLIC")
        _, result = await restored_on((source, empty, other), "shop", tmp_path)

        assert rights(empty.url, "PUBLIC") == rights(source.url, "PUBLIC")
        assert rights(other.url, "PUBLIC") == before

    assert "account PUBLIC exists and was left as it is" in result.warnings


@pytest.mark.differs("mariadb", reason="no right can be taken away in part")
async def test_rights_that_were_taken_away_in_part_are_never_given_whole(own_server, tmp_path):
    """Where the server cannot take them away, those on the whole server are not given, and that is said."""
    with (
        own_server() as source,
        own_server("--partial-revokes=ON") as same,
        own_server() as without,
    ):
        with Sql(source.url) as sql:
            sql.script([*TWO, *LIMITED])
        here, there, lacking = (
            Backstay(server.url, tmp_path / "backups") for server in (source, same, without)
        )
        manifest = await here.backup("alpha", "beta", accounts=True)
        full = await there.restore(manifest, accounts=True)
        short = await lacking.restore(manifest, accounts=True)

        assert rights(same.url, "'eve'@'%'") == rights(source.url, "'eve'@'%'")
        given = str(rights(without.url, "'eve'@'%'")["'eve'@'%'"])
        assert "SELECT" not in given
        assert "EXECUTE ON `beta`" in given
        for backstay in (here, there, lacking):
            await backstay.target.close()

    assert not [text for text in full.warnings if "eve" in text]
    assert len([text for text in short.warnings if "eve" in text]) == 1


async def test_what_was_made_is_read_back(own_server, tmp_path):
    """An account that has not what the file says is named; nothing is said of the others."""
    with own_server() as source, own_server() as target, Sql(source.url) as sql:
        sql.script(TWO)
        made = Backstay(source.url, tmp_path / "backups")
        manifest = await made.backup("alpha", "beta", accounts=True)
        spaced = await with_text(
            made, manifest, b"GRANT EXECUTE ON PROC", b"GRANT EXECUTE ON  PROC"
        )
        other = Backstay(target.url, tmp_path / "backups")
        result = await other.restore(spaced, accounts=True)

        said = [text for text in result.warnings if "as in the backup" in text]
        reader = "reader@%" if IS_MYSQL else "reader"  # there a role is an account like others
        assert said == [f"account {reader}: not all of its rights are as in the backup"]
        await other.close()
        await made.close()


@pytest.mark.differs("mariadb", reason="no account has two passwords there")
async def test_a_second_password_is_told_to_be_left_out(backstay, sql, database):
    """No statement of the server shows it."""
    sql.script([
        "CREATE USER 'two'@'%' IDENTIFIED BY 'old one'",
        "ALTER USER 'two'@'%' IDENTIFIED BY 'new one' RETAIN CURRENT PASSWORD",
    ])
    try:
        manifest = await backstay.backup(database, accounts=True)
    finally:
        sql.run("DROP USER 'two'@'%'")

    assert manifest.warnings == (
        "account two@% has a second password (RETAIN CURRENT PASSWORD), which is not in the backup",
    )

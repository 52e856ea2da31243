"""Dry runs of what a restore would be refused for: each problem is foretold, with what mends it."""

from dataclasses import replace

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import BackupNotFoundError, TableNotFoundError
from tests.fixtures.accounts import account, as_account
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import ends_as_foretold


RIGHTS = (
    "SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "TRIGGER", "CREATE VIEW",
    "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT",
)  # fmt: skip


@pytest.mark.parametrize(
    ("now", "options", "code"),
    [
        (["CREATE TABLE t (id BIGINT PRIMARY KEY)"], {"data_only": True}, "incompatible-server"),
        ([], {"data_only": True}, "incompatible-server"),
        (["CREATE VIEW t AS SELECT 1"], {"tables": ("t",)}, "conflict"),
        (
            [
                "CREATE TABLE u (id INT PRIMARY KEY)",
                "CREATE TRIGGER r BEFORE INSERT ON u FOR EACH ROW SET @x = 1",
            ],
            {"tables": ("t",)},
            "conflict",
        ),
        (["CREATE VIEW t AS SELECT 1"], {}, None),
    ],
    ids=["columns differ", "table gone", "a view's name", "a trigger's name", "replaced view"],
)
async def test_names_and_columns_in_the_way_are_foretold(
    now, options, code, services, sql, database
):
    """What a restore would be refused for is the problem of its dry run, with the same words."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
    ])
    manifest = await services.backup(database)
    sql.script(["DROP TABLE t", *now])

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id, **options))

    assert [problem.code for problem in forecast.problems] == ([code] if code else [])


@pytest.mark.parametrize(
    "taken",
    [
        "CONSTRAINT belongs FOREIGN KEY (id) REFERENCES p (id)",
        pytest.param(
            "CONSTRAINT positive CHECK (id > 0)",
            marks=pytest.mark.differs("mariadb", reason="each of its tables names its own CHECKs"),
        ),
    ],
)
async def test_a_constraint_of_a_renamed_table_is_foretold(taken, services, sql, database):
    """Whoever moves a table aside moves the names of its constraints with it."""
    sql.script([
        "CREATE TABLE p (id INT PRIMARY KEY)",
        f"CREATE TABLE t (id INT PRIMARY KEY, {taken})",
    ])
    manifest = await services.backup(database)
    sql.run("RENAME TABLE t TO t_old")
    request = RestoreRequest(manifest.backup_id, tables=("t",))

    forecast = await ends_as_foretold(services, request)

    (problem,) = forecast.problems
    assert "belongs to table 't_old', which stays" in str(problem)
    sql.run("DROP TABLE t_old")
    assert not (await ends_as_foretold(services, request)).problems


@pytest.mark.parametrize("chosen", ["parent", "child"])
async def test_a_foreign_key_that_does_not_fit_any_more_is_foretold(
    chosen, services, sql, database
):
    """Both sides have got wider numbers since the backup, of which one comes back."""
    sql.script([
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, CONSTRAINT f FOREIGN KEY (id) REFERENCES parent (id))",
    ])
    manifest = await services.backup(database)
    request = RestoreRequest(manifest.backup_id, tables=(chosen,))
    assert not (await ends_as_foretold(services, request)).problems
    sql.script([
        "ALTER TABLE child DROP FOREIGN KEY f",
        "ALTER TABLE parent MODIFY id BIGINT",
        "ALTER TABLE child MODIFY id BIGINT",
        "ALTER TABLE child ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES parent (id)",
    ])

    forecast = await ends_as_foretold(services, request)
    both = replace(request, tables=("parent", "child"))

    (problem,) = forecast.problems
    assert "does not fit" in str(problem)
    assert not (await ends_as_foretold(services, both)).problems


@pytest.mark.parametrize("tables", [(), ("t",)])
@pytest.mark.parametrize("taken", ["TABLE {}.t (id INT)", "VIEW {}.t AS SELECT 1"])
async def test_a_name_that_holds_something_is_foretold(taken, tables, services, sql, database):
    """Under another name nothing is overwritten, neither a table nor a view, and the dry run knows."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    manifest = await services.backup(database)
    target = services.new_name()
    sql.script([f"CREATE DATABASE {target}", f"CREATE {taken.format(target)}"])

    forecast = await ends_as_foretold(
        services, RestoreRequest(manifest.backup_id, into=target, tables=tables)
    )

    assert len(forecast.problems) == 1


async def test_rows_that_the_backup_lacks_are_foretold(services, sql, database):
    """A backup of definitions is refused over a table with rows, unless definitions are asked for."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await services.backup(database, include_data=False)

    refused = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))
    passed = await ends_as_foretold(services, RestoreRequest(manifest.backup_id, schema_only=True))

    assert [problem.code for problem in refused.problems] == ["incompatible-server"]
    assert passed.problems == ()


async def foretold_of_damage(services, manifest, kind):
    """Flip a bit in the first member of a kind; return the dry runs with and without verification."""
    file = services.file(manifest)
    data = file.read_bytes()
    member = next(member for member in manifest.members if member.kind == kind)
    place = member.offset + member.size // 2
    file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    blind = RestoreRequest(manifest.backup_id, verify_before=False)
    return (
        await ends_as_foretold(services, RestoreRequest(manifest.backup_id)),
        await services.recoveries.dry_run(await services.recoveries.plan(blind)),
    )


async def test_a_damaged_file_is_foretold(services, sql, database):
    """A flipped byte is a problem, and the first one; not asked for, it is not looked for."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, s TEXT)",  # too large to share a member with its definition
        "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_100",
    ])
    manifest = await services.backup(database)

    forecast, blind = await foretold_of_damage(services, manifest, "data")

    assert [problem.code for problem in forecast.problems] == ["checksum-mismatch"]
    assert (forecast.verified, blind.verified) == (False, None)
    assert blind.problems == ()


async def test_a_damaged_definition_is_foretold_once(services, sql, database):
    """Whoever reads it finds the same damage, verification or not."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await services.backup(database)

    forecast, blind = await foretold_of_damage(services, manifest, "schema")

    for found in (forecast, blind):
        assert [problem.code for problem in found.problems] == ["checksum-mismatch"]


async def test_missing_rights_are_foretold_and_grants_cure_them(services, sql, database):
    """A user who lacks one right is told the GRANT; after it the dry run and the restore pass."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await services.backup(database)
    pattern = f"{database}\\_\\_bk\\_%".replace(database, database.replace("_", "\\_"))
    few = [right for right in RIGHTS if right != "INSERT"]
    grants = [f"{', '.join(few)} ON `{scope}`.*" for scope in (database, pattern)]
    request = RestoreRequest(manifest.backup_id)
    with account(sql, *grants) as name:
        async with as_account(services, name) as limited:
            refused = await ends_as_foretold(limited, request, services.url)
            sql.script(refused.missing_rights)
            passed = await ends_as_foretold(limited, request, services.url)

    assert [problem.code for problem in refused.problems] == ["permission-denied"]
    assert len(refused.missing_rights) == 2
    assert passed.missing_rights == ()


async def test_a_user_without_any_right_is_told_all_grants(services, sql, database):
    """Even who sees nothing gets a forecast; its GRANTs alone are enough for the restore."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    manifest = await services.backup(database)
    request = RestoreRequest(manifest.backup_id)
    with account(sql) as name:
        async with as_account(services, name) as limited:
            forecast = await limited.recoveries.dry_run(await limited.recoveries.plan(request))
            sql.script(forecast.missing_rights)
            cured = await ends_as_foretold(limited, request, services.url)

    assert len(forecast.missing_rights) == 2 * len(RIGHTS)
    assert cured.problems == ()


async def test_the_right_to_skip_the_binary_log_is_foretold(services, sql, database):
    """A user who may not keep statements out of the log is refused before anything is loaded."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    manifest = await services.backup(database)
    request = RestoreRequest(manifest.backup_id, skip_binlog=True)
    with account(sql, f"{', '.join(RIGHTS)} ON *.*") as name:
        async with as_account(services, name) as limited:
            refused = await ends_as_foretold(limited, request, services.url)
            sql.script(refused.missing_rights)
            passed = await ends_as_foretold(limited, request, services.url)

    assert [problem.code for problem in refused.problems] == ["permission-denied"]
    assert ("SESSION_VARIABLES_ADMIN" if IS_MYSQL else "BINLOG ADMIN") in refused.missing_rights[0]
    assert passed.binary_log == "skipped"


async def test_unknown_names_are_refused_at_once(services, sql, database):
    """A backup or a table that is not there ends a dry run like a restore."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    manifest = await services.backup(database)

    with pytest.raises(TableNotFoundError):
        await services.recoveries.dry_run(
            await services.recoveries.plan(RestoreRequest(manifest.backup_id, tables=("no",)))
        )
    with pytest.raises(BackupNotFoundError):
        await services.recoveries.dry_run(
            await services.recoveries.plan(RestoreRequest("backup_65ba1f2f3d4e5"))
        )

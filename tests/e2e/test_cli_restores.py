"""Command line: restores in place, their dry runs and drills, and their undo, as operators and scripts see them."""

import re
from pathlib import Path

import pytest

from tests.fixtures.cli import address
from tests.fixtures.dry_runs import drop, left_over
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECRET = "row-value-4711"


@pytest.fixture
def shop(cli, sql, database):
    """A database with a backup, changed since: the id of the backup."""
    sql.script([
        "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(40))",
        f"INSERT INTO users SELECT seq, '{SECRET}' FROM seq_1_to_100",
        "CREATE TABLE orders (id INT PRIMARY KEY)",
        "INSERT INTO orders VALUES (1), (2)",
        "CREATE TRIGGER r BEFORE INSERT ON orders FOR EACH ROW SET @x = 1",
        "CREATE VIEW names AS SELECT name FROM users",
    ])
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    sql.script([
        "DELETE FROM users WHERE id > 10",
        "INSERT INTO orders VALUES (3)",
        "CREATE TABLE later (id INT PRIMARY KEY)",
    ])
    yield backup_id
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def _counts(sql):
    """Rows of users and orders, and whether the table made after the backup is there."""
    ((later,),) = sql.run(
        "SELECT COUNT(*) FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'later'"
    )
    return *(sql.run(f"SELECT COUNT(*) FROM {name}")[0][0] for name in ("users", "orders")), later


def _promised(command, words=""):
    """Read from docs/cli.md which keys the document of a command has."""
    section = re.search(rf"^## `{command}`$(.*?)(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert section
    pattern = words or "nothing else: "
    text = section[1].partition(pattern)[2]
    assert text, command
    text = re.split(r"; with `--drill`|\.$| \|$", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = re.sub(r" in the shape of `[^`]*`|, each with [^;]*", "", text)
    keys = set(re.findall(r"`(\w+)`", text))
    for other in re.findall(r"as `([a-z -]+)`", text):
        keys |= _promised(f"backstay {other}")
    return keys | {"success"}


def test_every_document_has_exactly_the_keys_that_are_promised(cli, sql, database, shop):
    """What docs/cli.md names is there, and nothing else is."""
    run = ("restore", "run", shop)
    documents = {
        "backup list": cli.json("backup", "list"),
        "backup info": cli.json("backup", "info", shop),
        "backup verify": cli.json("backup", "verify", shop),
        "restore options": cli.json("restore", "options", shop),
        "restore run": cli.json(*run),
        "restore undo": cli.json("restore", "undo", shop),
        "recovery-point create": cli.json("recovery-point", "create", "--database", database),
        "doctor": cli.json("doctor", "--repair"),
        "catalog rebuild": cli.json("catalog", "rebuild"),
    }
    documents["backup create"] = cli.json("backup", "create", "--database", database)
    documents["backup delete"] = cli.json("backup", "delete", shop_of(documents))

    for command, document in documents.items():
        assert set(document) == _promised(f"backstay {command}"), command
    dry, drill = cli.json(*run, "--dry-run"), cli.json(*run, "--drill")
    assert set(dry) == _promised("backstay restore run", "With `--dry-run` the document holds ")
    assert set(drill) == _promised("backstay restore run", "; with `--drill` ")
    assert sql.run("SELECT COUNT(*) FROM later") == [(0,)]


def shop_of(documents):
    """Return the id of the recovery point that was made."""
    return documents["recovery-point create"]["backup_id"]


@pytest.mark.parametrize(
    "case",
    [
        ((), (100, 2, 0), ["orders", "users"]),
        (("--table", "user*"), (100, 3, 1), ["users"]),
        (("--schema-only",), (0, 0, 0), ["orders", "users"]),
        (("--data-only",), (100, 2, 1), ["orders", "users"]),
    ],
    ids=["all", "one table", "definitions", "rows"],
)
def test_a_restore_in_place_and_its_undo_are_exact(case, cli, sql, database, shop):
    """The dry run says it, the restore does it, and the undo takes it back to the last row."""
    options, counts, tables = case
    before = snapshot(cli.url, database)
    run = ("restore", "run", shop, *options)
    foretold = cli.json(*run, "--dry-run")
    assert_same(before, snapshot(cli.url, database))
    restored = cli.json(*run)
    after = _counts(sql)
    undone = cli.json("restore", "undo", restored["restore_id"])

    assert restored["restored_tables"] == [f"{database}.{name}" for name in tables]
    assert after == counts
    for key in ("success", "restored_tables", "rows_count", "verified", "binary_log"):
        assert foretold[key] == restored[key], key
    assert restored["duration"] > 0
    assert restored["recovery_point"].startswith("backup_")
    assert (undone["backup_id"], undone["binary_log"]) == (shop, "written")
    assert_same(before, snapshot(cli.url, database))
    assert [name for name in left_over(sql) if "__bk_new_" in name] == []


def test_another_name_leaves_the_live_database_alone(cli, sql, database, shop):
    """Another name leaves the live database alone; no recovery point is made when none is wanted."""
    before = _counts(sql)
    backups = len(cli.json("backup", "list")["backups"])
    beside = cli.json("restore", "run", shop, "--into", f"{database}_b", "--table", "orders")
    untouched = _counts(sql)
    bare = cli.json("restore", "run", shop, "--no-recovery-point", "--skip-binlog")

    assert (beside["recovery_point"], bare["recovery_point"]) == (None, None)
    assert beside["restored_tables"] == [f"{database}_b.orders"]
    assert untouched == before
    assert bare["dropped_tables"] == [f"{database}.later"]
    assert bare["binary_log"] == "skipped"
    assert any("binary log" in warning for warning in bare["warnings"])
    assert len(cli.json("backup", "list")["backups"]) == backups


def test_a_dry_run_leaves_with_the_code_of_its_first_problem(cli, sql, database, shop):
    """Conflict, refusal, database and integrity are told apart as by the restore itself."""
    sql.script([
        "DROP TABLE users",
        "CREATE VIEW users AS SELECT 1",
        "ALTER TABLE orders MODIFY id BIGINT",
    ])
    run = ("restore", "run", shop)
    file = cli.backups / cli.json("backup", "info", shop)["file"]
    cases = {
        11: (*run, "--table", "users"),
        12: (*run, "--data-only", "--table", "orders"),
    }
    codes = {}
    for code, command in cases.items():
        dry = cli.json(*command, "--dry-run", code=code)
        codes[code] = (dry["problems"][0]["code"], cli.error(*command, code=code)["code"])
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    damaged = cli.json(*run, "--dry-run", code=22)

    assert codes[11] == ("conflict", "conflict")
    assert codes[12] == ("incompatible-server", "incompatible-server")
    assert (damaged["verified"], damaged["problems"][0]["code"]) == (False, "checksum-mismatch")


def test_a_drill_shows_in_every_list(cli, sql, database, shop):
    """The backup is unproven before and proven after, for scripts and for people."""
    before = cli.json("backup", "info", shop)["proven_at"]
    drill = cli.json("restore", "run", shop, "--drill")
    listed = cli.json("backup", "list")["backups"][0]["proven_at"]
    options = cli.json("restore", "options", shop)
    printed = cli("backup", "list").out

    assert (before, drill["verified"], drill["rows_count"]) == (None, True, 102)
    assert listed == cli.json("backup", "info", shop)["proven_at"]
    assert options["proven_at"].startswith(listed[:10])
    assert options["proofs"][0]["by"] == options["estimated_by"] == "drill"
    assert f"  {listed[:10]}  " in printed.partition("Proven")[2]
    assert _counts(sql) == (10, 3, 1)
    assert left_over(sql) == []
    wrong = cli.error("restore", "run", shop, "--drill", "--dry-run", code=12)
    assert wrong["code"] == "invalid-request"


def test_an_undo_is_found_by_either_id_or_says_why_not(cli, sql, database, shop):
    """By the backup's id, unknown, already undone, and expired with the recovery point in the hint."""
    restored = cli.json("restore", "run", shop)
    undone = cli.json("restore", "undo", shop)
    again = cli.error("restore", "undo", restored["restore_id"], code=11)
    unknown = cli.error("restore", "undo", "restore_0123456789ab", code=10)
    short = cli.json("restore", "run", shop, UNDO_MINUTES="0")
    expired = cli.error("restore", "undo", short["restore_id"], code=11)

    assert undone["restored_tables"] == [
        f"{database}.{table}" for table in ("later", "orders", "users")
    ]
    assert undone["restore_id"] in again["hint"]
    assert (unknown["code"], expired["code"]) == ("recovery-not-found", "undo-expired")
    assert short["undo_until"] is None
    assert short["recovery_point"] in expired["hint"]
    assert _counts(sql) == (100, 2, 0)
    cli.json(*re.findall(r"'backstay ([^']+)'", expired["hint"])[0].split())
    assert _counts(sql) == (10, 3, 1)


def test_people_are_told_what_to_do_next(cli, sql, database, shop):
    """Recovery point, undo command and what would change are in sentences; progress is not on stdout."""
    dry = cli("restore", "run", shop, "--dry-run")
    options = cli("restore", "options", shop)
    drill = cli("restore", "run", shop, "--drill")
    restored = cli("restore", "run", shop)
    undoable = cli("restore", "options", shop).out
    undo = re.search(r"backstay (restore undo restore_\w+)", restored.out)
    point = re.search(r"Recovery point.*: backup (backup_\w+)", restored.out)
    assert undo
    assert point
    undone = cli(*undo[1].split())
    repaired = cli("doctor", "--repair")

    assert "nothing was changed" in dry.out
    assert re.search(rf"{database}\.users +replace +same +1 of 1 +10 +100\b", dry.out)
    assert re.search(rf"{database}\.later +drop", dry.out)
    assert "Restore            would pass" in dry.out
    assert "never; try --drill" in options.out
    assert "can be restored" in drill.out
    assert f"Dropped, not in the backup: {database}.later." in restored.out
    assert undo[1] in undoable
    assert undone.out.startswith(f"Restore undone in {database}: 3 tables returned in ")
    assert "Nothing to repair." in repaired.out
    for result in (dry, options, drill, restored, undone):
        assert (result.code, result.remarks) == (0, "")
        assert SECRET not in result.out


def test_neither_rows_nor_passwords_are_printed(cli, sql, database, shop):
    """With --verbose, in errors too, no value of a row and no password leaves the program."""
    sql.run("CREATE USER secretive@'%' IDENTIFIED BY 'hunter2pass'")
    url = address(cli.url, login="secretive:hunter2pass")
    try:
        results = [
            cli("--verbose", "restore", "run", shop, *more, DATABASE_URL=url)
            for more in (("--dry-run",), ("--drill",), (), ("--json",))
        ]
        results.append(cli("--verbose", "restore", "options", shop, DATABASE_URL=url))
    finally:
        sql.run("DROP USER secretive@'%'")
    results += [cli("--verbose", "restore", "run", shop, *more) for more in (("--drill",), ())]

    assert [result.code for result in results] == [20, 20, 20, 20, 0, 0, 0]
    for result in results:
        assert SECRET not in result.out + result.err
        assert "hunter2" not in result.out + result.err
        assert "Traceback" not in result.err

"""Command line: bad input ends in one clear sentence and the documented exit code; nothing is lost."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.fixtures.accounts import refused_login
from tests.fixtures.cli import PROGRAM, address
from tests.fixtures.gate import gate
from tests.fixtures.servers import Sql


def _make(cli, sql, database, rows=1000):
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(64))",
        f"INSERT INTO t SELECT seq, SHA2(seq, 256) FROM seq_1_to_{rows}",
    ])
    made = cli.json("backup", "create", "--database", database)
    return made["backup_id"], cli.backups / made["file"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root:hunter2secret@127.0.0.1:1/", "127.0.0.1:1: no answer"),
        ("mysql://root@localhost/?unix_socket=/nowhere/my.sock", "/nowhere/my.sock"),
        ("mysql://root:hunter2secret@no-such-host.invalid/", "no-such-host.invalid"),
    ],
)
def test_a_server_that_is_down_is_named(cli, url, words):
    """Exit 20, "Database connection failed", retryable; the directory is not even made."""
    error = cli.error("backup", "create", code=20, DATABASE_URL=url)

    assert (error["title"], error["retryable"]) == ("Database connection failed", True)
    assert words in error["message"]
    assert "hunter2secret" not in str(error)
    assert not cli.backups.exists()


def test_a_wrong_password_is_said_and_not_shown(cli, sql, database):
    """The user is named; the password appears nowhere, not even in the log."""
    backup_id, _ = _make(cli, sql, database)
    url = refused_login(sql, "hunter2%2Fsecret")
    result = cli("--verbose", "backup", "create", DATABASE_URL=url)
    error = cli.error("restore", "run", backup_id, code=20, DATABASE_URL=url)

    assert result.code == 20
    assert "access denied for 'root'" in result.err
    assert error["title"] == "Database connection failed"
    assert "hunter2" not in result.err + result.out + str(error)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgres://u:hunter2@h/d",
        "not a url",
        "mysql://u:hunter2@h/d?wrong=1",
        "mysql://u:hunter2@h:99999/",
        "mysql://u:hunter2@a..b/",
        "mysql://",
        "mysql:///shop",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(cli, url):
    """Exit 12, and no part that may be secret is repeated."""
    error = cli.error("backup", "create", code=12, DATABASE_URL=url)

    assert "BACKSTAY_DATABASE_URL" in error["message"]
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADS", "many"),
        ("CODEC", "lzma"),
        ("BACKUP_DIR", ""),
        ("UNDO_MINUTES", "inf"),
        ("TIMEOUT", "nan"),
        ("KEEP_DAYS", "1e300"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name, value, cli):
    """Exit 12 with the variable's name."""
    error = cli.error("backup", "list", code=12, **{name: value})

    assert error["message"].startswith(f"BACKSTAY_{name}: ")


def test_a_file_of_settings_that_is_no_text_is_refused(cli):
    """Exit 12, the file is named, and nothing of it is shown."""
    (cli.home / ".env").write_bytes(b"BACKSTAY_JWT_SECRET=hunter2\xff")
    error = cli.error("backup", "list", code=12)

    assert error["message"].startswith(".env: ")
    assert "hunter2" not in str(error)


def test_unknown_names_are_told_apart(cli, sql, database):
    """Exit 10: a database, a table, a table of a backup, a database of a backup."""
    backup_id, _ = _make(cli, sql, database)
    create = ("backup", "create", "--database")
    run = ("restore", "run", backup_id, "--into", "nowhere")

    codes = [
        cli.error(*create, "no_such_db", code=10)["code"],
        cli.error(*create, database, "--table", "no_such_table", code=10)["code"],
        cli.error(*run, "--table", "no_such_table", code=10)["code"],
        cli.error(*run, "--database", "no_such_db", code=10)["code"],
    ]

    assert codes == [
        "database-not-found", "table-not-found", "table-not-found", "database-not-found",
    ]  # fmt: skip
    assert sql.run("SHOW DATABASES LIKE 'nowhere'") == []
    assert len(cli.json("backup", "list")["backups"]) == 1


@pytest.mark.parametrize(
    "backup_id",
    [
        "backup_65ba1f2f3d4e5",
        "../../etc/passwd",
        "../backups/backup_65ba1f2f3d4e5",
        "backup_65ba1f2f3d4e5\n",
        "\x1b[31mred",
        "",
        "x" * 100_000,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_an_id_is_looked_up_and_never_joined_to_a_path(cli, backup_id):
    """Exit 10, "Backup file not found", whatever the text tries (hazard 116)."""
    cli.backups.mkdir(mode=0o700)
    result = cli("backup", "delete", "--", backup_id)

    assert (result.code, result.out) == (10, "")
    assert result.err.startswith("Backup file not found: no backup ")
    assert "\x1b" not in result.err
    assert len(result.err) < 300


def test_every_command_that_takes_an_id_refuses_an_unknown_one(cli):
    """Info, verify, delete and restore agree on code, title and exit."""
    cli.backups.mkdir(mode=0o700)
    for command in (("backup", "info"), ("backup", "verify"), ("restore", "run")):
        error = cli.error(*command, "backup_65ba1f2f3d4e5", code=10)
        assert (error["code"], error["title"]) == ("backup-not-found", "Backup file not found")


def test_wrong_usage_exits_with_2(cli):
    """Typer explains it to people; with --json the document says it, and stderr is silent."""
    for arguments in (
        ("backup", "create", "--codec", "lzma"),
        ("backup", "create", "--threads", "0"),
        ("backup", "info"),
        ("no-such-command",),
    ):
        printed, document = cli(*arguments), cli(*arguments, "--json")
        assert (printed.code, printed.out, document.code, document.err) == (2, "", 2, "")
        assert document.document["error"]["code"] == "usage"
        assert "Error" in printed.err
        assert "Value error" not in printed.err + document.out, "words of a library"


def test_an_argument_that_is_no_text_is_refused(cli):
    """Bytes that are not UTF-8 cannot name anything on a server."""
    raw = os.fsdecode(b"\xff\xfe")

    assert cli.error("backup", "create", "--database", raw, code=12)["code"] == "invalid-request"


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (("--level", "10"), {}, "level: gzip has the levels 1 to 9, not 10"),
        (("--level", "0"), {}, "level: gzip has the levels 1 to 9, not 0"),
        (("--codec", "zstd", "--level", "20"), {}, "level: zstd has the levels 1 to 19, not 20"),
        (("--codec", "none", "--level", "1"), {}, "level: what is not compressed has no level"),
        ((), {"LEVEL": "12"}, "BACKSTAY_LEVEL: gzip has the levels 1 to 9, not 12"),
    ],
)
def test_a_level_that_there_is_not_is_refused_before_anything_is_made(
    cli, sql, database, words, settings, message
):
    """One sentence that says which there are, of the option or of the setting; exit 12."""
    error = cli.error("backup", "create", "--database", database, *words, code=12, **settings)

    assert (error["code"], error["message"]) == ("invalid-request", message)
    assert not cli.backups.exists()


def test_an_empty_or_impossible_target_is_refused(cli, sql, database):
    """An unset shell variable must not mean the live database."""
    backup_id, _ = _make(cli, sql, database)

    for name in ("", "x" * 65, "space "):
        assert cli.error("restore", "run", backup_id, "--into", name, code=12)


def test_a_database_that_holds_something_is_not_touched(cli, sql, database):
    """Exit 11, also for a single view: another name never overwrites anything."""
    backup_id, _ = _make(cli, sql, database)
    full = f"{database}_full"
    sql.script([f"CREATE DATABASE `{full}`", f"CREATE VIEW `{full}`.v AS SELECT 1 AS one"])

    try:
        error = cli.error("restore", "run", backup_id, "--into", full, code=11)
        printed = cli("restore", "run", backup_id, "--into", full)
        left = sql.run(f"SHOW TABLES FROM `{full}`")
    finally:
        sql.run(f"DROP DATABASE `{full}`")

    assert error["code"] == "target-not-empty"
    assert (printed.code, printed.out) == (11, "")
    assert printed.err.startswith("Target database not empty: database ")
    assert "\nHint: " in printed.err
    assert left == [("v",)]


def test_a_damaged_file_is_found_before_anything_changes(cli, sql, database):
    """Exit 22 "Checksum mismatch" for a flipped byte, a cut and an appended one."""
    backup_id, file = _make(cli, sql, database)
    whole = file.read_bytes()
    middle = len(whole) // 2

    for damaged in (
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        whole[:-1],
        whole + b"\0",
        b"",
    ):
        file.write_bytes(damaged)
        assert cli.json("backup", "verify", backup_id, code=22)["error"]["title"] == (
            "Checksum mismatch"
        )
        assert cli.error("restore", "run", backup_id, "--into", f"{database}_x", code=22)
        assert sql.run(f"SHOW DATABASES LIKE '{database}\\_x'") == []


def test_a_manifest_that_was_changed_or_is_newer_is_refused(cli, sql, database):
    """Exit 22, told apart: a flipped byte is damage, a newer format asks for a newer program."""
    backup_id, file = _make(cli, sql, database)
    manifest = file.with_name(file.name + ".manifest.json")
    text = manifest.read_bytes()
    manifest.write_bytes(text.replace(b'"rows_count":1000', b'"rows_count":1001'))
    changed = cli.error("backup", "info", backup_id, code=22)
    listed = cli("backup", "list")

    body = text.partition(b',\n"manifest_sha256"')[0].replace(
        b'"format_version":2', b'"format_version":4'
    )
    seal = hashlib.sha256(body).hexdigest().encode()
    manifest.write_bytes(body + b',\n"manifest_sha256":"' + seal + b'"}\n')
    newer = cli.error("restore", "run", backup_id, "--into", f"{database}_x", code=22)

    assert (changed["code"], changed["title"]) == ("checksum-mismatch", "Checksum mismatch")
    assert (listed.code, listed.out) == (0, "No backups.\n")
    assert "Damaged: Checksum mismatch" in listed.err
    assert newer["code"] == "manifest"
    assert "newer" in newer["message"]


def test_a_file_that_is_gone_is_told(cli, sql, database):
    """A manifest without its file is a problem in the list, and no backup."""
    backup_id, file = _make(cli, sql, database)
    file.unlink()
    listed = cli.json("backup", "list")

    assert listed["backups"] == []
    assert [problem["code"] for problem in listed["problems"]] == ["backup-not-found"]
    assert cli("backup", "verify", backup_id).code in {10, 21}


def test_a_directory_that_cannot_be_is_refused(cli, database):
    """Exit 21: a file in its place, a file as its parent."""
    file = cli.home / "file"
    file.write_bytes(b"mine")

    for path in (file, file / "below"):
        create = ("backup", "create", "--database", database)
        assert cli.error(*create, code=21, BACKUP_DIR=str(path))["code"].startswith("storage")
        assert cli.error("backup", "list", code=21, BACKUP_DIR=str(path))
    assert file.read_bytes() == b"mine"


def test_a_missing_parent_directory_is_made_private(cli, database):
    """The first backup makes the whole path, mode 0700."""
    below = cli.home / "a" / "b"
    cli.json("backup", "create", "--database", database, BACKUP_DIR=str(below))

    assert [path.stat().st_mode & 0o777 for path in (below, below.parent)] == [0o700, 0o700]


def test_a_read_only_directory_is_permission_denied(cli, database):
    """Exit 21 "Permission denied"; root gives up the capabilities that make modes meaningless."""
    cli.backups.mkdir()
    cli.backups.chmod(0o555)
    cli.powerless = os.geteuid() == 0
    error = cli.error("backup", "create", "--database", database, code=21)
    checks = cli.json("doctor", code=21)["checks"]

    assert (error["code"], error["title"]) == ("storage-denied", "Permission denied")
    assert [check["name"] for check in checks if check["state"] == "fail"] == ["backup directory"]


@pytest.mark.parametrize(
    "command",
    [
        "doctor",
        "doctor --repair",
        "backup create",
        "backup check",
        "backup prune --dry-run",
        "recovery-point create",
        "restore undo restore_000000000000",
        "schedule show",
        "cron --frequency daily",
    ],
)
def test_directories_of_another_user_are_permission_denied(command, cli):
    """Exit 21 in words, whatever looks into them first; nothing ends in a traceback."""
    cli.powerless = os.geteuid() == 0
    there = cli.home / "theirs"
    there.mkdir(mode=0o700)
    if cli.powerless:
        os.chown(there, 65534, 65534)
    else:
        there.chmod(0)

    done = cli(*command.split(), BACKUP_DIR=str(there / "b"), STATE_DIR=str(there / "s"))

    assert (done.code, "Traceback" in done.err) == (21, False)
    assert "ermission denied" in done.out + done.err


def test_a_disk_that_fills_in_the_middle_leaves_nothing(cli, sql, database):
    """Exit 21, "Insufficient disk space"; the limit on file sizes stands in for the disk."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, noise TEXT)",
        "INSERT INTO t SELECT seq, SHA2(seq, 512) FROM seq_1_to_20000",
    ])
    cli.wrapper = ("/bin/sh", "-c", 'ulimit -f 200; exec "$0" "$@"')
    error = cli.error("backup", "create", "--database", database, code=21)
    cli.wrapper = ()

    assert (error["code"], error["title"]) == ("storage-full", "Insufficient disk space")
    assert cli.files() == set()
    assert cli.json("backup", "create", "--database", database)["rows_count"] == 20_000


def test_secrets_are_in_no_argument_and_no_output(cli, own_server):
    """`ps` shows the program and its options only; the document and the manifest no address."""
    server = own_server()
    password = "hunter2/s3cret"
    with Sql(server.url) as root:
        root.script([
            "CREATE DATABASE d",
            f"CREATE USER u@'%' IDENTIFIED BY '{password}'",
            "GRANT ALL ON *.* TO u@'%'",
        ])
    url = address(server.url, login=f"u:{quote(password, safe='')}")
    with gate(url) as way:
        way.close_after(read=1)
        command = ("--verbose", "backup", "create", "--json")
        with cli.start(*command, DATABASE_URL=way.url) as process:
            with way.held():
                arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            out, err = process.communicate(timeout=60)
    assert b"--json" in arguments
    doctor = cli("doctor", DATABASE_URL=url)
    written = b"".join(path.read_bytes() for path in cli.backups.iterdir())

    assert process.returncode == 0
    assert PROGRAM.name.encode() in arguments
    for place in (arguments, out.encode(), err.encode(), doctor.out.encode(), written):
        assert b"hunter2" not in place

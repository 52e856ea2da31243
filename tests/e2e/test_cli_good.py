"""Command line: what it is for, with and without --json."""

import gzip
import re
import subprocess
from urllib.parse import quote

from tests.fixtures.chosen_server import CLIENT
from tests.fixtures.cli import Cli
from tests.fixtures.servers import Sql


def _fill(sql, rows=100):
    values = "seq, CONCAT('u', seq, '@example.com'), UNHEX(MD5(seq))"
    sql.script([
        "CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(80), picture BLOB)",
        f"INSERT INTO users SELECT {values} FROM seq_1_to_{rows}",
        "CREATE TABLE orders (id INT PRIMARY KEY, note TEXT) ENGINE=InnoDB",
        "INSERT INTO orders VALUES (1, 'gift 🎁'), (2, NULL)",
        "CREATE VIEW mails AS SELECT email FROM users",
    ])


def test_a_backup_is_made_listed_shown_proven_and_deleted(cli, sql, database):
    """Every document tells the same story about one backup."""
    _fill(sql)
    made = cli.json("backup", "create", "--database", database, "--description", "two\n lines")
    listed = cli.json("backup", "list")["backups"]
    shown = cli.json("backup", "info", made["backup_id"])
    proven = cli.json("backup", "verify", made["backup_id"])
    deleted = cli.json("backup", "delete", made["backup_id"])

    assert (made["tables_count"], made["rows_count"], made["databases"]) == (2, 102, [database])
    assert made["verified"] is True
    assert made["raw_size"] > made["size"] > 0
    assert made["warnings"] == []
    assert [backup["backup_id"] for backup in listed] == [made["backup_id"]]
    assert listed[0]["options"]["description"] == shown["description"] == "two lines"
    assert {made["checksum"]} == {listed[0]["checksum"], shown["checksum"]}
    assert [table["name"] for table in shown["contents"][0]["tables"]] == ["orders", "users"]
    assert [item["name"] for item in shown["contents"][0]["objects"]] == ["mails"]
    assert (proven["rows_count"], proven["size"]) == (102, made["size"])
    assert deleted["backup_id"] == made["backup_id"]
    assert cli.json("backup", "list")["backups"] == []
    assert cli.files() == set()


def test_a_backup_is_named_by_its_file_or_as_the_latest(cli, sql, database):
    """A recovery point is never the latest, what is deleted is named itself, and --limit shortens the list."""
    _fill(sql)
    old, new = (cli.json("backup", "create")["backup_id"] for _ in range(2))
    point = cli.json("recovery-point", "create")["backup_id"]
    file = cli.json("backup", "info", old)["full_path"]

    for name in (file, file.rpartition("/")[2], f"{file}.manifest.json"):
        assert cli.json("backup", "info", name)["backup_id"] == old
    assert cli.json("backup", "verify", "latest")["backup_id"] == new
    assert cli.json("restore", "options", "latest")["backup_id"] == new
    assert f"Backup {new} is pinned." in cli("backup", "pin", "latest").out
    elsewhere = f"/elsewhere/{file.rpartition('/')[2]}"
    assert cli.error("backup", "info", elsewhere, code=10)["code"] == "backup-not-found"
    assert cli.error("backup", "delete", "latest", code=12)["code"] == "invalid-request"
    listed = cli.json("backup", "list", "--limit", "2")["backups"]
    assert [backup["backup_id"] for backup in listed] == [point, new]


def test_a_backup_is_restored_into_a_new_database_and_proven(cli, sql, database):
    """The rows are there, and the document says that they were read back."""
    _fill(sql)
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    target = f"{database}_new"

    try:
        restored = cli.json("restore", "run", backup_id, "--into", target)
        rows = sql.run(f"SELECT COUNT(*) FROM `{target}`.users NATURAL JOIN `{database}`.users")
        mails = sql.run(f"SELECT COUNT(*) FROM `{target}`.mails")
    finally:
        sql.run(f"DROP DATABASE IF EXISTS `{target}`")

    assert restored["restored_tables"] == [f"{target}.orders", f"{target}.users"]
    assert (restored["rows_count"], restored["verified"]) == (102, True)
    assert restored["duration"] > 0
    assert (rows, mails) == ([(100,)], [(100,)])


def test_one_table_is_restored_alone(cli, sql, database):
    """--table leaves the rest out, and --no-verify-after is admitted in the document."""
    _fill(sql)
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    target = f"{database}_one"

    try:
        restored = cli.json(
            "restore", "run", backup_id, "--into", target, "--table", "ord*", "--threads", "1",
            "--no-verify-before", "--no-verify-after",
        )  # fmt: skip
        tables = sql.run(f"SHOW TABLES FROM `{target}`")
    finally:
        sql.run(f"DROP DATABASE IF EXISTS `{target}`")

    assert tables == [("orders",)]
    assert (restored["rows_count"], restored["verified"]) == (2, False)


def test_options_choose_what_is_backed_up(cli, sql, database):
    """Tables by glob, definitions alone, and every codec."""
    _fill(sql)
    common = ("backup", "create", "--database", database, "--no-verify", "--threads", "1")

    chosen = cli.json(*common, "--table", "*s", "--exclude-table", "ord*", "--codec", "zstd")
    empty = cli.json(*common, "--no-data", "--codec", "none")
    plain = cli.json(*common, COMPRESS="false")

    assert (chosen["tables_count"], chosen["rows_count"]) == (1, 100)
    assert chosen["file"].endswith(".sql.zst")
    assert (empty["tables_count"], empty["rows_count"], empty["verified"]) == (2, 0, False)
    assert empty["file"].endswith(".sql")
    assert (plain["codec"], plain["rows_count"]) == ("none", 102)
    assert cli.json("backup", "list")["backups"][0]["options"]["compress"] is False


def test_people_get_sentences(cli, sql, database):
    """Without --json the same facts are readable, and progress stays on stderr."""
    _fill(sql)
    made = cli("backup", "create", "--database", database, "--description", "[red]x[/] \x1b[31m")
    backup_id = made.out.split()[1]
    target = f"{database}_people"

    try:
        restored = cli("restore", "run", backup_id, "--into", target)
    finally:
        sql.run(f"DROP DATABASE IF EXISTS `{target}`")
    listed = cli("backup", "list")

    assert made.out.startswith(f"Backup {backup_id} created and verified.\nFile ")
    assert "2 tables, 102 rows" in made.out
    assert made.remarks == ""
    assert "every row was read back and is equal" in restored.out
    assert backup_id in listed.out
    assert r"[red]x[/] \x1b[31m" in listed.out
    assert "whole" in cli("backup", "verify", backup_id).out
    assert "mails" in cli("backup", "info", backup_id).out
    assert cli("backup", "delete", backup_id).out == f"Backup {backup_id} deleted.\n"
    assert cli("backup", "list").out == "No backups.\n"


def test_a_directory_of_backups_needs_no_server(cli, sql, database):
    """List, info, verify, rebuild and delete work when the server and its address are gone."""
    _fill(sql)
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    alone = Cli("", cli.home)

    assert len(alone.json("backup", "list")["backups"]) == 1
    assert alone.json("backup", "info", backup_id)["rows_count"] == 102
    assert alone.json("backup", "verify", backup_id)["rows_count"] == 102
    assert alone.json("catalog", "rebuild")["backups_count"] == 1
    assert alone.json("backup", "delete", backup_id)["success"] is True


def test_a_lost_manifest_and_a_lost_catalogue_are_made_again(cli, sql, database):
    """The file alone is enough."""
    _fill(sql)
    made = cli.json("backup", "create", "--database", database)
    (cli.backups / f"{made['file']}.manifest.json").unlink()
    (cli.backups / "metadata.json").unlink()

    lost = cli.json("backup", "list")
    rebuilt = cli.json("catalog", "rebuild")
    listed = cli.json("backup", "list")["backups"]

    assert (lost["backups"], lost["orphans"]) == ([], [made["file"]])
    assert rebuilt["rebuilt"] == [made["backup_id"]]
    assert [backup["checksum"] for backup in listed] == [made["checksum"]]


def test_the_file_restores_with_the_vendors_client(cli, sql, database):
    """`zcat FILE | mariadb DB` gives the same rows with nothing of ours."""
    _fill(sql)
    made = cli.json("backup", "create", "--database", database)
    before = sql.run("CHECKSUM TABLE users EXTENDED")
    sql.script(["DROP TABLE users", "DROP TABLE orders", "DROP VIEW mails"])
    text = gzip.decompress((cli.backups / made["file"]).read_bytes())

    subprocess.run(
        [CLIENT, "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root",
         f"--port={cli.url.rsplit(':', 1)[1].strip('/')}", database],
        input=text, check=True,
    )  # fmt: skip

    assert sql.run("CHECKSUM TABLE users EXTENDED") == before


def test_passwords_with_every_character_and_unix_sockets_work(cli, own_server):
    """The address is decoded as a URL; a socket is named by an option."""
    server = own_server()
    password = "p@ss/w:rd#?%&+ \"'\\"
    literal = password.replace("\\", "\\\\").replace("'", "''")
    with Sql(server.url) as root:
        root.script([
            "CREATE DATABASE d",
            f"CREATE USER 'odd user'@'%' IDENTIFIED BY '{literal}'",
            "GRANT ALL ON *.* TO 'odd user'@'%'",
        ])
    login = f"{quote('odd user')}:{quote(password, safe='')}"
    tcp = f"mysql://{login}@127.0.0.1:{server.port}/d"
    socket = f"mysql+aiomysql://{login}@localhost/d?unix_socket={quote(str(server.socket))}"

    by_tcp = cli.json("backup", "create", DATABASE_URL=tcp)
    by_socket = cli.json("--verbose", "backup", "create", DATABASE_URL=socket)

    assert by_tcp["databases"] == by_socket["databases"] == ["d"]


def test_verbose_logs_lines_of_time_level_and_facts(cli, sql, database):
    """`[time] LEVEL: message {facts}` on stderr, and the answer alone on stdout."""
    sql.run("CREATE TABLE users (id INT PRIMARY KEY)")
    made = cli("--verbose", "backup", "create", "--database", database, "--json")

    moment = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]"
    backup_id = made.document["backup_id"]
    first, table, last = made.err.splitlines()
    run = r',"run_id":"run_[0-9a-f]{16}","user":"os:[^"]+"}'
    assert re.fullmatch(
        rf"{moment} INFO: Backing up table: {database}\.users {{{run.removeprefix(',')}", table
    )
    assert re.fullmatch(
        rf'{moment} INFO: Starting database backup {{"backup_id":"{backup_id}"{run}', first
    )
    assert re.fullmatch(
        rf'{moment} INFO: Database backup completed successfully {{"backup_id":"{backup_id}",'
        rf'"duration":[\d.]+{run}',
        last,
    )


def test_a_reader_that_leaves_early_is_no_bug(cli):
    """`backstay backup list --json | head -1` ends without a traceback."""
    cli.backups.mkdir(mode=0o700)
    with cli.start("backup", "list", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()

    assert "Traceback" not in error

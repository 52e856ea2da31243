"""Recoveries by command: what people see, and that encrypted backups stay encrypted."""

from tests.fixtures.point_in_time import STATUS, archive_log


def test_an_encrypted_backup_is_recovered_into_an_encrypted_one(cli, sql, database):
    """The key reads the base, and the recipients are those of every new backup."""
    sql.script(["CREATE TABLE t (i INT PRIMARY KEY)", "FLUSH BINARY LOGS"])
    first = str(sql.run("SHOW BINARY LOGS")[-1][0])
    identity = cli.home / "identity"
    made = cli.json("key", "new", "--out", str(identity))
    keys = {"ENCRYPT_TO": made["recipient"], "IDENTITY_FILE": str(identity)}
    base = cli.json("backup", "create", "--database", database, **keys)
    sql.run("INSERT INTO t VALUES (1), (2)")
    file, position, *_ = sql.run(STATUS)[0]
    archive_log(sql, cli.backups, first=first)

    done = cli("recover", "--to-position", f"{file}:{position}", **keys)

    assert done.code == 0, done.err
    assert f"from backup {base['backup_id']} and the binary log to {file}:{position}" in done.out
    info = cli.json("backup", "info", "latest", **keys)
    assert info["rows_count"] == 2
    assert info["recipients"] == base["recipients"] != []

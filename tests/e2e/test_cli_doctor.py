"""Command line: the doctor finds what would make a backup fail, and says what to do."""

import shutil
from pathlib import Path


def _states(document):
    return {check["name"]: check["state"] for check in document["checks"]}


def test_a_healthy_installation_is_all_right(cli, sql, database):
    """Exit 0; every check has a name, a state and a detail."""
    cli.json("backup", "create", "--database", database)
    document = cli.json("doctor")
    printed = cli("doctor")

    assert set(_states(document).values()) == {"ok"}
    assert list(_states(document)) == [
        "address", "connection", "encryption", "binary log", "max_allowed_packet", "rows", "backup rights", "snapshot rights",
        "restore rights", "restores", "backup directory", "directory mode", "disk", "leftovers", "backups",
        "schedules", "private files", "server programs", "codecs",
    ]  # fmt: skip
    assert printed.code == 0
    assert printed.out.count("ok  ") == len(document["checks"])


def test_a_doctor_without_a_server_still_looks_at_the_directory(cli):
    """The connection fails with its family's code; the rest is examined."""
    down = cli.json("doctor", code=20, DATABASE_URL="mysql://u:hunter2@127.0.0.1:1/")
    unset = cli.json("doctor", code=12, DATABASE_URL="")

    for document in (down, unset):
        assert _states(document)["connection"] == "fail"
        assert _states(document)["backup directory"] == "warn"
        assert "hunter2" not in str(document)


def test_damage_and_orphans_are_findings(cli, sql, database):
    """A damaged manifest fails the examination, a lost one is a warning with its remedy."""
    first, second = (
        cli.backups / cli.json("backup", "create", "--database", database)["file"] for _ in range(2)
    )
    manifest = first.with_name(first.name + ".manifest.json")
    manifest.write_bytes(manifest.read_bytes()[:-2])
    second.with_name(second.name + ".manifest.json").unlink()
    cli.backups.chmod(0o755)
    sick = cli.json("doctor", code=22)
    remedies = {check["name"]: check["remedy"] for check in sick["checks"]}
    cli.json("catalog", "rebuild")
    well = cli.json("doctor")

    assert _states(sick)["damaged backup"] == "fail"
    assert _states(sick)["lost manifest"] == "warn"
    assert remedies["lost manifest"] == "backstay catalog rebuild"
    assert remedies["directory mode"] == f"chmod 700 {cli.backups}"
    assert _states(well)["backups"] == "ok"


def test_a_control_database_that_does_not_answer_is_a_warning(cli):
    """Neither a backup nor a restore needs it; a file of ours is not even looked at."""
    document = cli.json("doctor", CONTROL_URL="mysql://u:hunter2@127.0.0.1:1/d")
    usual = cli.json("doctor")

    assert _states(document)["control database"] == "warn"
    assert "hunter2" not in str(document)
    assert "control database" not in _states(usual)


def test_what_the_server_lacks_is_a_warning(cli, own_server):
    """No binary log and a small packet do not stop a backup."""
    server = own_server("--skip-log-bin", "--max-allowed-packet=1M")
    shutil.rmtree(cli.backups, ignore_errors=True)
    states = _states(cli.json("doctor", DATABASE_URL=server.url))

    assert (states["binary log"], states["max_allowed_packet"]) == ("warn", "warn")
    assert not cli.backups.exists()


def test_schedules_that_cannot_be_read_are_a_failure(cli):
    """Exit 22, by name: nothing would ever be backed up by them."""
    cli.json("schedule", "set", "nightly", "--frequency", "daily")
    before = {check["name"]: check for check in cli.json("doctor")["checks"]}
    (cli.backups / "schedule.json").write_bytes(b'{"schedules": [')
    document = cli.json("doctor", code=22)

    assert before["schedules"]["detail"] == "enabled: nightly"
    assert _states(document)["schedules"] == "fail"


def test_a_setting_with_a_wrong_name_is_told(cli):
    """A warning with the nearest right name, by every command on stderr and by the doctor; no value."""
    document = cli.json(
        "doctor", BACKUPDIR="/hunter2", QUITE_ELSE="x", SERVICE_HOST="of Kubernetes"
    )
    listed = cli("schedule", "show", BACKUPDIR="/hunter2")
    found = [check["detail"] for check in document["checks"] if check["name"] == "settings"]

    assert found == [
        "BACKSTAY_BACKUPDIR is no setting; did you mean BACKSTAY_BACKUP_DIR?",
        "BACKSTAY_QUITE_ELSE is no setting: docs/settings.md lists them",
    ]
    assert (listed.code, listed.err) == (0, f"Warning: {found[0]}\n")
    assert "hunter2" not in str(document)


def test_a_directory_that_is_gone_is_not_made_anew(cli, database):
    """Its file system is not mounted: nothing is written into the mount point, and everybody says so."""
    create = ("backup", "create", "--database", database)
    cli.json(*create)
    kept = cli.backups.rename(cli.home / "elsewhere")
    gone = cli.error(*create, code=21)
    cli.backups.mkdir(mode=0o700)
    empty = [cli.error(*command, code=21) for command in (create, ("backup", "list"))]
    doctor = cli.json("doctor", code=21)
    schedule = cli.error("schedule", "set", "--frequency", "daily", code=21)
    left = list(cli.backups.iterdir())
    cli.backups.rmdir()
    kept.rename(cli.backups)

    for error in (gone, *empty, schedule):
        assert error["code"] == "storage-unavailable"
        assert error["message"] == "backups: backups were kept there, and now it is gone or empty"
        assert "directories.json" in error["hint"]
    assert _states(doctor)["backup directory"] == "fail"
    assert left == []
    assert len(cli.json("backup", "list")["backups"]) == 1


def test_a_directory_may_begin_anew_on_purpose(cli, database):
    """Whoever removes the note that the hint names says so."""
    create = ("backup", "create", "--database", database)
    cli.json(*create)
    shutil.rmtree(cli.backups)
    hint = cli.error(*create, code=21)["hint"]
    Path(hint.rpartition("remove ")[2].removesuffix(".")).unlink()

    assert cli.json(*create)["success"]


def test_the_archive_of_the_binary_log_is_looked_at_where_it_is_wanted(cli, sql, database):
    """Nobody archives, no backup stands in it; rights and settings of the server are named."""
    made = cli.json("backup", "create", "--database", database)
    plain = _states(cli.json("doctor"))
    document = cli.json("doctor", BINLOG="true", BINLOG_DAYS="7")
    details = {check["name"]: check["detail"] for check in document["checks"]}

    assert made["backup_id"]
    assert not [name for name in plain if name.startswith("log ")]
    assert details["log archive"] == "no process archives the binary log"
    assert details["log window"] == "no backup stands in the archive yet"
    assert "log source" in details
    assert details["log archive size"] == "0 B on disk"


def test_a_right_for_the_binary_log_that_is_missing_fails_with_its_grant(cli, sql, database):
    """The statement is the one to run."""
    user = f"{database}_r"
    sql.run(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")
    try:
        login, _, place = cli.url.partition("://")[2].partition("@")
        url = f"mysql://{user}:secret@{place or login}"
        document = cli("doctor", "--json", BINLOG="true", DATABASE_URL=url).document
    finally:
        sql.run(f"DROP USER '{user}'@'%'")
    (found,) = [check for check in document["checks"] if check["name"] == "log source"]
    assert found["state"] == "fail"
    assert "GRANT REPLICATION SLAVE ON *.*" in found["remedy"]

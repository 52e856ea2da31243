"""The health of backups as people see it: by command, and over HTTP."""

import re
from datetime import UTC, datetime

from tests.fixtures.api_requests import BACKUP, WAIT, created, done, problem


def _fill(sql):
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t SELECT seq FROM seq_1_to_99"])


def _damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_the_backups_that_are_due_are_checked_by_command(cli, sql, database):
    """A new one that nobody read is looked into and drilled; afterwards nothing is due."""
    _fill(sql)
    made = cli.json("backup", "create", "--database", database, "--no-verify")
    backup_id = made["backup_id"]

    checked = cli.json("backup", "check")
    again = cli("backup", "check")
    shown = cli.json("backup", "info", backup_id)

    assert checked["checks"] == [
        {"backup_id": backup_id, "store": "", "what": what, "success": True}
        | {"error": None, "bytes_read": None}
        for what in ("content", "drill")
    ]
    assert set(checked) == {"success", "checks"}
    assert (again.code, again.out) == (0, "No check is due.\n")
    assert [(check["level"], check["success"]) for check in shown["checks"]] == [("content", True)]
    assert shown["proven_at"] is not None
    assert re.search("Checked +content 20", cli("backup", "info", backup_id).out)


def test_damage_that_a_check_finds_is_the_exit_code(cli, sql, database):
    """22, each one named; the others are checked all the same, and no server is needed."""
    _fill(sql)
    bad, good = (
        cli.json("backup", "create", "--database", database, "--no-verify") for _ in range(2)
    )
    _damage(cli.backups / bad["file"])
    settings = {"DRILL_DAYS": "0", "DATABASE_URL": ""}

    told = cli("backup", "check", "--all-due", **settings)
    shown = cli.json("backup", "info", bad["backup_id"], **settings)

    assert told.code == 22
    assert f"Damaged: {bad['backup_id']}: content: " in told.err
    assert told.out == "2 checks made, 1 good.\n"
    assert [(check["level"], check["error"]) for check in shown["checks"]] == [
        ("content", "checksum-mismatch")
    ]
    assert cli.json("backup", "info", good["backup_id"])["checks"][0]["success"] is True


def test_the_service_shows_what_checks_have_found(admin, shared_api, sql, database):
    """With the backup, level by level, and counted in the status."""
    _fill(sql)
    run = created(admin, databases=[database])
    url = f"{BACKUP}/info/{run['backup_id']}"
    before = admin.get(f"{BACKUP}/status").json()["checks_failing"]
    assert [check["level"] for check in admin.get(url).json()["checks"]] == ["inflate"]

    done(admin.post(f"{BACKUP}/verify/{run['backup_id']}", json={"level": "size"}, headers=WAIT))
    _damage(shared_api.backups / run["result"]["file"])
    answer = admin.post(f"{BACKUP}/verify/{run['backup_id']}", headers=WAIT)
    problem(answer, 500, "checksum-mismatch")

    found = admin.get(url).json()["checks"]
    assert [(check["level"], check["success"], check["error"]) for check in found] == [
        ("size", True, None),
        ("inflate", True, None),
        ("content", False, "checksum-mismatch"),
    ]
    assert admin.get(f"{BACKUP}/status").json()["checks_failing"] == before + 1
    done(admin.delete(f"{BACKUP}/delete/{run['backup_id']}"))
    assert admin.get(f"{BACKUP}/status").json()["checks_failing"] == before


def test_the_status_says_when_a_backup_was_last_proven(admin, sql, database):
    """By a drill of whichever backup."""
    _fill(sql)
    run = created(admin, databases=[database])
    began = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - compared with a service's clock

    done(
        admin.post(f"{BACKUP}/test-restore/{run['backup_id']}", json={"drill": True}, headers=WAIT)
    )

    proven = admin.get(f"{BACKUP}/status").json()["last_proven_at"]
    assert began <= datetime.fromisoformat(proven) <= datetime.now(UTC)  # noqa: TID251 - the same

"""Retention as its users meet it: by command and over HTTP, bytes on disk out."""

import json
import re

from app.binlog.archive.reading import open_streams
from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, WAIT, created, done, problem
from tests.fixtures.cli import address
from tests.fixtures.clocks import LEAP_DAYS
from tests.fixtures.point_in_time import archive_log


def test_commands_prune_what_no_pin_keeps(cli, sql, database):
    """Made by themselves old backups go; a pin and a dry run keep them; the audit is whole."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")

    def create(*arguments, **settings):
        return cli.json(
            "backup", "create", "--database", database, *arguments, **settings
        )["backup_id"]  # fmt: skip

    first, second = create(), create()
    unread = create("--no-verify", MAX_BACKUPS="1")
    pinned = cli.json("backup", "pin", first, "--reason", "before the move")
    plan = cli.json("backup", "prune", "--dry-run", MAX_BACKUPS="1")
    printed = cli("backup", "prune", "--dry-run", MAX_BACKUPS="1").out
    newest = create(MAX_BACKUPS="1")
    listed = cli.json("backup", "list")["backups"]

    assert pinned["pin"]["reason"] == "before the move"
    assert pinned["pin"]["by"].startswith("os:")
    assert [backup["backup_id"] for backup in plan["keep"]] == [unread, second, first]
    assert plan["delete"] == []
    assert "pinned by os:" in printed
    assert "one of the" not in printed
    assert {backup["backup_id"]: backup["pin"] for backup in listed} == {
        newest: None,
        first: pinned["pin"],
    }
    assert cli.json("backup", "info", first)["pin"] == pinned["pin"]
    refused = cli.error("backup", "delete", first, code=11)
    assert refused["code"] == "backup-pinned"
    assert "before the move" in refused["message"]
    assert cli.error("backup", "pin", "backup_0000000000000", code=10)

    assert cli.json("backup", "unpin", first)["pin"] is None
    pruned = cli.json("backup", "prune", MAX_BACKUPS="1")
    assert [backup["backup_id"] for backup in pruned["deleted"]] == [first]
    assert (pruned["kept"], pruned["failed"]) == (1, [])
    assert cli("backup", "prune").out == "0 backups deleted (0 B), 1 kept.\n"
    assert len(cli.files() - {"schedule.json"}) == 2
    assert cli.json("audit", "verify")["entries"] > 5


def test_commands_tell_what_goes_of_the_binary_log(cli, sql, database):
    """Which segments, from where on the rest is, and why nothing goes of what is damaged."""
    sql.script(["CREATE TABLE t (a INT PRIMARY KEY)", "FLUSH BINARY LOGS"])
    begun = str(sql.run("SHOW BINARY LOGS")[-1][0])
    for number in range(3):
        if number != 1:
            cli.json("backup", "create", "--database", database)
        sql.script([f"INSERT INTO t VALUES ({number})", "FLUSH BINARY LOGS"])
    archive_log(sql, cli.backups, first=begun)
    (stream,) = open_streams(cli.backups)
    third = stream.files[2]
    place = re.escape(f"begins at {third.name}:") + r"\d+ then"

    dry = cli("backup", "prune", "--dry-run", MAX_BACKUPS="1").out
    assert re.search(
        rf"^Binary log {stream.id}: 2 segments would go \([\d.]+ k?B\), {place}\.$",
        dry,
        re.MULTILINE,
    )
    (planned,) = cli.json("backup", "prune", "--dry-run", MAX_BACKUPS="1")["binlog"]
    damaged = next((cli.backups / "binlog" / stream.id).glob(f"{third.number:010}_*.json"))
    kept = damaged.read_bytes()
    damaged.write_bytes(kept.replace(b'"', b"'", 1))
    told = cli("backup", "prune", "--dry-run", MAX_BACKUPS="1").err
    assert re.search(
        rf"^Binary log {stream.id}: nothing goes: .*{damaged.stem}", told, re.MULTILINE
    )
    damaged.write_bytes(kept)

    done = cli("backup", "prune", MAX_BACKUPS="1").out
    assert re.search(
        rf"^Binary log {stream.id}: 2 segments deleted \([\d.]+ k?B\), {place}\.$",
        done,
        re.MULTILINE,
    )
    assert planned["segments"] == 2
    (stream,) = open_streams(cli.backups)
    assert f"{stream.files[0].name}:{stream.files[0].start}" == planned["begins_at"]
    assert "Binary log" not in cli("backup", "prune").out


def test_a_clock_that_jumped_stops_the_command_until_it_is_accepted(cli, sql, database):
    """Exit 11 and a hint; the backups are there, and one that is made all the same."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    for _ in range(2):
        cli.json("backup", "create", "--database", database)
    witness = cli.home / "state" / "clock" / "witness.json"
    known = json.loads(witness.read_text())
    witness.write_text(json.dumps({**known, "at": "2025-01-01T00:00:00Z"}))

    refused = cli.error("backup", "prune", code=11, MAX_BACKUPS="1")
    cli.json("backup", "create", "--database", database, MAX_BACKUPS="1")
    plan = cli.json("backup", "prune", "--dry-run", MAX_BACKUPS="1")
    accepted = cli.json("backup", "prune", "--accept-clock", MAX_BACKUPS="1")

    assert refused["code"] == "clock-jumped"
    assert "--accept-clock" in refused["hint"]
    assert "set ahead" in plan["clock"]
    assert (len(plan["delete"]), len(accepted["deleted"])) == (2, 2)
    assert cli.json("backup", "prune", MAX_BACKUPS="1")["kept"] == 1


def test_an_operator_deletes_nothing_by_schedules(own_api, server, sql, database):
    """What six of six good backups were deleted by: one that keeps one, forced; and many forced ones."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    api = own_api(address(server.url, database=database)).start(MAX_BACKUPS="2")
    admin, operator = api.client(), api.client("operator")
    admin.post(f"{BACKUP}/schedule", json={"cron": LEAP_DAYS, "retention": {"count": 2}})
    forced = {"force": True}
    old = done(admin.post(f"{BACKUP}/run-scheduled", json=forced, headers=WAIT))["backup_id"]
    admin.post(f"{BACKUP}/pin/{old}")

    fewer = {"cron": LEAP_DAYS, "retention": {"count": 1}}
    problem(operator.post(f"{BACKUP}/schedule", json=fewer), 403, "not-authorized")
    problem(operator.delete(f"{BACKUP}/pin/{old}"), 403, "not-authorized")
    problem(operator.delete(f"{BACKUP}/schedule/default"), 403, "not-authorized")
    for _ in range(3):
        done(operator.post(f"{BACKUP}/run-scheduled", json=forced, headers=WAIT))
    listed = [backup["backup_id"] for backup in admin.get(f"{BACKUP}/list").json()["backups"]]

    assert len(listed) == 3
    assert old in listed


def test_the_service_prunes_what_no_pin_keeps(own_api, server, sql, database):
    """After each backup, and when asked; every deletion is in the audit by who wanted it."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    api = own_api(address(server.url, database=database)).start(MAX_BACKUPS="1")
    admin = api.client()
    ids = [created(admin)["backup_id"]]
    pinned = api.client("operator").post(f"{BACKUP}/pin/{ids[0]}", json={"reason": "for ever"})
    ids += [created(admin)["backup_id"], created(admin)["backup_id"]]
    listed = admin.get(f"{BACKUP}/list").json()["backups"]

    assert pinned.json()["pin"]["by"] == "some-operator"
    assert [(backup["backup_id"], backup["pin"] is None) for backup in listed] == [
        (ids[2], True), (ids[0], False),
    ]  # fmt: skip
    assert admin.get(f"{BACKUP}/status").json()["last_backup"]["pin"] is None
    deletion = admin.delete(f"{BACKUP}/delete/{ids[0]}")
    assert "for ever" in problem(deletion, 409, "backup-pinned")["detail"]

    assert admin.delete(f"{BACKUP}/pin/{ids[0]}").json()["pin"] is None
    plan = admin.post(f"{BACKUP}/prune").json()
    assert [backup["backup_id"] for backup in plan["delete"]] == [ids[0]]
    assert len(admin.get(f"{BACKUP}/list").json()["backups"]) == 2
    begun = admin.post(f"{BACKUP}/prune", json={"dry_run": False})
    assert begun.status_code == 202
    run = finished(admin, begun.json()["run_id"])
    assert (run["kind"], run["state"]) == ("prune", "succeeded")
    assert [backup["backup_id"] for backup in run["result"]["deleted"]] == [ids[0]]
    again = done(admin.post(f"{BACKUP}/prune", json={"dry_run": False}, headers=WAIT))
    assert again["result"]["deleted"] == []

    entries = admin.get("/api/admin/audit", params={"action": "delete_backup"}).json()["entries"]
    found = {(entry["actor"], entry["target"]) for entry in entries if entry["result"] == "ok"}
    assert found == {("retention", ids[1]), ("some-admin", ids[0])}


def test_rules_are_tried_before_they_are_saved(own_api, server, sql, database):
    """By request and by command alike; nothing is saved or deleted, and what deletes takes none."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    api = own_api(address(server.url, database=database)).start()
    admin = api.client()
    admin.post(f"{BACKUP}/schedule", json={"frequency": "daily"})
    due = {"force": True}
    ids = [
        done(admin.post(f"{BACKUP}/run-scheduled", json=due, headers=WAIT))["backup_id"]
        for _ in range(3)
    ]

    body = {"schedule": "default", "retention": {"count": 1}}
    plan = admin.post(f"{BACKUP}/prune", json=body).json()
    rules = ("--schedule", "default", "--keep", "count=1")
    printed = json.loads(api.cli("backup", "prune", "--dry-run", *rules, "--json").stdout)

    gone = [ids[1], ids[0]]
    assert [backup["backup_id"] for backup in plan["delete"]] == gone
    assert [backup["backup_id"] for backup in printed["delete"]] == gone
    assert admin.post(f"{BACKUP}/prune", json={"schedule": "default"}).json()["delete"] == []
    assert admin.get(f"{BACKUP}/schedule").json()["schedules"][0]["retention"] is None
    assert admin.get(f"{BACKUP}/list").json()["total"] == 3

    for wrong in ({**body, "dry_run": False}, {"retention": {"count": 1}}):
        problem(admin.post(f"{BACKUP}/prune", json=wrong), 422, "invalid-request")
    problem(admin.post(f"{BACKUP}/prune", json={"schedule": "no"}), 404, "schedule-not-found")
    for arguments in (
        rules,
        ("--dry-run", "--keep", "count=1"),
        ("--dry-run", *rules[:3], "all=1"),
    ):
        assert api.cli("backup", "prune", *arguments).returncode == 12
    assert admin.get(f"{BACKUP}/list").json()["total"] == 3

"""Retention in a store, as its users meet it: what goes from there, and what never does by itself."""

import json
import re
import sqlite3
from contextlib import closing
from threading import Event

import pytest

from app.binlog.archive.layout import FOLDER
from app.binlog.archive.reading import open_streams
from app.binlog.copying import StreamCopy
from app.storage.local import LocalDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.cli import address
from tests.fixtures.clocks import LEAP_DAYS
from tests.fixtures.point_in_time import archive_log


STORE = "offsite"


@pytest.fixture
def define(cli, tmp_path):
    """Define the store, with further keys."""
    place = tmp_path / "elsewhere"
    place.mkdir()

    def write(*keys: str, home=tmp_path) -> None:
        state = home / "state"
        state.mkdir(exist_ok=True)
        lines = [f"[{STORE}]", 'kind = "local"', f"path = {json.dumps(str(place))}", *keys]
        (state / "stores.toml").write_text("\n".join(lines))

    return write


@pytest.fixture
def shop(sql, database):
    """A small database."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    return database


def there(cli):
    """The ids of the backups in the store, newest first."""
    return [entry["backup_id"] for entry in cli.json("backup", "list", "--store", STORE)["backups"]]


def alerts(cli):
    """What the open alerts are about."""
    found = cli.json("alert", "list")["alerts"]
    return [alert["about"] for alert in found if alert["closed_at"] is None]


def test_a_store_keeps_by_its_own_rules_what_a_schedule_copies_there(cli, shop, define):
    """The directory keeps one, the store two; each deletion is in the audit."""
    define("retention = { count = 2 }")
    schedule = ("schedule", "set", "--cron", LEAP_DAYS, "--database", shop)
    cli.json(*schedule, "--copies", STORE, "--keep", "count=1")
    made = [cli.json("cron", "--force")["backup_id"] for _ in range(4)]

    assert there(cli) == made[:1:-1]
    assert [entry["backup_id"] for entry in cli.json("backup", "list")["backups"]] == made[-1:]
    with closing(sqlite3.connect(cli.home / "state" / "control.db")) as control:
        audited = control.execute(
            "SELECT target, changes FROM audit WHERE action = 'delete_backup' AND changes != ''"
        ).fetchall()
    changes = json.dumps({"store": [STORE, None]}, separators=(",", ":"))
    assert audited == [(backup_id, changes) for backup_id in made[:2]]
    assert alerts(cli) == []


def test_changed_rules_delete_nothing_before_somebody_lets_them(cli, shop, define):
    """An alert says how many would go; then a prune by hand, and it goes by itself again."""
    define("retention = { count = 5 }")
    create = ("backup", "create", "--database", shop, "--store", STORE)
    made = [cli.json(*create)["backup_id"] for _ in range(3)]
    define("retention = { count = 1 }")
    made.append(cli.json(*create)["backup_id"])
    plan = cli.json("backup", "prune", "--dry-run", "--store", STORE)

    assert there(cli) == made[::-1]
    assert alerts(cli) == [f"retention in {STORE}"]
    assert len(plan["delete"]) == 3
    assert there(cli) == made[::-1]
    pruned = cli.json("backup", "prune", "--store", STORE)
    assert (len(pruned["deleted"]), pruned["kept"]) == (3, 1)
    made.append(cli.json(*create)["backup_id"])
    assert there(cli) == made[-1:]
    assert alerts(cli) == []


def test_without_rules_nothing_goes_from_a_store(cli, shop, define):
    """Whatever the settings say of the directory; a prune by hand is refused, a dry run says why."""
    define()
    create = ("backup", "create", "--database", shop, "--store", STORE)
    made = [cli.json(*create, MAX_BACKUPS="1")["backup_id"] for _ in range(3)]
    error = cli.error("backup", "prune", "--store", STORE, code=12, MAX_BACKUPS="1")
    plan = cli.json("backup", "prune", "--dry-run", "--store", STORE, MAX_BACKUPS="1")

    assert there(cli) == made[::-1]
    assert "the store has no retention" in error["message"]
    assert {row["reason"] for row in plan["keep"]} == {"the store has no retention"}
    assert plan["delete"] == []
    error = cli.error(
        "backup", "prune", "--store", STORE, "--keep", "count=1", "--dry-run", code=12
    )
    assert "backup directory" in error["message"]


def test_a_pin_in_a_store_keeps_a_backup_there(cli, shop, define):
    """And is that of the store alone."""
    define("retention = { count = 1 }")
    create = ("backup", "create", "--database", shop, "--store", STORE)
    first = cli.json(*create)["backup_id"]
    cli.json("backup", "pin", first, "--reason", "before the move", "--store", STORE)
    second = cli.json(*create)["backup_id"]

    assert there(cli) == [second, first]
    assert (
        cli.error("backup", "delete", first, "--store", STORE, code=11)["code"] == "backup-pinned"
    )
    cli.json("backup", "unpin", first, "--store", STORE)
    third = cli.json(*create)["backup_id"]
    assert there(cli) == [third]


def test_what_a_schedule_left_that_writes_there_no_more_stays(cli, shop, define):
    """Its rules are nobody's now."""
    define("retention = { count = 1 }")
    schedule = ("schedule", "set", "--cron", "0 2 * * *", "--database", shop)
    cli.json(*schedule, "--copies", STORE)
    copied = cli.json("cron", "--force")["backup_id"]
    cli.json("schedule", "delete", "default")
    made = [
        cli.json("backup", "create", "--database", shop, "--store", STORE)["backup_id"]
        for _ in range(2)
    ]

    assert there(cli) == [made[1], copied]


def test_a_prune_of_a_store_is_asked_for_over_http(own_api, server, shop, define):
    """As a dry run, and as a run that says of which store."""
    api = own_api(address(server.url, database=shop))
    define("retention = { count = 1 }", home=api.home)
    api.start()
    with api.client() as admin:
        asked = admin.post("/api/admin/backup/prune", json={"store": STORE})
        nowhere = admin.post("/api/admin/backup/prune", json={"store": "nowhere"})
        both = admin.post("/api/admin/backup/prune", json={"store": STORE, "schedule": "x"})
        body = {"store": STORE, "dry_run": False}
        run = admin.post("/api/admin/backup/prune", json=body, headers={"Prefer": "wait=30"}).json()
        stores = admin.get("/api/admin/stores").json()["stores"]

    assert (asked.status_code, asked.json()["keep"]) == (200, [])
    assert (nowhere.status_code, both.status_code) == (404, 422)
    assert (run["state"], run["request"]["store"]) == ("succeeded", STORE)
    assert stores[0]["retention"]["count"] == 1


def test_commands_tell_what_goes_of_the_copied_binary_log(cli, sql, shop, define, tmp_path):
    """As of the one here: how many segments, and from where on the rest is; what is kept here stays there, too."""
    define("retention = { count = 1 }")
    sql.run("FLUSH BINARY LOGS")
    begun = str(sql.run("SHOW BINARY LOGS")[-1][0])
    for number in range(3):
        if number != 1:
            made = cli.json("backup", "create", "--database", shop)["backup_id"]
            cli.json("backup", "copy", made, "--to", STORE)
        sql.script([f"INSERT INTO t VALUES ({number})", "FLUSH BINARY LOGS"])
    archive_log(sql, cli.backups, first=begun)
    (stream,) = open_streams(cli.backups)
    copy = StreamCopy(LocalDirectory(cli.backups / FOLDER / stream.id), append_only=False)
    store = LocalStore(tmp_path / "elsewhere")
    copy.run(store, lambda: None, Event())
    prune = ("backup", "prune", "--store", STORE)
    kept = cli(*prune, "--dry-run", BINLOG_STORES=STORE).out
    cli("backup", "prune", MAX_BACKUPS="1")
    copy.run(store, lambda: None, Event())

    told = [cli(*prune, *how, BINLOG_STORES=STORE).out for how in (["--dry-run"], [], [])]

    assert "Binary log" not in kept
    for out, verb in zip(told, ("would go", "deleted"), strict=False):
        line = rf"^Binary log {stream.id}: 2 segments {verb} \([\d.]+ k?B\), begins at {re.escape(stream.files[2].name)}:\d+ then\.$"
        assert re.search(line, out, re.MULTILINE)
    assert "Binary log" not in told[2]

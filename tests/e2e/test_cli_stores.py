"""Backups in a store, by the command line: made there, copied there, restored from there."""

import gzip
import json
import os
import shutil

import pytest

from app.storage import layout
from tests.fixtures.cli import wait_until
from tests.fixtures.dry_runs import drop
from tests.fixtures.gate import gate
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


STORE = "offsite"


@pytest.fixture
def offsite(cli, tmp_path):
    """The directory of a store of that name."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    text = f'[{STORE}]\nkind = "local"\npath = {json.dumps(str(place))}\n'
    (state / "stores.toml").write_text(text)
    return place


@pytest.fixture
def shop(cli, sql, database):
    """A database with rows and objects."""
    sql.script([
        "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(40))",
        "INSERT INTO users SELECT seq, CONCAT('name ', seq) FROM seq_1_to_20000",
        "CREATE TABLE orders (id INT PRIMARY KEY)",
        "INSERT INTO orders VALUES (1), (2)",
        "CREATE VIEW names AS SELECT name FROM users",
    ])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def names_in(place):
    return sorted(path.name for path in place.iterdir() if not path.name.startswith("."))


def test_a_backup_goes_straight_to_a_store_and_comes_back_from_it(cli, sql, shop, offsite):
    """No file of it is on this machine; everything that is done with a backup is done with it there."""
    before = snapshot(sql, shop)
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    assert made["full_path"] == f"{offsite}/{made['file']}"
    assert cli.files() == set()
    assert names_in(offsite) == sorted([
        made["file"],
        made["file"] + layout.MANIFEST,
        layout.METADATA,
    ])

    assert not cli.backups.exists()
    listed = cli.json("backup", "list", "--store", STORE)["backups"]
    assert [entry["backup_id"] for entry in listed] == [made["backup_id"]]
    assert cli.json("backup", "info", "latest", "--store", STORE)["checksum"] == made["checksum"]
    assert cli.json("backup", "verify", "latest", "--store", STORE)["rows_count"] == 20_002
    sql.script(["DELETE FROM users WHERE id > 7", "DROP TABLE orders"])
    seen = cli.json("restore", "run", "latest", "--dry-run", "--store", STORE)
    assert [table["name"] for table in seen["tables"] if table["action"] == "create"] == ["orders"]
    restored = cli.json("restore", "run", "latest", "--store", STORE)

    assert restored["verified"]
    assert_same(snapshot(sql, shop), before)
    points = cli.json("backup", "list")["backups"]
    assert [entry["recovery_point"] for entry in points] == [True]
    proven = cli.json("backup", "info", "latest", "--store", STORE)["proven_at"]
    assert proven is not None


def test_one_table_comes_back_from_a_store(cli, sql, shop, offsite):
    """By its members alone."""
    cli.json("backup", "create", "--database", shop, "--store", STORE)
    sql.run("DROP TABLE orders")
    cli.json("restore", "run", "latest", "--table", "orders", "--store", STORE)

    assert sql.run("SELECT COUNT(*) FROM orders") == [(2,)]


def test_a_copy_is_proven_where_it_lies_and_is_the_same_file(cli, shop, offsite):
    """Made once; a second time it is read back again; the local one may be lost then."""
    made = cli.json("backup", "create", "--database", shop)
    copied = cli.json("backup", "copy", "latest", "--to", STORE)
    again = cli.json("backup", "copy", "latest", "--to", STORE)
    there = offsite / made["file"]

    assert copied["checksum"] == again["checksum"] == made["checksum"]
    assert copied["full_path"] == str(there)
    assert there.read_bytes() == (cli.home / "backups" / made["file"]).read_bytes()
    cli.json("backup", "delete", made["backup_id"])
    back = cli.json("backup", "copy", made["backup_id"], "--from", STORE)
    assert back["full_path"].startswith(str(cli.home))
    assert cli.json("backup", "verify", "latest")["rows_count"] == 20_002


def test_a_copy_of_a_damaged_backup_is_none(cli, shop, offsite):
    """What is read is compared with what was written once, and nothing is left in the store."""
    made = cli.json("backup", "create", "--database", shop)
    file = cli.home / "backups" / made["file"]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    error = cli.error("backup", "copy", "latest", "--to", STORE, code=22)
    assert error["code"] == "checksum-mismatch"
    assert names_in(offsite) == []


def test_a_copy_that_was_damaged_is_told_when_it_is_made_again(cli, shop, offsite):
    """The very same manifest is there already, so the bytes are read back, not believed."""
    made = cli.json("backup", "create", "--database", shop)
    cli.json("backup", "copy", "latest", "--to", STORE)
    there = offsite / made["file"]
    data = bytearray(there.read_bytes())
    data[len(data) // 2] ^= 1
    there.write_bytes(data)

    assert (
        cli.error("backup", "copy", "latest", "--to", STORE, code=22)["code"] == "checksum-mismatch"
    )


def test_a_backup_in_a_store_is_deleted_manifest_first(cli, shop, offsite):
    """And its list says so at once."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    cli.json("backup", "delete", made["backup_id"], "--store", STORE)

    assert names_in(offsite) == [layout.METADATA]
    assert cli.json("backup", "list", "--store", STORE)["backups"] == []
    error = cli.error("backup", "verify", made["backup_id"], "--store", STORE, code=10)
    assert error["code"] == "backup-not-found"


def test_a_lost_service_finds_everything_from_a_store_alone(cli, sql, shop, offsite):
    """Without state, cache and manifest: the file itself says what it holds."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    for name in (layout.METADATA, made["file"] + layout.MANIFEST):
        (offsite / name).unlink()
    definition = (cli.home / "state" / "stores.toml").read_text()
    shutil.rmtree(cli.home / "state")
    (cli.home / "state").mkdir()
    (cli.home / "state" / "stores.toml").write_text(definition)

    assert cli.json("backup", "list", "--store", STORE)["orphans"] == [made["file"]]
    rebuilt = cli.json("catalog", "rebuild", "--store", STORE)
    assert rebuilt["rebuilt"] == [made["backup_id"]]
    assert cli.json("backup", "verify", "latest", "--store", STORE)["rows_count"] == 20_002


def test_what_lies_in_a_store_is_read_without_this_program(cli, shop, offsite):
    """It is the same file as on a disk."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)

    assert b"INSERT INTO `users`" in gzip.decompress((offsite / made["file"]).read_bytes())


def test_a_killed_backup_leaves_nothing_that_is_listed_and_the_next_one_sweeps(cli, shop, offsite):
    """Its claim stays; whoever finds it on this machine sees that its writer is gone."""
    with gate(cli.url) as way:
        way.close_after(read=1 << 17)  # of 20,000 rows, and more than is asked before them
        command = ("backup", "create", "--database", shop, "--store", STORE)
        with cli.start(*command, DATABASE_URL=way.url) as process, way.held():
            wait_until(
                lambda: any(name.endswith(layout.PARTIAL) for name in names_in(offsite)), "a claim"
            )
            process.kill()
            process.wait()

    assert cli.json("backup", "list", "--store", STORE)["backups"] in ([], _published(offsite))
    for path in offsite.glob(".upload-*"):  # they have no name of their own, and go by age
        os.utime(path, (0, 0))
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    assert not any(name.endswith(layout.PARTIAL) for name in names_in(offsite))
    assert not list(offsite.glob(".upload-*"))
    listed = cli.json("backup", "list", "--store", STORE)["backups"]
    assert made["backup_id"] in [entry["backup_id"] for entry in listed]


def _published(place):
    return [name for name in names_in(place) if name.endswith(layout.MANIFEST)]


def test_a_store_that_nobody_knows_is_told(cli, shop, offsite):
    """With the nearest name; and a copy to where it is already is none."""
    error = cli.error("backup", "list", "--store", "ofsite", code=10)
    assert error["code"] == "store-not-found"
    assert STORE in error["hint"]
    cli.json("backup", "create", "--database", shop)
    assert cli.error("backup", "copy", "latest", "--to", "", code=12)["code"] == "invalid-request"


def test_a_schedule_has_its_copies_made_and_made_up_for(cli, shop, offsite):
    """By cron: with each backup; a store that was away gets its copy with the next call."""
    cli.json("schedule", "set", "--cron", "0 2 * * *", "--database", shop, "--copies", STORE)
    (schedule,) = cli.json("schedule", "show")["schedules"]
    assert schedule["options"]["copies"] == [STORE]
    away = offsite.rename(offsite.with_name("away"))
    made = cli("cron", "--force", "--json")
    assert (made.code, made.document["success"]) == (0, True)
    assert f"copy to {STORE}" in made.err
    alerts = cli.json("alert", "list")["alerts"]
    assert [alert["about"] for alert in alerts if alert["closed_at"] is None] == [
        f"copies to {STORE}"
    ]
    away.rename(offsite)
    assert cli.json("cron")["due"] is False
    listed = cli.json("backup", "list", "--store", STORE)["backups"]

    assert [entry["backup_id"] for entry in listed] == [made.document["backup_id"]]
    assert all(alert["closed_at"] for alert in cli.json("alert", "list")["alerts"])
    assert cli.json("backup", "verify", "latest", "--store", STORE)["rows_count"] == 20_002


def test_the_doctor_says_what_is_in_each_store(cli, shop, offsite):
    """And which does not answer, or holds something that is damaged."""
    cli.json("backup", "create", "--database", shop, "--store", STORE)

    def found():
        checks = cli("doctor", "--json").document["checks"]
        return next(check for check in checks if check["name"] == f"store {STORE}")

    assert (found()["state"], found()["detail"][:8]) == ("ok", "1 backup")
    for path in offsite.glob("*.sql.gz"):
        path.write_bytes(b"short")
    assert found()["state"] == "warn"
    offsite.rename(offsite.with_name("away"))
    assert found()["state"] == "fail"


def test_a_copy_whose_data_is_gone_is_made_again(cli, shop, offsite):
    """Its manifest alone is no copy; one of another size is told, as it may be of use."""
    cli.json("schedule", "set", "--cron", "0 2 * * *", "--database", shop, "--copies", STORE)
    made = cli.json("cron", "--force")
    there = offsite / made["file"]
    there.unlink()
    cli.json("cron")
    assert there.read_bytes() == (cli.backups / made["file"]).read_bytes()
    there.write_bytes(b"short")
    again = cli("cron", "--json")

    assert (again.code, there.read_bytes()) == (0, b"short")
    assert f"copy to {STORE} failed" in again.err


@pytest.mark.parametrize("where", ["backups", "state", "backups/deeper", "."])
def test_a_store_is_never_the_backup_directory(cli, shop, offsite, where):
    """Whose locks it would not see; nor is it in it, nor around it."""
    cli.json("backup", "create", "--database", shop)
    place = cli.home / where
    place.mkdir(exist_ok=True)
    loop = {"STORES": f"loop=local://{place}"}

    for command in (
        ("backup", "copy", "latest", "--to", "loop"),
        ("backup", "list", "--store", "loop"),
    ):
        assert cli.json(*command, code=12, **loop)["error"]["code"] == "invalid-request"
    assert len(cli.json("backup", "list")["backups"]) == 1


def test_nothing_is_deleted_in_a_store_that_is_only_added_to(cli, shop, offsite):
    """The flag is a promise, also where the key could."""
    definitions = cli.home / "state" / "stores.toml"
    definitions.write_text(definitions.read_text() + "append_only = true\n")
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    error = cli.error("backup", "delete", made["backup_id"], "--store", STORE, code=12)

    assert "append-only" in error["message"]
    assert cli.json("backup", "verify", "latest", "--store", STORE)["rows_count"] == 20_002


def test_a_file_that_somebody_claims_is_named_by_a_rebuild(cli, shop, offsite):
    """It is not passed over without a word."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    (offsite / (made["file"] + layout.MANIFEST)).unlink()
    (offsite / (made["file"] + layout.PARTIAL)).write_bytes(b"{}")
    report = cli.json("catalog", "rebuild", "--store", STORE, code=11)

    assert "by its claim" in str(report)


def test_a_schedule_has_no_copies_in_stores_that_nobody_knows(cli, shop, offsite):
    """The right names are told."""
    error = cli.error("schedule", "set", "--cron", "0 2 * * *", "--copies", "ofsite", code=12)

    assert error["code"] == "invalid-schedule"
    assert STORE in error["hint"]


def test_what_is_said_of_a_backup_in_a_store_is_about_the_store(cli, sql, shop, offsite):
    """Commands that are shown name it, and a check there warns of nothing in the directory."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    shown = cli("restore", "options", "latest", "--store", STORE).out
    checked = cli("backup", "verify", "latest", "--store", STORE)

    assert f"restore run {made['backup_id']} --store {STORE} --drill" in shown
    assert (checked.code, checked.remarks) == (0, "")


def test_a_check_of_a_store_raises_an_alert_until_the_next_one_is_well(cli, shop, offsite):
    """It names the store; the backup directory has nothing to say about it."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    file = offsite / made["file"]
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    cli.error("backup", "verify", "latest", "--store", STORE, code=22)
    cli.json("backup", "create", "--database", shop)
    alerts = cli.json("alert", "list")["alerts"]
    assert [alert["about"] for alert in alerts if alert["closed_at"] is None] == [
        f"{made['backup_id']} in {STORE}"
    ]
    file.write_bytes(good)
    cli.json("backup", "verify", "latest", "--store", STORE)

    assert all(alert["closed_at"] for alert in cli.json("alert", "list")["alerts"])


def test_a_schedule_makes_its_backups_in_a_store(cli, sql, shop, offsite):
    """By cron: nothing here, and what is due, done and failed is known as of any schedule."""
    cli.json("schedule", "set", "--cron", "0 2 * * *", "--database", shop, "--store", STORE)
    made = cli.json("cron")
    (schedule,) = cli.json("schedule", "show")["schedules"]

    assert cli.files() == {"schedule.json"}
    listed = cli.json("backup", "list", "--store", STORE)["backups"]
    assert [entry["backup_id"] for entry in listed] == [made["backup_id"]]
    assert schedule["last_backup_id"] == made["backup_id"]
    assert cli.json("cron")["due"] is False
    drilled = cli.json("restore", "run", "latest", "--drill", "--store", STORE)
    assert drilled["success"]
    offsite.rename(offsite.with_name("away"))
    failed = cli("cron", "--force", "--json")
    assert failed.code == 21
    assert (
        cli.json("schedule", "show")["schedules"][0]["last_error"]
        == failed.document["error"]["code"]
    )
    assert cli.files() == {"schedule.json"}
    alerts = cli.json("alert", "list")["alerts"]
    assert [alert["about"] for alert in alerts if alert["closed_at"] is None] == ["default"]


def test_a_schedule_of_a_store_has_copies_in_others(cli, sql, shop, offsite, tmp_path):
    """They come from there; a backup that was never there is not waited for."""
    second = tmp_path / "second"
    second.mkdir()
    stores = {"STORES": f"second=local://{second}"}
    schedule = ("schedule", "set", "--cron", "0 2 * * *", "--database", shop)
    cli.json(*schedule, "--copies", "second", **stores)
    cli.json("cron", "--force", **stores)
    cli.json(*schedule, "--store", STORE, "--copies", "second", **stores)
    quiet = cli("cron", "--json", **stores)
    made = cli.json("cron", "--force", **stores)

    assert quiet.err == ""
    assert made["file"] in names_in(second)
    assert made["file"] in names_in(offsite)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--store", "ofsite"), "store: there is no store"),
        (("--store", STORE, "--copies", STORE), "copies: the backups are in offsite already"),
        (("--store", STORE, "--keep", "count=3"), "retention: what is kept in offsite"),
    ],
)
def test_places_that_do_not_go_together_are_refused(cli, shop, offsite, options, message):
    """With a sentence each."""
    error = cli.error("schedule", "set", "--cron", "0 2 * * *", *options, code=12)

    assert error["code"] == "invalid-schedule"
    assert message in error["message"]

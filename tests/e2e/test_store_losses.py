"""A store that was put back to an older state, or emptied: its signatures are right, the history knows better."""

import json
import shutil

import pytest

from app.age.x25519 import Identity
from tests.fixtures.dry_runs import drop
from tests.fixtures.servers import Sql


STORE = "offsite"


@pytest.fixture
def offsite(cli, tmp_path):
    """The directory of a store of that name."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    (tmp_path / "state").mkdir()
    define(cli, place)
    return place


def define(cli, place):
    """Say where the store is."""
    text = f'[{STORE}]\nkind = "local"\npath = {json.dumps(str(place))}\n'
    (cli.home / "state" / "stores.toml").write_text(text)


@pytest.fixture
def shop(cli, sql, database):
    """A table."""
    sql.script(["CREATE TABLE users (id INT PRIMARY KEY)", "INSERT INTO users VALUES (1)"])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def judged(cli):
    """What the doctor says of the store."""
    checks = cli("doctor", "--json").document["checks"]
    return next(check for check in checks if check["name"] == f"store {STORE}")


@pytest.mark.parametrize("settings", [{}, {"ENCRYPT_TO": str(Identity.new().recipient)}])
def test_an_older_state_of_a_store_is_noticed(cli, shop, offsite, tmp_path, settings):
    """Whole and signed as it was: what was put there since is missing, until something new is there."""
    create = ("backup", "create", "--database", shop, "--store", STORE)
    cli.json(*create, **settings)
    shutil.copytree(offsite, tmp_path / "older")
    newer = cli.json(*create, **settings)["backup_id"]
    assert judged(cli)["state"] == "ok"

    shutil.rmtree(offsite)
    shutil.copytree(tmp_path / "older", offsite)
    found = judged(cli)
    assert found["state"] == "warn"
    assert f"backup {newer}, which was put there last, is not there any more" in found["detail"]
    assert "older state" in found["remedy"]
    cli.json(*create, **settings)
    assert judged(cli)["state"] == "ok"


def test_what_somebody_deletes_by_backstay_is_not_lost(cli, shop, offsite):
    """A deletion is in the history as well; so is a copy that was put there."""
    create = ("backup", "create", "--database", shop, "--store", STORE)
    cli.json(*create)
    cli.json("backup", "create", "--database", shop)
    copied = cli.json("backup", "copy", "latest", "--to", STORE)["backup_id"]
    cli.json("backup", "delete", copied, "--store", STORE)

    assert judged(cli)["state"] == "ok"


def test_a_store_whose_definition_leads_elsewhere_now_is_told_of_what_it_lacks(
    cli, shop, offsite, tmp_path
):
    """Another prefix or directory: nothing is deleted, and the backups that are missed are where they were."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    moved = tmp_path / "moved"
    moved.mkdir()
    define(cli, moved)
    found = judged(cli)
    assert made["backup_id"] in found["detail"]
    assert "definition" in found["remedy"]

    define(cli, offsite)
    assert judged(cli)["state"] == "ok"


def test_a_store_that_schedules_name_and_nobody_defines_any_more_is_told(cli, shop, offsite):
    """After a change of its name: by the doctor, and each run of the schedule fails with the same words."""
    cli.json("schedule", "set", "--cron", "0 2 * * *", "--database", shop, "--copies", STORE)
    straight = ("schedule", "set", "straight", "--cron", "0 2 * * *", "--database", shop)
    cli.json(*straight, "--store", STORE)
    file = cli.home / "state" / "stores.toml"
    file.write_text(file.read_text().replace(f"[{STORE}]", "[vault]"))
    checks = cli("doctor", "--json").document["checks"]
    told = [check for check in checks if check["name"] == f"store {STORE}"]

    assert [check["state"] for check in told] == ["fail", "fail"]
    assert "the schedule default" in told[0]["detail"]
    assert "schedule set straight --store NAME" in told[1]["remedy"]
    failed = cli.error("cron", "--name", "straight", "--force", code=10)
    assert failed["code"] == "store-not-found"


def test_two_stores_in_one_place_are_one_copy(cli, shop, offsite):
    """The doctor counts what is lost at once once, and says why."""
    file = cli.home / "state" / "stores.toml"
    file.write_text(file.read_text() + file.read_text().replace(f"[{STORE}]", "[second]"))
    cli.json("backup", "create", "--database", shop, "--store", STORE)
    checks = {check["name"]: check for check in cli("doctor", "--json").document["checks"]}

    assert checks["store second"]["detail"].startswith("1 backup")
    assert checks["copies"]["detail"].startswith(
        "2 of 3 copies: the live data, offsite; 0 off-site"
    )
    assert "second is where offsite is, and no further copy" in checks["copies"]["detail"]

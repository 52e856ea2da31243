"""What is read of a backup in a store, and is told: vendors charge for bytes that leave them."""

import json

import pytest

from tests.fixtures.dry_runs import drop
from tests.fixtures.servers import Sql


STORE = "offsite"


@pytest.fixture
def shop(cli, sql, database, tmp_path):
    """A large table and a small one, and a store whose backups are always due to be checked."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    (tmp_path / "state").mkdir()
    lines = [
        f"[{STORE}]",
        'kind = "local"',
        f"path = {json.dumps(str(place))}",
        "check_days = 1e-6",
    ]
    (tmp_path / "state" / "stores.toml").write_text("\n".join(lines))
    sql.script([
        "CREATE TABLE users (id INT PRIMARY KEY, name CHAR(32))",
        "INSERT INTO users SELECT seq, MD5(seq) FROM seq_1_to_20000",
        "CREATE TABLE orders AS SELECT 1 AS id",
    ])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def test_what_was_read_of_a_store_is_told(cli, shop):
    """By each command that reads there, to people and to programs; of a backup that lies here nothing is."""
    made = cli.json("backup", "create", "--database", shop, "--store", STORE)
    whole = cli.json("backup", "verify", "latest", "--store", STORE)
    drill = cli.json("restore", "run", "latest", "--drill", "--store", STORE)
    table = ("restore", "run", "latest", "--table", "orders", "--store", STORE)
    dry = cli.json(*table, "--dry-run")
    restored = cli.json(*table)
    (checked,) = cli.json("backup", "check")["checks"]

    assert made["size"] <= whole["bytes_read"] < 1.1 * made["size"]
    assert 0.9 * made["size"] < drill["bytes_read"] < 1.3 * made["size"] + (64 << 10)
    assert 0 < dry["bytes_read"] <= restored["bytes_read"] < 0.2 * made["size"]
    assert checked["bytes_read"] == made["size"]
    told = [
        cli(*table, "--dry-run"),
        cli("backup", "verify", "latest", "--stored", "--store", STORE),
    ]
    assert all("\nRead from the store: " in command.out for command in told)
    cli.json("backup", "create", "--database", shop)
    assert "from the store" not in cli("backup", "verify", "latest").out
    assert cli.json("backup", "verify", "latest")["bytes_read"] is None

"""Encrypted backups by the command line: who makes them, who restores them, and without Backstay."""

import gzip
import json
import subprocess

import pytest

from app.age.x25519 import Identity
from tests.fixtures.chosen_server import CLIENT
from tests.fixtures.dry_runs import drop
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


MINE, SAFE = Identity.new(), Identity.new()
RECIPIENTS = f"{MINE.recipient} {SAFE.recipient}"
SECRET = MINE.secret_text()


@pytest.fixture
def shop(sql, database, cli):
    """A database with rows and a view."""
    sql.script([
        "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(40))",
        "INSERT INTO users SELECT seq, CONCAT('name ', seq) FROM seq_1_to_3000",
        "CREATE VIEW names AS SELECT name FROM users",
    ])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


@pytest.fixture
def offsite(tmp_path):
    """The directory of a store of that name."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    (tmp_path / "state").mkdir(exist_ok=True)
    text = f'[offsite]\nkind = "local"\npath = {json.dumps(str(place))}\n'
    (tmp_path / "state" / "stores.toml").write_text(text)
    return place


def made_by(cli, shop, *options):
    """Make an encrypted backup, by somebody who cannot read it."""
    return cli.json("backup", "create", "--database", shop, *options, ENCRYPT_TO=RECIPIENTS)


def test_a_backup_is_encrypted_and_restored_by_whoever_has_an_identity(cli, sql, shop):
    """Proof, dry run, drill and restore are those of a plain one; nothing of it is on the disk in the clear."""
    before = snapshot(sql, shop)
    made = made_by(cli, shop)
    assert made["file"].endswith(".sql.gz.age")
    assert len(made["recipients"]) == 2
    assert cli.json("backup", "list")["backups"][0]["encrypted"]
    for path in cli.backups.iterdir():
        assert b"names" not in path.read_bytes()

    has = {"IDENTITY": SECRET, "ENCRYPT_TO": RECIPIENTS}
    assert cli.json("backup", "verify", "latest", **has)["rows_count"] == 3000
    assert cli.json("backup", "info", "latest", **has)["recipients"] == made["recipients"]
    sql.script(["DELETE FROM users WHERE id > 7"])
    assert cli.json("restore", "run", "latest", "--dry-run", **has)["success"]
    assert cli.json("restore", "run", "latest", "--drill", **has)["success"]
    restored = cli.json("restore", "run", made["backup_id"], **has)
    assert restored["verified"]
    assert_same(snapshot(sql, shop), before)
    points = [entry for entry in cli.json("backup", "list")["backups"] if entry["recovery_point"]]
    assert [point["encrypted"] for point in points] == [True]


def test_it_is_restored_without_us(cli, sql, shop, tmp_path):
    """By `age`, `zcat` and the server's client, as README says."""
    before = snapshot(sql, shop)
    made = made_by(cli, shop)
    sql.script(["DROP TABLE users", "DROP VIEW names"])
    key = tmp_path / "key.txt"
    key.write_text(f"{SECRET}\n")
    opened = subprocess.run(
        ["age", "-d", "-i", key, cli.backups / made["file"]], check=True, capture_output=True
    ).stdout
    subprocess.run(
        [CLIENT, "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root",
         f"--port={cli.url.rsplit(':', 1)[1].strip('/')}", shop],
        input=gzip.decompress(opened), check=True,
    )  # fmt: skip
    assert_same(snapshot(sql, shop), before)


def test_without_an_identity_all_is_done_that_needs_none(cli, sql, shop, offsite):
    """Lists, checks of bytes, copies and deletion; what needs one says which setting is missing."""
    made = made_by(cli, shop)
    assert cli.json("backup", "verify", "latest", "--stored")["size"] == made["size"]
    copied = cli.json("backup", "copy", "latest", "--to", "offsite")
    assert copied["checksum"] == made["checksum"]
    (there,) = cli.json("backup", "list", "--store", "offsite")["backups"]
    assert (there["databases"], there["encrypted"]) == ([shop], True)
    for words in (
        ("backup", "verify", "latest"),
        ("backup", "info", "latest"),
        ("restore", "run", "latest", "--dry-run"),
        ("restore", "run", "latest"),
    ):
        error = cli.error(*words, code=11)
        assert error["code"] == "no-identity"
        assert "BACKSTAY_IDENTITY_FILE" in error["hint"]
    strange = cli.error("restore", "run", "latest", code=11, IDENTITY=Identity.new().secret_text())
    assert strange["code"] == "no-identity"
    assert cli.json("backup", "delete", made["backup_id"])["success"]
    assert [path.name for path in cli.backups.glob("backup_*")] == []


def test_another_installation_restores_it_when_it_believes_the_signer(
    cli, sql, shop, offsite, tmp_path
):
    """A lost machine: the store, an identity and the recovery sheet are all that is left."""
    made = made_by(cli, shop, "--store", "offsite")
    sheet = cli.json("key", "show", ENCRYPT_TO=RECIPIENTS)
    new_home = {"STATE_DIR": "other", "IDENTITY": SECRET, "STORES": f"offsite=local://{offsite}"}
    error = cli.error(
        "restore", "run", made["backup_id"], "--store", "offsite", code=12, **new_home
    )
    assert error["code"] == "unknown-signer"
    signer = sheet["signers"][0]["signer_id"]
    words = ("restore", "run", made["backup_id"], "--store", "offsite", "--no-recovery-point")
    restored = cli.json(*words, "--accept-signer", signer, **new_home)
    assert restored["verified"]
    assert cli.json(*words, **new_home, SIGNERS=sheet["signers"][0]["key"])["verified"]


def test_a_copy_gets_other_recipients(cli, shop, offsite):
    """Whoever reads the one does not read the other."""
    made = made_by(cli, shop)
    new = Identity.new()
    copied = cli.json(
        "backup", "rewrap", made["backup_id"], "--to", "offsite",
        IDENTITY=SECRET, ENCRYPT_TO=str(new.recipient),
    )  # fmt: skip
    assert copied["recipients"] != made["recipients"]
    there = ("backup", "verify", made["backup_id"], "--store", "offsite")
    assert cli.json(*there, IDENTITY=new.secret_text())["rows_count"] == 3000
    assert cli.error(*there, code=11, IDENTITY=SECRET)["code"] == "no-identity"
    plain = cli.json("backup", "create", "--database", shop)
    refused = cli.error(
        "backup", "rewrap", plain["backup_id"], "--to", "offsite", code=12, IDENTITY=SECRET,
        ENCRYPT_TO=str(new.recipient),
    )  # fmt: skip
    assert refused["code"] == "invalid-request"


def test_a_list_shows_what_nobody_here_can_read(cli, shop, offsite):
    """As such, with what is known of it, in eighty columns."""
    made = made_by(cli, shop, "--store", "offsite")
    words = ("backup", "list", "--store", "offsite")
    other = {"STATE_DIR": "other", "STORES": f"offsite=local://{offsite}"}
    unknown = cli.json(*words, **other)
    assert [found["code"] for found in unknown["unknown"]] == ["unknown-signer"]
    assert (unknown["backups"], unknown["problems"]) == ([], [])
    for told in (cli(*words, **other), cli("catalog", "rebuild", "--store", "offsite", **other)):
        assert "Not known here" in told.err
        assert told.err.count("Hint: Compare its public key") == 1
    key = cli.json("key", "show", ENCRYPT_TO=RECIPIENTS)["signers"][0]["key"]
    listed = cli.json(*words, **other, SIGNERS=key)
    assert cli.json(*words, "--accept-signer", key, **other) == listed
    assert (listed["backups"], listed["problems"]) == ([], [])
    (locked,) = listed["locked"]
    assert (locked["backup_id"], locked["recipients"]) == (made["backup_id"], made["recipients"])
    rebuilt = cli("catalog", "rebuild", "--store", "offsite", **other, SIGNERS=key).out
    assert "1 backup more, encrypted for others" in rebuilt
    text = cli(*words, **other, SIGNERS=key).out
    assert made["backup_id"] in text
    assert "Encrypted for others" in text
    assert max(map(len, text.splitlines())) <= 80


def test_age_is_what_reads_them(cli, shop, tmp_path):
    """With the wrong key it says so, and gives nothing."""
    made = made_by(cli, shop)
    key = tmp_path / "wrong"
    key.write_text(f"{Identity.new().secret_text()}\n")
    failed = subprocess.run(
        ["age", "-d", "-i", key, cli.backups / made["file"]], check=False, capture_output=True
    )
    assert failed.returncode != 0
    assert failed.stdout == b""

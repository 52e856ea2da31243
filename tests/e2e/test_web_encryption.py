"""Encrypted backups in pages and API, where no identity is set: as much as is known, and what needs none."""

import re

import pytest

from app.age.x25519 import Identity
from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, problem
from tests.fixtures.web import WebClient


@pytest.fixture
def encrypted(web_api, cli, database, sql):
    """A backup that this installation has made, in a process that is gone, for somebody else."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    made = cli.json(
        "backup", "create", "--database", database,
        ENCRYPT_TO=str(Identity.new().recipient),
        BACKUP_DIR=str(web_api.backups), STATE_DIR=str(web_api.home / "state"),
    )  # fmt: skip
    yield made
    for path in web_api.backups.glob(f"{made['file']}*"):
        path.unlink()


def test_what_is_remembered_of_a_backup_is_shown_and_its_bytes_are_proven(
    web_api, encrypted, database
):
    """Its databases and rows; whoever asks for more is told what is missing."""
    web = WebClient(web_api, "operator")
    path = f"/backups/{encrypted['backup_id']}"
    page = web.get(path).text
    assert "No identity here reads it" in page
    assert database in page
    assert "encrypted" in web.get("/backups").text
    begun = web.post(f"{path}/verify", stored="1").headers["Location"]
    with web_api.client() as client:
        run = finished(client, begun.rpartition("/")[2])
        info = problem(client.get(f"{BACKUP}/info/{encrypted['backup_id']}"), 409, "no-identity")
        listed = client.get(f"{BACKUP}/list").json()
    assert (run["state"], run["result"]["level"]) == ("succeeded", "hashes")
    assert "BACKSTAY_IDENTITY_FILE" in info["hint"]
    (line,) = [entry for entry in listed["backups"] if entry["backup_id"] == encrypted["backup_id"]]
    assert (line["encrypted"], line["databases"]) == (True, [database])


def test_a_backup_of_an_unknown_signer_is_unknown_and_not_damaged(
    web_api, cli, sql, database, tmp_path
):
    """On Overview, in the list, by the API, among the metrics, and for the doctor."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    made = cli.json(
        "backup", "create", "--database", database, ENCRYPT_TO=str(Identity.new().recipient),
        BACKUP_DIR=str(web_api.backups), STATE_DIR=str(tmp_path / "other"),
    )  # fmt: skip
    try:
        web = WebClient(web_api, "viewer")
        listed, overview, checks = (web.get(path).text for path in ("/backups", "/", "/server"))
        with web_api.client() as client:
            status = client.get(f"{BACKUP}/status").json()
            found = client.get(f"{BACKUP}/list").json()
            metrics = client.get("/metrics").text
    finally:
        for path in web_api.backups.glob(f"{made['file']}*"):
            path.unlink()

    assert [unknown["code"] for unknown in found["unknown"]] == ["unknown-signer"]
    assert made["file"] not in str(found["problems"])
    assert status["unknown"] == 1
    assert "backstay_catalogue_unknown 1.0" in metrics
    assert "Of an unknown signer" in listed
    assert "unknown backup" in checks
    assert f"backup {made['backup_id']} is damaged" not in overview


def test_a_foreign_backup_is_shown_as_locked(web_api, encrypted):
    """With who has signed it, for whom it is, and nothing of what is in it."""
    (web_api.home / "state" / "catalogue" / "local.json").unlink()
    web = WebClient(web_api, "viewer")
    page = web.get(f"/backups/{encrypted['backup_id']}").text
    assert encrypted["recipients"][0] in page
    assert re.search(r"Signed by</dt><dd><code>[0-9a-f]{32}<", page)
    assert "Encrypted for others" in web.get("/backups").text

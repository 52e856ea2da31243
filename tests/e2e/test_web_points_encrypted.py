"""Pages of points in time where the archive of the binary log is encrypted, and copied to a store."""

import html
import re
import shutil
import time

import pytest

from app.age.x25519 import Identity
from tests.fixtures.api import finished
from tests.fixtures.people import with_users
from tests.fixtures.point_in_time import STATUS
from tests.fixtures.servers import Sql
from tests.fixtures.web import WebClient, words


WAIT = {"Prefer": "wait=60"}


def wait_for(condition, seconds=60):
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.fixture
def archived(own_server, own_api, tmp_path):
    """A service (with its keys) that archives for a key of its own and into a store; a table was dropped after its backup."""
    source, identity = own_server(), Identity.new()
    key = tmp_path / "identity"
    key.write_text(f"{identity.secret_text()}\n")
    key.chmod(0o600)
    api = own_api(source.url)
    api.state.mkdir(exist_ok=True)
    (tmp_path / "vault").mkdir()
    (api.state / "stores.toml").write_text(f'[vault]\nkind = "local"\npath = "{tmp_path}/vault"\n')
    keys = {"ENCRYPT_TO": str(identity.recipient), "IDENTITY_FILE": str(key)}
    with_users(api).start(BINLOG="true", BINLOG_STORES="vault", **keys)
    with Sql(source.url) as sql, api.client() as admin:

        def is_archived():
            file, position, *_ = sql.run(STATUS)[0]
            status = admin.get("/api/admin/binlog/status").json()
            return status["archived_end"] == {"file": file, "position": position}

        sql.script(["CREATE DATABASE shop", "CREATE TABLE shop.orders (i INT PRIMARY KEY)"])
        wait_for(is_archived)
        admin.post("/api/admin/backup/create", json={}, headers=WAIT).raise_for_status()
        time.sleep(1.1)  # what the log says of a time has whole seconds
        sql.script(["INSERT INTO shop.orders VALUES (1), (2)", "DROP TABLE shop.orders"])
        wait_for(is_archived)
        yield api, keys


def test_who_has_the_key_finds_the_moment(archived):
    """The window, what happened and a dry run; the copy in the store is told."""
    api, _ = archived
    web = WebClient(api, "operator")
    wait_for(lambda: "1 backup to start from" in words(web.get("/point-in-time")))
    assert 'class="reached"' in web.get("/point-in-time").text
    wait_for(lambda: "vault" in (found := words(web.get("/point-in-time"))) and "a copy" in found)

    near = web.get("/point-in-time/recover?match=DROP")
    assert "DROP TABLE" in near.text
    *_, point = re.findall(r'name="point" value="([^"]*)"', near.text)
    answer = web.post("/point-in-time/rehearse", point=html.unescape(point), scope="all")
    path = answer.headers["Location"]
    run = finished(api.client(), path.rpartition("/")[2])
    assert (run["state"], run["result"]["transactions"]) == ("succeeded", 1)
    assert "DROP TABLE" in web.get(path).text
    assert "not proven yet" in words(web.get("/"))


def test_who_has_no_key_is_told_so(archived, own_api):
    """An installation that only knows the signer: pages come, say what is missing, and show nothing of the log."""
    api, keys = archived
    api.stop()
    other = own_api(api.settings["DATABASE_URL"])
    other.state.mkdir(exist_ok=True)
    shutil.copy(api.state / "signing.key", other.state)
    other.settings["BACKUP_DIR"] = str(api.backups)
    with_users(other).start(ENCRYPT_TO=keys["ENCRYPT_TO"])
    web = WebClient(other, "operator")
    page = words(web.get("/point-in-time"))

    assert "locked" in page
    assert "encrypted for 2 recipients" in page
    assert "No moment yet" in page
    assert "orders" not in page
    assert "No identity here reads the archive" in page
    assert "Find a moment" not in page
    assert "Back up now" not in page
    overview = words(web.get("/"))
    assert (
        "No backup here can be read: 1 backup is encrypted, and no identity here opens it"
        in overview
    )
    assert "There is no backup yet" not in overview
    assert "BACKSTAY_IDENTITY_FILE" in words(web.get("/restore"))
    assert "No backup here can be read" in words(web.get("/backups"))
    refused = web.get("/point-in-time/recover")
    assert refused.status_code == 409
    assert "BACKSTAY_IDENTITY_FILE" in words(refused)

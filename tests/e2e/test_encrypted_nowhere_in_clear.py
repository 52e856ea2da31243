"""
Nothing of the rows of an encrypted backup, and no bound of a key, lies or is shown anywhere in the clear.

Not beside it, in the state directory, in the control database, in logs of every level, in what commands, pages and
the API say; neither when all is well nor when a restore fails for what is in a row.
"""

import json

import pytest

from app.age.x25519 import Identity
from tests.fixtures.api_requests import BACKUP
from tests.fixtures.cli import address
from tests.fixtures.dry_runs import drop
from tests.fixtures.people import PASSWORD
from tests.fixtures.servers import Sql
from tests.fixtures.web import WebClient


# In the keys, by which tables are cut into ranges, and beside them.
WORDS = ("SECRETKEY", "SECRETROW", "SECRETOLD")
STORE = "offsite"


@pytest.fixture
def shop(sql, server, database):
    """A table whose key is a text, with rows that a unique index does not take, and one without a key."""
    name = f"CONCAT('SECRETROW', seq DIV 2, '{'x' * 800}')"
    sql.script([
        "CREATE TABLE users (id VARCHAR(40) PRIMARY KEY, name VARCHAR(900))",
        f"INSERT INTO users SELECT CONCAT('SECRETKEY', seq), {name} FROM seq_1_to_6000",
        "CREATE TABLE loose AS SELECT 'SECRETROW' AS word",
    ])
    yield database
    with Sql(server.url) as cleaner:
        drop(cleaner, database)


@pytest.fixture
def api(own_api, server, shop, tmp_path):
    """A service that logs all there is to log, encrypts, and has an identity to read with."""
    me = Identity.new()
    made = own_api(address(server.url, database=shop))
    place = tmp_path / "elsewhere"
    place.mkdir()
    made.state.mkdir()
    text = f'[{STORE}]\nkind = "local"\npath = {json.dumps(str(place))}\n'
    (made.state / "stores.toml").write_text(text)
    made.start(
        ENCRYPT_TO=str(me.recipient), IDENTITY=me.secret_text(), LOG_LEVEL="debug",
        CHUNK_BYTES="65536", ADMIN_PASSWORD=PASSWORD,
    )  # fmt: skip
    return made


def said(api, *arguments, code=0):
    """Run a command in words and as a document, and return all that it says."""
    both = [api.cli(*arguments), api.cli(*arguments, "--json")]
    assert {done.returncode for done in both} == {code}, both
    return [f"{done.stdout}{done.stderr}" for done in both]


def clear_in(texts):
    """The words that are in any of these."""
    return {word for text in texts for word in WORDS if word in text}


def with_a_byte_changed(path):
    """Damage a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[:50_000] + bytes([whole[50_000] ^ 1]) + whole[50_001:])


def what_goes_well(api, sql, backup_id):
    """Look at it, copy it, verify it, drill it, and try a restore over rows that were changed."""
    sql.script(["UPDATE users SET name = 'SECRETOLD' WHERE id LIKE '%7'", "DELETE FROM loose"])
    return [
        *said(api, "backup", "create", "--store", STORE),
        *said(api, "backup", "info", backup_id),
        *said(api, "backup", "verify", backup_id),
        *said(api, "backup", "copy", backup_id, "--to", STORE),
        *said(api, "restore", "run", backup_id, "--drill", "--store", STORE),
        *said(api, "restore", "run", backup_id, "--dry-run"),
    ]


def what_is_shown(api, backup_id):
    """All pages and answers about what was done."""
    with api.client() as admin:
        runs = [run["run_id"] for run in admin.get("/api/admin/runs?limit=100").json()["runs"]]
        assert len(runs) >= 8
        paths = [f"/api/admin/runs/{run_id}" for run_id in runs]
        paths += ["/api/admin/alerts", f"{BACKUP}/list", f"{BACKUP}/info/{backup_id}", "/metrics"]
        answers = [admin.get(path) for path in paths]
    web = WebClient(api)
    pages = ["/", "/backups", f"/backups/{backup_id}", "/runs", "/alerts", "/stores", "/audit"]
    shown = [web.get(path) for path in (*pages, *(f"/runs/{run_id}" for run_id in runs))]
    assert {page.status_code for page in shown} == {200}
    return [answer.text for answer in (*answers, *shown)]


def test_nothing_of_rows_or_keys_is_anywhere_in_the_clear(api, sql, shop, tmp_path):
    """Made, copied, verified, tried, restored, damaged, and refused by the server for what is in a row."""
    wait = {"Prefer": "wait=60"}
    with api.client() as admin:
        backup_id = admin.post(f"{BACKUP}/create", json={}, headers=wait).json()["backup_id"]
        texts = what_goes_well(api, sql, backup_id)
        sql.script(["DELETE FROM users", "ALTER TABLE users ADD UNIQUE (name(20))"])
        words = ("restore", "run", backup_id, "--data-only", "--table", "users")
        texts += (refused := said(api, *words, code=20))
        with_a_byte_changed(next(api.backups.glob(f"*{backup_id}*.age")))
        texts += [
            admin.post(f"{BACKUP}/{what}/{backup_id}", headers=wait).text
            for what in ("verify", "restore")
        ]
    texts += what_is_shown(api, backup_id)
    api.stop()

    assert "a duplicate key" in refused[0]
    assert clear_in(texts) == set()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"serve.log", "control.db"}
    assert clear_in([path.read_bytes().decode("latin-1") for path in files]) == set()

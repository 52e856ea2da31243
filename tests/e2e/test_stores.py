"""Stores at every edge: by command, over HTTP and in the pages, with real servers of each kind."""

import json

import pytest

from tests.fixtures.people import with_users
from tests.fixtures.store_programs import LOCKED_BUCKET
from tests.fixtures.stores import KIND_NAMES
from tests.fixtures.web import WebClient, words


CHECKS = [
    "list", "write", "write once", "read", "find", "clock", "send in parts", "abort", "delete",
]  # fmt: skip
WRONG = "hush-hush-wrong"


def table_of(name, definition):
    """Write a definition down as stores.toml has it."""
    table = definition.model_dump(mode="json", exclude_defaults=True)
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join([f"[{name}]", *lines, ""])


@pytest.fixture(scope="module")
def tables(store_servers):
    """A store of each kind, one whose secret is wrong, and one that is locked."""
    made = {kind: store_servers.definition(kind) for kind in KIND_NAMES}
    lock = {"bucket": LOCKED_BUCKET, "object_lock_days": 1}
    made["locked"] = store_servers.definition("s3", **lock)
    made["wrong"] = store_servers.definition("s3", secret_env="WRONG_SECRET")
    return "".join(table_of(name, definition) for name, definition in made.items())


@pytest.fixture
def define(tables, store_servers):
    """Define them in an installation, with their secrets in the file `.env`."""

    def write(home):
        (home / "state").mkdir(exist_ok=True)
        (home / "state" / "stores.toml").write_text(tables)
        secrets = {**store_servers.variables, "WRONG_SECRET": WRONG}
        lines = [f"{name}='{value}'" for name, value in secrets.items()]
        (home / ".env").write_text("\n".join(lines))

    return write


def test_stores_are_listed_without_their_secrets(cli, define, store_servers):
    """As a table and as a document; nothing is asked of them."""
    define(cli.home)
    listed = cli.json("store", "list")["stores"]
    shown = cli("store", "list")

    assert [store["name"] for store in listed] == sorted([*KIND_NAMES, "locked", "wrong"])
    assert {store["kind"] for store in listed} == set(KIND_NAMES)
    assert "locked for 1 day" in shown.out
    for secret in (*store_servers.variables.values(), WRONG):
        assert secret not in json.dumps(listed) + shown.out + shown.err


def test_without_stores_the_list_says_where_they_are_described(cli):
    """Nobody needs one."""
    assert cli.json("store", "list")["stores"] == []
    assert "docs/stores.md" in cli("store", "list").out


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_good_store_passes_its_test(cli, define, store_servers, kind):
    """Every check, in order; nothing is left of it."""
    define(cli.home)
    found = cli.json("store", "test", kind)

    told = [*CHECKS[:5], "space", *CHECKS[5:]] if kind in {"local", "sftp"} else CHECKS
    assert [check["name"] for check in found["checks"]] == told
    assert not [check for check in found["checks"] if check["error"]]
    assert abs(found["clock_skew_seconds"]) < 5
    doubted = [check for check in found["checks"] if check["state"] == "warn"]
    assert [check["name"] for check in doubted] == (["abort"] if kind == "gcs" else [])
    assert all("lifecycle rule" in check["remedy"] for check in doubted)


@pytest.mark.waits
def test_a_store_that_is_locked_is_seen_to_keep(cli, define):
    """And to let go at its time, so that nothing is left of the test."""
    define(cli.home)
    found = cli.json("store", "test", "locked")

    assert [check["name"] for check in found["checks"]] == [*CHECKS[:-1], "object lock", "delete"]


def test_what_is_lacking_is_told_with_what_to_do(cli, define, store_servers):
    """The exit code is that of the family, and no secret is in what is said."""
    define(cli.home)
    document = cli("store", "test", "wrong", "--json")
    shown = cli("store", "test", "wrong")
    (check,) = document.document["checks"]

    assert (document.code, shown.code) == (21, 21)
    assert (check["error"], check["state"]) == ("storage-denied", "fail")
    assert "secret_env" in check["remedy"]
    assert "FAIL  list" in shown.out
    for secret in (*store_servers.variables.values(), WRONG):
        assert secret not in document.out + document.err + shown.out + shown.err


def test_a_store_may_be_defined_by_a_variable(cli, store_servers):
    """What makes no sense there is told by its name, and never shown."""
    path = store_servers.definition("local").path
    listed = cli.json("store", "list", STORES=f"disk=local://{path}")["stores"]
    wrong = cli.error("store", "list", STORES="x=s3://u:hush-hush@backups", code=12)
    unknown = cli.error("store", "test", "nothing", code=10)

    assert [store["place"] for store in listed] == [str(path)]
    assert "hush" not in json.dumps(wrong)
    assert unknown["code"] == "store-not-found"


@pytest.fixture
def installed(own_api, server, define):
    """A service that has them."""
    api = own_api(server.url)
    define(api.home)
    return with_users(api).start()


def test_stores_are_tested_over_http_and_in_the_pages(installed, store_servers):
    """The same checks; what an admin did is in the audit, and no secret anywhere."""
    admin, web = installed.client(), WebClient(installed)
    listed = admin.get("/api/admin/stores").json()
    good = admin.post("/api/admin/stores/s3/test").json()
    wrong = admin.post("/api/admin/stores/wrong/test").json()
    pages = [web.get("/stores"), web.post("/stores/sftp/test"), web.post("/stores/wrong/test")]

    assert {store["name"] for store in listed["stores"]} == {*KIND_NAMES, "locked", "wrong"}
    assert (good["success"], wrong["success"]) == (True, False)
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert "sftp://" in words(pages[0])
    assert "Backups can be kept in sftp" in words(pages[1])
    assert "Backups cannot be kept in wrong" in words(pages[2])
    assert web.get("/").text.count('href="/stores"') == 2
    actions = [entry["action"] for entry in admin.get("/api/admin/audit").json()["entries"]]
    assert actions.count("test_store") == 4
    told = json.dumps([listed, good, wrong]) + "".join(page.text for page in pages) + installed.log
    for secret in (*store_servers.variables.values(), WRONG):
        assert secret not in told


def test_a_file_that_makes_no_sense_breaks_nothing_else(installed):
    """The page and the API say what is wrong with it; the service goes on."""
    (installed.state / "stores.toml").write_text('[x]\nkind = "s3"\nbukket = "hush-hush"\n')
    admin, web = installed.client(), WebClient(installed)
    page, problem = web.get("/stores"), admin.get("/api/admin/stores")

    assert (page.status_code, problem.status_code) == (422, 422)
    assert "did you mean bucket?" in words(page)
    assert "did you mean bucket?" in problem.json()["detail"]
    assert "hush" not in page.text + problem.text + installed.log
    assert admin.get("/readyz").status_code == 200

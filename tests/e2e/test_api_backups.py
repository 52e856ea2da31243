"""Backups over HTTP: made with every option, listed, shown, verified, deleted."""

import gzip

import pytest

from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, NO_BACKUP, RUNS, WAIT, created, done, problem
from tests.fixtures.servers import Sql


@pytest.fixture
def tables(sql, database):
    """A database with the tables `ant`, `bee` and `cow`, of 1, 2 and 3 rows."""
    for count, name in enumerate(("ant", "bee", "cow"), 1):
        sql.run(f"CREATE TABLE {name} AS SELECT seq AS id FROM seq_1_to_{count}")
    return database


@pytest.fixture(scope="module")
def three(shared_api, server):
    """A database of its own, and three backups of it, each larger than the one before."""
    client = shared_api.client()
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE t_three", "USE t_three", "CREATE TABLE t (id INT)"])
        runs = []
        for number, kind in enumerate(("create", "recovery-point", "create"), 1):
            sql.run("INSERT INTO t SELECT seq FROM seq_1_to_1000")
            body = {"databases": ["t_three"], "description": f"Number {number}"}
            runs.append(done(client.post(f"{BACKUP}/{kind}", json=body, headers=WAIT)))
        yield [run["backup_id"] for run in runs]
        sql.run("DROP DATABASE t_three")


@pytest.mark.parametrize(
    ("options", "suffix", "names", "rows"),
    [
        ({}, ".sql.gz", ["ant", "bee", "cow"], 6),
        ({"compress": False}, ".sql", ["ant", "bee", "cow"], 6),
        ({"codec": "zstd"}, ".sql.zst", ["ant", "bee", "cow"], 6),
        ({"codec": "zstd", "level": 19}, ".sql.zst", ["ant", "bee", "cow"], 6),
        ({"level": 9}, ".sql.gz", ["ant", "bee", "cow"], 6),
        ({"codec": "zstd", "compress": False}, ".sql", ["ant", "bee", "cow"], 6),
        ({"include_data": False}, ".sql.gz", ["ant", "bee", "cow"], 0),
        ({"tables": ["a*", "*.cow"]}, ".sql.gz", ["ant", "cow"], 4),
        ({"exclude_tables": ["?ee"]}, ".sql.gz", ["ant", "cow"], 4),
        ({"verify": False}, ".sql.gz", ["ant", "bee", "cow"], 6),
    ],
)
def test_every_option_of_create_shows_in_its_result(admin, tables, options, suffix, names, rows):
    """File name, tables, rows and flags are those that were asked for, in the result and in info."""
    run = created(admin, databases=[tables], **options)
    info = admin.get(f"{BACKUP}/info/{run['backup_id']}").json()

    result = run["result"]
    assert result["file"].endswith(f"{run['backup_id']}{suffix}")
    assert (result["tables_count"], result["rows_count"]) == (len(names), rows)
    assert [table["name"] for table in info["contents"][0]["tables"]] == names
    assert info["options"] == {
        "include_data": options.get("include_data", True),
        "compress": suffix != ".sql",
        "verify": options.get("verify", True),
        "description": "",
        "tables": options.get("tables", []),
        "exclude_tables": options.get("exclude_tables", []),
        "level": options.get("level"),
    }
    assert info["verified"] is options.get("verify", True)
    shared = set(result) & set(info)
    assert {key: info[key] for key in shared} == {key: result[key] for key in shared}
    asked = {"databases": [tables], **options}
    assert {key: run["request"][key] for key in asked if key not in {"compress", "codec"}} == {
        key: value for key, value in asked.items() if key not in {"compress", "codec"}
    }


@pytest.mark.parametrize("body", [{"level": 10}, {"compress": False, "level": 1}])
def test_a_level_that_the_codec_has_not_is_refused(admin, body):
    """422 with the reason, and no run."""
    before = admin.get(RUNS).json()["total"]

    found = problem(admin.post(f"{BACKUP}/create", json=body), 422, "invalid-request")

    assert "level" in found["detail"]
    assert admin.get(RUNS).json()["total"] == before


def test_accounts_are_in_the_file_when_wanted(admin, shared_api, tables, sql):
    """`accounts` adds CREATE USER to the backup, which it otherwise has not."""
    sql.run("CREATE USER keeper_of_bees IDENTIFIED BY 'honey'")
    try:
        runs = [created(admin, databases=[tables], accounts=accounts) for accounts in (False, True)]
    finally:
        sql.run("DROP USER keeper_of_bees")

    files = [
        gzip.decompress((shared_api.backups / run["result"]["file"]).read_bytes()) for run in runs
    ]
    assert [b"keeper_of_bees" in file for file in files] == [False, True]


def test_a_description_is_one_line(admin, tables):
    """Line breaks and spaces of a description become one space each."""
    run = created(admin, databases=[tables], description="  before\r\nthe   fair ")

    info = admin.get(f"{BACKUP}/info/{run['backup_id']}").json()
    assert info["description"] == "before the fair"


def test_no_body_means_the_defaults(admin, tables):
    """Create and recovery-point can be asked for with no body at all; everything is backed up."""
    backup = done(admin.post(f"{BACKUP}/create", headers=WAIT))
    point = done(admin.post(f"{BACKUP}/recovery-point", headers=WAIT))

    assert tables in backup["result"]["databases"]
    assert backup["result"]["recovery_point"] is False
    assert (point["kind"], point["result"]["recovery_point"]) == ("recovery-point", True)
    info = admin.get(f"{BACKUP}/info/{point['backup_id']}").json()
    assert info["description"] == "Recovery point"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"compress": "perhaps"}, "body.compress"),
        ({"databases": "shop"}, "body.databases"),
        ({"databases": ["x" * 65]}, "body.databases.0"),
        ({"codec": "lzma"}, "body.codec"),
        ({"level": 20}, "body.level"),
        ({"level": True}, "body.level"),
        ({"table_names": ["a"]}, "body.table_names"),
        ([], "body"),
    ],
)
def test_a_body_that_makes_no_sense_names_the_field(admin, body, field):
    """422 with the fields that are wrong, and no run."""
    before = admin.get(RUNS).json()["total"]

    found = problem(admin.post(f"{BACKUP}/create", json=body), 422, "invalid-request")

    assert [error["field"] for error in found["errors"]] == [field]
    assert admin.get(RUNS).json()["total"] == before


def test_a_body_that_is_no_json_is_refused(admin):
    """422 for text that is not JSON; 413 for more than any body needs."""
    headers = {"Content-Type": "application/json"}

    problem(admin.post(f"{BACKUP}/create", content="{", headers=headers), 422, "invalid-request")
    huge = b'{"description": "' + b"x" * 300_000 + b'"}'
    problem(admin.post(f"{BACKUP}/create", content=huge, headers=headers), 413, "too-large")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"databases": ["not_there"]}, "database-not-found"),
        ({"tables": ["not_there"]}, "table-not-found"),
    ],
)
def test_what_is_not_on_the_server_fails_the_run(admin, tables, body, code):
    """404 with the run that found out, for whoever waits; others read it in the run."""
    body = {"databases": [tables], **body}

    waited = problem(admin.post(f"{BACKUP}/create", json=body, headers=WAIT), 404, code)
    run = finished(admin, admin.post(f"{BACKUP}/create", json=body).json()["run_id"])

    assert (run["state"], run["success"], run["error"]["code"]) == ("failed", False, code)
    assert admin.get(f"{RUNS}/{waited['run_id']}").json()["error"]["code"] == code


# -- the list --------------------------------------------------------------------------------------


def test_the_pages_of_the_list_join_to_the_whole(admin, three):
    """Pages of any size join to the whole list, and each knows the total."""
    pages = [_list(admin, limit=2, offset=offset) for offset in (0, 2, 4)]

    assert [page["total"] for page in pages] == [3, 3, 3]
    assert [(page["limit"], page["offset"]) for page in pages] == [(2, 0), (2, 2), (2, 4)]
    assert [_ids(page) for page in pages] == [[three[2], three[1]], [three[0]], []]


@pytest.mark.parametrize("key", ["created_at", "size", "duration", "rows_count"])
def test_the_list_is_in_the_order_of_its_key(admin, three, key):
    """Each order is that of its key, and `-` turns it round."""
    up, down = (_list(admin, sort=sort)["backups"] for sort in (key, f"-{key}"))

    assert [entry[key] for entry in up] == sorted(entry[key] for entry in up)
    assert up == down[::-1]
    assert {entry["backup_id"] for entry in up} == set(three)


def test_the_list_holds_only_what_its_filters_say(admin, three):
    """By database, words, kind and time; conditions are joined by "and"."""
    first, point, last = three
    at = {backup["backup_id"]: backup["created_at"] for backup in _list(admin)["backups"]}

    assert _ids(_list(admin, text="number 2")) == [point]
    assert _ids(_list(admin, recovery_point=True)) == [point]
    assert _ids(_list(admin, recovery_point=False)) == [last, first]
    assert _ids(_list(admin, recovery_point=True, text="1")) == []
    assert _ids(_list(admin, database="t_thre")) == []
    assert _ids(_list(admin, created_before=f"{at[first].replace(' ', 'T')}Z")) == []
    assert first in _ids(_list(admin, created_after=f"{at[first].replace(' ', 'T')}Z"))
    assert _ids(_list(admin, created_after="2999-01-01T00:00:00+05:00")) == []


def test_a_time_without_a_zone_is_utc(admin, three):
    """The times of the list can be used as filters as they are."""
    first = three[0]
    at = {backup["backup_id"]: backup["created_at"] for backup in _list(admin)["backups"]}

    assert first in _ids(_list(admin, created_after=at[first]))
    assert first not in _ids(_list(admin, created_before=at[first]))


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 501},
        {"offset": -1},
        {"sort": "checksum"},
        {"recovery_point": "maybe"},
        {"created_after": "yesterday"},
        {"created_after": "0001-01-01T00:00:00+14:00"},
        {"page": 2},
    ],
)
def test_the_list_refuses_what_it_does_not_know(admin, query):
    """422 that names the parameter."""
    found = problem(admin.get(f"{BACKUP}/list", params=query), 422, "invalid-request")

    assert found["errors"][0]["field"] == f"query.{next(iter(query))}"


def _list(client, **query):
    response = client.get(f"{BACKUP}/list", params={"database": "t_three", **query})
    assert response.status_code == 200, response.text
    return response.json()


def _ids(page):
    return [backup["backup_id"] for backup in page["backups"]]


# -- one backup ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "rows"), [("size", 0), ("hashes", 0), ("inflate", 0), ("content", 1000)]
)
def test_verify_looks_as_far_as_it_is_told(admin, three, level, rows):
    """Each level passes on a whole backup, and the result says what was looked at."""
    run = done(admin.post(f"{BACKUP}/verify/{three[0]}", json={"level": level}, headers=WAIT))

    assert (run["kind"], run["backup_id"]) == ("verification", three[0])
    assert (run["result"]["level"], run["result"]["rows_count"]) == (level, rows)


def test_a_damaged_backup_fails_its_verification(admin, shared_api, tables):
    """The run fails with checksum-mismatch; whoever waits gets it as a problem of status 500."""
    run = created(admin, databases=[tables])
    file = shared_api.backups / run["result"]["file"]
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(whole)
    url = f"{BACKUP}/verify/{run['backup_id']}"

    waited = problem(admin.post(url, headers=WAIT), 500, "checksum-mismatch")
    failed = finished(admin, admin.post(url).json()["run_id"])

    assert (failed["state"], failed["error"]["code"]) == ("failed", "checksum-mismatch")
    assert waited["run_id"] != failed["run_id"]
    status = admin.get(f"{BACKUP}/status").json()
    assert [failure["run_id"] for failure in status["last_failures"][:2]] == [
        failed["run_id"],
        waited["run_id"],
    ]


def test_a_damaged_manifest_is_told_everywhere(admin, shared_api, tables):
    """The list names it among its problems, info answers 500, status counts it; it can be deleted."""
    run = created(admin, databases=[tables])
    backup_id = run["backup_id"]
    manifest = shared_api.backups / f"{run['result']['file']}.manifest.json"
    damaged = admin.get(f"{BACKUP}/status").json()["damaged"]
    text = manifest.read_text()
    other = manifest.with_name("other")  # a new file, as a copy makes it: seen at once
    other.write_text(text.replace('"rows"', '"rowz"'))
    other.replace(manifest)

    listed = admin.get(f"{BACKUP}/list", params={"limit": 500}).json()
    info = admin.get(f"{BACKUP}/info/{backup_id}")

    assert backup_id not in _ids(listed)
    assert any(manifest.name.startswith(problem["file"]) for problem in listed["problems"]), listed
    assert info.status_code == 500
    assert info.json()["code"] in {"manifest", "checksum-mismatch"}
    assert admin.get(f"{BACKUP}/status").json()["damaged"] == damaged + 1
    done(admin.delete(f"{BACKUP}/delete/{backup_id}"))
    assert admin.get(f"{BACKUP}/status").json()["damaged"] == damaged


def test_a_deleted_backup_is_gone(admin, shared_api, tables):
    """Its files are removed, the answer is the run, and every route says 404 from then on."""
    run = created(admin, databases=[tables])
    backup_id = run["backup_id"]

    deleted = done(admin.delete(f"{BACKUP}/delete/{backup_id}"))

    assert (deleted["kind"], deleted["result"]) == (
        "deletion",
        {"success": True, "backup_id": backup_id},
    )
    assert not list(shared_api.backups.glob(f"*{backup_id}*"))
    for method, path in _ROUTES:
        problem(admin.request(method, f"{BACKUP}/{path}/{backup_id}"), 404, "backup-not-found")


_ROUTES = [
    ("GET", "info"),
    ("GET", "recovery-options"),
    ("GET", "download"),
    ("POST", "verify"),
    ("POST", "restore"),
    ("POST", "test-restore"),
    ("DELETE", "delete"),
]


@pytest.mark.parametrize("backup_id", [NO_BACKUP, "backup_1", "..%2F..%2Fetc%2Fpasswd"])
def test_an_id_that_names_nothing_is_not_found(admin, backup_id):
    """404 for every route with an id of a backup, also for what can be none."""
    for method, path in _ROUTES:
        found = admin.request(method, f"{BACKUP}/{path}/{backup_id}")

        assert found.status_code == 404
        assert found.json()["code"] in {"backup-not-found", "not-found"}

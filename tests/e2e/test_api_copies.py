"""Copies by the service: over HTTP, in the pages, and by itself for schedules."""

import json

import pytest

from app.storage import layout
from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, WAIT, created, done, problem
from tests.fixtures.cli import wait_until
from tests.fixtures.web import WebClient


STORE = "elsewhere"


@pytest.fixture
def place(web_api, tmp_path):
    """The directory of a store that the service knows for the length of a test."""
    path = tmp_path / "store"
    path.mkdir()
    definitions = web_api.home / "state" / "stores.toml"
    definitions.write_text(f'[{STORE}]\nkind = "local"\npath = {json.dumps(str(path))}\n')
    yield path
    definitions.unlink()


@pytest.fixture
def made(web_api, database, sql):
    """A small backup."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    return created(web_api.client(), databases=[database])


def names_in(place):
    return {path.name for path in place.iterdir() if not path.name.startswith(".")}


def test_a_copy_is_made_over_http(web_api, place, made):
    """As a run that ends with the copy read back; the same again only reads it back."""
    url = f"{BACKUP}/copy/{made['backup_id']}"
    with web_api.client() as admin:
        run = done(admin.post(url, json={"to": STORE}, headers=WAIT))
        again = done(admin.post(url, json={"to": STORE}, headers=WAIT))
        problem(admin.post(url, json={}), 422, "invalid-request")
        nowhere = problem(admin.post(url, json={"to": "nowhere"}), 404, "store-not-found")

    file = made["result"]["file"]
    assert (run["kind"], run["request"]) == ("copy", {"from": "", "to": STORE})
    assert run["result"]["checksum"] == again["result"]["checksum"]
    assert names_in(place) == {file, file + layout.MANIFEST, layout.METADATA}
    assert "nowhere" in nowhere["detail"]


def test_what_a_run_has_read_of_a_store_is_told_by_its_page_and_document(web_api, place, made):
    """Commands and checks there are runs as well; of what lies in the backup directory nothing is told."""
    backup_id = made["backup_id"]
    here = web_api.cli("backup", "verify", backup_id)
    web_api.cli("backup", "copy", backup_id, "--to", STORE)
    there = web_api.cli("backup", "verify", backup_id, "--store", STORE)
    drilled = web_api.cli("restore", "run", backup_id, "--drill", "--store", STORE)
    assert [here.returncode, there.returncode, drilled.returncode] == [0, 0, 0]
    with web_api.client() as admin:
        runs = admin.get("/api/admin/runs", params={"limit": 4}).json()["runs"]
    web = WebClient(web_api, "operator")
    told = [
        (run["kind"], run["result"].get("bytes_read"), web.get(f"/runs/{run['run_id']}").text)
        for run in runs
        if run["kind"] != "copy"
    ]

    assert [kind for kind, *_ in told] == ["drill", "verification", "verification"]
    assert [read is not None for _, read, _ in told] == [True, True, False]
    assert ["Read from the store: " in page for *_, page in told] == [True, True, False]


def test_the_page_of_a_backup_says_where_copies_are_and_makes_them(web_api, place, made):
    """None, then there; and unknown when the store is gone, which keeps nobody waiting."""
    web = WebClient(web_api, "operator")
    path = f"/backups/{made['backup_id']}"
    assert "Copy there" in web.get(path).text
    begun = web.post(f"{path}/copy", to=STORE)
    with web_api.client() as client:
        assert (
            finished(client, begun.headers["Location"].rpartition("/")[2])["state"] == "succeeded"
        )
    assert "Read it back" in web.get(path).text
    place.rename(place.with_name("away"))

    assert "the store does not answer" in web.get(path).text
    place.with_name("away").rename(place)


def test_the_service_makes_the_copies_of_a_schedule_by_itself(web_api, place, database, sql):
    """Within moments after the backup."""
    sql.run("CREATE TABLE u (id INT PRIMARY KEY)")
    schedule = {
        "name": "copied",
        "cron": "0 0 1 1 *",
        "options": {"databases": [database], "copies": [STORE]},
    }
    with web_api.client() as admin:
        admin.post(f"{BACKUP}/schedule", json=schedule).raise_for_status()
        try:
            run = done(
                admin.post(
                    f"{BACKUP}/run-scheduled", json={"name": "copied", "force": True}, headers=WAIT
                )
            )
            manifest = run["result"]["file"] + layout.MANIFEST
            wait_until(lambda: manifest in names_in(place), "the copy is there")
            runs = admin.get("/api/admin/runs", params={"kind": "copy"}).json()["runs"]
        finally:
            admin.delete(f"{BACKUP}/schedule/copied").raise_for_status()

    assert (runs[0]["asked_by"], runs[0]["origin"]) == ("copies", "schedule")


def test_the_page_of_stores_and_overview_say_what_lies_there(web_api, place, made):
    """How many, how large, how old; and what is missing of three copies."""
    with web_api.client() as admin:
        done(admin.post(f"{BACKUP}/copy/{made['backup_id']}", json={"to": STORE}, headers=WAIT))
    web = WebClient(web_api, "admin")
    wait_until(lambda: "1 backup" in web.get("/stores").text, "a look at the store")
    overview = web.get("/").text

    assert "not 3-2-1" in overview
    assert STORE in overview
    assert "a copy off-site" in overview

"""Forms and addresses as no page sends them: nothing is restored that nobody has chosen, and nothing breaks."""

import json
import re
import shlex
from html import unescape

import pytest

from app.web.application import PAGE_ROUTES
from tests.fixtures.cli import wait_until
from tests.fixtures.series import series, some
from tests.fixtures.servers import Sql
from tests.fixtures.web import SAME_SITE, WebClient


# Globs, separators and quotes in names; ends of lines, which forms change on their way.
NAMES = (
    "axb2",
    "a*b",
    "axb",
    "[x]",
    "a.b",
    "it's",
    "back`tick",
    "with space",
    "n\u00e4me",
    "t" * 64,
    "a\nb",
)


@pytest.fixture(scope="module")
def web(web_api):
    """An admin at a browser without scripts."""
    return WebClient(web_api)


DATABASE = "web_hostile"


@pytest.fixture(scope="module")
def backup(server, web_api):
    """A backup of a database whose tables have such names."""
    tables = [*NAMES, "plain", f"{DATABASE}.plain"]
    with Sql(server.url) as sql:
        sql.run(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        for name in tables:
            quoted = name.replace("`", "``")
            sql.run(f"CREATE TABLE {DATABASE}.`{quoted}` (i INT PRIMARY KEY)")
        yield made_backup(web_api)
        kept = [name for (name,) in sql.run("SHOW DATABASES") if name.startswith(DATABASE)]
        sql.script(f"DROP DATABASE `{name}`" for name in kept)


def made_backup(web_api):
    """Back the database up and return the backup's id."""
    body = {"databases": [DATABASE]}
    with web_api.client() as admin:
        made = admin.post("/api/admin/backup/create", json=body, headers={"Prefer": "wait=60"})
    return made.json()["backup_id"]


def runs(web_api):
    """Count all runs."""
    with web_api.client() as admin:
        return admin.get("/api/admin/runs").json()["total"]


def dry_run(web_api, web, backup, **fields):
    """Ask for a dry run and return its document, when it is over."""
    answer = web.post(f"/restore/{backup}/rehearse", **{"where": "place", **fields})
    assert answer.status_code == 303, answer.text
    run_id = answer.headers["Location"].rpartition("/")[2]
    with web_api.client() as admin:
        found = {}

        def is_over():
            found.update(admin.get(f"/api/admin/runs/{run_id}").json())
            return found["finished_at"] is not None

        wait_until(is_over, "the dry run is over")
    return found


def told(answer):
    """Return what a page says to be wrong with its fields."""
    return " ".join(map(unescape, re.findall(r'class="field-error"[^>]*>(.*?)</p>', answer.text)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"scope": "tables"}, "at least one"),
        ({"scope": "tables", "patterns": "  "}, "at least one"),
        ({"scope": "databases"}, "at least one"),
        ({"scope": "all", "table": "x.axb2"}, "chosen too"),
        ({"scope": "all", "patterns": "axb2"}, "chosen too"),
        ({"scope": "all", "database": "x"}, "chosen too"),
        ({"scope": "databases", "database": "x", "table": "x.axb2"}, "chosen too"),
        ({}, "Choose what"),
        ({"scope": "nothing"}, "Choose what"),
        ({"scope": "all", "where": "into", "into": " "}, "Type the name"),
        ({"scope": "all", "where": "place", "into": "beside"}, "Another name"),
        ({"scope": "all", "where": "drill", "into": "beside"}, "Another name"),
        ({"scope": "all", "where": ""}, "Choose where"),
        ({"scope": "tables", "patterns": "nothing-like-that"}, "matches"),
        ({"scope": "all", "where": "into", "into": "mysql"}, "name of the server"),
    ],
)
@pytest.mark.parametrize("step", ["rehearse", "confirm"])
def test_what_nobody_has_chosen_is_not_everything(web_api, web, backup, step, fields, reason):
    """An empty or contradictory choice comes back with the reason and what was typed; nothing is begun."""
    before = runs(web_api)
    answer = web.post(f"/restore/{backup}/{step}", **{"where": "place", "skip": "on", **fields})

    assert answer.status_code == 422
    assert reason in told(answer)
    assert f'value="{fields.get("into", "")}"' in answer.text
    assert runs(web_api) == before


def test_who_chose_a_drill_is_never_asked_about_a_restore(web_api, web, backup):
    """To skip the dry run of a drill would replace live tables: the choice comes back."""
    before = runs(web_api)
    answer = web.post(f"/restore/{backup}/confirm", scope="all", where="drill", skip="on")

    assert answer.status_code == 422
    assert "A drill has no dry run to skip" in told(answer)
    assert re.search(r'value="drill"[^>]* checked', answer.text)
    assert runs(web_api) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "tables"},
        {"scope": "all", "where": "into"},
        {"scope": "all", "where": "drill"},
        {},
    ],
)
def test_the_last_step_refuses_an_empty_choice_too(web_api, web, backup, fields):
    """Whoever sends it without the pages before it gets no restore of everything."""
    before = runs(web_api)
    sent = {"where": "place", "skip": "on", "typed": DATABASE, **fields}

    assert web.post(f"/restore/{backup}", **sent).status_code == 422
    assert runs(web_api) == before


@pytest.mark.long
@pytest.mark.parametrize("name", series(("a*b", "[x]", "back`tick", "a\nb"), NAMES))
def test_a_table_is_restored_alone_whatever_its_name(web_api, web, backup, name):
    """What was ticked, as browsers send it, is what the dry run restores and the restore after it."""
    ticked = f"{DATABASE}.{name}".replace("\n", "\r\n")
    done = dry_run(web_api, web, backup, scope="tables", table=ticked)
    assert done["result"]["restored_tables"] == [f"{DATABASE}.{name}"]

    page = web.get(f"/restore/{backup}/dry-run/{done['run_id']}").text
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    sent = {key: unescape(value) for key, value in fields if key not in {"csrf", "theme", "next"}}
    answer = web.post(f"/restore/{backup}", typed=DATABASE, **sent)
    run_id = answer.headers["Location"].rpartition("/")[2]
    with web_api.client() as admin:
        path = f"/api/admin/runs/{run_id}"
        wait_until(lambda: admin.get(path).json()["finished_at"], "the restore is over")
        result = admin.get(path).json()["result"]
    assert result["restored_tables"] == [f"{DATABASE}.{name}"]


def test_a_table_is_not_restored_with_one_of_nearly_the_same_name(web_api, web, backup):
    """`a.b` is the table b of a, and every table that is called a.b: the page says so."""
    fields = {"where": "place", "scope": "tables"}
    answer = web.post(f"/restore/{backup}/rehearse", table=f"{DATABASE}.plain", **fields)

    assert answer.status_code == 422
    assert f"{DATABASE}.{DATABASE}.plain as well" in told(answer)
    both = [f"{DATABASE}.plain", f"{DATABASE}.{DATABASE}.plain"]
    assert (
        len(dry_run(web_api, web, backup, table=both, scope="tables")["result"]["restored_tables"])
        == 2
    )


def test_a_dry_run_of_something_else_is_told_before_anything_is_typed(web_api, web, backup):
    """Other fields than those that were tried, another kind of run, or none at all."""
    done = dry_run(web_api, web, backup, scope="tables", patterns="axb2")
    path = f"/restore/{backup}/confirm"
    for fields, reason in (
        ({"scope": "all", "dry_run": done["run_id"]}, "another restore"),
        ({"scope": "all", "dry_run": "run_0000000000000000"}, "no dry run"),
        ({"scope": "all"}, "no dry run"),
    ):
        answer = web.post(path, where="place", **fields)
        assert answer.status_code == 422
        assert reason in answer.text
        assert "1 table replaced" not in answer.text


def test_a_dry_run_is_good_for_one_restore(web_api, web, backup):
    """After the restore it tells what was, not what would go now."""
    fields = {"where": "place", "scope": "tables", "patterns": "axb2"}
    sent = {**fields, "dry_run": dry_run(web_api, web, backup, **fields)["run_id"]}
    done = web.post(f"/restore/{backup}", typed=DATABASE, key="once", **sent)
    assert done.status_code == 303
    run_id = done.headers["Location"].rpartition("/")[2]
    with web_api.client() as admin:
        path = f"/api/admin/runs/{run_id}"
        wait_until(lambda: admin.get(path).json()["finished_at"], "the restore is over")
    twice = web.post(f"/restore/{backup}", typed=DATABASE, key="once", **sent)
    assert twice.headers["Location"] == done.headers["Location"]
    again = web.post(f"/restore/{backup}", typed=DATABASE, **sent)

    assert again.status_code == 422
    assert "since the dry run" in again.text


def test_a_run_that_is_no_dry_run_is_shown_as_none(web_api, web, backup):
    """Its page is another one."""
    with web_api.client() as admin:
        run = admin.get("/api/admin/runs", params={"kind": "backup"}).json()["runs"][0]

    assert web.get(f"/restore/{backup}/dry-run/{run['run_id']}").status_code == 404


def test_the_command_beside_a_restore_does_the_same(web, backup):
    """With every choice in it, quoted for a shell."""
    answer = web.post(
        f"/restore/{backup}/confirm", skip="on", where="into", into="a b; rm -rf $HOME", scope="tables",
        patterns="pl*n", schema_only="on", no_create_backup="on",
    )  # fmt: skip

    shown = unescape(
        re.findall(r'<pre id="restore-command">(.*?)</pre>', answer.text, re.DOTALL)[0]
    )
    command, _, request = shown.partition("\n")
    assert command == (
        f"backstay restore run {backup} --into 'a b; rm -rf $HOME' --table 'pl*n' --schema-only"
        " --no-recovery-point"
    )
    words = shlex.split(request)
    assert words[3].endswith(f"/restore/{backup}")
    assert json.loads(words[words.index("-d") + 1]) == {
        "into": "a b; rm -rf $HOME",
        "tables": ["pl*n"],
        "schema_only": True,
        "create_backup": False,
    }


@pytest.mark.parametrize("codec", ["punycode", "undefined", "unicode_escape", "utf-8"])
@pytest.mark.parametrize(("path", "status"), [("/login", 401), ("/setup", 404), ("/users", 403)])
def test_a_form_in_parts_is_none(web_api, web, codec, path, status):
    """With a login and without: whoever sends it does not choose how bytes become text."""
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{web.token}\\ud800\r\n--x--\r\n'
    )
    kind = f"multipart/form-data; boundary=x; charset={codec}"
    found = web.client.post(path, content=parts, headers={**SAME_SITE, "Content-Type": kind})

    assert found.status_code == status
    assert "a bug" not in web_api.log


# In the place of an id or a name.
STRANGE = (
    "backup_65ba1f2f3d4e5", "run_0000000000000000", "%00", "%ff", "..%2f..%2fx", "-1", "%f0%9f%92%be",
    "a%0d%0ab", "x" * 5000, "%22%3Cscript%3E",
)  # fmt: skip
QUERIES = (
    "",
    "?page=0&page=-1&q=%00%ff&since=x&store=..&next=//evil",
    f"?page={'9' * 20}&text={'%F0' * 300}",
)
FIELDS = "name=%00&typed=%ff&page=%f0&table=%00&into=%00&at=9999-99-99&role=root&cron=*+*+*+*+*&where=other"
# One ends the login, others do not end.
PATHS = [
    (method, route.path)
    for route in PAGE_ROUTES
    for method in sorted(route.methods or ())
    if not route.path.endswith(("/stream", "/logout"))
]


@pytest.mark.long
def test_no_page_fails_by_what_is_sent_to_it(web_api, web):
    """Names, queries and fields that nobody means, in every page and form: no answer is a bug."""
    kind = {**SAME_SITE, "Content-Type": "application/x-www-form-urlencoded"}
    for method, path in PATHS:
        for value in some(STRANGE, 2) if "{" in path else STRANGE[:1]:
            target = re.sub("{[^}]*}", value, path)
            if method == "POST":
                form = f"csrf={web.token}&{FIELDS}"
                answers = [web.client.post(target, content=form, headers=kind)]
            else:
                answers = [web.get(target + query) for query in some(QUERIES, 1)]
            assert {answer.status_code for answer in answers}.isdisjoint({500}), (method, target)
    assert len(PATHS) > 60
    assert "a bug" not in web_api.log

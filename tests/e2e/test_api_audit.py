"""The audit over HTTP and by command line: who changed or was refused what, and that it is whole."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.e2e.test_api_access import NOWHERE, USERS, log_in
from tests.fixtures.api import Api
from tests.fixtures.api_requests import BACKUP, NO_BACKUP, RUNS, WAIT, problem
from tests.fixtures.archives import make_backup
from tests.fixtures.operations import OPERATIONS
from tests.fixtures.people import PASSWORD, with_users
from tests.fixtures.web import WebClient


AUDIT = "/api/admin/audit"


@pytest.fixture
def fresh(own_api):
    """A service with no database server, and an admin."""
    return with_users(own_api(NOWHERE), admin="admin").start()


def _entries(api, **query):
    answer = api.client().get(AUDIT, params={"limit": 500, "sort": "number", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def _written(api, query):
    """What a query finds in the control database, where entries that count others stand as they were written."""
    with closing(sqlite3.connect(api.state / "control.db")) as control:
        return control.execute(query).fetchall()


def test_the_audit_tells_who_changed_or_was_refused_what(fresh):
    """Who, with which role, from where, what, how it ended, and the run; reading is not in it."""
    admin, client = fresh.client(), fresh.client(None)
    log_in(client)
    log_in(client, "mallory", "guessed password")
    admin.get(f"{BACKUP}/list")
    problem(fresh.client("viewer").delete(f"{BACKUP}/delete/{NO_BACKUP}"), 403, "not-authorized")
    client.get(f"{BACKUP}/list")
    admin.delete(f"{BACKUP}/delete/{NO_BACKUP}")
    failed = admin.post(f"{BACKUP}/create", headers=WAIT)
    run_id = problem(failed, 502, "connection-failed")["run_id"]

    found = [
        (
            entry["actor"],
            entry["role"],
            entry["action"],
            entry["status"],
            entry["result"],
            entry["run_id"],
        )
        for entry in _entries(fresh)
    ]
    assert found == [
        ("service", "", "start_service", 0, "ok", None),
        ("admin", "admin", "log_in", 200, "ok", None),
        ("", "", "log_in", 401, "not-authenticated", None),
        ("some-viewer", "viewer", "delete_backup", 403, "not-authorized", None),
        ("", "", "list_backups", 401, "not-authenticated", None),
        ("some-admin", "admin", "delete_backup", 404, "backup-not-found", None),
        ("some-admin", "admin", "create_backup", 502, "connection-failed", run_id),
    ]
    refused = _entries(fresh)[2]
    assert refused["target"].startswith("POST /api/auth/token as unknown ")
    assert "mallory" not in json.dumps(_entries(fresh))
    assert _entries(fresh)[3]["target"] == f"DELETE {BACKUP}/delete/{NO_BACKUP}"
    assert _entries(fresh)[4]["target"] == f"GET {BACKUP}/list"
    last = _entries(fresh)[-1]
    assert (last["address"], last["target"]) == ("127.0.0.1", f"POST {BACKUP}/create")
    assert json.loads(fresh.cli("audit", "verify", "--json").stdout)["entries"] == len(found)


def test_what_the_audit_does_not_take_is_in_the_log_and_not_called_undone(fresh):
    """A schedule is no part of the control database: it is set, not confirmed, and told with old and new value."""
    with sqlite3.connect(fresh.state / "control.db") as control:
        control.execute("ALTER TABLE audit RENAME TO away")
    admin, body = fresh.client(), {"name": "nightly", "frequency": "daily"}
    told = problem(admin.post(f"{BACKUP}/schedule", json=body), 503, "control-unavailable")
    missing = problem(admin.delete(f"{BACKUP}/schedule/none"), 404, "schedule-not-found")
    with sqlite3.connect(fresh.state / "control.db") as control:
        control.execute("ALTER TABLE away RENAME TO audit")
    (line,) = [line for line in fresh.log.splitlines() if "Not in the audit" in line]

    assert told["detail"].startswith("what was asked for is done, but is not in the audit: ")
    assert "Look at what there is now before you ask again" in told["hint"]
    assert missing["detail"] == "no schedule 'none'"
    assert [found["name"] for found in admin.get(f"{BACKUP}/schedule").json()["schedules"]] == [
        "nightly"
    ]
    assert [entry["action"] for entry in _entries(fresh)] == ["start_service"]
    for fact in ("some-admin", "set_schedule", "127.0.0.1", f"POST {BACKUP}/schedule", "daily"):
        assert fact in line


def test_a_download_that_cannot_be_written_down_is_not_sent(fresh):
    """Over the API and in the pages; nobody is told that it is done."""
    fresh.backups.mkdir(exist_ok=True)
    _, manifest = make_backup(fresh.backups)
    with sqlite3.connect(fresh.state / "control.db") as control:
        control.execute("ALTER TABLE audit RENAME TO away")
    told = fresh.client().get(f"{BACKUP}/download/{manifest.backup_id}")
    page = WebClient(fresh).post(f"/backups/{manifest.backup_id}/download")

    assert "is done" not in problem(told, 503, "control-unavailable")["detail"]
    assert (page.status_code, "is done" in page.text) == (503, False)


@pytest.mark.parametrize("number", ["5", "0.5", "20261101", "-1e9"])
@pytest.mark.parametrize("field", ["since", "until"])
@pytest.mark.parametrize("path", [AUDIT, "/api/admin/binlog/transactions"])
def test_a_number_is_no_instant(shared_api, path, field, number):
    """It would be taken for seconds since 1970, and what is found for all there is."""
    answer = shared_api.client().get(path, params={field: number})

    assert field in problem(answer, 422, "invalid-request")["detail"]


def test_the_audit_pages_sorts_and_filters(fresh):
    """Newest first unless sorted otherwise; by who, what, how it ended, and when."""
    admin, client = fresh.client(), fresh.client(None)
    for name in ("gina", "hugo"):
        body = {"name": name, "password": "a long password", "role": "viewer"}
        admin.post(USERS, json=body)
    log_in(client, "gina", "a long password")
    log_in(client, "hugo", "a wrong password")

    page = admin.get(AUDIT, params={"limit": 2, "offset": 1}).json()
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    assert [entry["number"] for entry in page["entries"]] == [4, 3]
    assert [entry["number"] for entry in _entries(fresh, actor="gina")] == [4]
    assert [entry["number"] for entry in _entries(fresh, action="create_user")] == [2, 3]
    assert [entry["number"] for entry in _entries(fresh, result="not-authenticated")] == [5]
    assert _entries(fresh)[4]["target"] == "POST /api/auth/token as hugo"
    fourth = _entries(fresh)[3]["at"]
    assert [entry["number"] for entry in _entries(fresh, since=fourth)] == [4, 5]
    until = fourth.removesuffix("Z")
    assert [entry["number"] for entry in _entries(fresh, until=until)] == [1, 2, 3]
    for query in ({"sort": "actor"}, {"since": "soon"}, {"until": "0001-01-01T00:00+14:00"}):
        problem(admin.get(AUDIT, params=query), 422, "invalid-request")


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A service that was stopped after it had made two users and refused three logins."""
    api = Api(NOWHERE, tmp_path_factory.mktemp("audited"))
    try:
        admin = api.start().client()
        for name in ("gina", "hugo"):
            body = {"name": name, "password": PASSWORD, "role": "viewer"}
            assert admin.post(USERS, json=body).status_code == 201
        for number in range(3):
            log_in(api.client(None), f"user{number}", "wrong")
        api.stop()
    finally:
        api.close()
    return api


def test_an_audit_that_nobody_touched_is_whole(audited):
    """`backstay audit verify` counts its lines; the refused logins are two, with a count."""
    result = audited.cli("audit", "verify")
    newest = json.loads(audited.cli("audit", "verify", "--json").stdout)

    head = f"5:{newest['digest']}"
    assert (result.returncode, result.stdout) == (
        0,
        f"The audit is whole: 5 lines, 1 to 5.\nHead: {head}\n",
    )
    assert audited.cli("audit", "verify", "--head", head).returncode == 0
    assert audited.cli("audit", "verify", "--head", f"6:{newest['digest']}").returncode == 22
    assert audited.cli("audit", "verify", "--head", "x").returncode == 12
    found = _written(audited, "SELECT count FROM audit WHERE status = 401 ORDER BY number")
    assert [row[0] for row in found] == [1, 2]


def test_refused_requests_are_collapsed_whoever_sends_them(fresh):
    """Of all that an admin asks in vain, one entry of each kind and one with the count; runs and changes are single."""
    admin = fresh.client()
    changing = {
        name: operation for name, operation in OPERATIONS.items() if operation.method != "GET"
    }
    for name in set(changing) - {"log_in", "refresh"}:
        operation = changing[name]
        for nothing in (NO_BACKUP, "nobody", "%00", "x" * 300):
            found = admin.request(operation.method, operation.at(nothing), json=[])
            assert 400 <= found.status_code < 500, (name, found.text)
    run_id = admin.post(f"{BACKUP}/create", headers=WAIT).json()["run_id"]
    for _ in range(3):
        problem(admin.post(f"{BACKUP}/create", headers=WAIT), 502, "connection-failed")
        problem(admin.post(f"{RUNS}/{run_id}/cancel"), 409, "not-cancellable")
    fresh.stop()

    found = _written(
        fresh,
        "SELECT action, status, SUM(count), COUNT(*) FROM audit WHERE status >= 400 GROUP BY 1, 2",
    )
    rows = {(action, status): (told, rows) for action, status, told, rows in found}
    assert {action for action, _ in rows} == set(changing) - {"log_in", "refresh"}
    assert rows.pop(("create_backup", 502)) == (4, 4)
    assert rows.pop(("cancel_run", 409)) == (3, 2)
    assert {rows for _, rows in rows.values()} <= {1, 2}
    assert sum(told for told, _ in rows.values()) == 4 * (len(changing) - 2)


def test_a_login_that_its_refresh_token_has_ended_is_in_the_audit_each_time(fresh):
    """Somebody has a copy of it: whose login that was stands there, and is not among the refused requests."""
    nobody = fresh.client(None)
    for _ in range(2):
        body = {"refresh_token": log_in(nobody).json()["refresh_token"]}
        statuses = [nobody.post("/api/auth/refresh", json=body).status_code for _ in range(3)]
        assert statuses == [200, 401, 401]
    entries = _entries(fresh, action="refresh")
    ended = [entry for entry in entries if entry["changes"]]

    assert [entry["actor"] for entry in entries if entry["status"] == 200] == ["admin"]
    assert len(ended) == 2
    assert {(entry["status"], entry["target"]) for entry in ended} == {
        (401, "POST /api/auth/refresh of admin")
    }
    assert ended[0]["changes"]["login"][1].startswith("ended")


def test_whoever_may_only_look_fills_no_audit_by_renewing_a_login(fresh):
    """Neither by the next tokens nor by logouts that end nothing; each kind is an entry, and one with the count."""
    nobody, viewer = fresh.client(None), fresh.client("viewer")
    token = log_in(nobody).json()["refresh_token"]
    for _ in range(5):
        token = nobody.post("/api/auth/refresh", json={"refresh_token": token}).json()[
            "refresh_token"
        ]
        ended = viewer.post("/api/auth/logout", json={"refresh_token": "of.nobody"})
        assert ended.status_code == 204
    fresh.stop()

    found = _written(
        fresh,
        "SELECT action, actor, status, count FROM audit WHERE action IN ('refresh', 'log_out') ORDER BY 1, 4",
    )
    assert found == [
        *(("log_out", "some-viewer", 204, count) for count in (1, 4)),
        *(("refresh", "admin", 200, count) for count in (1, 4)),
    ]


def test_a_login_that_somebody_else_ends_is_named_in_the_audit(fresh):
    """By its refresh token; who ends their own is named already."""
    operator = fresh.client("operator")
    body = {"refresh_token": log_in(fresh.client(None)).json()["refresh_token"]}
    for given in (body, {}):
        assert operator.post("/api/auth/logout", json=given).status_code == 204
    found = [(entry["actor"], entry["target"]) for entry in _entries(fresh, action="log_out")]

    assert found == [
        ("some-operator", "POST /api/auth/logout of admin"),
        ("some-operator", "POST /api/auth/logout"),
    ]


def test_old_and_new_values_are_in_the_audit(fresh):
    """Of schedules, retention, users and pins; by request and by command, and never a password."""
    admin = fresh.client()
    body = {"frequency": "daily", "retention": {"count": 6}}
    admin.post(f"{BACKUP}/schedule", json=body)
    admin.post(f"{BACKUP}/schedule", json={**body, "retention": {"count": 1}})
    admin.post(USERS, json={"name": "gina", "password": PASSWORD, "role": "viewer"})
    admin.patch(f"{USERS}/gina", json={"role": "operator", "password": "another password"})
    assert fresh.cli("schedule", "disable").returncode == 0
    assert fresh.cli("user", "disable", "gina").returncode == 0
    admin.delete(f"{BACKUP}/schedule/default")

    entries = _entries(fresh)
    found = {entry["action"]: entry["changes"] for entry in entries}
    assert found["start_service"]["count"] == [None, 30]
    old, new = found["set_schedule"].pop("retention")
    assert ((old["count"], new["count"]), found["set_schedule"]) == ((6, 1), {})
    assert found["create_user"] == {
        "name": [None, "gina"],
        "disabled": [None, False],
        "role": [None, "viewer"],
    }
    assert found["change_user"] == {"password": [None, "new"], "role": ["viewer", "operator"]}
    assert found["disable_schedule"] == {"enabled": [True, False]}
    assert found["disable_user"] == {"disabled": [False, True]}
    assert found["delete_schedule"]["frequency"] == ["daily", None]
    assert PASSWORD not in json.dumps(entries)
    proof = admin.get(f"{AUDIT}/verify").json()
    assert (proof["success"], proof["entries"], proof["last"]) == (True, 8, 8)
    assert admin.get(f"{AUDIT}/verify").json()["unkeyed"] == 0


def test_a_lost_key_is_accepted_and_the_proof_begins_anew(own_api, audited):
    """`backstay audit accept` says since when, and the audit who did it."""
    api = own_api(NOWHERE)
    shutil.copytree(audited.state, api.state)
    (api.state / "audit.key").unlink()
    broken = api.cli("audit", "verify")
    accepted = api.cli("audit", "accept", "--reason", "the disk was lost")
    whole = api.cli("audit", "verify")

    assert (broken.returncode, accepted.returncode, whole.returncode) == (22, 0, 0)
    assert "its key" in broken.stderr
    assert accepted.stdout == "Entries up to 5 are not proven any more.\n"
    assert whole.stdout.startswith("Entries up to 5 are not proven: accepted on ")
    assert "1 line, 6 to 6" in whole.stdout


@pytest.mark.parametrize(
    ("forgery", "message"),
    [
        ("UPDATE audit SET actor = 'somebody else' WHERE number = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE number = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE number >= 3", "everything after entry 2 is missing, up to 5"),
    ],
)
def test_an_audit_that_was_changed_by_hand_is_broken(own_api, audited, forgery, message):
    """`backstay audit verify` fails with exit code 22 and says where."""
    api = own_api(NOWHERE)
    shutil.copytree(audited.state, api.state)
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute(forgery)
    control.close()

    result = api.cli("audit", "verify", "--json")

    error = json.loads(result.stdout)["error"]
    assert (result.returncode, error["code"], error["message"]) == (22, "audit-broken", message)

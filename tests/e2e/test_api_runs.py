"""Runs over HTTP: begun, waited for, repeated, listed."""

import asyncio
import uuid

import httpx
import pytest

from tests.fixtures.api import claims_of, encoded, finished
from tests.fixtures.api_requests import BACKUP, NO_RUN, RUNS, WAIT, created, done, problem
from tests.fixtures.servers import Sql


@pytest.fixture
def table(sql, database):
    """A database with one table of 100 rows."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY) AS SELECT seq AS id FROM seq_1_to_100")
    return database


@pytest.fixture
def held(server, table):
    """The table, locked by somebody else, so that a backup of it waits until `held.close()`."""
    with Sql(server.url, table) as other:
        other.run("LOCK TABLES t WRITE")
        yield other


# -- waiting ---------------------------------------------------------------------------------------


def test_a_run_that_is_waited_for_is_answered_when_it_is_over(admin, table):
    """200, and `Preference-Applied` says what was done."""
    response = admin.post(f"{BACKUP}/create", json={"databases": [table]}, headers=WAIT)

    run = done(response)
    assert response.headers["Preference-Applied"] == "wait=60"
    assert response.headers["Location"] == f"{RUNS}/{run['run_id']}"
    assert admin.get(response.headers["Location"]).json() == run
    assert (run["asked_by"], run["origin"]) == ("some-admin", "api")
    assert run["created_at"] <= run["started_at"] <= run["finished_at"]


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async, wait=0", "handling=strict; Wait = 0"])
def test_a_wait_that_is_over_answers_202(admin, table, held, prefer):
    """The run goes on, and can be looked at."""
    headers = {"Prefer": prefer}
    response = admin.post(f"{BACKUP}/create", json={"databases": [table]}, headers=headers)
    held.close()

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=0"
    assert (response.json()["success"], response.json()["result"]) == (None, None)
    assert finished(admin, response.json()["run_id"])["state"] == "succeeded"


def test_no_run_that_waits_ends_late(admin, table, held):
    """`wait=1` answers after a second, whatever the run does."""
    headers = {"Prefer": "wait=1"}
    response = admin.post(f"{BACKUP}/create", json={"databases": [table]}, headers=headers)
    held.close()

    assert response.status_code == 202
    assert response.elapsed.total_seconds() > 0.9
    finished(admin, response.json()["run_id"])


def test_a_preference_that_is_not_known_is_ignored(admin, table):
    """Without a wait there is none, and nothing says there was."""
    headers = {"Prefer": "return=minimal"}
    response = admin.post(f"{BACKUP}/create", json={"databases": [table]}, headers=headers)

    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers
    finished(admin, response.json()["run_id"])


def test_a_problem_that_was_waited_for_names_its_run(admin, table):
    """The headers are those of every run, so that it can be read in full."""
    body = {"databases": ["not_there"]}
    response = admin.post(f"{BACKUP}/create", json=body, headers=WAIT)

    found = problem(response, 404, "database-not-found")
    assert response.headers["Location"] == f"{RUNS}/{found['run_id']}"
    assert response.headers["Preference-Applied"] == "wait=60"
    run = admin.get(response.headers["Location"]).json()
    assert (run["error"]["message"], run["error"]["hint"]) == (found["detail"], found["hint"])


# -- idempotency -----------------------------------------------------------------------------------


def test_a_request_that_comes_twice_is_one_run(admin, table, held):
    """The same key with the same request is the same run, while it works and when it is over."""
    body, key = {"databases": [table]}, _key()
    answers = [admin.post(f"{BACKUP}/create", json=body, headers=key) for _ in range(2)]
    held.close()
    run_id = answers[0].json()["run_id"]
    over = finished(admin, run_id)
    answers.append(admin.post(f"{BACKUP}/create", json=body, headers={**key, **WAIT}))

    assert {answer.json()["run_id"] for answer in answers} == {run_id}
    assert {answer.headers["Location"] for answer in answers} == {f"{RUNS}/{run_id}"}
    assert [answer.status_code for answer in answers] == [202, 202, 200]
    assert answers[2].json() == over
    listed = admin.get(f"{BACKUP}/list", params={"database": table}).json()
    assert listed["total"] == 1


def test_a_failed_run_keeps_its_key(admin, table):
    """The same request with the same key is not tried again: it is that run."""
    headers = {**_key(), **WAIT}
    first, second = (
        admin.post(f"{BACKUP}/create", json={"databases": ["not_there"]}, headers=headers)
        for _ in range(2)
    )

    assert first.status_code == second.status_code == 404
    assert first.json()["run_id"] == second.json()["run_id"]


def test_what_is_gone_because_it_was_done_is_that_run(admin, table):
    """Whoever heard no answer asks again, and learns what came of it; without the key it is not found."""
    key, run = _key(), created(admin, databases=[table])
    path = f"{BACKUP}/delete/{run['backup_id']}"
    first, second = (done(admin.delete(path, headers=key)) for _ in range(2))

    assert first == second
    assert first["kind"] == "deletion"
    problem(admin.delete(path), 404, "backup-not-found")
    problem(admin.delete(path, headers=_key()), 404, "backup-not-found")
    other = f"{BACKUP}/delete/{run['backup_id'][:-1]}x"
    problem(admin.delete(other, headers=key), 422, "key-reused")


def test_a_key_for_another_request_is_refused(admin, table):
    """422 key-reused for another body or another route."""
    key = _key()
    run = created_with(admin, key, databases=[table])

    for path, body in (
        ("create", {"databases": [table], "compress": False}),
        ("recovery-point", {"databases": [table]}),
        (f"verify/{run['backup_id']}", {}),
    ):
        problem(admin.post(f"{BACKUP}/{path}", json=body, headers=key), 422, "key-reused")


def test_a_key_of_somebody_else_is_another_run(admin, shared_api, table):
    """Keys are each user's own."""
    key = _key()
    other = shared_api.client("operator")
    runs = [created_with(client, key, databases=[table]) for client in (admin, other)]

    assert runs[0]["run_id"] != runs[1]["run_id"]
    assert [run["asked_by"] for run in runs] == ["some-admin", "some-operator"]


@pytest.mark.parametrize("key", ["", "a b", "ä".encode(), "x" * 129])
def test_a_key_that_is_none_is_refused(admin, key):
    """422 for keys that are empty, too long, or hold anything but plain characters."""
    found = admin.post(f"{BACKUP}/create", headers={"Idempotency-Key": key})

    assert problem(found, 422, "invalid-request")["errors"][0]["field"] == "header.idempotency-key"


def _key():
    return {"Idempotency-Key": uuid.uuid4().hex}


def created_with(client, headers, **body):
    """Make a backup with a header more."""
    return done(client.post(f"{BACKUP}/create", json=body, headers={**headers, **WAIT}))


# -- one at a time ---------------------------------------------------------------------------------


def test_one_backup_runs_at_a_time(admin, table, held):
    """409 already-running that names the run; also for a recovery point; then it is free again."""
    run_id = admin.post(f"{BACKUP}/create", json={"databases": [table]}).json()["run_id"]
    refused = [admin.post(f"{BACKUP}/{path}") for path in ("create", "recovery-point")]
    status = admin.get(f"{BACKUP}/status").json()
    held.close()
    finished(admin, run_id)

    for answer in refused:
        found = problem(answer, 409, "already-running")
        assert (found["run_id"], found["retryable"]) == (run_id, True)
    assert [run["run_id"] for run in status["running"]] == [run_id]
    created(admin, databases=[table])


def test_one_restore_of_a_database_runs_at_a_time(admin, server, sql, table):
    """409 names the restore in the way; restores of other databases and dry runs go on."""
    backup_id = created(admin, databases=[table])["backup_id"]
    url = f"{BACKUP}/restore/{backup_id}"
    body = {"create_backup": False}
    with Sql(server.url, table) as other:
        other.script(["BEGIN", "SELECT * FROM t"])  # what a swap waits for
        run_id = admin.post(url, json=body).json()["run_id"]
        refused = problem(admin.post(url, json=body), 409, "already-running")
        beside = done(admin.post(url, json={**body, "into": f"{table}_b"}, headers=WAIT))
        done(admin.post(f"{BACKUP}/test-restore/{backup_id}", headers=WAIT))
        assert admin.get(f"{RUNS}/{run_id}").json()["state"] == "running"
    run = finished(admin, run_id)
    sql.run(f"DROP DATABASE {table}_b")

    assert refused["run_id"] == run_id
    assert beside["result"]["databases"] == [f"{table}_b"]
    assert run["state"] == "succeeded"


async def test_of_a_hundred_backups_at_once_one_runs(shared_api, table, held):
    """One answer is 202, 99 are 409 and name that run."""
    answers = await _hundred(shared_api, {"databases": [table]})
    held.close()

    begun = [answer for answer in answers if answer.status_code == 202]
    assert len(begun) == 1
    run_id = begun[0].json()["run_id"]
    for answer in answers:
        if answer is not begun[0]:
            assert problem(answer, 409, "already-running")["run_id"] == run_id
    finished(shared_api.client(), run_id)


async def test_a_hundred_of_one_key_are_one_run(shared_api, table, held):
    """All answers are 202 and the same run."""
    answers = await _hundred(shared_api, {"databases": [table]}, **_key())
    held.close()

    assert {answer.status_code for answer in answers} == {202}
    (run_id,) = {answer.json()["run_id"] for answer in answers}
    finished(shared_api.client(), run_id)


async def _hundred(api, body, **headers):
    headers["Authorization"] = f"Bearer {encoded(claims_of('operator'))}"
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(
        base_url=api.url, headers=headers, limits=limits, timeout=60
    ) as client:
        return await asyncio.gather(
            *(client.post(f"{BACKUP}/create", json=body) for _ in range(100))
        )


# -- the history -----------------------------------------------------------------------------------


def test_the_pages_of_the_history_join_to_the_whole(admin, table):
    """Pages join to the list, newest first, and each knows the total."""
    backup_id = created(admin, databases=[table])["backup_id"]
    for _ in range(2):
        done(admin.post(f"{BACKUP}/verify/{backup_id}", headers=WAIT))

    whole = _list(admin, backup_id=backup_id)
    pages = [_list(admin, backup_id=backup_id, limit=2, offset=offset) for offset in (0, 2)]

    assert [run["kind"] for run in whole["runs"]] == ["verification", "verification", "backup"]
    assert pages[0]["runs"] + pages[1]["runs"] == whole["runs"]
    assert [page["total"] for page in (whole, *pages)] == [3, 3, 3]


@pytest.mark.parametrize("key", ["created_at", "finished_at", "kind"])
def test_the_history_is_in_the_order_of_its_key(admin, table, key):
    """Each order is that of its key, and `-` turns it round."""
    backup_id = created(admin, databases=[table])["backup_id"]
    done(admin.post(f"{BACKUP}/verify/{backup_id}", headers=WAIT))
    done(admin.post(f"{BACKUP}/test-restore/{backup_id}", headers=WAIT))

    up, down = (_list(admin, sort=sort)["runs"] for sort in (key, f"-{key}"))

    assert len(up) >= 3
    assert [entry[key] for entry in up] == sorted(entry[key] for entry in up)
    assert up == down[::-1]


def test_the_history_holds_only_what_its_filters_say(admin, shared_api, table):
    """By kinds, states, who asked and backup; several values of one mean any of them."""
    backup_id = created(admin, databases=[table])["backup_id"]
    operator = shared_api.client("operator")
    done(operator.post(f"{BACKUP}/verify/{backup_id}", headers=WAIT))
    operator.post(f"{BACKUP}/create", json={"databases": ["not_there"]}, headers=WAIT)

    def kinds(**query):
        return [run["kind"] for run in _list(admin, **query)["runs"]]

    assert kinds(backup_id=backup_id) == ["verification", "backup"]
    assert kinds(backup_id=backup_id, asked_by="some-operator") == ["verification"]
    assert kinds(backup_id=backup_id, kind=["backup", "restore"]) == ["backup"]
    assert kinds(backup_id=backup_id, state=["failed", "cancelled"]) == []
    assert {run["state"] for run in _list(admin, state="failed")["runs"]} == {"failed"}
    assert set(kinds(kind="verification")) == {"verification"}
    assert kinds(asked_by="nobody") == []


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"sort": "run_id"}, {"kind": "nap"}, {"state": "x"}, {"page": 1}]
)
def test_the_history_refuses_what_it_does_not_know(admin, query):
    """422 that names the parameter."""
    found = problem(admin.get(RUNS, params=query), 422, "invalid-request")

    assert found["errors"][0]["field"].startswith(f"query.{next(iter(query))}")


@pytest.mark.parametrize("run_id", [NO_RUN, "run_1", "run_ 1", "a" * 500])
def test_a_run_that_is_not_there_is_not_found(admin, run_id):
    """404 run-not-found for the run, its events and its cancelling."""
    problem(admin.get(f"{RUNS}/{run_id}"), 404, "run-not-found")
    problem(admin.get(f"{RUNS}/{run_id}/events"), 404, "run-not-found")
    problem(admin.post(f"{RUNS}/{run_id}/cancel"), 404, "run-not-found")


def _list(client, **query):
    response = client.get(RUNS, params={"limit": 500, **query})
    assert response.status_code == 200, response.text
    return response.json()

"""Who may do what: every route, every role, over real HTTP."""

import pytest
from starlette.routing import Route

from app.config import Settings
from app.domain.rights import OPERATIONS as RIGHTS_OF_OPERATIONS, least_role
from app.main import create_app
from tests.fixtures.api import ROLES, finished
from tests.fixtures.operations import DOCUMENT, OPERATIONS


# The least role of each operation, by the table of rights, which docs/api.md is compared with.
LEAST = {name: least_role(name) or "public" for name in RIGHTS_OF_OPERATIONS}
# Of each kind one that names nothing.
NOTHING = {
    "backup_id": "backup_0000000000000",
    "restore_id": "restore_000000000000",
    "run_id": "run_0000000000000000",
    "name": "nobody",
}
# What is understood and does little; the others need no body.
NO_DATABASE = {"databases": ["there-is-no-such-database"]}
BODIES = {
    "create_backup": NO_DATABASE,
    "create_recovery_point": NO_DATABASE,
    "set_schedule": {
        "frequency": "daily",
        "name": "of-roles",
        "external": True,
        "options": NO_DATABASE,
    },
    "run_scheduled": {"frequency": "daily", "name": "of-roles"},
    "create_user": {"name": "of-roles", "password": "short", "role": "viewer"},
    "change_user": {"disabled": True},
    "refresh": {"refresh_token": "none"},
}
GUARDED = [name for name, role in LEAST.items() if role != "public"]


def ask(client, name, **headers):
    """Send a request of this operation that is understood, and names nothing that is there."""
    operation = OPERATIONS[name]
    path = (
        operation.at(NOTHING[operation.parameters[0]]) if operation.parameters else operation.path
    )
    headers = {"Prefer": "wait=30", **headers}
    return client.request(operation.method, path, json=BODIES.get(name), headers=headers)


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
PATHS = list(DOCUMENT["paths"])
PAGES = {"/openapi.json", "/docs", "/docs/{name}"}


def test_every_route_has_a_row_in_the_table_of_rights():
    """Also one that the document leaves out: only its own pages are not guarded."""
    routes = {
        (route.path, route.name)
        for route in create_app(Settings()).routes
        if isinstance(route, Route)
    }

    assert {path for path, name in routes if name not in RIGHTS_OF_OPERATIONS} == PAGES


@pytest.mark.parametrize("path", PATHS)
def test_a_path_has_no_method_but_those_of_the_table(shared_api, path):
    """Every role, and nobody, gets 405 for all others; what is there is tried below."""
    there = {method.upper() for method in DOCUMENT["paths"][path]}
    there |= {"HEAD"} if "GET" in there else set()
    for role in (None, *ROLES):
        client = shared_api.client(role)
        found = {method: client.request(method, path).status_code for method in METHODS
                 if method not in there}  # fmt: skip
        assert set(found.values()) == {405}, (role, found)


def test_every_route_has_its_role():
    """The table has one row for each operation, and the document asks for the same roles."""
    assert set(LEAST) == set(OPERATIONS)
    asked = {name: operation.scopes for name, operation in OPERATIONS.items()}
    assert asked == {name: [] if role == "public" else [role] for name, role in LEAST.items()}


def test_the_service_shows_the_document_that_is_tested(shared_api):
    """What /openapi.json answers is what the tables of these tests are compared with."""
    assert shared_api.client(None).get("/openapi.json").json() == DOCUMENT


@pytest.mark.parametrize("name", GUARDED)
def test_nobody_passes_without_a_token(shared_api, name):
    """Without a token the answer is 401, and says how to prove who one is."""
    found = ask(shared_api.client(None), name)

    assert (found.status_code, found.json()["code"]) == (401, "not-authenticated")
    assert found.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("name", GUARDED)
def test_a_role_opens_its_routes_and_no_other(shared_api, name):
    """A lower role gets 403, the least one and those above it anything but 401 and 403."""
    least = ROLES.index(LEAST[name])
    found = [ask(shared_api.client(role), name) for role in ROLES]

    for answer in found[:least]:
        assert (answer.status_code, answer.json()["code"]) == (403, "not-authorized")
        assert LEAST[name] in answer.json()["detail"]
    for answer in found[least:]:
        assert answer.status_code < 500
        assert answer.status_code not in {401, 403, 405}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name].method == "GET"])
def test_head_asks_for_the_same_role_and_answers_the_same(shared_api, name):
    """Status, type and length are those of GET, and there is no body."""
    for role in (None, *ROLES):
        operation, client = OPERATIONS[name], shared_api.client(role)
        path = operation.at("nothing")
        got, head = client.get(path), client.head(path)

        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers.get("Content-Type") == got.headers.get("Content-Type")


@pytest.mark.parametrize("name", [name for name, role in LEAST.items() if role == "public"])
def test_the_public_routes_ask_for_no_token(shared_api, name):
    """They answer without one; only a login that is wrong is refused."""
    status = {"is_alive": 200, "is_ready": 200, "get_metrics": 200, "log_in": 422, "refresh": 401}[
        name
    ]

    assert ask(shared_api.client(None), name).status_code == status


@pytest.mark.parametrize("name", [name for name in GUARDED if OPERATIONS[name].body])
def test_the_role_is_asked_before_the_body_is_looked_at(shared_api, name):
    """Whoever may not do it learns nothing of what a body must look like."""
    operation, role = OPERATIONS[name], ROLES[ROLES.index(LEAST[name]) - 1]
    path = operation.at("nothing")
    wrong = {"no": "such field"}

    if LEAST[name] != "viewer":
        assert (
            shared_api.client(role).request(operation.method, path, json=wrong).status_code == 403
        )
    assert shared_api.client(None).request(operation.method, path, json=wrong).status_code == 401


@pytest.fixture
def over(admin, sql, database):
    """Runs that are over, by kind: what was asked for, with its locks let go."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")

    def post(path, **body):
        return finished(admin, admin.post(f"/api/admin/backup/{path}", json=body).json()["run_id"])

    backup = post("create", databases=[database])
    name = backup["backup_id"]
    restore = post(f"restore/{name}", into=f"{database}_r", create_backup=False)
    sql.run(f"DROP DATABASE IF EXISTS {database}_r")
    deletion = admin.delete(f"/api/admin/backup/delete/{name}").json()
    runs = {run["kind"]: run for run in (backup, restore, deletion)}
    assert {run["state"] for run in runs.values()} == {"succeeded"}
    return {kind: run["run_id"] for kind, run in runs.items()}


def test_only_admins_stop_what_only_admins_begin(shared_api, over):
    """An operator may cancel a backup, but neither a restore nor a deletion; a viewer nothing."""
    found = {
        (role, kind): shared_api.client(role).post(f"/api/admin/runs/{run_id}/cancel")
        for role in ROLES
        for kind, run_id in over.items()
    }

    codes = {key: answer.json()["code"] for key, answer in found.items()}
    # They are over, so whoever may cancel is told that it is too late.
    assert codes == {
        ("viewer", "backup"): "not-authorized",
        ("viewer", "restore"): "not-authorized",
        ("viewer", "deletion"): "not-authorized",
        ("operator", "backup"): "not-cancellable",
        ("operator", "restore"): "not-authorized",
        ("operator", "deletion"): "not-authorized",
        ("admin", "backup"): "not-cancellable",
        ("admin", "restore"): "not-cancellable",
        ("admin", "deletion"): "not-cancellable",
    }

"""The whole API against its own document: random requests, and what it promises of the answers."""

from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fixtures.api import ROLES, Api, claims_of, encoded, finished
from tests.fixtures.operations import OPERATIONS
from tests.fixtures.series import series
from tests.fixtures.servers import OwnServers, Sql


# Each is sent so many requests that the document allows, and as many that it does not.
EXAMPLES = series(5, 100)
# Most requests get past the door.
ASKERS = ("admin", "admin", "admin", "operator", "viewer", "nobody")
# Of endless or other than JSON answers; their own tests read them.
NOT_HERE = {"watch_run", "download_backup"}
# More than the service reads of a head: such a request is none of any operation.
MOST_HEAD_BYTES = 64 << 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def installation(tmp_path_factory, server_template) -> Iterator[Api]:
    """A service of a server of its own: random requests make databases, users and schedules."""
    servers = OwnServers(tmp_path_factory.mktemp("server"), server_template)
    url = servers().url
    with Sql(url) as sql:
        sql.script(["CREATE DATABASE tiny", "CREATE TABLE tiny.t AS SELECT 1 AS a"])
    api = Api(f"{url.rstrip('/')}/tiny", tmp_path_factory.mktemp("service"))
    try:
        yield api.start()
    finally:
        api.close()
        servers.close()


@pytest.fixture(scope="module")
def known(installation) -> dict[str, str]:
    """Names of what is there, by parameter."""
    admin = installation.client()
    user = {"name": "somebody", "password": "a password of theirs", "role": "viewer"}
    assert admin.post("/api/admin/users", json=user).status_code == 201
    made = finished(admin, admin.post("/api/admin/backup/create").json()["run_id"])
    path = f"/api/admin/backup/restore/{made['backup_id']}"
    restored = finished(admin, admin.post(path, json={"create_backup": False}).json()["run_id"])
    return {
        "name": "somebody",
        "run_id": made["run_id"],
        "backup_id": made["backup_id"],
        "restore_id": restored["restore_id"],
    }


@pytest.fixture(scope="module")
def schema(installation):
    """The document as the service shows it."""
    return schemathesis.openapi.from_url(f"{installation.url}/openapi.json")


@pytest.fixture(scope="module")
def sessions() -> Iterator[dict[str, requests.Session]]:
    """Connections that are kept, by the role of their token; one has none."""
    with ExitStack() as stack:
        made = {role: stack.enter_context(requests.Session()) for role in (*ROLES, "nobody")}
        for role in ROLES:
            # For a day, however many requests are wanted.
            token = encoded({**claims_of(role), "exp": claims_of()["exp"] + 86400})
            made[role].headers["Authorization"] = f"Bearer {token}"
        yield made


def cases_of(schema, name, known):
    """Make requests of one operation: allowed or not, about what is there or not."""
    table_row = OPERATIONS[name]
    operation = schema[table_row.path][table_row.method]
    real = {key: known[key] for key in table_row.parameters}
    made = [
        operation.as_strategy(mode, **about)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for about in ([{}, {"path_parameters": real}] if real and name != "delete_backup" else [{}])
        if mode is GenerationMode.POSITIVE or table_row.facts.get("parameters") or table_row.body
    ]
    return st.one_of(made)


def answer_to(case, session):
    """Send a request; None = its head is too long, and whoever still sends it may not hear so."""
    try:
        answer = case.call(session=session, timeout=120)
    except requests.ConnectionError as closed:
        if not is_too_long(closed.request):
            raise
        return None
    if answer.status_code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        assert is_too_long(answer.request)
        return None
    return answer


def is_too_long(request: requests.Request | requests.PreparedRequest | None) -> bool:
    """Tell whether it may be that no more of it was read than that; names of headers are short."""
    assert request is not None
    head = [request.url, *request.headers.values()]
    return sum(len(str(part)) for part in head) > MOST_HEAD_BYTES - 1000


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in NOT_HERE])
def test_answers_are_those_of_the_document(schema, sessions, known, name):
    """No request of any role fails the service, and each status, type, header and body is a documented one."""

    @settings(
        max_examples=2 * EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases_of(schema, name, known), role=st.sampled_from(ASKERS))
    def hold(case, role):
        answer = answer_to(case, sessions[role])
        if answer is not None:
            case.validate_response(answer, checks=CHECKS)

    hold()


def test_other_methods_are_told_which_there_are(installation):
    """What the document does not have is 405, with all that it has in `Allow`."""
    admin = installation.client()
    paths = {operation.path: operation.at("x") for operation in OPERATIONS.values()}
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    for path, target in paths.items():
        there = {operation.method for operation in OPERATIONS.values() if operation.path == path}
        for method in set(methods) - there:
            found = admin.request(method, target)
            assert (found.status_code, found.json()["code"]) == (405, "method-not-allowed")
            allowed = there | ({"HEAD"} if "GET" in there else set())
            assert set(found.headers["Allow"].split(", ")) == allowed, path

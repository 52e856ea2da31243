"""docs/api.md describes the API that there is, no less and no more, by the API's own document."""

import json
import os
import re
import subprocess
from typing import Any

import httpx
import pytest

from app.api.middleware import MAX_BODY_BYTES
from app.api.problems import Problem
from app.api.run_responses import MOST_SECONDS
from app.config import Settings
from app.documents.runs import ProgressFacts, RunFacts
from app.domain.rights import OPERATIONS, RIGHTS
from app.domain.runs.run import RunKind, RunState
from app.main import create_app
from app.security.keys import kid_of
from tests.fixtures.operations import DOCUMENT
from tests.fixtures.pages import DOCS, ROOT, rows, section


TEXT = (DOCS / "api.md").read_text()
ROUTES: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
# Pages for people, which the document does not hold.
PATHS = [*DOCUMENT["paths"], "/docs", "/openapi.json"]


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference names; that of an optional body is one of two."""
    for option in schema.get("anyOf", [schema]):
        if "$ref" in option:
            found: dict[str, Any] = DOCUMENT["components"]["schemas"][
                option["$ref"].rsplit("/", 1)[1]
            ]
            return found
    return schema


def _body_fields(schema: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the default of each field, those of objects in it with a dot."""
    fields: dict[str, str] = {}
    for name, field in schema["properties"].items():
        inner = _resolved(field)
        if "properties" in inner:
            fields |= _body_fields(inner, f"{prefix}{name}.")
        elif name in schema.get("required", []):
            fields[prefix + name] = "required"
        else:
            fields[prefix + name] = json.dumps(field.get("default"))
    return fields


def _fields(operation: dict[str, Any]) -> dict[str, str]:
    fields = {
        parameter["name"]: "required"
        if parameter["required"]
        else json.dumps(parameter["schema"].get("default"))
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        fields |= _body_fields(_resolved(content["schema"]))
    return fields


def _least_role(operation: dict[str, Any]) -> str | None:
    needed = operation.get("security")
    return needed[0]["OAuth2PasswordBearer"][0] if needed else None


def test_every_route_is_described_and_no_other():
    """One section a route, in the order of the document."""
    assert re.findall(r"^### `([A-Z]+ /.*)`$", TEXT, re.MULTILINE) == list(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_operation_and_role_of_a_route_are_those_of_the_document(route):
    """Whoever reads the page knows who may."""
    operation, role = ROUTES[route], _least_role(ROUTES[route])
    told = f"Operation `{operation['operationId']}`, {f'role `{role}`' if role else 'no login'}."

    assert told in section(TEXT, f"`{route}`")
    assert [route, role or "-"] in [row[:2] for row in rows(section(TEXT, "Overview"))]


def test_the_table_of_rights_is_that_of_the_program():
    """Every effect with its least role, what it is, and the operations that have it."""
    names = {
        effect: [name for name, found in OPERATIONS.items() if found is effect] for effect in RIGHTS
    }
    table = [
        [effect, right.least or "-", right.meaning, ", ".join(names[effect])]
        for effect, right in RIGHTS.items()
    ]

    assert rows(section(TEXT, "Rights"))[2:] == table


@pytest.mark.parametrize("route", ROUTES)
def test_every_field_of_a_request_is_described_with_its_default(route):
    """Queries and bodies in tables; headers by name."""
    text = section(TEXT, f"`{route}`")
    table = {row[0]: row[1:] for row in rows(text)[2:]}
    headers = [
        parameter
        for parameter in ROUTES[route].get("parameters", [])
        if parameter["in"] == "header"
    ]

    assert {name: row[1] for name, row in table.items()} == _fields(ROUTES[route])
    assert all(row[0] and row[2].endswith(".") for row in table.values())
    assert all(f"`{header['name']}`" in text.lower() for header in headers)


@pytest.mark.parametrize("route", ROUTES)
def test_every_status_of_an_error_is_told(route):
    """As in the document, and each explained once for all."""
    told = re.search(r"^Errors: (.*)\.$", section(TEXT, f"`{route}`"), re.MULTILINE)
    statuses = [status for status in sorted(ROUTES[route]["responses"]) if status >= "400"]

    assert told is not None
    assert told[1] == (", ".join(statuses) or "none")
    assert set(statuses) <= {row[0] for row in rows(section(TEXT, "Problems"))}


@pytest.mark.parametrize("route", ROUTES)
def test_every_key_of_an_answer_is_named(route):
    """Those of a run stand in a section of their own."""
    text = section(TEXT, f"`{route}`")
    for status, answer in ROUTES[route]["responses"].items():
        schema = _resolved(answer.get("content", {}).get("application/json", {}).get("schema", {}))
        if status < "300" and schema.get("title") != RunFacts.__name__:
            for key in schema.get("properties", {}):
                assert f"`{key}`" in text, key


@pytest.mark.parametrize(
    ("model", "heading"),
    [(RunFacts, "Runs"), (ProgressFacts, "Runs"), (Problem, "Problems")],
    ids=lambda case: getattr(case, "__name__", case),
)
def test_every_key_of_what_comes_often_is_explained(model, heading):
    """Runs, their progress, and problems have tables."""
    explained = {key for row in rows(section(TEXT, heading)) for key in row[0].split(", ")}

    assert set(model.model_fields) <= explained


@pytest.mark.parametrize("page", [DOCS / "api.md", ROOT / "README.md"], ids=lambda page: page.name)
def test_paths_in_texts_and_examples_lead_to_routes(page):
    """What people copy is there."""
    text = page.read_text().replace("$API", "http://127.0.0.1:8000/api")
    path = r"(/(?:api|docs|openapi|healthz|readyz|metrics)\b[^\s`?'\";]*)"
    used = set(re.findall(rf"(?:`|`[A-Z]+ |127\.0\.0\.1:8000){path}", text)) - {"/api"}
    patterns = [re.sub(r"\{\w+\}", "[^/]+", path) for path in PATHS]

    assert len(used) > 3
    assert [path for path in used if not any(re.fullmatch(known, path) for known in patterns)] == []


def test_every_value_of_an_answer_that_is_one_of_a_few_is_named():
    """Kinds and states of runs, levels of checks, roles, and whatever else is an enumeration."""
    schemas = DOCUMENT["components"]["schemas"]
    values = {name: schema["enum"] for name, schema in schemas.items() if "enum" in schema}

    assert {"RunKind", "RunState", "Role", "VerifyLevel"} <= set(values)
    for name, found in values.items():
        assert [value for value in found if f"`{value}`" not in TEXT] == [], name


def test_kinds_and_states_of_runs_are_listed_as_they_are():
    """In the table of a run, none left out and no other."""
    table = {row[0]: row[1] for row in rows(section(TEXT, "Runs"))}

    assert table["kind"].split(", ") == [kind.value for kind in RunKind]
    assert set(re.findall(r"\w+", table["state"])) - {"then", "or"} == {
        state.value for state in RunState
    }


def test_limits_are_told_as_they_are():
    """Numbers in sentences are those of the code."""
    assert f"{MOST_SECONDS} seconds at most" in section(TEXT, "Runs")
    assert f"{MAX_BODY_BYTES >> 10} KiB" in section(TEXT, "Security")


async def test_every_header_of_an_answer_is_told():
    """Whatever the service adds to each answer."""
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="https://backstay") as client:
        headers = set((await client.get("/healthz")).headers)

    told = section(TEXT, "Security").lower()
    assert len(headers) > 5
    assert [
        header for header in headers - {"content-length", "content-type"} if header not in told
    ] == []


def test_the_kid_of_a_secret_can_be_computed_by_hand():
    """The line of docs/settings.md, run by a shell."""
    text = section((DOCS / "settings.md").read_text(), "The secret of tokens")
    line = next(line for line in text.splitlines() if line.startswith("printf"))
    secret = "a secret of another application"
    command = ["sh", "-c", line]
    done = subprocess.run(
        command, env={"SECRET": secret, "PATH": os.defpath}, capture_output=True, check=True
    )

    assert done.stdout.decode().strip() == kid_of(secret.encode())

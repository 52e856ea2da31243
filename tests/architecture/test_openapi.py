"""The API's document says everything that a client needs, of every operation."""

from collections import Counter
from http import HTTPStatus
from pathlib import Path

import pytest

from app.api import bodies
from app.api.problems import STATUS, status_of_code
from app.config import Settings
from app.errors import AppError
from app.main import _ROUTERS, create_app
from tests.fixtures.operations import DOCUMENT, OPERATIONS


ERRORS = Path(__file__).parents[2] / "docs" / "errors.md"
# Everybody may ask these: to become somebody, and whether the service is well. That the token of the
# metrics may be asked for is said by their text: it is nobody's login.
PUBLIC = {"log_in", "refresh", "is_alive", "is_ready", "get_metrics"}
# What the framework answers before any operation, with the name of its status as the code.
OF_NO_OPERATION = {"method-not-allowed"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def answers_of(operation):
    """Return the documented answers by status."""
    return {int(status): answer for status, answer in operation.facts["responses"].items()}


def resolved(schema):
    """Return the schema behind a reference, or behind the one that may be left out."""
    for part in (schema, *schema.get("anyOf", ())):
        if "$ref" in part:
            return DOCUMENT["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]
    return schema


def codes(kind=AppError):
    """Yield the code of an error and of everything below it."""
    yield kind.code
    for child in kind.__subclasses__():
        yield from codes(child)


operation_of_each = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@operation_of_each
def test_every_operation_is_described(operation):
    """A summary, a sentence, one tag that is explained, and a name of its own."""
    facts = operation.facts
    tags = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}

    assert facts["summary"]
    assert facts["description"].rstrip().endswith(".")
    assert len(facts["tags"]) == 1
    assert tags[facts["tags"][0]]


def test_every_name_is_there_once():
    """Generators of clients make functions of the names, and pages of the tags."""
    names = Counter(
        facts["operationId"] for methods in DOCUMENT["paths"].values() for facts in methods.values()
    )

    assert set(names.values()) == {1}
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {
        operation.facts["tags"][0] for operation in OPERATIONS.values()
    }


@operation_of_each
def test_no_operation_is_open_but_those_that_must_be(operation):
    """Every other one asks for exactly one role, by the one scheme there is."""
    asked = operation.facts.get("security", [])

    if operation.name in PUBLIC:
        assert asked == []
    else:
        assert [list(scheme) for scheme in asked] == [["OAuth2PasswordBearer"]]
        assert len(operation.scopes) == 1


def test_the_scheme_explains_its_roles():
    """Whoever sees a role in the document finds there what it may do, and where to log in."""
    schemes = DOCUMENT["components"]["securitySchemes"]
    flow = schemes["OAuth2PasswordBearer"]["flows"]["password"]

    assert set(schemes) == {"OAuth2PasswordBearer"}
    assert set(flow["scopes"]) == {"viewer", "operator", "admin"}
    assert all(flow["scopes"].values())
    assert {flow["tokenUrl"], flow["refreshUrl"]} <= set(DOCUMENT["paths"])


@operation_of_each
def test_every_error_is_a_problem(operation):
    """Each documented status above 399 has the one model; a text, and never FastAPI's own."""
    for status, answer in answers_of(operation).items():
        assert answer["description"], status
        own = {("is_ready", 503), ("download_backup", 400), ("download_backup", 416)}
        if status >= 400 and (operation.name, status) not in own:
            assert answer["content"] == PROBLEM, status
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


@operation_of_each
def test_every_error_that_can_be_is_documented(operation):
    """What follows from roles, parameters, bodies and changes stands in the document."""
    if operation.name in {"is_alive", "is_ready"}:
        return
    wanted = {422, 500, 503}
    if operation.name not in PUBLIC:
        wanted |= {401, 403}
    if operation.parameters:
        wanted |= {404}
    if operation.facts.get("requestBody"):
        wanted |= {413}
    if 202 in answers_of(operation):
        wanted |= {404, 409}

    assert wanted <= set(answers_of(operation))


@operation_of_each
def test_headers_of_answers_are_documented(operation):
    """Where a run is, how to prove who one is, and how long to wait."""
    for status, answer in answers_of(operation).items():
        begins_run = status in {200, 202} and {200, 202} <= set(answers_of(operation))
        wanted = {401: "WWW-Authenticate", 429: "Retry-After"}.get(status)
        headers = answer.get("headers", {})
        assert wanted is None or headers[wanted]["required"]
        # A schedule that is not due and a dry run begin no run, and have nothing to wait for.
        if begins_run and (operation.name, status) not in {
            ("run_scheduled", 200),
            ("prune_backups", 200),
        }:
            assert headers["Location"]["required"]


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.body])
def test_every_body_has_an_example_that_is_taken(name):
    """An example is what people try first, so its fields are there and its values good."""
    body = resolved(OPERATIONS[name].body)

    assert body["examples"]
    for example in body["examples"]:
        getattr(bodies, body["title"]).model_validate(example)
    assert body["additionalProperties"] is False


def test_every_field_of_an_answer_is_always_there():
    """Clients need not guess: what can be missing is null, and nothing comes that is not told."""
    schemas = DOCUMENT["components"]["schemas"]
    answers = {
        name: schema
        for name, schema in schemas.items()
        if schema["type"] == "object" and "Body" not in name
    }

    assert len(answers) > 20
    for name, schema in answers.items():
        assert set(schema.get("required", ())) == set(schema["properties"]), name
        assert schema["additionalProperties"] is False, name


def test_every_code_is_explained_and_has_a_status():
    """docs/errors.md lists each code that a problem can have."""
    text = ERRORS.read_text()
    known = {*codes(), "cancelled", *OF_NO_OPERATION}

    assert [code for code in sorted(known) if f"`{code}`" not in text] == []
    assert {status_of_code(code) for code in codes()} == set(STATUS.values())
    documented = {status for operation in OPERATIONS.values() for status in answers_of(operation)}
    assert set(STATUS.values()) <= documented
    assert status_of_code("cancelled") is HTTPStatus.CONFLICT


def test_every_route_is_in_the_document():
    """Only the pages of the document itself are not in it."""
    app = create_app(Settings())
    routers = [app.router, *(module.router for module in _ROUTERS)]
    paths = {route.path for router in routers for route in router.routes if hasattr(route, "path")}

    assert paths == {*DOCUMENT["paths"], "/openapi.json", "/docs", "/docs/{name}"}

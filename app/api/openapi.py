"""The API's own document, and the page that shows it without another host."""

import base64
import hashlib
import re
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response
from pydantic import JsonValue
from pydantic.json_schema import models_json_schema

from app.api.problems import InvalidField, Problem
from app.domain.rights import least_role


# Name of the route of the page.
DOCUMENTATION: Final = "documentation"
DESCRIPTION: Final = """\
Proven backups and proven restores of MySQL and MariaDB.

Long work is a **run**: the answer is 202 with its `Location`; `Prefer: wait=60` waits for the end,
`Idempotency-Key` makes a request that is sent twice one run.
Errors are problem documents (RFC 9457) with a stable `code`; docs/errors.md lists them.
"""
TAGS: Final = [
    {"name": "login", "description": "Tokens for this API."},
    {"name": "backups", "description": "Made, listed, proven, downloaded, deleted."},
    {"name": "restores", "description": "Tried, done, taken back."},
    {"name": "schedules", "description": "What is backed up by itself, and how that goes."},
    {"name": "runs", "description": "Everything that was and is being done."},
    {"name": "alerts", "description": "What is wrong, and who was told."},
    {"name": "binlog", "description": "The archive of the binary log: what happened when."},
    {"name": "stores", "description": "Where backups can be kept elsewhere."},
    {"name": "users", "description": "Who may log in."},
    {"name": "audit", "description": "Who changed what."},
    {"name": "health", "description": "For balancers and supervisors."},
]
_PREFIX: Final = "#/components/schemas/"
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_POLICY: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
    " script-src 'self' {scripts}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def install(app: FastAPI) -> None:
    """Give an application its document, and the page `/docs`."""

    def openapi() -> dict[str, JsonValue]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
    app.get("/docs", include_in_schema=False, name=DOCUMENTATION)(_page)
    app.get("/docs/{name}", include_in_schema=False)(_asset)


def _document(app: FastAPI) -> dict[str, JsonValue]:
    """Make the document; the framework knows the models of answers, but not that of problems."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        tags=app.openapi_tags,
        routes=app.routes,
    )
    _, models = models_json_schema(
        [(Problem, "serialization"), (InvalidField, "serialization")],
        ref_template=_PREFIX + "{model}",
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            _secure(operation)
    schemas = document["components"]["schemas"]
    schemas.update(models["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):  # of the framework, never answered
        schemas.pop(name, None)
    return document


def _secure(operation: dict[str, JsonValue]) -> None:
    """Say who may, by the table of rights; the framework only knows that somebody is asked."""
    security = operation.pop("security")
    assert isinstance(security, list)  # noqa: S101 - every route is guarded
    if (role := least_role(str(operation["operationId"]))) is not None:
        scheme = {name: [role.value] for name in security[0]}  # type: ignore[union-attr]
        operation["security"] = [scheme]  # type: ignore[list-item]


async def _page(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Backstay",
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon-32x32.png",
    )
    scripts = _SCRIPT.findall(bytes(page.body).decode())
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    page.headers["Content-Security-Policy"] = _POLICY.format(scripts=hashes)
    return page


async def _asset(name: str) -> Response:
    if name not in _ASSETS:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    content = (files("fastapi_swagger.resources") / name).read_bytes()
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(content, media_type=_ASSETS[name], headers=headers)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

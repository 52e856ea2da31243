"""
Pages from templates: one environment, and what every page knows.

Everything is escaped unless it was made here. Templates have no inline script or style: the policy of
the pages would keep browsers from running it.
"""

import gzip
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.api.openapi import DOCUMENTATION
from app.domain.access.user import Role
from app.domain.rights import OPERATIONS, PAGES, least_role, may, may_stop
from app.domain.runs.run import RunKind
from app.scheduling.clock import SystemClock
from app.services.access.browser_logins import BrowserLogin
from app.services.monitoring.overview import Counts
from app.web import csrf, filters
from app.web.access import safe_path
from app.web.assets import read_assets
from app.web.runbook import read_runbook


_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# An Overview of a year shrinks from 80 to 10 kB in a millisecond.
_GZIP_LEVEL: Final = 5
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # Forms would say `Origin: null` otherwise.
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True)
class View:
    """
    What every template knows of who looks.

    Attributes:
        request: The one that is answered.
        login: Whose browser it is; None = nobody is logged in.
        now: When the page was made, aware UTC.
    """

    request: Request
    login: BrowserLogin | None
    now: datetime

    @property
    def role(self) -> Role | None:
        """What whoever looks may do."""
        return self.login.identity.role if self.login else None

    @property
    def name(self) -> str:
        """Who looks; empty = nobody."""
        return self.login.identity.name if self.login else ""

    @property
    def counts(self) -> Counts | None:
        """What wants attention; None = nobody knows."""
        found = getattr(self.request.state, "counts", None)
        return found if isinstance(found, Counts) else None

    @property
    def where(self) -> str:
        """Which server is backed up; empty = none, or nobody is logged in."""
        return str(getattr(self.request.state, "where", ""))

    @property
    def has_server(self) -> bool:
        """Whether there is a server to back up and to restore into."""
        return bool(self.request.app.state.service.program.server.is_set)

    @property
    def installation(self) -> str:
        """What this installation is called; empty = nobody has said."""
        service = self.request.app.state.service
        return str(service.program.settings.installation_name)

    @property
    def theme(self) -> str:
        """How bright they want it: `light`, `dark`, or `auto`, as their system is."""
        wanted = self.request.cookies.get("theme", "auto")
        return wanted if wanted in {"light", "dark"} else "auto"

    @cached_property
    def csrf(self) -> str:
        """What forms of this page send with them."""
        return csrf.token_of(self.login.secret) if self.login else ""

    @property
    def csrf_field(self) -> Markup:
        """The field that every form sends."""
        return Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, self.csrf)

    @property
    def run_fields(self) -> Markup:
        """The fields of a form that starts a run: sent twice, it is one."""
        key = Markup('<input type="hidden" name="key" value="{}">').format(secrets.token_hex(16))
        return self.csrf_field + key

    def can(self, operation: str) -> bool:
        """Tell whether whoever looks may do something."""
        effect = OPERATIONS.get(operation) or PAGES[operation]
        return self.role is not None and may(self.role, effect)

    def may_stop(self, kind: RunKind) -> bool:
        """Tell whether whoever looks may stop such runs."""
        return self.role is not None and may_stop(self.role, kind)

    def least(self, operation: str) -> Role | None:
        """Return who may do something at least."""
        return least_role(operation)

    def explains(self, code: str) -> bool:
        """Tell whether a page says what to do about a code, and may be looked at."""
        return self.can("get_runbook") and code in read_runbook()

    @property
    def here(self) -> str:
        """Address of this page to come back to; of one that comes after a form, that of Overview."""
        url = self.request.url
        if self.request.method != "GET":
            return self.path("get_status")
        return safe_path(url.path + (f"?{url.query}" if url.query else ""))

    def path(self, name: str, /, **parts: str) -> str:
        """Return the path of a page, also behind a proxy that adds a prefix."""
        return path_for(self.request, name, **parts)

    @property
    def api_documentation(self) -> str:
        """Return the path of the page about the API."""
        return prefix_of(self.request) + str(self.request.app.url_path_for(DOCUMENTATION))

    def asset(self, name: str) -> str:
        """Return the path of a style or script."""
        return self.path("get_asset", file=read_assets()[name].file)


def path_for(request: Request, name: str, /, **parts: str) -> str:
    """Return the path of a page by the name of its route, without `web:`."""
    return prefix_of(request) + _path_template(request.app, name, tuple(parts)).format_map(parts)


def prefix_of(request: Request) -> str:
    """Return what a proxy adds before every path; empty = nothing."""
    return str(request.scope.get("root_path", "")).rstrip("/")


# A page asks for fifty paths, and FastAPI looks through all routes for each of them.
@lru_cache(maxsize=1024)
def _path_template(app: FastAPI, name: str, parts: tuple[str, ...]) -> str:
    """Return the path of a page with places in braces, found once for each application."""
    return str(app.url_path_for(f"web:{name}", **{part: f"{{{part}}}" for part in parts}))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(filters.FILTERS)
    return environment


_ENVIRONMENT: Final = _environment()


def view_of(request: Request) -> View:
    """Return what templates know of a request."""
    login = getattr(request.state, "login", None)
    return View(request, login, SystemClock().now())


def fragment(request: Request, template: str, **known: object) -> str:
    """Make a part of a page."""
    return _ENVIRONMENT.get_template(template).render(view=view_of(request), **known)


def render(request: Request, template: str, **known: object) -> HTMLResponse:
    """Make a page from a file below `templates` and what it needs to know."""
    return render_as(HTTPStatus.OK, request, template, **known)


def render_as(status: HTTPStatus, request: Request, template: str, **known: object) -> HTMLResponse:
    """Make a page with another status than 200."""
    body = fragment(request, template, **known).encode()
    headers = {**HEADERS, "Vary": "Accept-Encoding"}
    # Tokens of forms are masked anew in each page, so that its length tells nothing of them.
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return HTMLResponse(body, status, headers)

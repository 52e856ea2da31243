"""
Pages from templates: one environment, and what every page knows.

Everything is escaped unless it was made here. Templates have no inline script or style: the policy of
the pages would keep browsers from running it.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.domain.access.user import Role
from app.domain.rights import OPERATIONS, PAGES, may
from app.scheduling.clock import SystemClock
from app.services.access.browser_logins import BrowserLogin
from app.services.monitoring.overview import Counts
from app.web import csrf, filters
from app.web.assets import read_assets


_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
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

    def path(self, name: str, /, **parts: str) -> str:
        """Return the path of a page, also behind a proxy that adds a prefix."""
        return path_for(self.request, name, **parts)

    def asset(self, name: str) -> str:
        """Return the path of a style or script."""
        return self.path("get_asset", file=read_assets()[name].file)


def path_for(request: Request, name: str, /, **parts: str) -> str:
    """Return the path of a page by the name of its route, without `web:`."""
    prefix = str(request.scope.get("root_path", "")).rstrip("/")
    return prefix + str(request.app.url_path_for(f"web:{name}", **parts))


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
    return HTMLResponse(fragment(request, template, **known), headers=HEADERS)


def render_as(status: HTTPStatus, request: Request, template: str, **known: object) -> HTMLResponse:
    """Make a page with another status than 200."""
    return HTMLResponse(fragment(request, template, **known), status, HEADERS)

"""Forms that start a run: sent twice they are one run, and its page is shown."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from app.api.access import current_service
from app.domain.runs.run import IdempotencyKey, Run
from app.services.access.browser_logins import BrowserLogin
from app.services.runs.job import Job
from app.services.runs.repeats import start_once
from app.web import csrf
from app.web.access import requester_of
from app.web.rendering import path_for


T = TypeVar("T")

KEY_FIELD: Final = "key"
_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# What a form sends beside what it asks for.
_NOT_ASKED: Final = frozenset({csrf.FIELD, KEY_FIELD, "password"})


async def launch(
    request: Request,
    make: Callable[[], Job[T] | Awaitable[Job[T]]],
    login: BrowserLogin,
    form: FormData,
) -> Response:
    """
    Start a run and lead to its page.

    Args:
        request: That sent the form.
        make: Makes what to do, or refuses it.
        login: Who asks.
        form: With the key that makes it one run.

    Returns:
        The way to its page.

    Raises:
        AlreadyRunningError: Another run is in the way; named.
        KeyReusedError: The key was used for another form.
        AppError: It cannot be made, and this very form has started no run.
    """
    program = (await current_service(request)).program
    key = _key(request, form)
    run = await start_once(program.runs, program.history, make, requester_of(login), key)
    return _lead_to(request, run)


async def find_launched(request: Request, login: BrowserLogin, form: FormData) -> Response | None:
    """Lead to the run that this very form has started already; None = it has not."""
    service, key = await current_service(request), _key(request, form)
    run = key and await service.program.history.find_by_key(requester_of(login).name, key)
    return _lead_to(request, run) if run else None


def _lead_to(request: Request, run: Run) -> Response:
    request.state.run_id = run.run_id
    return RedirectResponse(path_for(request, "get_run", run_id=run.run_id), HTTPStatus.SEE_OTHER)


def _key(request: Request, form: FormData) -> IdempotencyKey | None:
    key = str(form.get(KEY_FIELD, ""))
    if _KEY.fullmatch(key) is None:
        return None
    asked = [(name, str(value)) for name, value in form.multi_items() if name not in _NOT_ASKED]
    text = f"{request.method} {request.url.path}\n{asked!r}"
    return IdempotencyKey(key, hashlib.sha256(text.encode()).hexdigest())

"""
The audit of requests: what changed something, took the rows of a database away, or was refused.

It is written before the answer goes out: what could not be written down is not confirmed. Refused requests
change nothing, whoever sends them, and are collapsed; but for one that ends a login, which says so. So are
the next tokens of a login, for whoever may only look could fill the disk by them.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import operation_name
from app.domain.access.audit import AuditEvent, ChangeNote
from app.domain.access.user import Identity
from app.domain.rights import OPERATIONS, Effect
from app.errors import AppError
from app.security.attempts import network_of
from app.services.access.audit import AuditService
from app.services.access.refusals import Refusal


_log: Final = logging.getLogger(__name__)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED: Final = frozenset({
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
})
_MAX_TARGET: Final = 500
# What is stopped is confirmed, also on a full disk: nobody must have to kill the service for it.
_ALWAYS_POSSIBLE: Final = frozenset({"cancel_run"})
# Of the browser alone, as how bright its pages are: whoever may look at pages could fill the audit with it.
_OF_NO_EFFECT: Final = frozenset({"who_am_i"})
_NO_ROUTE: Final = "(no such path)"
# Whoever takes a database away changes nothing, and it is what somebody will want to know of.
_TAKES: Final = frozenset(name for name, effect in OPERATIONS.items() if effect is Effect.TAKE)


class _UnrecordedError(Exception):
    """The audit refused; no AppError, which would be answered where an answer has begun already."""

    def __init__(self, error: AppError) -> None:
        super().__init__(str(error))
        self.error = error


class Recorder:
    """Writes into the audit what changed something or was refused, and answers for bugs."""

    def __init__(
        self,
        app: ASGIApp,
        audit: Callable[[], AuditService],
        now: Callable[[], datetime],
        answer: Callable[[Request, Exception], ASGIApp],
    ) -> None:
        self._app = app
        self._answer = answer
        self._audit = audit
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer goes out when it is written down."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        answered = False

        async def record_and_send(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                await self._record(scope, HTTPStatus(message["status"]))
                answered = True
            await send(message)

        try:
            try:
                await self._app(scope, receive, record_and_send)
            except _UnrecordedError:
                raise
            except Exception as exc:  # noqa: BLE001 - the edge: a bug is told once, here
                facts = {"path": scope["path"], "method": scope["method"]}
                _log.exception("Request failed by a bug", extra={"facts": facts})
                if not answered:
                    scope["state"]["code"] = AppError.code
                    await self._answer(Request(scope), exc)(scope, receive, record_and_send)
        except _UnrecordedError as exc:  # the answer was held back
            await self._answer(Request(scope), exc.error)(scope, receive, send)

    async def _record(self, scope: Scope, status: HTTPStatus) -> None:
        is_refused, is_taken = _is_refused(scope, status), _is_taken(scope, status)
        if scope["method"] in _SAFE and not (is_refused or is_taken):
            return
        event = self._event(scope, status, is_refused=is_refused)
        if event.action in _OF_NO_EFFECT and not is_refused:
            return
        if is_refused or scope["state"].get("is_renewal"):
            keep = self._audit().refuse if is_refused else self._audit().renew
            about = scope["state"].get("known_about", "")
            await keep(Refusal(event, network_of(event.address), about))
            return
        try:
            await self._audit().record(event)
        except AppError as exc:
            # What is done stays done, and somebody will want to know of it.
            facts = {**asdict(event), "at": event.at.isoformat(), "error": str(exc)}
            _log.warning("Not in the audit", extra={"facts": facts})
            if event.action not in _ALWAYS_POSSIBLE:
                is_done = status < HTTPStatus.BAD_REQUEST and not is_taken  # it is not sent now
                raise _UnrecordedError(_unconfirmed(exc) if is_done else exc) from exc

    def _event(self, scope: Scope, status: HTTPStatus, *, is_refused: bool) -> AuditEvent:
        state, route, client = scope["state"], scope.get("route"), scope.get("client")
        identity, noted = state.get("identity"), state.get("changes")
        known = isinstance(identity, Identity)
        path = scope["path"]
        if is_refused and not known:  # whatever stands in it, perhaps a password
            path = route.path if isinstance(route, APIRoute) else _NO_ROUTE
        return AuditEvent(
            at=self._now(),
            actor=identity.name if known else "",
            role=identity.role if known else "",
            address=client[0] if client else "",
            action=operation_name(route) if isinstance(route, APIRoute) else "",
            target=_short(f"{scope['method']} {path}{state.get('about', '')}"),
            status=status,
            result=state.get("code", "ok"),
            run_id=state.get("run_id", ""),
            changes=noted.text if isinstance(noted, ChangeNote) else "",
        )


def _unconfirmed(error: AppError) -> AppError:
    """Say that what was asked for was done, though it is not confirmed: who tries again does it twice."""
    return type(error)(
        f"what was asked for is done, but is not in the audit: {error}",
        hint=f"Look at what there is now before you ask again; the log of the service has the entry. {error.hint}".strip(),
    )


def _is_refused(scope: Scope, status: HTTPStatus) -> bool:
    """Tell whether a request has had no effect, so that whoever sends it can send as many."""
    if scope["state"].get("has_effect"):
        return False
    if status in _REFUSED:
        return True
    is_wrong = status >= HTTPStatus.BAD_REQUEST and scope["method"] not in _SAFE
    if not isinstance(scope["state"].get("identity"), Identity):
        return is_wrong
    # A run is in the history however it ends, and of a failure of ours nobody knows what it has done before.
    is_theirs = status < HTTPStatus.INTERNAL_SERVER_ERROR
    return is_wrong and is_theirs and "run_id" not in scope["state"]


def _is_taken(scope: Scope, status: HTTPStatus) -> bool:
    """Tell whether the rows of a database go out with the answer."""
    route = scope.get("route")
    is_sent = scope["method"] != "HEAD" and status < HTTPStatus.BAD_REQUEST
    return is_sent and isinstance(route, APIRoute) and operation_name(route) in _TAKES


def _short(text: str) -> str:
    """Keep what somebody sent printable and short."""
    return ascii(text)[1:-1][:_MAX_TARGET]

"""
Runs that requests start: answered at once, or waited for.

`Prefer: wait=N` waits N seconds at most (RFC 7240); `Idempotency-Key` makes a request that is sent
twice one run. Sources: https://www.rfc-editor.org/rfc/rfc7240,
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse

from app.api import problems
from app.api.access import CurrentService, requester_of
from app.bootstrap.service import Service
from app.documents.runs import RunFacts
from app.domain.access.user import Identity
from app.domain.runs.run import IdempotencyKey, Run, RunId, RunState
from app.services.runs.job import Job
from app.services.runs.repeats import start_once


T = TypeVar("T")

_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
# A request that waits for longer is one that a proxy has given up.
MOST_SECONDS: Final = 300
_PART_SECONDS: Final = 1.0

KeyHeader = Annotated[
    str | None,
    Header(
        pattern=r"^[A-Za-z0-9._:-]{1,128}$",
        description="The same key with the same request means the same run.",
    ),
]
PreferHeader = Annotated[
    str | None,
    Header(description="`wait=SECONDS` waits for the end.", examples=["wait=60"], max_length=200),
]


class Launcher:
    """Starts runs in the way that the headers of a request ask for."""

    def __init__(
        self, request: Request, response: Response, service: Service, prefer: str, key: str | None
    ) -> None:
        self._request = request
        self._response = response
        self._runs = service.program.runs
        self._history = service.program.history
        self._prefer = prefer
        self._key = key

    async def __call__(
        self,
        make: Callable[[], Job[T] | Awaitable[Job[T]]],
        identity: Identity,
        *,
        wait_seconds: float | None = None,
    ) -> RunFacts | JSONResponse:
        """
        Start a run.

        Args:
            make: Makes what to do, or refuses it.
            identity: Who asks.
            wait_seconds: How long the end is waited for; None = as the request prefers.

        Returns:
            202 and the run; when its end was waited for and it has succeeded in time, 200 and the
            run, or the problem that ended it.

        Raises:
            AlreadyRunningError: Another run is in the way; named.
            KeyReusedError: The key was used for another request.
            AppError: It cannot be made, and no run of this key was.
        """
        key = await self._idempotency()
        run = await start_once(self._runs, self._history, make, requester_of(identity), key)
        self._request.state.run_id = run.run_id
        headers = {"Location": f"/api/admin/runs/{run.run_id}"}
        if wait_seconds is None and (preference := _WAIT.search(self._prefer)) is not None:
            wait_seconds = min(int(preference[1]), MOST_SECONDS)
            headers["Preference-Applied"] = f"wait={wait_seconds}"
        if wait_seconds is not None:
            run = await self._waited(run.run_id, wait_seconds)
            if run.error is not None:
                self._request.state.code = run.error.code
                status = problems.status_of_code(run.error.code)
                return problems.answer(run.error, status, run_id=run.run_id, headers=headers)
        over = wait_seconds is not None and run.state is RunState.SUCCEEDED
        self._response.status_code = HTTPStatus.OK if over else HTTPStatus.ACCEPTED
        self._response.headers.update(headers)
        return RunFacts.of(run)

    async def _waited(self, run_id: RunId, seconds: float) -> Run:
        """Wait for a run, unless the service wants to stop: then it ends, and so does the run."""
        while True:
            part = min(seconds, _PART_SECONDS)
            run = await self._runs.wait(run_id, part)
            seconds -= part
            if run.state.is_over or seconds <= 0 or self._request.app.state.is_stopping():
                return run

    async def _idempotency(self) -> IdempotencyKey | None:
        if self._key is None:
            return None
        asked = f"{self._request.method} {self._request.url.path}\n".encode()
        return IdempotencyKey(
            self._key, hashlib.sha256(asked + await self._request.body()).hexdigest()
        )


async def _launcher(
    request: Request,
    response: Response,
    service: CurrentService,
    prefer: PreferHeader = None,
    idempotency_key: KeyHeader = None,
) -> Launcher:
    return Launcher(request, response, service, prefer or "", idempotency_key)


Launch = Annotated[Launcher, Depends(_launcher)]

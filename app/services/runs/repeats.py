"""Requests that come twice: one run, also where what they work with is gone because the first one did its work."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.domain.runs.run import IdempotencyKey, Requester, Run
from app.domain.stores import RunStore
from app.errors import AppError
from app.services.runs.job import Job
from app.services.runs.service import RunService


T = TypeVar("T")


async def start_once(
    runs: RunService,
    history: RunStore,
    make: Callable[[], Job[T] | Awaitable[Job[T]]],
    requester: Requester,
    key: IdempotencyKey | None,
) -> Run:
    """
    Begin a run, unless this requester has begun it by the same key before.

    Args:
        runs: Begins it.
        history: Knows the one of before.
        make: Makes what to do, or refuses it.
        requester: Who asks for it.
        key: What makes it one run; None = it is one of its own.

    Returns:
        The run of now, or of before.

    Raises:
        AlreadyRunningError: Another run has what this one needs; named.
        KeyReusedError: The key was used for something else.
        AppError: What `make` raised, and no run was begun by this key.
    """
    try:
        made = make()
        job = made if isinstance(made, Job) else await made
    except AppError:
        # A backup that is deleted is not found any more, and a restore is undone once.
        known = await history.find_by_key(requester.name, key) if key else None
        if known is None:
            raise
        return known
    run, _ = await runs.start(job, requester, key)
    return run

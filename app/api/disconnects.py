"""Work that is of use only as long as somebody waits for its answer."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import HTTPException, Request


T = TypeVar("T")

_LOOK_SECONDS: Final = 1.0


async def while_connected(request: Request, work: Coroutine[object, object, T]) -> T:
    """
    Do work, and give it up when whoever asked for it has gone: the server below lets it go on.

    Args:
        request: That asks for it; it has no body.
        work: Ends when it is cancelled.

    Returns:
        What it returned.

    Raises:
        HTTPException: Nobody is there any more, nor hears it.
        BaseException: What the work raised.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=_LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                raise HTTPException(HTTPStatus.BAD_REQUEST)
    finally:
        task.cancel()
        await asyncio.wait([task])
    return task.result()
